/** `model.safetensors` and `config.json`: the weights, and what they belong to. */
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { awaitAddon } from "../addon/loader.js";
import type { TensorEntry } from "../addon/types.js";
import { writeFileAtomic } from "../files/atomic.js";
import { VERSION } from "../version.js";
import { bytesOf, differs, sameBits } from "./bits.js";
import type { ExportFormat, ExportSource } from "./format.js";

const WEIGHTS_FILE = "model.safetensors";
const CONFIG_FILE = "config.json";

async function writeWeights({ model, manifest }: ExportSource, folder: string): Promise<void> {
  const path = join(folder, WEIGHTS_FILE);
  const weights = model.layers.flatMap((layer) => layer.weights);
  const tensors = Object.fromEntries(
    weights.map(({ name, shape, values }): [string, TensorEntry] => [name, { shape, values }]),
  );
  // Some of those who read it ask for the format: pt stands for PyTorch's layout of weights.
  const metadata = {
    format: "pt",
    name: manifest.name,
    producer: `flexible-autoencoder ${VERSION}`,
  };
  await awaitAddon((addon) => addon.writeTensors(path, tensors, metadata));
  const read = parseTensors(await readFile(path));
  for (const { name, shape, values } of weights) {
    const tensor = read.get(name);
    const isSame =
      tensor?.dtype === "F32" &&
      tensor.shape.join() === shape.join() &&
      sameBits(tensor.bytes, bytesOf(values));
    if (!isSame) throw differs(path, name);
  }
  if (read.size !== weights.length) throw differs(path, "the number of tensors");
}

/** A tensor of a file, where it lies. */
interface FileTensor {
  dtype: string;
  shape: number[];
  bytes: Uint8Array;
}

/** Tensors of a safetensors file: the length of a JSON header, the header, and the numbers. */
function parseTensors(file: Buffer): Map<string, FileTensor> {
  const begin = 8 + Number(file.readBigUInt64LE(0));
  const { __metadata__, ...entries } = JSON.parse(file.toString("utf8", 8, begin)) as Record<
    string,
    { dtype: string; shape: number[]; data_offsets: [number, number] }
  >;
  return new Map(
    Object.entries(entries).map(
      ([
        name,
        {
          dtype,
          shape,
          data_offsets: [from, to],
        },
      ]) => {
        return [name, { dtype, shape, bytes: file.subarray(begin + from, begin + to) }];
      },
    ),
  );
}

/** Writes and verifies the weights and the config of a model. */
export async function writeWeightFiles(source: ExportSource, folder: string): Promise<void> {
  await writeWeights(source, folder);
  const path = join(folder, CONFIG_FILE);
  const text = `${JSON.stringify(source.manifest, null, 2)}\n`;
  await writeFileAtomic(path, text);
  if ((await readFile(path, "utf8")) !== text) throw differs(path, "its text");
}

export const safetensors: ExportFormat = {
  name: "safetensors",
  description: "the weights, and config.json",
  files: [WEIGHTS_FILE, CONFIG_FILE],
  write: writeWeightFiles,
};
