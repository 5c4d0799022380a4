/** `model.safetensors` and `config.json`: the weights, and what they belong to. */
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { awaitAddon } from "../addon/loader.js";
import type { ModelWeight, TensorEntry } from "../addon/types.js";
import { writeFileAtomic } from "../files/atomic.js";
import { StagedFile } from "../files/staged.js";
import { VERSION } from "../version.js";
import { bytesOf, differs, sameBits } from "./bits.js";
import type { ExportFormat, ExportSource } from "./format.js";
import { isHalved, toHalf } from "./half.js";

const WEIGHTS_FILE = "model.safetensors";
const CONFIG_FILE = "config.json";

/** Writes tensors of which some are fp16, which the addon knows nothing of. */
async function writeHalved(
  path: string,
  weights: readonly ModelWeight[],
  metadata: Record<string, string>,
): Promise<void> {
  // Wider numbers first, so that each lies where its width asks for.
  const ordered = [...weights].sort((a, b) => Number(isHalved(a)) - Number(isHalved(b)));
  let end = 0;
  const entries = ordered.map(({ name, shape, values }) => {
    const begin = end;
    end += values.length * (isHalved({ shape }) ? 2 : 4);
    const dtype = isHalved({ shape }) ? "F16" : "F32";
    return [name, { dtype, shape, data_offsets: [begin, end] }] as const;
  });
  const text = JSON.stringify({ __metadata__: metadata, ...Object.fromEntries(entries) });
  const header = Buffer.from(text.padEnd(8 * Math.ceil(text.length / 8)));
  const length = Buffer.alloc(8);
  length.writeBigUInt64LE(BigInt(header.length));
  const file = await StagedFile.create(path);
  await file.append(Buffer.concat([length, header]));
  for (const { shape, values } of ordered) {
    await file.append(bytesOf(isHalved({ shape }) ? toHalf(values) : values));
  }
  await file.finish();
}

async function writeWeights(source: ExportSource, folder: string): Promise<void> {
  const { model, manifest, half } = source;
  const path = join(folder, WEIGHTS_FILE);
  const weights = model.layers.flatMap((layer) => layer.weights);
  // Some of those who read it ask for the format: pt stands for PyTorch's layout of weights.
  const metadata = {
    format: "pt",
    name: manifest.name,
    producer: `flexible-autoencoder ${VERSION}`,
  };
  if (half === undefined) {
    const tensors = Object.fromEntries(
      weights.map(({ name, shape, values }): [string, TensorEntry] => [name, { shape, values }]),
    );
    await awaitAddon((addon) => addon.writeTensors(path, tensors, metadata));
  } else {
    await writeHalved(path, weights, metadata);
  }
  const read = parseTensors(await readFile(path));
  for (const { name, shape, values } of weights) {
    const tensor = read.get(name);
    const isHalf = half !== undefined && isHalved({ shape });
    const isSame =
      tensor?.dtype === (isHalf ? "F16" : "F32") &&
      tensor.shape.join() === shape.join() &&
      sameBits(tensor.bytes, bytesOf(isHalf ? toHalf(values) : values));
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
  takesHalf: true,
  files: [WEIGHTS_FILE, CONFIG_FILE],
  write: writeWeightFiles,
};
