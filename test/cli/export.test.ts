import { createHash } from "node:crypto";
import {
  copyFileSync,
  cpSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  writeFileSync,
} from "node:fs";
import { join } from "node:path";
import { unzipSync } from "fflate";
import { afterAll, beforeAll, beforeEach, describe, expect, inject, it } from "vitest";
import { loadAddon } from "../../ts/addon/loader.ts";
import { kerasShape, turnWeight } from "../../ts/export/keras_weights.ts";
import { onnxGraph } from "../../ts/export/onnx_graph.ts";
import { decodeModel, encodeModel } from "../../ts/export/onnx_schema.ts";
import { checkShapes } from "../../ts/export/onnx_shapes.ts";
import {
  type Exported,
  exportModel,
  type HalfDifference,
  importModel,
  load,
  type Verified,
} from "../../ts/index.ts";
import { type Ended, flexae, jsonLines, temporaryFolder, trainedRun } from "../support/cli.ts";
import { buildFaultLibrary, callsIn, type FaultLibrary } from "../support/faults.ts";

const trained = trainedRun();
let run: string;
let cwd: string;

beforeEach(() => {
  run = trained();
  cwd = temporaryFolder();
});

const at = (...names: string[]) => join(cwd, ...names);
const start = (...args: string[]): Promise<Ended> => flexae(["export", ...args], { cwd });
const sha256 = (path: string) => createHash("sha256").update(readFileSync(path)).digest("hex");

interface End {
  out: string;
  formats: string[];
  files: { name: string; bytes: number; sha256: string }[];
  half?: HalfDifference;
  verified: Verified[];
}

async function exported(...args: string[]): Promise<End> {
  const { code, stdout, stderr } = await start(...args, "--json");
  expect(code, stderr).toBe(0);
  expect(jsonLines(stdout)).toHaveLength(1);
  expect(jsonLines(stdout)[0]).toMatchObject({ event: "end", model: join(run, "ae.pt") });
  return jsonLines(stdout)[0] as unknown as End;
}

const CARD = ["MODEL_CARD.md", "SHA256SUMS"];
const PYTORCH = ["config.json", "model.py", "model.safetensors"];

describe("flexae export", () => {
  it("writes each format with a card and checksums, and says so", async () => {
    const all = "onnx,pytorch,safetensors,keras,torchscript";
    const end = await exported(run, "--to", all, "-o", "out", "--license=mit");
    expect(end).toMatchObject({ out: at("out"), formats: all.split(",") });
    expect(end.verified.map(({ format }) => format)).toEqual(end.formats);
    for (const { format, images, embedding, reconstruction } of end.verified) {
      expect(images).toBe(2);
      const most = Math.max(embedding, reconstruction);
      expect(most).toBeLessThan(format === "onnx" ? 1e-5 : 1e-30);
    }
    const names = [
      "ae.keras",
      "ae.onnx",
      "ae.pt",
      "ae_weights.h5",
      "en.keras",
      "en.onnx",
      "en.pt",
      "en_weights.h5",
      ...PYTORCH,
      ...CARD,
    ].sort();
    expect(readdirSync(at("out")).sort()).toEqual(names);
    expect(readdirSync(cwd)).toEqual(["out"]);
    expect(end.files.map(({ name }) => name).sort()).toEqual(
      names.filter((name) => name !== "SHA256SUMS"),
    );
    for (const { name, bytes, sha256: sum } of end.files) {
      expect(statSync(at("out", name)).size).toBe(bytes);
      expect(sha256(at("out", name))).toBe(sum);
    }
    expect(readFileSync(at("out/SHA256SUMS"), "utf8")).toBe(
      end.files.map(({ name, sha256 }) => `${sha256}  ${name}\n`).join(""),
    );
    for (const name of ["ae.pt", "en.pt"]) {
      expect(readFileSync(at("out", name))).toEqual(readFileSync(join(run, name)));
    }
    expect(Object.keys(unzipSync(readFileSync(at("out/en.keras"))))).toEqual([
      "metadata.json",
      "config.json",
      "model.weights.h5",
    ]);
    const card = readFileSync(at("out/MODEL_CARD.md"), "utf8");
    expect(card).toMatch(/^---\nlicense: "mit"\n/);
    expect(card).toMatch(/N×1×28×28 \(NCHW\), float32,\nfrom 0 to 1, gray/);
    expect(card).toMatch(/INTER_AREA.*To 28 rows and 28 columns/);
    expect(card).toMatch(/Images to train on: 200; to validate: 50\./);
    expect(card).toMatch(/10 classes, .*: digit\\_0, digit\\_1/);
    expect(card).toMatch(/\| validation \| 0\.\d+ \| 0\.\d+ \| 0\.\d+ \| [\d.]+ \|/);
    const sum = sha256(join(run, "ae.pt"));
    expect(end).toMatchObject({ modelSha256: sum });
    expect(card).toContain(`SHA-256 \`${sum}\``);
    // Where the images lay is nobody else's business.
    expect(card).not.toContain(run);
    const config = JSON.parse(readFileSync(at("out/config.json"), "utf8"));
    const model = await load(join(run, "ae.pt"));
    expect(config).toEqual(model.config);
    model.dispose();
  });

  it("tells a person, and puts the export into the run unless told where", async () => {
    cpSync(run, at("run"), { recursive: true });
    const { code, stdout, stderr } = await start("run", "--to=pytorch");
    expect(code, stderr).toBe(0);
    expect(stdout).toMatch(/^model\.py +[\d.]+ KiB$/m);
    expect(stdout).toMatch(
      /^pytorch: model\.safetensors · gives the same as the native pass; model\.py is not run$/m,
    );
    expect(stdout).toMatch(/run\/export: written and checked, [\d.]+s\n$/);
    const graphs = await start("run", "--to=onnx", "-o", "graphs");
    expect(graphs.stdout).toMatch(
      /^onnx: ae\.onnx, en\.onnx · differs from the native pass by at most \de-\d$/m,
    );
    expect(readdirSync(at("run/export")).sort()).toEqual([...CARD, ...PYTORCH].sort());
    // A run that is looked for by `last`, and a folder that is not there yet.
    mkdirSync(at("logs"));
    cpSync(run, at("logs/ae_1"), { recursive: true });
    expect((await start("last", "--to=safetensors", "-o", "a/b")).code).toBe(0);
    expect(readdirSync(at("a/b")).sort()).toEqual(
      [...CARD, "config.json", "model.safetensors"].sort(),
    );
  });

  it("says in the card that graphs resize", async () => {
    await exported(run, "--to=onnx,pytorch", "-o", "out", "--with-resize");
    const card = readFileSync(at("out/MODEL_CARD.md"), "utf8");
    expect(card).toMatch(
      /N×H×W×1 \(NHWC\), uint8,\nfrom 0 to 255, gray\. That is of the ONNX files/,
    );
    expect(card).toMatch(/others take N×1×28×28 \(NCHW\), resized, of bytes divided by 255\./);
    expect(card).toMatch(
      /4\. Leave the size as it is; .* INTER_AREA: .* To 28 rows and 28 columns/,
    );
  });

  it("replaces the same export, and no other file", async () => {
    await exported(run, "--to=onnx", "-o", "out");
    const before = sha256(at("out/ae.onnx"));
    await exported(run, "--to=onnx", "-o", "out", "--input=uint8");
    expect(sha256(at("out/ae.onnx"))).not.toBe(before);
    const other = await start(run, "--to=pytorch", "-o", "out");
    expect(other.code).toBe(2);
    expect(other.stderr).toMatch(/out holds ae\.onnx, which .*, or name all formats at once/);
    writeFileSync(at("out/notes.txt"), "mine");
    const kept = sha256(at("out/ae.onnx"));
    const mine = await start(run, "--to=onnx", "-o", "out");
    expect(mine.code).toBe(2);
    expect(mine.stderr).toMatch(/out holds notes\.txt, which this export does not write/);
    expect(sha256(at("out/ae.onnx"))).toBe(kept);
    // A file that only has the name of an exported one.
    mkdirSync(at("other"));
    writeFileSync(at("other/config.json"), "{}");
    const config = await start(run, "--to=safetensors", "-o", "other");
    expect(config.code).toBe(2);
    expect(config.stderr).toMatch(/other holds config\.json but no SHA256SUMS/);
    expect(readdirSync(at("other"))).toEqual(["config.json"]);
    expect(readdirSync(cwd).sort()).toEqual(["other", "out"]);
  });

  it.each([
    [["RUN"], 2, /Expected the formats to write: --to onnx,pytorch/],
    [["RUN", "--to=tflite"], 2, /Expected onnx, pytorch, .* for to but received tflite/],
    [["RUN", "--to=onnx,"], 2, /for to but received nothing/],
    [
      ["RUN", "--to=onnx", "--input=int8"],
      2,
      /Expected float32, uint8 for input but received int8/,
    ],
    [["RUN", "--to=pytorch", "--input=uint8"], 2, /uint8 means something to onnx alone/],
    [
      ["RUN", "--to=onnx", "--with-resize", "--input=float32"],
      2,
      /A graph that resizes takes uint8: leave input out/,
    ],
    [["RUN", "--to=pytorch", "--with-resize"], 2, /Resizing is put into onnx alone/],
    [["RUN", "--to=onnx,keras", "--half"], 2, /half means .* safetensors, but nothing to keras/],
    [["RUN", "--to=onnx", "--license="], 2, /Expected one line for license/],
    [["RUN", "--to=onnx", "-o", "file"], 2, /file is not a folder/],
    [["nowhere", "--to=onnx"], 2, /There is no run folder nowhere/],
    [["EN", "--to=onnx"], 1, /en\.pt is an encoder alone/],
    [["CKPT", "--to=onnx"], 1, /last\.pt is damaged, or was not written by this program/],
    [["HALF", "--to=onnx"], 1, /half\.pt is damaged/],
    [["ALONE", "--to=torchscript,onnx"], 1, /en\.pt cannot be copied: no such file or folder/],
  ])("refuses %j and writes nothing", async (args, expected, message) => {
    const files = at("files");
    mkdirSync(files);
    copyFileSync(join(run, "last.ckpt"), join(files, "last.pt"));
    const bytes = readFileSync(join(run, "ae.pt"));
    copyFileSync(join(run, "ae.pt"), join(files, "alone.pt"));
    bytes[bytes.length >> 1] = (bytes[bytes.length >> 1] as number) ^ 1;
    writeFileSync(join(files, "half.pt"), bytes);
    writeFileSync(at("file"), "");
    const names: Record<string, string> = {
      RUN: run,
      EN: join(run, "en.pt"),
      CKPT: join(files, "last.pt"),
      HALF: join(files, "half.pt"),
      ALONE: join(files, "alone.pt"),
    };
    const out = args.includes("-o") ? [] : ["-o", "out"];
    const { code, stdout, stderr } = await start(...args.map((arg) => names[arg] ?? arg), ...out);
    expect(stderr).toMatch(message);
    expect(stderr.trim().split("\n").length).toBeLessThanOrEqual(2);
    expect(code).toBe(expected);
    expect(stdout).toBe("");
    expect(readdirSync(cwd).sort()).toEqual(["file", "files"]);
  });

  it("writes weights in fp16, and says what that did", async () => {
    const whole = await exported(run, "--to=onnx,pytorch", "-o", "whole");
    const end = await exported(run, "--to=onnx,pytorch", "-o", "half", "--half");
    const { absolute, absoluteOf, relative, relativeOf } = end.half as HalfDifference;
    // Of numbers up to 1, half the distance to the next; as a whole, less than of any one.
    expect(absolute).toBeGreaterThan(0);
    expect(absolute).toBeLessThan(2 ** -11);
    expect(relative).toBeGreaterThan(2 ** -14);
    expect(relative).toBeLessThan(2 ** -11);
    const lengths = (of: End) =>
      Object.fromEntries(of.files.map(({ name, bytes }) => [name, bytes]));
    const [before, after] = [lengths(whole), lengths(end)];
    const model = await loadAddon().readModelLayers(join(run, "ae.pt"));
    const halved = model.layers.flatMap(({ weights }) => weights).filter(({ shape }) => shape[1]);
    expect(halved.map(({ name }) => name)).toContain(absoluteOf);
    expect(halved.map(({ name }) => name)).toContain(relativeOf);
    const saved = halved.reduce((sum, { values }) => sum + 2 * values.length, 0);
    const shorter = (before["ae.onnx"] as number) - (after["ae.onnx"] as number);
    // What is not saved is what turns a weight to fp32.
    expect(shorter).toBeGreaterThan(saved - 200 * halved.length);
    expect(shorter).toBeLessThan(saved);
    const tensors =
      (before["model.safetensors"] as number) - (after["model.safetensors"] as number);
    expect(Math.abs(tensors - saved)).toBeLessThan(200);
    expect(readFileSync(at("half/MODEL_CARD.md"), "utf8")).toContain(
      `No number changed by more than ${absolute.toPrecision(3)}\n(\`${absoluteOf}\`)`,
    );
    expect(readFileSync(at("half/model.py"), "utf8")).toContain("load().half()");
    const { outputs } = end.half as NonNullable<Exported["half"]>;
    expect(outputs.embedding).toBeGreaterThan(0);
    expect(outputs.reconstruction).toBeGreaterThan(0);
    // The file itself, taken back and run on other images.
    await importModel(at("half/model.safetensors"), { out: at("back") });
    const [first, second] = await Promise.all(
      [join(run, "en.pt"), at("back/en.pt")].map(async (path) => {
        using encoder = await load(path, { precision: "fp32" });
        return (await encoder.encode(join(inject("digits"), "valid/digit_4/000.png"))).data;
      }),
    );
    const differences = (first as Float32Array).map((x, i) => Math.abs(x - Number(second?.[i])));
    const largest = Math.max(...(first as Float32Array).map(Math.abs));
    expect(Math.max(...differences)).toBeGreaterThan(0);
    expect(Math.max(...differences) / largest).toBeLessThan(10 * outputs.embedding);
    const { stdout } = await start(run, "--to=safetensors", "-o", "told", "--half");
    expect(stdout).toMatch(
      /^fp16: a number differs by at most [\d.e-]+ \(\w+\.\w+\.weight\), a weight/m,
    );
  });

  it("leaves nothing when it is ended", async () => {
    const abort = new AbortController();
    abort.abort("enough");
    const ended = exportModel(run, { to: "onnx", out: at("out"), signal: abort.signal });
    await expect(ended).rejects.toBe("enough");
    expect(readdirSync(cwd)).toEqual([]);
  });
});

describe("a full disk", () => {
  let faults: FaultLibrary;
  beforeAll(() => {
    faults = buildFaultLibrary();
  });
  afterAll(() => faults.remove());

  it("is one clear error, and nothing is left, whichever file it meets", async () => {
    const to = "--to=onnx,pytorch,keras,torchscript";
    const log = at("calls.log");
    mkdirSync(at("whole"));
    const args = (folder: string) => ["export", run, to, `--out=${join(folder, "out")}`];
    const env = faults.environment(at("whole"), "none", 0, log);
    expect((await flexae(args(at("whole")), { cwd, env })).code).toBe(0);
    const calls = callsIn(log);
    const opened = ["ae.onnx", "model.safetensors", "model.py", "ae.keras", "en_weights.h5"];
    for (const name of [...opened, "en.pt", "MODEL_CARD.md", "SHA256SUMS"]) {
      // The first write behind the file's opening.
      const first = calls.findIndex((call) => call.includes(name)) + 2;
      expect(first, name).toBeGreaterThan(1);
      const folder = at(`full_${name}`);
      mkdirSync(folder);
      const full = await flexae(args(folder), {
        cwd,
        env: faults.environment(folder, "full", first),
      });
      expect(full.code, `${name}: ${full.stderr}`).toBe(1);
      expect(full.signal).toBeNull();
      expect(full.stderr).toMatch(/[Nn]o space left on (the )?device/);
      expect(full.stderr.trim().split("\n").length, full.stderr).toBeLessThanOrEqual(2);
      expect(full.stdout).toBe("");
      expect(readdirSync(folder), name).toEqual([]);
    }
  });
});

describe("what exporters read", () => {
  it("is each layer with its weights", async () => {
    const model = await loadAddon().readModelLayers(join(run, "ae.pt"));
    expect(model).toMatchObject({
      kind: "autoencoder",
      inputShape: [1, 28, 28],
      embeddingShape: [16],
    });
    const summary = model.layers.map(({ name, type }) => `${name} ${type}`);
    expect(summary.slice(0, 3)).toEqual([
      "encoder.conv_0 Conv2D",
      "encoder.conv_0_bn BatchNormalization",
      "encoder.conv_1 Conv2D",
    ]);
    const [conv, norm] = model.layers;
    // "same" pads of 3 in steps of 2 on 28 rows: one row, below.
    expect(conv).toMatchObject({
      part: "encoder",
      inputShape: [1, 28, 28],
      outputShape: [8, 14, 14],
      kernel: [3, 3],
      stride: [2, 2],
      pads: [0, 0, 1, 1],
      crop: [0, 0],
      activation: "linear",
    });
    expect(conv?.weights.map(({ name, shape }) => [name, shape])).toEqual([
      ["encoder.conv_0.weight", [8, 1, 3, 3]],
      ["encoder.conv_0.bias", [8]],
    ]);
    expect(norm).toMatchObject({ activation: "elu", constants: { eps: 0.001 }, dropRate: 0 });
    expect(norm?.weights.map(({ trained }) => trained)).toEqual([true, true, false, false]);
    const last = model.layers.at(-2);
    expect(last).toMatchObject({
      name: "decoder.deconv_end",
      outputShape: [1, 28, 28],
      crop: [1, 1],
    });
    expect(model.layers.at(-1)).toMatchObject({ activation: "sigmoid" });
    const encoder = await loadAddon().readModelLayers(join(run, "en.pt"));
    expect(encoder.kind).toBe("encoder");
    expect(encoder.layers).toEqual(model.layers.filter(({ part }) => part === "encoder"));
  });
});

describe("an exported graph", () => {
  it("is read back as it was, and sizes that are wrong are seen", async () => {
    const model = await loadAddon().readModelLayers(join(run, "ae.pt"));
    const graph = onnxGraph(model, "autoencoder", { type: "uint8", resize: null });
    const file = {
      irVersion: 8,
      producerName: "test",
      producerVersion: "1",
      docString: "",
      opsetImport: [{ domain: "", version: 18 }],
      metadataProps: [{ key: "a", value: "ü" }],
      graph,
    };
    const read = decodeModel(encodeModel(file));
    expect(read.metadataProps).toEqual(file.metadataProps);
    expect(read.graph.initializer.map(({ name }) => name)).toContain("decoder.deconv_end.weight");
    expect(() => checkShapes("ae.onnx", read.graph, model.layers)).not.toThrow();
    const conv = read.graph.node.find(({ name }) => name === "encoder.conv_1");
    const pads = conv?.attribute.find(({ name }) => name === "pads");
    expect(pads?.ints).toEqual([0, 0, 1, 1]);
    if (pads !== undefined) pads.ints = [0, 0, 2, 2];
    expect(() => checkShapes("ae.onnx", read.graph, model.layers)).not.toThrow();
    if (pads !== undefined) pads.ints = [1, 1, 2, 2];
    expect(() => checkShapes("ae.onnx", read.graph, model.layers)).toThrow(
      /ae\.onnx does not hold what was exported: the size of encoder\.conv_1 differs/,
    );
  });
});

describe("an exported graph that resizes", () => {
  it("has the model's size behind that, which is checked", async () => {
    const model = await loadAddon().readModelLayers(join(run, "ae.pt"));
    for (const resize of ["area", "bilinear", "nearest"]) {
      const graph = onnxGraph(model, "autoencoder", { type: "uint8", resize });
      expect(graph.input[0]?.type.tensorType.shape.dim.slice(1)).toEqual([
        { dimParam: "H" },
        { dimParam: "W" },
        { dimValue: 1 },
      ]);
      expect(() => checkShapes("ae.onnx", graph, model.layers)).not.toThrow();
      const rows = graph.initializer.find(({ name }) => name === "resize.rows.centres");
      if (rows !== undefined) rows.dims = [20];
      expect(() => checkShapes("ae.onnx", graph, model.layers)).toThrow(
        /ae\.onnx does not hold what was exported: the size of encoder\.conv_0 differs/,
      );
    }
    expect(() => onnxGraph(model, "encoder", { type: "uint8", resize: "cubic" })).toThrow(/cubic/);
  });
});

describe("weights for Keras", () => {
  const weight = (shape: number[]) => {
    const values = Float32Array.from({ length: shape.reduce((a, b) => a * b) }, (_, i) => i);
    return { name: "w", trained: true, shape, values };
  };
  const turn = (given: ReturnType<typeof weight>) => {
    const turned = new Float32Array(given.values.length);
    turnWeight(given, turned);
    return turned;
  };

  it("are turned to its layout", () => {
    expect(kerasShape([3])).toEqual([3]);
    expect(turn(weight([3]))).toEqual(Float32Array.of(0, 1, 2));
    expect(kerasShape([2, 3])).toEqual([3, 2]);
    expect(turn(weight([2, 3]))).toEqual(Float32Array.of(0, 3, 1, 4, 2, 5));
    // out × in × rows × columns to rows × columns × in × out.
    expect(kerasShape([2, 4, 1, 3])).toEqual([1, 3, 4, 2]);
    expect(turn(weight([2, 1, 1, 3]))).toEqual(Float32Array.of(0, 3, 1, 4, 2, 5));
  });

  it("are turned a few rows at a time as well", () => {
    // More columns than are turned at once, and of a number that those do not divide.
    const whole = weight([19, 5, 2, 3]);
    const turned = turn(whole);
    const [rows, columns] = [2 * 3 * 5, 19];
    for (let row = 0; row < rows; row++) {
      const [tap, b] = [Math.floor(row / 5), row % 5];
      for (let a = 0; a < columns; a++) {
        expect(turned[row * columns + a]).toBe(whole.values[(a * 5 + b) * 6 + tap]);
      }
    }
    const part = new Float32Array(11 * columns);
    turnWeight(whole, part, 7, 18);
    expect(part).toEqual(turned.slice(7 * columns, 18 * columns));
  });
});

describe("a model without its run", () => {
  it("is exported, and its card says what is not known", async () => {
    copyFileSync(join(run, "ae.pt"), at("ae.pt"));
    const { files } = await exportModel(at("ae.pt"), { to: ["safetensors"] });
    expect(files.map(({ name }) => name)).toEqual([
      "model.safetensors",
      "config.json",
      "MODEL_CARD.md",
    ]);
    const card = readFileSync(at("export/MODEL_CARD.md"), "utf8");
    expect(card).toMatch(/Images to train on: not recorded/);
    expect(card).toMatch(/No scores were recorded/);
    expect(card).toMatch(/^license: "unknown"$/m);
    expect(existsSync(at("en.pt"))).toBe(false);
    rmSync(at("export"), { recursive: true });
  });
});
