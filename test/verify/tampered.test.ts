/** Files that compute something else than the model are seen, and nothing of the export is kept. */
import { readdirSync, readFileSync, rmSync, truncateSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { strFromU8, strToU8, unzipSync, zipSync } from "fflate";
import { beforeEach, describe, expect, it } from "vitest";
import { writeExport } from "../../ts/export/export.ts";
import { decodeModel, encodeModel, type ModelProto } from "../../ts/export/onnx_schema.ts";
import { verifyFiles } from "../../ts/verify/verify_files.ts";
import { temporaryFolder } from "../support/cli.ts";
import { drawnModel, SMALL } from "../support/networks.ts";
import { chosenSeed, seededRandom } from "../support/random.ts";

const seed = chosenSeed("tampered exports");
let folder: string;
let model: string;
let other: string;

beforeEach(async () => {
  folder = temporaryFolder();
  const settings = { ...SMALL, activation: "relu", use_bias: true };
  model = await drawnModel(join(folder, "run"), settings, seededRandom(seed));
  other = await drawnModel(join(folder, "other"), settings, seededRandom(seed + 1));
});

/** The error of an export whose files are changed between being written and being run. */
async function refused(
  to: string,
  tamper: (path: (name: string) => string) => void,
  options: { half?: boolean; withResize?: boolean } = {},
): Promise<string> {
  const out = join(folder, "out");
  const error = await writeExport(model, { to, out, ...options }, async (given) => {
    tamper((name) => join(given.folder, name));
    return await verifyFiles(given);
  }).then(
    () => undefined,
    (error: unknown) => error,
  );
  expect(error).toMatchObject({ code: "FLEXAE_INTERNAL" });
  // Nothing is there, under no other name either.
  expect(readdirSync(folder).sort()).toEqual(["other", "run"]);
  return (error as Error).message;
}

function changeGraph(path: string, change: (graph: ModelProto["graph"]) => void): void {
  const file = decodeModel(readFileSync(path));
  change(file.graph);
  writeFileSync(path, encodeModel(file));
}

const nodeOf = (graph: ModelProto["graph"], name: string) =>
  graph.node.find((node) => node.name === name) as ModelProto["graph"]["node"][number];

/** A file of an export of another model. */
async function fileOf(model: string, to: string, name: string): Promise<Buffer> {
  const out = join(folder, "elsewhere");
  await writeExport(model, { to, out }, async () => []);
  const bytes = readFileSync(join(out, name));
  rmSync(out, { recursive: true });
  return bytes;
}

const OTHERWISE = "computes something else than the native pass: ";

describe("a graph", () => {
  const CHANGES: [what: string, change: (graph: ModelProto["graph"]) => void][] = [
    [
      "whose padding is elsewhere",
      (graph) => {
        const pads = nodeOf(graph, "encoder.conv_0").attribute.find(({ name }) => name === "pads");
        expect(new Set(pads?.ints).size).toBe(2);
        pads?.ints?.push(...pads.ints.splice(0, 2));
      },
    ],
    [
      "with another activation",
      (graph) => {
        nodeOf(graph, "encoder.conv_0_bn.relu").opType = "Tanh";
      },
    ],
    [
      "with another epsilon",
      (graph) => {
        for (const entry of nodeOf(graph, "encoder.conv_1_bn").attribute) entry.f = 0.5;
      },
    ],
    [
      "with one other weight",
      (graph) => {
        const bias = graph.initializer.find(({ name }) => name === "encoder.dense_0.bias");
        const { buffer, byteOffset } = (bias as NonNullable<typeof bias>).rawData;
        const view = new DataView(buffer, byteOffset);
        view.setFloat32(0, view.getFloat32(0, true) + 0.01, true);
      },
    ],
    [
      "that says another type of what it gives",
      (graph) => {
        const { tensorType } = (graph.output[0] as (typeof graph.output)[number]).type;
        tensorType.elemType = 2;
      },
    ],
    [
      "that says another size of what it gives",
      (graph) => {
        const { dim } = (graph.output[0] as (typeof graph.output)[number]).type.tensorType.shape;
        dim[1] = { dimValue: 1234 };
      },
    ],
    [
      "that takes one image alone",
      (graph) => {
        const shape = graph.initializer.find(({ name }) => name === "decoder.reshape.shape");
        const { buffer, byteOffset } = (shape as NonNullable<typeof shape>).rawData;
        new DataView(buffer, byteOffset).setBigInt64(0, 1n, true);
      },
    ],
    [
      "whose pixels are in another order",
      (graph) => {
        const perm = nodeOf(graph, "encoder.flatten.channels_last").attribute[0];
        if (perm !== undefined) perm.ints = [0, 3, 2, 1];
      },
    ],
  ];

  it.each(CHANGES)("%s is seen", async (_, change) => {
    const message = await refused("onnx", (path) => changeGraph(path("ae.onnx"), change));
    expect(message).toMatch(
      /^ae\.onnx (computes something else than the native pass: an embedding differs by .* of the largest number|cannot be computed: .*)\. Nothing was kept of the export: please/,
    );
  });

  it("of the encoder alone is run, too", async () => {
    const swap = (graph: ModelProto["graph"]) => {
      nodeOf(graph, "encoder.conv_1_bn.relu").opType = "Sigmoid";
    };
    const message = await refused("onnx", (path) => changeGraph(path("en.onnx"), swap));
    expect(message).toMatch(/^en\.onnx computes something else/);
  });

  it("whose decoder alone is wrong is seen", async () => {
    const swap = (graph: ModelProto["graph"]) => {
      nodeOf(graph, "decoder.deconv_end_bn.sigmoid").opType = "Tanh";
    };
    const message = await refused("onnx", (path) => changeGraph(path("ae.onnx"), swap));
    expect(message).toMatch(/^ae\.onnx computes something else than .*: a pixel differs by [01]\./);
  });

  it("in fp16 is compared with rounded weights, so that little is seen", async () => {
    const shift = (graph: ModelProto["graph"]) => {
      const weight = graph.initializer.find(({ name }) => name === "encoder.dense_0.weight");
      // The last but one bit of each number: that of a single one may meet a unit that is 0.
      const bytes = (weight as NonNullable<typeof weight>).rawData;
      for (let i = 0; i < bytes.length; i += 2) bytes[i] = (bytes[i] as number) ^ 2;
    };
    const tamper = (path: (name: string) => string) => changeGraph(path("ae.onnx"), shift);
    expect(await refused("onnx", tamper, { half: true })).toContain(OTHERWISE);
  });

  it("that resizes otherwise is seen", async () => {
    const shift = (graph: ModelProto["graph"]) => {
      const node = graph.node.find(({ opType }) => opType === "Round");
      if (node !== undefined) node.opType = "Relu";
      for (const tensor of graph.initializer) {
        if (tensor.name === "resize.columns.centres") tensor.rawData.fill(0);
      }
    };
    const tamper = (path: (name: string) => string) => changeGraph(path("en.onnx"), shift);
    expect(await refused("onnx", tamper, { withResize: true })).toMatch(
      /^en\.onnx resizes otherwise than training does: by \d+ of 255 levels/,
    );
  });

  it("that cannot be computed is an error by name", async () => {
    const unknown = (graph: ModelProto["graph"]) => {
      nodeOf(graph, "encoder.conv_0").opType = "QLinearConv";
    };
    expect(await refused("onnx", (path) => changeGraph(path("ae.onnx"), unknown))).toMatch(
      /^ae\.onnx cannot be computed: encoder\.conv_0 is an unknown QLinearConv\./,
    );
    const cut = (path: (name: string) => string) => {
      const bytes = readFileSync(path("ae.onnx"));
      writeFileSync(path("ae.onnx"), bytes.subarray(0, bytes.length - 100));
    };
    expect(await refused("onnx", cut)).toMatch(/^ae\.onnx cannot be computed: .*longer than/);
    const more = (graph: ModelProto["graph"]) => {
      nodeOf(graph, "encoder.conv_0").attribute.push({ name: "group", type: 2, i: 5 });
    };
    expect(await refused("onnx", (path) => changeGraph(path("ae.onnx"), more))).toMatch(
      /cannot be computed: encoder\.conv_0 \(Conv\): its group is not known/,
    );
  });
});

describe("files of other programs", () => {
  const inArchive = (path: string, from: string, to: string) => {
    const entries = unzipSync(readFileSync(path));
    const text = strFromU8(entries["config.json"] as Uint8Array);
    expect(text).toContain(from);
    entries["config.json"] = strToU8(text.replaceAll(from, to));
    writeFileSync(path, zipSync(entries, { level: 0 }));
  };

  it("are seen with another activation", async () => {
    const [from, to] = ['"activation":"relu"', '"activation":"tanh"'];
    const archive = await refused("keras", (path) => inArchive(path("ae.keras"), from, to));
    expect(archive).toContain(`ae.keras ${OTHERWISE}an embedding differs by`);
    const settings = { ...SMALL, activation: "tanh", use_bias: true };
    const tanh = await drawnModel(join(folder, "tanh"), settings, seededRandom(seed));
    const theirs = await fileOf(tanh, "keras", "ae_weights.h5");
    rmSync(join(folder, "tanh"), { recursive: true });
    const legacy = await refused("keras", (path) => writeFileSync(path("ae_weights.h5"), theirs));
    expect(legacy).toContain(`ae_weights.h5 ${OTHERWISE}an embedding differs by`);
    // An encoder alone is no network: its layers are held against those that it should have.
    const encoder = await refused("keras", (path) => inArchive(path("en.keras"), from, to));
    expect(encoder).toMatch(
      /^en\.keras cannot be taken back: holds what .* activation "tanh"; needed/,
    );
  });

  it.each([
    ["keras", "ae.keras"],
    ["keras", "en.keras"],
    ["keras", "ae_weights.h5"],
    ["keras", "en_weights.h5"],
    ["safetensors", "model.safetensors"],
    ["pytorch", "model.safetensors"],
  ])("of %s are seen with other weights: %s", async (to, name) => {
    const theirs = await fileOf(other, to, name);
    const message = await refused(to, (path) => writeFileSync(path(name), theirs));
    expect(message).toContain(`${name} ${OTHERWISE}an embedding differs by`);
  });

  it("are seen where they cannot be read", async () => {
    const cut = (path: (name: string) => string) => writeFileSync(path("ae.keras"), "PK");
    expect(await refused("keras", cut)).toMatch(/^ae\.keras cannot be taken back: is no model/);
  });

  it("of Keras that are too large to be read are named, not refused", async () => {
    const out = join(folder, "out");
    const { verified } = await writeExport(model, { to: "keras", out }, async (given) => {
      // A hole, which takes no room on the disk.
      truncateSync(join(given.folder, "ae_weights.h5"), 3 * 2 ** 30);
      return await verifyFiles(given);
    });
    expect(verified[0]).toMatchObject({
      files: ["ae.keras", "en.keras", "en_weights.h5"],
      tooLarge: ["ae_weights.h5"],
    });
  });

  it.each(["ae.pt", "en.pt"])("are seen if %s is another model's", async (name) => {
    const theirs = readFileSync(join(folder, "other", name));
    const message = await refused("torchscript", (path) => writeFileSync(path(name), theirs));
    expect(message).toContain(`${name} ${OTHERWISE}an embedding differs by`);
  });
});
