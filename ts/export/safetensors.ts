/** `model.safetensors` and `config.json`: the weights, and what they belong to. */
import { type FileHandle, readFile } from "node:fs/promises";
import { join } from "node:path";
import { awaitAddon } from "../addon/loader.js";
import type { ModelWeight, TensorEntry } from "../addon/types.js";
import { writeFileAtomic } from "../files/atomic.js";
import { StagedFile } from "../files/staged.js";
import { VERSION } from "../version.js";
import { bytesOf, differs } from "./bits.js";
import type { ExportFormat, ExportSource } from "./format.js";
import { isHalved, toHalf } from "./half.js";
import { holds, readBack } from "./read_back.js";

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
  await readBack(path, async (handle) => {
    const { size } = await handle.stat();
    const { tensors, begin, end } = await readHeader(handle);
    for (const { name, shape, values } of weights) {
      const isHalf = half !== undefined && isHalved({ shape });
      const bytes = bytesOf(isHalf ? toHalf(values) : values);
      const tensor = tensors.get(name);
      const [from, to] = tensor?.data_offsets ?? [0, 0];
      const isSame =
        tensor?.dtype === (isHalf ? "F16" : "F32") &&
        tensor.shape.join() === shape.join() &&
        to - from === bytes.length &&
        (await holds(handle, begin + from, bytes));
      if (!isSame) throw differs(path, name);
    }
    if (tensors.size !== weights.length) throw differs(path, "the number of tensors");
    if (size !== end) throw differs(path, "its length");
  });
}

/** A tensor as a file describes it: where its bytes are, behind the header. */
interface FileTensor {
  dtype: string;
  shape: number[];
  data_offsets: [from: number, to: number];
}

/** What a safetensors file begins with: the length of a JSON header, and the header. */
async function readHeader(
  handle: FileHandle,
): Promise<{ tensors: Map<string, FileTensor>; begin: number; end: number }> {
  const length = Buffer.alloc(8);
  await handle.read(length, 0, length.length, 0);
  const { size } = await handle.stat();
  const header = Buffer.alloc(Math.min(Number(length.readBigUInt64LE(0)), size));
  await handle.read(header, 0, header.length, 8);
  const { __metadata__, ...entries } = JSON.parse(header.toString()) as Record<string, FileTensor>;
  const begin = 8 + header.length;
  const tensors = new Map(Object.entries(entries));
  const end = Math.max(
    begin,
    ...[...tensors.values()].map((tensor) => begin + tensor.data_offsets[1]),
  );
  return { tensors, begin, end };
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
