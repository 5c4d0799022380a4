/** Whether an `.onnx` file computes what the native pass does. */
import { open } from "node:fs/promises";
import { basename } from "node:path";
import { ioError, isAddonError, systemReason } from "../addon/errors.js";
import { asFloats, type OutputDifference } from "../export/native_outputs.js";
import { RESIZED } from "../export/onnx_resize.js";
import { DATA_TYPES } from "../export/onnx_schema.js";
import type { Picture, Reference } from "../export/reference.js";
import { judge, verifyError } from "./judge.js";
import { type Evaluated, evaluate, TooManyMultiplications } from "./onnx_evaluate.js";
import { OnnxFile } from "./onnx_file.js";
import { floats, type Tensor } from "./tensor.js";

/** Of a graph that takes more multiplications, one image is enough: it takes seconds. */
const MOST_MULTIPLICATIONS = 4e9;

/** What the network takes of a graph that resizes. */
const LEVELS = `${RESIZED}.output`;

/** How far a graph is from the native pass. */
export interface OnnxDifference extends OutputDifference {
  /** How many images it was run on. */
  images: number;
}

/** What the graph takes of images: floats, bytes, or one picture of any size. */
function inputOf(
  file: OnnxFile,
  levels: Uint8Array,
  count: number,
  picture?: Picture | undefined,
): Tensor {
  if (picture !== undefined) {
    const { height, width, bytes } = picture;
    const shape = [1, height, width, bytes.length / (height * width)];
    return { type: "uint8", shape, data: bytes };
  }
  const { elemType, shape } = file.input.type.tensorType;
  const sizes = shape.dim.map((dim, axis) =>
    axis > 0 && "dimValue" in dim ? dim.dimValue : count,
  );
  const isBytes = elemType === DATA_TYPES.uint8;
  return isBytes ? { type: "uint8", shape: sizes, data: levels } : floats(sizes, asFloats(levels));
}

/** Runs a graph that resizes: what goes into the network may be a level beside ours. */
async function resizeAndRun(
  file: OnnxFile,
  name: string,
  picture: Picture,
  levels: Uint8Array,
  signal: AbortSignal | undefined,
): Promise<Evaluated> {
  const image = inputOf(file, levels, 1, picture);
  const first = await evaluate(file, image, { also: [LEVELS], signal });
  const found = first.tensors.get(LEVELS) as Tensor;
  let most = found.data.length === levels.length ? 0 : Number.NaN;
  for (let i = 0; i < levels.length; i++) {
    most = Math.max(most, Math.abs((found.data[i] as number) - (levels[i] as number)));
  }
  if (!(most <= 1)) {
    throw verifyError(name, `resizes otherwise than training does: by ${most} of 255 levels`);
  }
  if (most === 0) return first;
  const meant = new Map([[LEVELS, floats(found.shape, Float32Array.from(levels))]]);
  return await evaluate(file, image, { given: meant, signal });
}

/** The first images of a reference, and what is meant of them. */
function firstOf(reference: Reference, from: number, count: number): Reference {
  const { levels, embedding, reconstruction, pictures } = reference;
  const some = <T extends Float32Array | Uint8Array>(values: T): T => {
    const length = values.length / reference.count;
    return values.subarray(from * length, (from + count) * length) as T;
  };
  return {
    ...reference,
    count,
    levels: some(levels),
    pictures: pictures.slice(from, from + count),
    embedding: some(embedding),
    reconstruction: reconstruction === null ? null : some(reconstruction),
  };
}

/** How far what was computed of all images of a reference is from what is meant. */
function judgeAll(name: string, { tensors }: Evaluated, meant: Reference): OnnxDifference {
  const output = (of: string) => (tensors.get(of)?.data ?? null) as Float32Array | null;
  const found = {
    embedding: output("embedding") ?? new Float32Array(),
    reconstruction: output("reconstruction"),
  };
  return { ...judge(name, found, meant), images: meant.count };
}

/** All images at once: their number must be free. Of a large graph, the first one. */
async function runTogether(
  file: OnnxFile,
  name: string,
  reference: Reference,
  signal: AbortSignal | undefined,
): Promise<OnnxDifference> {
  const of = (some: Reference, most?: number) =>
    evaluate(file, inputOf(file, some.levels, some.count), { most, signal });
  try {
    const made = await of(reference, MOST_MULTIPLICATIONS * reference.count);
    return judgeAll(name, made, reference);
  } catch (error) {
    if (!(error instanceof TooManyMultiplications)) throw error;
    const first = firstOf(reference, 0, 1);
    return judgeAll(name, await of(first), first);
  }
}

async function run(
  file: OnnxFile,
  name: string,
  reference: Reference,
  signal: AbortSignal | undefined,
): Promise<OnnxDifference> {
  if (reference.pictures.length === 0) return await runTogether(file, name, reference, signal);
  // Pictures are of several sizes.
  const worst: OnnxDifference = { embedding: 0, reconstruction: 0, images: 0 };
  for (const [i, picture] of reference.pictures.entries()) {
    const meant = firstOf(reference, i, 1);
    const made = await resizeAndRun(file, name, picture, meant.levels, signal);
    const { embedding, reconstruction } = judgeAll(name, made, meant);
    worst.embedding = Math.max(worst.embedding, embedding);
    worst.reconstruction = Math.max(worst.reconstruction, reconstruction);
    worst.images++;
    if (made.multiplications > MOST_MULTIPLICATIONS) break;
  }
  return worst;
}

/**
 * Runs the graph of a file as it is on the disk, and compares.
 *
 * @param reference - Of an encoder, without a reconstruction.
 * @throws FlexaeError `FLEXAE_INTERNAL` naming the file if it computes something else, or cannot be
 *   computed, `FLEXAE_IO`.
 */
export async function verifyOnnx(
  path: string,
  reference: Reference,
  signal?: AbortSignal | undefined,
): Promise<OnnxDifference> {
  const name = basename(path);
  try {
    const handle = await open(path);
    try {
      return await run(await OnnxFile.read(handle), name, reference, signal);
    } finally {
      await handle.close();
    }
  } catch (error) {
    signal?.throwIfAborted();
    if (isAddonError(error)) throw error;
    if ((error as NodeJS.ErrnoException).syscall !== undefined) {
      throw ioError(`${path} cannot be read back: ${systemReason(error)}`, error);
    }
    throw verifyError(name, `cannot be computed: ${(error as Error).message}`, error);
  }
}
