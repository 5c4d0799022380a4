/** Models of other programs as runs; that they compute the same, test/interop/test_imports.py shows. */
import { execFileSync } from "node:child_process";
import { createHash } from "node:crypto";
import { existsSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { strToU8, unzipSync, zipSync } from "fflate";
import { beforeEach, describe, expect, inject, it } from "vitest";
import { parse } from "yaml";
import { exportModel, importModel, load } from "../../ts/index.ts";
import { commandIn, flexae, root, smallRun, temporaryFolder, trainedRun } from "../support/cli.ts";

const trained = trainedRun();
const fixture = (name: string) => join(root, "test/fixtures/models", name);
const WHOLE = ["keras_3.keras", "keras_3.h5", "keras_2_2.h5"];
const OF_TF_KERAS = ["tf_keras_2.keras", "tf_keras_2.h5"];
/** Of the fixtures; see make.py beside them. */
const NETWORK = [
  "--image-shape=8,8",
  "--filters=2",
  "--pooling=avg",
  "--kernel-size=3",
  "--strides=2",
  "--dims=3",
];

let cwd: string;
const at = (...names: string[]) => join(cwd, ...names);
const { start, end } = commandIn(() => cwd, "import");

beforeEach(() => {
  cwd = temporaryFolder();
});

async function refused(file: string, ...args: string[]): Promise<string> {
  const { code, stdout, stderr } = await start(file, "-o", "run", ...args);
  expect(code, stdout + stderr).not.toBe(0);
  expect(stderr).toMatch(/^flexae: /);
  expect(stderr).not.toMatch(/\n {4}at /);
  expect(readdirSync(cwd).filter((name) => name === "run" || name.includes("run"))).toEqual([]);
  return stderr;
}

interface Layer {
  class_name: string;
  config: Record<string, unknown>;
  inbound_nodes?: unknown;
}

/** A `.keras` file with another description. */
function altered(change: (layers: Layer[], whole: Record<string, unknown>) => void): string {
  const entries = unzipSync(readFileSync(fixture("keras_3.keras")));
  const config = JSON.parse(new TextDecoder().decode(entries["config.json"])) as {
    config: { layers: Layer[] };
  };
  change(config.config.layers, config as unknown as Record<string, unknown>);
  const path = at("altered.keras");
  writeFileSync(path, zipSync({ ...entries, "config.json": strToU8(JSON.stringify(config)) }));
  return path;
}

/** Checksums of the weights of an `ae.pt`, by their places in it. */
function weightsOf(path: string): [string | undefined, string][] {
  return Object.entries(unzipSync(readFileSync(path)))
    .filter(([name]) => /\/data\/\d+$/.test(name))
    .map(([name, bytes]) => [
      name.split("/").at(-1),
      createHash("sha256").update(bytes).digest("hex"),
    ]);
}

const find = (layers: Layer[], kind: string) =>
  layers.find(({ class_name }) => class_name === kind) as Layer;

describe("flexae import", () => {
  it.each([...WHOLE, ...OF_TF_KERAS])("makes a run of %s", async (name) => {
    const made = await end(fixture(name), "-o", "run");
    expect(made).toMatchObject({
      event: "end",
      out: at("run"),
      notes: [],
      inputShape: [1, 8, 8],
      embeddingShape: [3],
    });
    expect(readdirSync(at("run")).sort()).toEqual(["ae.pt", "en.pt", "setting.yaml"]);
    const sha256 = createHash("sha256")
      .update(readFileSync(at("run/ae.pt")))
      .digest("hex");
    expect(made.modelSha256).toBe(sha256);
    const setting = parse(readFileSync(at("run/setting.yaml"), "utf8"));
    expect(setting).toMatchObject({
      state: "imported",
      imported: { file: fixture(name), format: made.format },
      config: { filters: [2], dims: [3], imageShape: [8, 8] },
    });
  });

  it("gives the same run of all forms of one model", async () => {
    const models: string[] = [];
    for (const name of [...WHOLE, "state_dict.pt", "keras_3.weights.h5"]) {
      const network = WHOLE.includes(name) ? [] : NETWORK;
      await end(fixture(name), "-o", name, ...network);
      using model = await load(at(name, "ae.pt"), { device: "cpu", precision: "fp32" });
      const seen = Float32Array.from({ length: 64 }, (_, i) => ((i * 37) % 64) / 63);
      models.push((await model.reconstruct(seen)).data.join());
    }
    expect(new Set(models).size).toBe(1);
  });

  it("gives the same run of both forms of TensorFlow's Keras 2", async () => {
    for (const name of OF_TF_KERAS) await end(fixture(name), "-o", name);
    const [a, b] = OF_TF_KERAS.map((name) => weightsOf(at(name, "ae.pt")));
    expect(a).toEqual(b);
  });

  it("makes what is evaluated, embedded, exported and trained on", async () => {
    await end(fixture("keras_3.keras"), "-o", "run", "--interpolation=nearest");
    const digits = inject("digits");
    const sets = [`--train-dir=${digits}/train`, `--valid-dir=${digits}/valid`];
    for (const command of [
      ["evaluate", "run", ...sets],
      ["embed", "run", `${digits}/valid`, "-o", "table.parquet"],
      ["export", "run", "--to", "onnx,keras,pytorch", "-o", "exported"],
      ["outliers", "run", `${digits}/valid`],
    ]) {
      const { code, stderr } = await flexae(command, { cwd });
      expect(code, stderr).toBe(0);
    }
    expect(readFileSync(at("exported/MODEL_CARD.md"), "utf8")).toMatch(
      /imported from a Keras 3\.15\.0 model/,
    );
    expect(readFileSync(at("exported/MODEL_CARD.md"), "utf8")).toMatch(
      /Resize to the nearest pixel/,
    );
    const config = at("run/setting.yaml");
    const args = smallRun("--weights=run", "--save-dir=failed", "--train-epochs=1");
    const run = await flexae(["run", "--config", config, ...NETWORK, ...args.slice(1)], { cwd });
    expect(run.code, run.stderr).toBe(1);
    expect(run.stderr).toMatch(/another network/);
    const plain = ["run", "--config", config, ...sets, "--weights=run", "--save-dir=next"];
    const next = await flexae([...plain, "--train-epochs=1"], { cwd });
    expect(next.code, next.stderr).toBe(0);
    expect(existsSync(at("next/ae.pt"))).toBe(true);
  });

  it("takes back what was exported, and an ae.pt itself", async () => {
    await exportModel(trained(), { to: "keras,pytorch", out: at("exported") });
    const own = join(trained(), "ae.pt");
    const settings = parse(readFileSync(join(trained(), "setting.yaml"), "utf8")).config;
    for (const file of ["exported/ae.keras", "exported/model.safetensors", own]) {
      await end(file, "-o", "run");
      expect(weightsOf(at("run/ae.pt")), file).toEqual(weightsOf(own));
      const taken = parse(readFileSync(at("run/setting.yaml"), "utf8")).config;
      if (file !== "exported/ae.keras") expect(taken.optimizer).toBe(settings.optimizer);
      expect(taken.filters).toEqual(settings.filters);
      rmSync(at("run"), { recursive: true });
    }
  });

  it("takes weights where a config.json of another program lies beside them", async () => {
    writeFileSync(at("state.pt"), readFileSync(fixture("state_dict.pt")));
    writeFileSync(at("config.json"), '{"architectures": ["Other"]}');
    await end("state.pt", "-o", "run", ...NETWORK);
  });

  it("takes a shape one of whose sizes follows from the others", async () => {
    const file = altered((layers) => {
      find(layers, "Reshape").config.target_shape = [2, 2, -1];
    });
    await end(file, "-o", "run");
  });

  it("is a function of the library", async () => {
    const made = await importModel(
      fixture("keras_3.weights.h5"),
      { out: at("run") },
      {
        imageShape: [8, 8],
        filters: [2],
        pooling: ["avg"],
        kernelSize: [3],
        strides: [2],
        dims: [3],
        savePrefix: "OLD",
      },
    );
    expect(made).toMatchObject({ runDir: at("run"), format: "weights of Keras 3", notes: [] });
    expect(parse(readFileSync(at("run/setting.yaml"), "utf8")).name).toBe("OLD");
    const signal = AbortSignal.abort(new Error("enough"));
    const aborted = importModel(fixture("keras_3.h5"), { out: at("other"), signal });
    await expect(aborted).rejects.toThrow("enough");
    expect(existsSync(at("other"))).toBe(false);
  });

  it("puts a run in logs/ unless told where", async () => {
    const first = await end(fixture("keras_3.keras"));
    const second = await end(fixture("keras_3.keras"));
    expect(first.out).toMatch(/logs\/ae_\d{8}_\d{6}/);
    expect(second.out).not.toBe(first.out);
  });
});

describe("flexae import refuses, by name,", () => {
  it.each<[string, RegExp, Parameters<typeof altered>[0]]>([
    [
      "code",
      /activation \(Lambda\): it is code, which is never run/,
      (layers) => {
        const layer = find(layers, "Activation");
        layer.class_name = "Lambda";
        layer.config = { name: "activation", function: { class_name: "__lambda__" } };
      },
    ],
    [
      "layers that it does not have",
      /flatten \(GlobalAveragePooling2D\): this program has no such layer/,
      (layers) => {
        find(layers, "Flatten").class_name = "GlobalAveragePooling2D";
        find(layers, "GlobalAveragePooling2D").config.name = "flatten";
      },
    ],
    [
      "options that it does not have",
      /\(Conv2D\): dilation_rate \[2,2\], and only \[1,1\] is known; .*\(Conv2D\): padding "valid"/,
      (layers) => {
        Object.assign(find(layers, "Conv2D").config, { dilation_rate: [2, 2], padding: "valid" });
      },
    ],
    [
      "windows that are not square",
      /kernel_size 3×5/,
      (layers) => {
        find(layers, "Conv2D").config.kernel_size = [3, 5];
      },
    ],
    [
      "sizes that do not follow from each other",
      /\(Dense\): units 4; needed is units 3/,
      (layers) => {
        (layers.filter(({ class_name }) => class_name === "Dense")[1] as Layer).config.units = 4;
      },
    ],
    [
      "another activation where all have one",
      /\(Activation\): activation "relu"; needed is activation "sigmoid"/,
      (layers) => {
        (layers.at(-1) as Layer).config.activation = "relu";
      },
    ],
    [
      "a normalization of rows",
      /\(BatchNormalization\): axis 1, .*; needed is axis -1/,
      (layers) => {
        find(layers, "BatchNormalization").config.axis = 1;
      },
    ],
    [
      "a layer for an activation",
      /\(Dense\): activation PReLU of the file's own is not known/,
      (layers) => {
        find(layers, "Dense").config.activation = { class_name: "PReLU", config: {} };
      },
    ],
    [
      "functions of the file's own",
      /activation elu of the file's own is not known/,
      (layers) => {
        const config = find(layers, "Activation").config;
        config.activation = { class_name: "function", config: "elu", registered_name: "my>elu" };
      },
    ],
    [
      "classes of the file's own",
      /encoder-dense_0 \(Dense\): it is a class of the file's own/,
      (layers) => {
        Object.assign(find(layers, "Dense"), { module: "my.code", registered_name: "my>Dense" });
      },
    ],
    [
      "no padding",
      /\(Conv2D\): padding "valid"/,
      (layers) => {
        delete find(layers, "Conv2D").config.padding;
      },
    ],
    [
      "two outputs",
      /it must give what activation_?\d* gives, and nothing else/,
      (_, whole) => {
        const config = whole.config as { output_layers: unknown };
        config.output_layers = [config.output_layers, ["flatten", 0, 0]];
      },
    ],
    [
      "descriptions that are nested too deep",
      /\(Conv2D\): groups \[{20}|damaged, or no model/,
      (layers) => {
        find(layers, "Conv2D").config.groups = JSON.parse("[".repeat(2000) + "]".repeat(2000));
      },
    ],
    [
      "weights of other sizes",
      /its kernel is 3×3×1×2, and 3×3×1×5 is needed/,
      (layers) => {
        for (const { class_name, config } of layers) {
          if (class_name === "Conv2D") config.filters = 5;
          if (class_name === "Reshape") config.target_shape = [2, 2, 5];
          if (class_name === "Dense" && config.units === 8) config.units = 20;
        }
      },
    ],
    [
      "an image size that no network has",
      /imageShape of the network in .*altered\.keras but received \[4,4\]/,
      (layers) => {
        find(layers, "InputLayer").config.batch_shape = [null, 4, 4, 1];
      },
    ],
    [
      "images of any size",
      /takes images of any size/,
      (layers) => {
        find(layers, "InputLayer").config.batch_shape = [null, null, null, 1];
      },
    ],
    [
      "graphs that branch",
      /it branches/,
      (layers) => {
        (layers.at(-1) as Layer).inbound_nodes = (layers.at(-2) as Layer).inbound_nodes;
      },
    ],
    [
      "an encoder alone",
      /it has no Conv2DTranspose layer: an encoder alone is no autoencoder/,
      (layers, whole) => {
        layers.splice(layers.findIndex(({ class_name }) => class_name === "Reshape"));
        const { name } = (layers.at(-1) as Layer).config;
        (whole.config as { output_layers: unknown }).output_layers = [name, 0, 0];
      },
    ],
    [
      "what is no model",
      /it is a Dense, not a model of layers/,
      (_, whole) => {
        whole.class_name = "Dense";
      },
    ],
  ])("%s", async (_, message, change) => {
    expect(await refused(altered(change))).toMatch(message);
  });

  it("Keras 2's hard_sigmoid, which is another function than Keras 3's", async () => {
    const entries = unzipSync(readFileSync(fixture("keras_3.keras")));
    const text = new TextDecoder()
      .decode(entries["config.json"])
      .replaceAll('"elu"', '"hard_sigmoid"');
    const version = (keras_version: string) => strToU8(JSON.stringify({ keras_version }));
    const write = (keras_version: string) =>
      writeFileSync(
        at("m.keras"),
        zipSync({
          ...entries,
          "config.json": strToU8(text),
          "metadata.json": version(keras_version),
        }),
      );
    write("2.15.0");
    expect(await refused("m.keras")).toMatch(/hard_sigmoid has a slope of 1\/5/);
    write("3.0.0");
    await end("m.keras", "-o", "run");
    // Exports have it for Keras 2 in parts.
    await exportModel(at("run"), { to: "keras", out: at("exported") });
    const again = await end(at("exported/ae_weights.h5"), "-o", "again");
    expect(again.modelSha256).toBeDefined();
    expect(weightsOf(at("again/ae.pt"))).toEqual(weightsOf(at("run/ae.pt")));
  });

  it("weights that nobody says anything of, or of another network", async () => {
    for (const name of ["keras_3.weights.h5", "state_dict.pt"]) {
      expect(await refused(fixture(name))).toMatch(/holds weights alone: .*--config FILE/);
      expect(await refused(fixture(name), ...NETWORK, "--dims=4")).toMatch(
        /its kernel is 8×3, and 8×4 is needed|encoder\.dense_0\.weight is 3×8, and 4×8 is needed/,
      );
      expect(await refused(fixture(name), ...NETWORK, "--kernel-size=5")).toMatch(
        /its kernel is 3×3×1×2, and 5×5×1×2|encoder\.conv_0\.weight is 2×1×3×3, and 2×1×5×5/,
      );
    }
  });

  it("settings that say otherwise of the network than the file", async () => {
    const file = fixture("keras_3.keras");
    expect(await refused(file, "--filters=3")).toMatch(
      /^flexae: --filters is \[3\], and the network in .* has \[2\]/,
    );
    writeFileSync(at("my.yaml"), "dims: [7]\n");
    expect(await refused(file, "--config=my.yaml")).toMatch(/dims in my\.yaml is \[7\]/);
    await end(file, "-o", "run", "--filters=2", "--dims=3");
  });

  it("a pickle that asks for code", async () => {
    // A zip file with such a pickle, without PyTorch: protocol 2, by hand.
    const text = (value: string) => {
      const bytes = Buffer.from(value);
      const length = Buffer.alloc(4);
      length.writeUInt32LE(bytes.length);
      return Buffer.concat([Buffer.from("X"), length, bytes]);
    };
    const pickle = Buffer.concat([
      Buffer.from("\x80\x02}(", "latin1"),
      text("encoder.conv_0.weight"),
      Buffer.from("cposix\nsystem\n"),
      text(`touch ${at("pwned")}`),
      Buffer.from("\x85Ru.", "latin1"),
    ]);
    writeFileSync(at("evil.pt"), zipSync({ "archive/data.pkl": pickle }));
    expect(await refused("evil.pt", ...NETWORK)).toMatch(
      /it asks for posix\.system, and code of a file is never run/,
    );
    expect(existsSync(at("pwned"))).toBe(false);
  });

  it("files that are no models, damaged or gone", async () => {
    writeFileSync(at("text.txt"), "hello, world");
    writeFileSync(at("empty.h5"), "");
    writeFileSync(at("zip.keras"), zipSync({ "readme.txt": strToU8("hello") }));
    for (const name of ["text.txt", "empty.h5"]) {
      expect(await refused(name)).toMatch(/is no model that can be taken: give a \.keras/);
    }
    expect(await refused("zip.keras")).toMatch(/is a zip file, but no \.keras file/);
    expect(await refused("nowhere.h5")).toMatch(/nowhere\.h5 cannot be read: no such file/);
    expect(await refused(".")).toMatch(/cannot be read: it is a folder/);
    expect(await refused(join(trained(), "en.pt"))).toMatch(/is an encoder alone/);
    for (const name of [...WHOLE, "state_dict.pt"]) {
      const bytes = readFileSync(fixture(name));
      writeFileSync(at("cut"), bytes.subarray(0, bytes.length / 2));
      expect(await refused("cut", ...NETWORK)).toMatch(/damaged|no zip file|is no /);
    }
  });

  it("an archive with a bit that is not what was packed", async () => {
    const name = WHOLE.find((known) => known.endsWith(".keras")) as string;
    const bytes = readFileSync(fixture(name));
    // In the last digit of a number of a kernel, of which HDF5 knows nothing: where several numbers
    // in a row could be weights.
    const weights = bytes.indexOf("\x89HDF", 0, "latin1");
    const isWeight = (place: number) => {
      const size = Math.abs(bytes.readFloatLE(place));
      return size > 1e-4 && size < 10;
    };
    const isKernel = (place: number) =>
      Array.from({ length: 16 }, (_, i) => place + 4 * i).every(isWeight);
    let place = weights;
    while (!isKernel(place)) place += 4;
    expect(weights).toBeGreaterThan(0);
    bytes[place] = (bytes[place] as number) ^ 1;
    writeFileSync(at("bit.keras"), bytes);
    expect(await refused("bit.keras")).toMatch(/bit\.keras is damaged/);
  });

  it("what once did harm", async () => {
    const folder = join(root, "native/fuzz/seeds/import");
    for (const name of readdirSync(folder)) {
      expect(await refused(join(folder, name), ...NETWORK)).toMatch(/damaged|cannot|is no|holds/);
    }
  });

  it("files that would fill the memory", async () => {
    // Entries that all lie over the same bytes, each of which says that it is empty.
    const entry = zipSync({ "archive/data/1": new Uint8Array(1 << 20) }, { level: 0 });
    const view = new DataView(entry.buffer, entry.byteOffset, entry.byteLength);
    const end = entry.length - 22;
    const start = view.getUint32(end + 16, true);
    const central = entry.slice(start, end);
    new DataView(central.buffer).setUint32(24, 0, true);
    const tail = entry.slice(end);
    new DataView(tail.buffer).setUint16(8, 300, true);
    new DataView(tail.buffer).setUint16(10, 300, true);
    const parts = [entry.slice(0, start), ...Array<Uint8Array>(300).fill(central), tail];
    writeFileSync(at("bomb.pt"), Buffer.concat(parts));
    expect(await refused("bomb.pt", ...NETWORK)).toMatch(/bomb\.pt is damaged/);
    writeFileSync(at("marks.pt"), zipSync({ "archive/data.pkl": Buffer.alloc(1 << 21, "(") }));
    expect(await refused("marks.pt", ...NETWORK)).toMatch(/too large/);
    const stored = zipSync({ "archive/data.pkl": Buffer.alloc(1 << 21, "(") }, { level: 0 });
    writeFileSync(at("marks.pt"), stored);
    expect(await refused("marks.pt", ...NETWORK)).toMatch(/cannot be taken: it is too large/);
  });

  it("what is no file", async () => {
    execFileSync("mkfifo", [at("pipe")]);
    expect(await refused("pipe")).toMatch(/pipe is no file/);
  });

  it("numbers that no model has", async () => {
    await exportModel(trained(), { to: "safetensors", out: at("exported") });
    const file = at("exported/model.safetensors");
    const bytes = readFileSync(file);
    const begin = 8 + Number(bytes.readBigUInt64LE(0));
    bytes.writeFloatLE(Number.NaN, begin);
    // Whoever changes a file does not keep our checksum.
    const text = bytes.subarray(8, begin).toString().replace('"checksum"', '"othersum"');
    bytes.write(text, 8);
    writeFileSync(file, bytes);
    expect(await refused(file)).toMatch(
      /cannot be taken: the weight .* holds numbers that are not finite/,
    );
    // Folders above the run that are made for it are gone again; those that were there are not.
    mkdirSync(at("there"));
    const deep = await start(file, "-o", "there/not/yet");
    expect(deep.stderr).toMatch(/not finite/);
    expect(readdirSync(at("there"))).toEqual([]);
  });

  it("a folder that holds files, and to resume what was never trained", async () => {
    await end(fixture("keras_3.keras"), "-o", "run");
    const again = await start(fixture("keras_3.keras"), "-o", "run");
    expect(again.code).toBe(2);
    expect(again.stderr).toBe("flexae: run already holds files: choose another folder\n");
    const resumed = await flexae(["run", "--resume", "run"], { cwd });
    expect(resumed.code).toBe(2);
    expect(resumed.stderr).toMatch(/was imported, not trained: begin a new run with its weights/);
  });
});
