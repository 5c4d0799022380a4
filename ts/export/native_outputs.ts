/** What the native fp32 pass makes of a few images. */
import { awaitAddon } from "../addon/loader.js";
import type { ModelHandle } from "../addon/types.js";

/** Outputs for N images. */
export interface NativeOutputs {
  /** N embeddings, one after the other. */
  embedding: Float32Array;
  /** N×C×H×W, in [0, 1]; of an encoder alone, null. */
  reconstruction: Float32Array | null;
}

/**
 * Images of squares, from 1 pixel to 16, each of one value drawn at random: fine and coarse, dark
 * and light. The same ones each time: N×C×H×W levels, whole numbers from 0 to 255.
 */
export function syntheticLevels(
  count: number,
  [channels, height, width]: readonly [number, number, number],
): Uint8Array {
  const levels = new Uint8Array(count * channels * height * width);
  let at = 0;
  for (let image = 0; image < count; image++) {
    const side = 1 << (image % 5);
    for (let channel = 0; channel < channels; channel++) {
      for (let y = 0; y < height; y++) {
        for (let x = 0; x < width; x++) {
          const square = (Math.floor(y / side) * 4099 + Math.floor(x / side)) * 31 + channel;
          // Knuth's multiplicative hash.
          levels[at++] = Math.imul(square * 17 + image, 0x9e3779b1) >>> 24;
        }
      }
    }
  }
  return levels;
}

/** Levels as a model takes them: floats in [0, 1]. */
export function asFloats(levels: Uint8Array): Float32Array {
  const floats = new Float32Array(levels.length);
  for (let i = 0; i < levels.length; i++) floats[i] = (levels[i] as number) / 255;
  return floats;
}

/** How far outputs are from those of the native pass. */
export interface OutputDifference {
  /** The largest difference of an embedding's number, divided by the largest of those numbers. */
  embedding: number;
  /** The largest difference of a reconstructed pixel, which is from 0 to 1. */
  reconstruction: number;
}

/** The largest difference of two numbers; NaN if that cannot be told. */
export function largestDifference(a: Float32Array, b: Float32Array): number {
  if (a.length !== b.length) return Number.NaN;
  let most = 0;
  for (let i = 0; i < a.length; i++) {
    // Of infinities and what is no number, too.
    if (Object.is(a[i], b[i])) continue;
    const difference = Math.abs((a[i] as number) - (b[i] as number));
    if (Number.isNaN(difference)) return difference;
    most = Math.max(most, difference);
  }
  return most;
}

/**
 * How far outputs are from those meant. Where no reconstruction is meant, none is looked at. NaN
 * where one is missing, sizes differ, or one is no number and the other is.
 */
export function outputDifference(found: NativeOutputs, meant: NativeOutputs): OutputDifference {
  const largest = meant.embedding.reduce((most, value) => Math.max(most, Math.abs(value)), 0);
  const difference = largestDifference(found.embedding, meant.embedding);
  const [restored, images] = [found.reconstruction, meant.reconstruction];
  return {
    // Of infinities, and where all are 0, there is no share.
    embedding: largest > 0 && difference > 0 ? difference / largest : difference,
    reconstruction:
      images === null ? 0 : restored === null ? Number.NaN : largestDifference(restored, images),
  };
}

/**
 * Loads an `ae.pt` or `en.pt` to be run in fp32 on the CPU, and frees it.
 *
 * @throws FlexaeError `FLEXAE_MODEL` if it is none of this program, `FLEXAE_IO`; what `use` throws.
 */
export async function withModel<T>(
  path: string,
  use: (model: ModelHandle) => Promise<T>,
): Promise<T> {
  const model = await awaitAddon((addon) =>
    addon.loadModel(path, "cpu", { trust: false, precision: "fp32", brief: true }),
  );
  try {
    return await use(model);
  } finally {
    model.dispose();
  }
}

/**
 * Runs a model on images, one after the other: several at once take more memory.
 *
 * @param images - N×C×H×W: levels from 0 to 255, or floats in [0, 1].
 */
export async function outputsOf(
  model: ModelHandle,
  images: Uint8Array | Float32Array,
): Promise<NativeOutputs> {
  const size = model.inputShape.reduce((a, b) => a * b, 1);
  const dims = model.embeddingShape.reduce((a, b) => a * b, 1);
  const isWhole = model.kind === "autoencoder";
  const embedding = new Float32Array((images.length / size) * dims);
  const reconstruction = isWhole ? new Float32Array(images.length) : null;
  for (let from = 0; from < images.length; from += size) {
    const next = images.subarray(from, from + size);
    const image = next instanceof Uint8Array ? asFloats(next) : next;
    embedding.set(await model.encode(image), (from / size) * dims);
    reconstruction?.set(await model.reconstruct(image), from);
  }
  return { embedding, reconstruction };
}

/** Both: {@link outputsOf} {@link withModel}. */
export async function nativeOutputs(path: string, levels: Uint8Array): Promise<NativeOutputs> {
  return await withModel(path, (model) => outputsOf(model, levels));
}
