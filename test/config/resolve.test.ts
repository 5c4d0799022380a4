import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { splitArguments } from "../../ts/cli/argv.ts";
import { readConfigFile } from "../../ts/config/file.ts";
import { kebabCase } from "../../ts/config/names.ts";
import { PARAMETERS, type Parameter } from "../../ts/config/parameters.ts";
import { plainSettings, resolveSettings, type Settings } from "../../ts/config/resolve.ts";
import { learningRate } from "../../ts/config/training.ts";
import { temporaryFolder } from "../support/cli.ts";

function resolve(values: Record<string, unknown>): Settings {
  return resolveSettings([{ values, spell: (name) => name }]);
}

function fromFlags(...argv: string[]): Settings {
  const { flags } = splitArguments(argv);
  return resolveSettings([
    {
      values: Object.fromEntries([...flags].map(([name, { value }]) => [name, value])),
      spell: (name) => flags.get(name)?.spelled ?? name,
    },
  ]);
}

describe("values", () => {
  it("resolves the defaults", () => {
    const settings = resolve({});
    expect(settings.kernel_size).toEqual([5, 5, 3, 3]);
    expect(settings.strides).toEqual([2, 2, 2, 2]);
    expect(settings.kernel_constraint).toEqual({ name: "none" });
    expect(settings.kernel_regularizer).toEqual({ l1: 0, l2: 0 });
    expect(learningRate(settings)).toBe(1);
  });

  it("fits the lists of the layers to the filters", () => {
    const settings = fromFlags("--filters=8,16,32", "--strides=2", "--pooling", "max,no,avg,avg");
    expect(settings.strides).toEqual([2, 2, 2]);
    expect(settings.pooling).toEqual(["max", "no", "avg"]);
    expect(settings.kernel_size).toEqual([5, 5, 3]);
  });

  it.each(["[32,64]", "(32,64)", "32,64", "[32, 64]", "( 32 , 64 ,)", "'32,64'"])(
    "reads the list %s",
    (text) => {
      expect(fromFlags(`--filters=${text}`).filters).toEqual([32, 64]);
    },
  );

  it("reads a list that the shell took apart, and one of a single entry", () => {
    expect(fromFlags("--filters", "[32,", "64,", "128]").filters).toEqual([32, 64, 128]);
    expect(fromFlags("--filters", "(32,)").filters).toEqual([32]);
    expect(fromFlags("--filters=32").filters).toEqual([32]);
    expect(fromFlags("--image-shape=32x48").imageShape).toEqual([32, 48]);
  });

  it("reads Python's words", () => {
    expect(fromFlags("--use_bias=False").use_bias).toBe(false);
    expect(fromFlags("--use_bias", "True").use_bias).toBe(true);
    expect(fromFlags("--kernel_regularizer=None").kernel_regularizer).toEqual({ l1: 0, l2: 0 });
    expect(fromFlags("--kernel_constraint=None").kernel_constraint).toEqual({ name: "none" });
    expect(fromFlags("--learning_rate=None").learning_rate).toBeNull();
    expect(fromFlags("--activation=swish").activation).toBe("silu");
    expect(fromFlags("--kernel_initializer=HeNormal").kernel_initializer).toBe("he_normal");
    expect(fromFlags("--pooling=['avg','no']").pooling).toEqual(["avg", "no", "no", "no"]);
  });

  it("takes switches bare, negated and with a value, and leaves the command alone", () => {
    expect(fromFlags("--no-mlp", "run").AutoencoderMLP_switch).toBe(false);
    expect(fromFlags("--mlp", "run").AutoencoderMLP_switch).toBe(true);
    expect(splitArguments(["--mlp", "run"]).rest).toEqual(["run"]);
    expect(fromFlags("--AutoencoderMLP_switch", "false").AutoencoderMLP_switch).toBe(false);
    expect(fromFlags("--autoencoder-mlp-switch=0").AutoencoderMLP_switch).toBe(false);
  });

  it.each([
    ["l1", { l1: 0.01, l2: 0 }],
    ["l2", { l1: 0, l2: 0.01 }],
    ["l1_l2", { l1: 0.01, l2: 0.01 }],
    ["l2(0.001)", { l1: 0, l2: 0.001 }],
    ["L1(0.5)", { l1: 0.5, l2: 0 }],
    ["l2(l=1e-4)", { l1: 0, l2: 0.0001 }],
    ["l1_l2(0.01,0.02)", { l1: 0.01, l2: 0.02 }],
    ["l1_l2(l2=0.02)", { l1: 0.01, l2: 0.02 }],
    ["L1L2(0.1, 0.2)", { l1: 0.1, l2: 0.2 }],
  ])("reads the regularizer %s", (text, value) => {
    expect(resolve({ kernel_regularizer: text }).kernel_regularizer).toEqual(value);
  });

  it.each([
    ["max_norm", { name: "max_norm", maxValue: 2 }],
    ["MaxNorm(3)", { name: "max_norm", maxValue: 3 }],
    ["max_norm(max_value=1.5)", { name: "max_norm", maxValue: 1.5 }],
    ["min_max_norm", { name: "min_max_norm", minValue: 0, maxValue: 1, rate: 1 }],
    ["min_max_norm(0.5,2,0.9)", { name: "min_max_norm", minValue: 0.5, maxValue: 2, rate: 0.9 }],
    ["unit_norm", { name: "unit_norm" }],
    ["NonNeg", { name: "non_neg" }],
  ])("reads the constraint %s", (text, value) => {
    expect(resolve({ bias_constraint: text }).bias_constraint).toEqual(value);
  });

  it.each([
    ["train_epochs", "0"],
    ["train_epochs", "-3"],
    ["train_epochs", "1.5"],
    ["train_epochs", "many"],
    ["train_epochs", null],
    ["batch_size", [32]],
    ["imageShape", "28"],
    ["imageShape", "28,28,1"],
    ["imageShape", "7,28"],
    ["channels", "2"],
    ["filters", "[]"],
    ["filters", "32,,64"],
    ["filters", "32,0"],
    ["filters", "32,none"],
    ["pooling", "avg,min"],
    ["kernel_size", "0"],
    ["strides", "-1"],
    ["activation", "rleu"],
    ["kernel_initializer", "xavier"],
    ["optimizer", "adams"],
    ["dropRate", "1"],
    ["dropRate", "-0.1"],
    ["dims", "[100,0]"],
    ["use_bias", "maybe"],
    ["kernel_regularizer", "l3"],
    ["kernel_regularizer", "l2(-1)"],
    ["kernel_regularizer", "l2(0.1,0.2)"],
    ["kernel_regularizer", "l1(x)"],
    ["kernel_constraint", "max_norm(0)"],
    ["kernel_constraint", "min_max_norm(2,1)"],
    ["kernel_constraint", "unit_norm(1)"],
    ["learning_rate", "0"],
    ["learning_rate", "Infinity"],
    ["seed", "-1"],
    ["seed", "9007199254740993"],
    ["device", "gpu"],
    ["device", "cuda:x"],
    ["workers", "-1"],
    ["save_prefix", "../x"],
    ["train_dir", ""],
    ["train_dir", 3],
    ["preTrain_verbose", "3"],
    ["interpolation", "cubic"],
    ["cache", "memory"],
  ])("refuses %s = %j, by the user's spelling", (name, value) => {
    expect(() => resolve({ [name]: value })).toThrow(
      new RegExp(`^Expected .+ for ${name} but received .+`),
    );
    const flag = kebabCase(name);
    expect(() =>
      resolveSettings([{ values: { [flag]: value }, spell: (spelled) => `--${spelled}` }]),
    ).toThrow(`for --${flag} but received`);
  });

  it("offers the nearest name and the nearest value", () => {
    expect(() => resolve({ filter: 3 })).toThrow("Unknown parameter filter: did you mean filters?");
    expect(() => fromFlags("--train-epoch=3")).toThrow("did you mean --train-epochs?");
    expect(() => fromFlags("--train_epoch=3")).toThrow("did you mean --train_epochs?");
    expect(() => resolve({ activation: "rleu" })).toThrow("did you mean relu?");
    expect(() => fromFlags("--jsn")).toThrow("did you mean --json?");
  });

  it("refuses one parameter given twice in one place", () => {
    expect(() => resolve({ train_epochs: 3, trainEpochs: 4 })).toThrow(/are one parameter/);
  });

  it("lets the last of several flags win", () => {
    expect(fromFlags("--train-epochs=3", "--train_epochs", "5").train_epochs).toBe(5);
  });

  it("gives its own plain values back unchanged", () => {
    const settings = fromFlags(
      "--kernel-regularizer=l1_l2(0.1,0.2)",
      "--bias-regularizer=l1(0.5)",
      "--kernel-constraint=min_max_norm(0.1,2,0.5)",
      "--bias-constraint=max_norm(4)",
      "--filters=3,4",
    );
    expect(resolve(plainSettings(settings))).toEqual(settings);
  });

  it("means the same whichever way a parameter is written", () => {
    const someValue = ({ bounds }: Parameter): fc.Arbitrary<unknown> => {
      if (bounds === undefined) return fc.boolean();
      const { least, most = least } = bounds;
      return fc.array(fc.integer({ min: least, max: most }), { minLength: 2, maxLength: 2 });
    };
    const cases = PARAMETERS.filter(({ kind }) => kind === "numbers" || kind === "boolean");
    fc.assert(
      fc.property(
        fc.constantFrom(...cases).chain((p) => fc.tuple(fc.constant(p), someValue(p))),
        ([parameter, value]) => {
          const text = String(value);
          const kebab = `--${kebabCase(parameter.name)}`;
          const first = fromFlags(`--${parameter.name}=${text}`, "run");
          expect(fromFlags("run", kebab, text)).toEqual(first);
          expect(fromFlags(`${kebab}=[${text}]`.replace(/\[(true|false)\]/, "$1"))).toEqual(first);
          expect(resolve({ [parameter.name]: value })).toEqual(first);
        },
      ),
    );
  });

  it("never does anything but resolve or refuse, whatever it is given", () => {
    fc.assert(
      fc.property(
        fc.constantFrom(...PARAMETERS),
        fc.oneof(fc.string(), fc.anything(), fc.double()),
        (parameter, value) => {
          try {
            resolve({ [parameter.name]: value });
          } catch (error) {
            expect((error as { code?: string }).code).toBe("FLEXAE_CONFIG");
            expect((error as Error).message.split("\n").length).toBeLessThanOrEqual(2);
          }
        },
      ),
      { numRuns: 500 },
    );
    fc.assert(
      fc.property(fc.array(fc.string()), (argv) => {
        try {
          splitArguments(argv);
        } catch (error) {
          expect((error as { code?: string }).code).toBe("FLEXAE_CONFIG");
        }
      }),
    );
  });
});

describe("config files", () => {
  function file(name: string, text: string): string {
    const path = join(temporaryFolder(), name);
    writeFileSync(path, text);
    return path;
  }

  it("reads YAML and JSON, under the flags", () => {
    for (const path of [
      file(
        "a.yaml",
        "train_epochs: 7\nfilters: [4, 8]\ndrop-rate: 0.25\nkernel_regularizer: l2(0.1)\n",
      ),
      file(
        "a.json",
        '{"trainEpochs": 7, "filters": "4,8", "dropRate": 0.25, "kernel_regularizer": "l2(0.1)"}',
      ),
    ]) {
      const flags = { values: { filters: "16" }, spell: (name: string) => name };
      const settings = resolveSettings([readConfigFile(path), flags]);
      expect(settings.train_epochs).toBe(7);
      expect(settings.filters).toEqual([16]);
      expect(settings.dropRate).toBe(0.25);
      expect(settings.kernel_regularizer).toEqual({ l1: 0, l2: 0.1 });
    }
  });

  it("names the file with the parameter", () => {
    const wrong = file("b.yaml", "batch_size: none\n");
    expect(() => resolveSettings([readConfigFile(wrong)])).toThrow(
      `for batch_size in ${wrong} but received`,
    );
    const unknown = file("c.yaml", "batchsizes: 3\n");
    expect(() => resolveSettings([readConfigFile(unknown)])).toThrow(
      `Unknown parameter batchsizes in ${unknown}: did you mean batch_size?`,
    );
  });

  it("takes an empty file for no settings", () => {
    expect(resolveSettings([readConfigFile(file("d.yaml", ""))])).toEqual(resolve({}));
  });

  it("takes the config section of a run's setting.yaml, without its folder", () => {
    const path = file(
      "setting.yaml",
      "name: AE\nscores: {}\nconfig:\n  train_epochs: 9\n  save_dir: logs/x\n  overwrite: true\n",
    );
    const settings = resolveSettings([readConfigFile(path)]);
    expect(settings.train_epochs).toBe(9);
    expect(settings.save_dir).toBeNull();
    expect(settings.overwrite).toBe(false);
  });

  it.each([
    ["list.yaml", "- 1\n- 2\n", /but found a list/],
    ["text.yaml", "hello", /but found a single value/],
    ["broken.yaml", "a: [1, 2\nb: 3\n", /is not YAML or JSON, line \d/],
    ["twice.yaml", "seed: 1\nseed: 2\n", /is not YAML or JSON, line 2/],
  ])("refuses %s in one line", (name, text, message) => {
    const path = file(name, text);
    expect(() => readConfigFile(path)).toThrow(message);
    try {
      readConfigFile(path);
    } catch (error) {
      expect((error as Error).message).not.toContain("\n");
    }
  });

  it("refuses what is no file, and what is too large for one", () => {
    const folder = temporaryFolder();
    mkdirSync(join(folder, "sub"));
    expect(() => readConfigFile(join(folder, "none.yaml"))).toThrow(/no such file/);
    expect(() => readConfigFile(join(folder, "sub"))).toThrow(/it is a folder/);
    writeFileSync(join(folder, "big.yaml"), "#".repeat(2 << 20));
    expect(() => readConfigFile(join(folder, "big.yaml"))).toThrow(/too large/);
  });
});
