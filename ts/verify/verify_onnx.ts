/** Whether an `.onnx` file computes what the native pass does. */
import { open } from "node:fs/promises";
import { basename } from "node:path";
import { ioError, isAddonError, systemReason } from "../addon/errors.js";
import { asFloats, type OutputDifference } from "../export/native_outputs.js";
import { RESIZED } from "../export/onnx_resize.js";
import { DATA_TYPES } from "../export/onnx_schema.js";
import type { Picture, Reference } from "../export/reference.js";
import { judge, verifyError } from "./judge.js";
import { type Evaluated, evaluate } from "./onnx_evaluate.js";
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

/** The i-th of N parts of an array. */
function part<T extends Float32Array | Uint8Array>(values: T, i: number, count: number): T {
  const length = values.length / count;
  return values.subarray(i * length, (i + 1) * length) as T;
}

/** What the graph takes of an image: floats, bytes, or a picture of any size. */
function inputOf(file: OnnxFile, levels: Uint8Array, picture: Picture | undefined): Tensor {
  if (picture !== undefined) {
    const { height, width, bytes } = picture;
    const shape = [1, height, width, bytes.length / (height * width)];
    return { type: "uint8", shape, data: bytes };
  }
  const { elemType, shape } = file.input.type.tensorType;
  const sizes = shape.dim.map((dim, axis) => (axis > 0 && "dimValue" in dim ? dim.dimValue : 1));
  const isBytes = elemType === DATA_TYPES.uint8;
  return isBytes ? { type: "uint8", shape: sizes, data: levels } : floats(sizes, asFloats(levels));
}

/** Runs a graph that resizes: what goes into the network may be a level beside ours. */
async function resizeAndRun(
  file: OnnxFile,
  name: string,
  picture: Picture,
  levels: Uint8Array,
): Promise<Evaluated> {
  const image = inputOf(file, levels, picture);
  const first = await evaluate(file, image, { also: [LEVELS] });
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
  return await evaluate(file, image, { given: meant });
}

async function run(file: OnnxFile, name: string, reference: Reference): Promise<OnnxDifference> {
  const worst: OnnxDifference = { embedding: 0, reconstruction: 0, images: 0 };
  const { count } = reference;
  for (let i = 0; i < count; i++) {
    const levels = part(reference.levels, i, count);
    const picture = reference.pictures[i];
    const { tensors, multiplications } =
      picture === undefined
        ? await evaluate(file, inputOf(file, levels, undefined))
        : await resizeAndRun(file, name, picture, levels);
    const output = (of: string) => (tensors.get(of)?.data ?? null) as Float32Array | null;
    const { embedding, reconstruction } = judge(
      name,
      {
        embedding: output("embedding") ?? new Float32Array(),
        reconstruction: output("reconstruction"),
      },
      {
        tolerance: reference.tolerance,
        embedding: part(reference.embedding, i, count),
        reconstruction:
          reference.reconstruction === null ? null : part(reference.reconstruction, i, count),
      },
    );
    worst.embedding = Math.max(worst.embedding, embedding);
    worst.reconstruction = Math.max(worst.reconstruction, reconstruction);
    worst.images++;
    if (multiplications > MOST_MULTIPLICATIONS) break;
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
export async function verifyOnnx(path: string, reference: Reference): Promise<OnnxDifference> {
  const name = basename(path);
  try {
    const handle = await open(path);
    try {
      return await run(await OnnxFile.read(handle), name, reference);
    } finally {
      await handle.close();
    }
  } catch (error) {
    if (isAddonError(error)) throw error;
    if ((error as NodeJS.ErrnoException).syscall !== undefined) {
      throw ioError(`${path} cannot be read back: ${systemReason(error)}`, error);
    }
    throw verifyError(name, `cannot be computed: ${(error as Error).message}`, error);
  }
}
