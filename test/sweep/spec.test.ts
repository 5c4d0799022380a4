import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { dimensionOf, dimensionText, parseOver } from "../../ts/sweep/dimensions.ts";
import { gridPoints, randomPoints } from "../../ts/sweep/points.ts";
import { beginLine, repeatLine, resumeLine } from "../../ts/sweep/run_line.ts";
import { shareOut } from "../../ts/sweep/slots.ts";
import {
  makeSpec,
  readSpec,
  readSweepFile,
  type SweepRequest,
  writeSpec,
} from "../../ts/sweep/spec.ts";
import { temporaryFolder } from "../support/cli.ts";

const spell = (name: string) => `--${name}`;

function spec(
  over: Record<string, unknown>,
  asked: SweepRequest = {},
  given: Record<string, unknown> = {},
  file?: string,
) {
  const made = makeSpec(file, { values: over, spell }, [{ values: given, spell }], asked);
  return made.spec;
}

describe("what is swept", () => {
  it.each([
    ["dims=16,32,64", ["16", "32", "64"]],
    ["filters=32,64;16,32", ["32,64", "16,32"]],
    ["filters=[32,64],[16]", ["32,64", "16"]],
    ["pooling=avg,none", ["avg", "no"]],
    ["pooling=avg,no;max", ["avg,no", "max"]],
    ["imageShape=28,28", ["28,28"]],
    ["image-shape=28x28,32x32", ["28,28", "32,32"]],
    ["learning_rate=1e-3,0.01,none", ["0.001", "0.01", "none"]],
    ["mlp=on,off", ["true", "false"]],
    ["optimizer=Adam, sgd", ["adam", "sgd"]],
    ["kernel_regularizer=none,l1_l2(0.1,0.2),l2(0.5)", ["none", "l1_l2(0.1,0.2)", "l2(0.5)"]],
    ["kernel-constraint=min_max_norm(0,1,1),none", ["min_max_norm(0,1,1)", "none"]],
    ["drop_rate=0,0,.5", ["0", "0.5"]],
    ["drop_rate=0..0.5", { low: 0, high: 0.5, integer: false, log: false }],
    ["dims=8..64", { low: 8, high: 64, integer: true, log: false }],
    ["learning_rate=log:1e-4..1e-1", { low: 1e-4, high: 0.1, integer: false, log: true }],
    ["batch_size=log:8..256", { low: 8, high: 256, integer: true, log: true }],
  ])("reads --over %s", (text, values) => {
    const dimension = parseOver(text);
    expect(dimension.values).toEqual(values);
    // What sweep.yaml says is read back.
    expect(parseOver(`${dimension.name}=${dimensionText(dimension)}`)).toEqual(dimension);
  });

  it("reads values of a file", () => {
    const of = (name: string, value: unknown) => dimensionOf(name, value, name).values;
    expect(of("dims", [16, [32, 16]])).toEqual(["16", "32,16"]);
    expect(of("use_bias", [true, false])).toEqual(["true", "false"]);
    expect(of("pooling", [false, "max"])).toEqual(["no", "max"]);
    expect(of("seed", 5)).toEqual(["5"]);
    expect(of("dims", "8..64")).toMatchObject({ low: 8 });
  });

  it.each([
    ["dims", "Expected a setting and its values, such as dims=16,32,64, for --over"],
    ["=16", "Expected a setting and its values"],
    ["dimz=16", "Unknown parameter --over dimz: did you mean dims?"],
    ["dims=", 'Expected values for --over dims, with commas between them, but received ""'],
    ["dims=16,,32", "Expected values for --over dims"],
    ["dims=0", "Expected a list of 1 to 64 integers from 1 to 1048576 for --over dims"],
    ["optimizer=adam,sdg", "(did you mean sgd?)"],
    ["drop_rate=0..1", "below 1 for --over drop_rate but received"],
    ["dims=8,16..64", 'from a smaller to a larger number for --over dims but received "8,16..64"'],
    ["drop_rate=0.5..0.1", "Expected a range from a smaller to a larger number"],
    ["drop_rate=log:0..0.5", "Expected a range above 0 after log:"],
    ["optimizer=adam..sgd", "--over optimizer has no range: give its values"],
    ["train_dir=a,b", "train_dir cannot be swept: it changes nothing of the network"],
    ["checkpoint_epochs=1,2", "checkpoint_epochs cannot be swept"],
    ["threads=1,2", "threads cannot be swept: give --threads, which holds for all trials"],
  ])("refuses --over %s", (text, message) => {
    expect(() => parseOver(text)).toThrow(message);
  });
});

describe("points", () => {
  it("of a grid are all combinations, the last setting changing fastest", () => {
    const points = gridPoints([parseOver("dims=4,8"), parseOver("optimizer=adam,sgd")]);
    expect(points.map(({ dims, optimizer }) => `${dims} ${optimizer}`)).toEqual([
      "4 adam",
      "4 sgd",
      "8 adam",
      "8 sgd",
    ]);
    const many = Array.from({ length: 50 }, (_, i) => i + 1).join(",");
    const wide = [parseOver(`dims=${many}`), parseOver(`seed=${many}`)];
    expect(() => gridPoints(wide)).toThrow("The grid has 2500 points and may have 2000");
  });

  it("that are drawn follow from the seed, differ, and stay within their ranges", () => {
    const dimensions = [
      parseOver("learning_rate=log:1e-4..1e-1"),
      parseOver("dims=2..5"),
      parseOver("drop_rate=0..0.5"),
    ];
    const points = randomPoints(dimensions, 400, 7);
    expect(points).toEqual(randomPoints(dimensions, 400, 7));
    expect(points).not.toEqual(randomPoints(dimensions, 400, 8));
    expect(new Set(points.map((point) => JSON.stringify(point))).size).toBe(400);
    const rates = points.map((point) => Number(point.learning_rate));
    expect(Math.min(...rates)).toBeGreaterThanOrEqual(1e-4);
    expect(Math.max(...rates)).toBeLessThanOrEqual(0.1);
    // As many in each power of ten.
    const low = rates.filter((rate) => rate < 1e-3).length;
    expect(low).toBeGreaterThan(90);
    expect(low).toBeLessThan(180);
    const dims = points.map((point) => point.dims);
    for (const value of ["2", "3", "4", "5"]) {
      expect(dims.filter((dim) => dim === value).length).toBeGreaterThan(60);
    }
    expect(new Set(dims).size).toBe(4);
  });

  it("are fewer where there are no more", () => {
    expect(randomPoints([parseOver("dims=4,8")], 5, 1)).toHaveLength(2);
    expect(randomPoints([parseOver("seed=1..1000")], 1000, 1)).toHaveLength(1000);
    const over = { values: { dims: "4,8" }, spell };
    const { warnings } = makeSpec(undefined, over, [], { search: "random", trials: 5 });
    expect(warnings).toEqual(["there are only 2 different points, and so as many trials"]);
  });
});

describe("a sweep", () => {
  it("is read back from its file as it was written", async () => {
    const folder = temporaryFolder();
    const made = spec(
      { dims: "16,32", learning_rate: "log:1e-4..0.1", pooling: [["avg", "no"]] },
      { search: "random", trials: 4, halving: true, eta: 2, mlflow: "http://x:1", jobs: 3 },
      { trainDir: "photos", train_epochs: 8, seed: 3, kernel_regularizer: "l2(0.1)" },
    );
    await writeSpec(folder, made);
    expect(readSpec(folder)).toEqual(made);
    expect(made.settings).toEqual({
      train_dir: join(process.cwd(), "photos"),
      valid_dir: join(process.cwd(), "data/valid"),
      train_epochs: "8",
      seed: "3",
      kernel_regularizer: "l2(0.1)",
    });
    expect(made.halving).toEqual({ minEpochs: 1, eta: 2 });
    // The file describes the same sweep, for another folder.
    expect(spec({}, {}, {}, join(folder, "sweep.yaml"))).toEqual(made);
    writeFileSync(join(folder, "sweep.yaml"), "over: {dims: 4}\n");
    expect(() => readSpec(folder)).toThrow("is not what a sweep has written");
  });

  it("is described by a file, over which all else wins", () => {
    const file = join(temporaryFolder(), "my.yaml");
    writeFileSync(
      file,
      "over:\n  dims: [16, 32]\n  filters: [[8, 16], [4]]\nhalving: {min_epochs: 2, eta: 4}\n" +
        "metric: valPsnr\ntrain-epochs: 32\nsettings:\n  optimizer: adam\n",
    );
    const made = spec({ dims: "8" }, { eta: 2 }, { train_epochs: 16 }, file);
    expect(made.dimensions).toEqual([
      { name: "dims", values: ["8"] },
      { name: "filters", values: ["8,16", "4"] },
    ]);
    expect(made).toMatchObject({ metric: "val_psnr", halving: { minEpochs: 2, eta: 2 } });
    expect(made.settings).toMatchObject({ train_epochs: "16", optimizer: "adam" });
    writeFileSync(file, "ovr: {dims: 4}\n");
    expect(() => readSweepFile(file)).toThrow(/Unknown key ovr in .*my.yaml: did you mean over\?/);
    writeFileSync(file, "over: [dims]\n");
    expect(() => readSweepFile(file)).toThrow("Expected names and values for over in");
    writeFileSync(file, "halving: {min-epochs: 3}\nmlflow: true\n");
    expect(readSweepFile(file).request).toMatchObject({
      halving: true,
      minEpochs: 3,
      mlflow: true,
    });
    writeFileSync(file, "halving: {epochs: 3}\n");
    expect(() => readSweepFile(file)).toThrow(/Unknown key halving.epochs in .*min_epochs, eta/);
    writeFileSync(file, "trials: many\n");
    expect(() => readSweepFile(file)).toThrow("Expected a number for trials in");
  });

  it.each([
    [{}, {}, {}, "Expected a setting to sweep, such as --over dims=16,32,64"],
    [{ dims: "4", mlp: "on", Dims: "8" }, {}, {}, "dims is swept twice"],
    [{ dims: "4" }, {}, { dims: 8 }, "--dims cannot be given where dims is swept"],
    [{ mlp: "on,off" }, {}, { mlp: true }, "--mlp cannot be given where AutoencoderMLP_switch is"],
    [{ dims: "4" }, {}, { dimz: 8 }, "Unknown parameter --dimz"],
    [{ dims: "4" }, {}, { overwrite: true }, "--overwrite means nothing to flexae sweep"],
    [{ dims: "4" }, { search: "bayes" }, {}, "Expected grid or random for search"],
    [{ dims: "4" }, { search: "random" }, {}, "Expected how many trials a random search has"],
    [{ dims: "4" }, { trials: 3 }, {}, "--trials means nothing to a grid"],
    [{ dims: "4..8" }, {}, {}, "A range of dims is for --search random"],
    [{ dims: "4" }, { eta: 3 }, {}, "--eta means nothing without --halving"],
    [{ dims: "4" }, { minEpochs: 3 }, {}, "--min-epochs means nothing without --halving"],
    [{ dims: "4" }, { halving: true, eta: 1 }, {}, "Expected an integer of at least 2 for eta"],
    [{ dims: "4" }, { halving: true }, { train_epochs: 1 }, "Nothing can be halved from 1 to 1"],
    [{ dims: "4" }, { halving: true }, { checkpoint_epochs: 0 }, "leaves no checkpoint"],
    [{ train_epochs: "4,8" }, { halving: true }, {}, "train_epochs cannot be swept with --halving"],
    [{ dims: "4" }, { metric: "val_los" }, {}, "(did you mean val_loss?)"],
    [{ dims: "4" }, { mlflow: "mlruns" }, {}, "Expected the address of an MLflow server"],
    [{ dims: "4" }, { mlflow: "http://me:secret@x" }, {}, "set MLFLOW_TRACKING_USERNAME"],
    [{ dims: "4" }, { metric: "epoch" }, {}, "Expected one of val_loss, val_accuracy,"],
  ])("of %j with %j and %j is refused", (over, asked, given, message) => {
    expect(() => spec(over, asked, given)).toThrow(message);
  });

  it("may be swept over what a config file has, too", () => {
    const config = { values: { dims: 8, save_dir: "elsewhere" }, spell };
    const over = { values: { dims: "4" }, spell };
    const made = makeSpec(undefined, over, [config, { values: {}, spell }], {});
    expect(Object.keys(made.spec.settings)).toEqual(["train_dir", "valid_dir"]);
    expect(made.saveDir).toBe("elsewhere");
  });

  it("gives each trial's run its settings, and what is handed on", () => {
    const made = spec(
      { filters: "8,16;4" },
      { tensorboard: true, mlflow: "http://localhost:5000" },
      { train_dir: "/my photos", valid_dir: "/valid", threads: 2 },
    );
    const point = made.points[0] ?? {};
    expect(beginLine(made, point, "/s/trial_0001", 9)).toEqual([
      ..."run --json --no-report --tensorboard --mlflow http://localhost:5000".split(" "),
      "--train-dir=/my photos",
      "--valid-dir=/valid",
      "--threads=2",
      "--train-epochs=9",
      "--save-dir=/s/trial_0001",
      "--overwrite=true",
      "--filters=8,16",
    ]);
    expect(resumeLine(made, "/s/trial_0001", 27)).toEqual([
      ..."run --json --no-report --tensorboard --mlflow http://localhost:5000".split(" "),
      "--resume=/s/trial_0001",
      "--train-epochs=27",
    ]);
    expect(repeatLine(made, point)).toBe(
      "flexae run '--train-dir=/my photos' --valid-dir=/valid --threads=2 --filters=8,16",
    );
  });
});

describe("a machine", () => {
  const machine = { cores: 8, gpus: [] as string[], memory: 64e9 };
  const settings = { device: "auto", threads: 0 } as const;

  it("is shared out by cores", () => {
    const slots = shareOut(machine, settings, 1e8, 100);
    expect(slots).toEqual(Array(8).fill({ threads: 1, gpu: null }));
    expect(shareOut({ ...machine, cores: 32 }, settings, 1e8, 100)).toHaveLength(8);
    expect(shareOut(machine, settings, 1e8, 2)).toEqual(Array(2).fill({ threads: 4, gpu: null }));
    expect(shareOut(machine, settings, 1e8, 100, 3)).toHaveLength(3);
    const four = shareOut(machine, { ...settings, threads: 4 }, 1e8, 100);
    expect(four).toEqual(Array(2).fill({ threads: 4, gpu: null }));
  });

  it("is shared out by memory", () => {
    expect(shareOut({ ...machine, memory: 8e9 }, settings, 2e9, 100)).toHaveLength(2);
    expect(shareOut({ ...machine, memory: 1e8 }, settings, 2e9, 100)).toHaveLength(1);
  });

  it("is shared out by GPUs, of which each trial sees one", () => {
    const gpus = ["0", "1", "GPU-5"];
    const seen = (jobs?: number, device = "cuda") =>
      shareOut({ ...machine, gpus }, { device, threads: 0 }, 1e8, 100, jobs).map(({ gpu }) => gpu);
    expect(seen()).toEqual(gpus);
    expect(seen(undefined, "auto")).toEqual(gpus);
    expect(seen(5)).toEqual(["0", "1", "GPU-5", "0", "1"]);
    expect(seen(undefined, "cuda:1")).toEqual([null]);
    expect(seen(undefined, "cpu")).toEqual(Array(8).fill(null));
  });
});
