/** `ae.keras` and `en.keras`: models of Keras 3, a zip file of JSON and HDF5. */
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { unzipSync, zipSync } from "fflate";
import type { File, Group } from "h5wasm";
import type { ModelLayer } from "../addon/types.js";
import { writeFileAtomic } from "../files/atomic.js";
import { bytesOf, differs, sameBits } from "./bits.js";
import type { ExportFormat, ExportSource } from "./format.js";
import { type KerasLayer, kerasLayers, kerasWeight } from "./keras_layers.js";

/** The first one that reads such files. */
const KERAS_VERSION = "3.0.0";

/** By these, numbered from the second on, Keras finds the weights of layers. */
const GROUPS: Record<string, string> = {
  Activation: "activation",
  AveragePooling2D: "average_pooling2d",
  BatchNormalization: "batch_normalization",
  Conv2D: "conv2d",
  Conv2DTranspose: "conv2d_transpose",
  Cropping2D: "cropping2d",
  Dense: "dense",
  Dropout: "dropout",
  Flatten: "flatten",
  MaxPooling2D: "max_pooling2d",
  Reshape: "reshape",
  UpSampling2D: "up_sampling2d",
};

/** Each layer with the name of its group. */
function named(layers: readonly KerasLayer[]): (KerasLayer & { group: string })[] {
  const used = new Map<string, number>();
  return layers.map((layer) => {
    const name = GROUPS[layer.config.class_name] as string;
    const count = used.get(name) ?? 0;
    used.set(name, count + 1);
    return { ...layer, group: count === 0 ? name : `${name}_${count}` };
  });
}

/** The text of `config.json` in the file: images are N×H×W×C. */
function configText(name: string, shape: readonly number[], layers: readonly KerasLayer[]): string {
  const [channels, height, width] = shape;
  const input = {
    module: "keras.layers",
    class_name: "InputLayer",
    config: { batch_shape: [null, height, width, channels], dtype: "float32", name: "images" },
    registered_name: null,
  };
  return JSON.stringify({
    module: "keras",
    class_name: "Sequential",
    config: { name, layers: [input, ...layers.map(({ config }) => config)] },
    registered_name: null,
  });
}

const groupOf = (parent: File | Group, name: string) => parent.create_group(name) as Group;

/** The file's name in the library's own file system, which is memory. */
const IN_MEMORY = "model.weights.h5";

type Hdf5 = typeof import("h5wasm")["default"];

/** Writes weights as Keras 3 looks for them. */
function writeWeights(h5wasm: Hdf5, name: string, layers: ReturnType<typeof named>): void {
  const file = new h5wasm.File(IN_MEMORY, "w");
  try {
    groupOf(file, "vars").create_attribute("name", name);
    const all = groupOf(file, "layers");
    for (const { config, group, weights } of layers) {
      const vars = groupOf(groupOf(all, group), "vars");
      vars.create_attribute("name", config.config.name as string);
      for (const [i, weight] of weights.entries()) {
        const { shape, values } = kerasWeight(weight);
        vars.create_dataset({ name: `${i}`, data: values, shape, dtype: "<f4" });
      }
    }
    file.flush();
  } finally {
    file.close();
  }
}

/** Holds weights that were written against the model's, bit by bit. */
function verifyWeights(h5wasm: Hdf5, path: string, layers: ReturnType<typeof named>): void {
  const file = new h5wasm.File(IN_MEMORY, "r");
  try {
    for (const { group, weights } of layers) {
      for (const [i, weight] of weights.entries()) {
        const { shape, values } = kerasWeight(weight);
        const found = file.get(`layers/${group}/vars/${i}`);
        const read = found instanceof h5wasm.Dataset ? found.value : undefined;
        const isSame =
          found instanceof h5wasm.Dataset &&
          found.shape?.join() === shape.join() &&
          read instanceof Float32Array &&
          sameBits(bytesOf(read), bytesOf(values));
        if (!isSame) throw differs(path, weight.name);
      }
    }
  } finally {
    file.close();
  }
}

/** The bytes of `model.weights.h5`. */
async function weightsFile(
  path: string,
  name: string,
  layers: ReturnType<typeof named>,
): Promise<Uint8Array> {
  // The library's other half, for Node.js, writes to the disk itself, and says of a full one no
  // more than pages of its own source.
  const { default: h5wasm } = await import("h5wasm");
  const { FS } = await h5wasm.ready;
  try {
    writeWeights(h5wasm, name, layers);
    verifyWeights(h5wasm, path, layers);
    return FS.readFile(IN_MEMORY) as Uint8Array;
  } finally {
    FS.unlink(IN_MEMORY);
  }
}

async function writeModel(
  { model, manifest }: ExportSource,
  folder: string,
  stem: string,
  part: readonly ModelLayer[],
): Promise<void> {
  const layers = named(kerasLayers(part, manifest.model.batchNormMomentum));
  const path = join(folder, `${stem}.keras`);
  const text = (value: string) => new TextEncoder().encode(value);
  const entries = {
    "metadata.json": text(JSON.stringify({ keras_version: KERAS_VERSION })),
    "config.json": text(configText(stem, model.inputShape, layers)),
    "model.weights.h5": await weightsFile(path, stem, layers),
  };
  // As Keras does: nothing is compressed. The oldest date that zip files have keeps files the same.
  await writeFileAtomic(path, zipSync(entries, { level: 0, mtime: new Date(1980, 0, 1) }));
  const read = unzipSync(await readFile(path));
  for (const [name, bytes] of Object.entries(entries)) {
    const found = read[name];
    if (found === undefined || !sameBits(found, bytes)) throw differs(path, name);
  }
}

export const keras: ExportFormat = {
  name: "keras",
  description: "models of Keras 3, of images N×H×W×C",
  files: ["ae.keras", "en.keras"],
  async write(source, folder) {
    const { layers } = source.model;
    await writeModel(source, folder, "ae", layers);
    const encoder = layers.filter(({ part }) => part === "encoder");
    await writeModel(source, folder, "en", encoder);
  },
};
