/** Numbers about embeddings and reconstructions, for the eye and for the rules. */
import type { OutputStatistics } from "./verdict.js";

/** Bars of a histogram. */
const BINS = 24;
/** Dimensions shown: more than that nobody looks at. */
export const MOST_SHOWN = 64;

/** A dimension of the embedding over a sample. */
export interface Dimension {
  /** From 0, as in tables of embeddings. */
  index: number;
  mean: number;
  deviation: number;
  least: number;
  greatest: number;
  /** Counts of `BINS` equal parts from the least to the greatest. */
  counts: number[];
}

function dimensionOf(rows: Float32Array, dims: number, index: number): Dimension {
  const n = rows.length / dims;
  const value = (row: number) => rows[row * dims + index] as number;
  let [sum, least, greatest] = [0, Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY];
  for (let row = 0; row < n; row++) {
    sum += value(row);
    least = Math.min(least, value(row));
    greatest = Math.max(greatest, value(row));
  }
  const mean = sum / n;
  let squares = 0;
  const counts = Array<number>(BINS).fill(0);
  const width = (greatest - least) / BINS;
  for (let row = 0; row < n; row++) {
    squares += (value(row) - mean) ** 2;
    const bin = width > 0 ? Math.min(BINS - 1, Math.floor((value(row) - least) / width)) : 0;
    counts[bin] = (counts[bin] as number) + 1;
  }
  return { index, mean, deviation: Math.sqrt(squares / n), least, greatest, counts };
}

/** Each dimension of N × `dims` embeddings, N at least 1. */
export function dimensionsOf(rows: Float32Array, dims: number): Dimension[] {
  return Array.from({ length: dims }, (_, index) => dimensionOf(rows, dims, index));
}

/** The most varied of all, at most {@link MOST_SHOWN}, in their order. */
export function shownDimensions(all: readonly Dimension[]): Dimension[] {
  const chosen = [...all].sort((a, b) => b.deviation - a.deviation).slice(0, MOST_SHOWN);
  return chosen.sort((a, b) => a.index - b.index);
}

/** Pearson's correlations of dimensions, a row each; 0 for one that does not vary. */
export function correlationsOf(
  rows: Float32Array,
  dims: number,
  of: readonly Dimension[],
): Float64Array {
  const n = rows.length / dims;
  const result = new Float64Array(of.length * of.length);
  for (const [i, a] of of.entries()) {
    for (const [j, b] of of.entries()) {
      if (j < i) continue;
      let sum = 0;
      for (let row = 0; row < n; row++) {
        sum +=
          ((rows[row * dims + a.index] as number) - a.mean) *
          ((rows[row * dims + b.index] as number) - b.mean);
      }
      const scale = n * a.deviation * b.deviation;
      const correlation = scale > 0 ? sum / scale : 0;
      result[i * of.length + j] = correlation;
      result[j * of.length + i] = correlation;
    }
  }
  return result;
}

/** Nearer to black or white than a byte tells. */
const EDGE = 1 / 510;
/** An error that is seen. */
const MISS = 0.1;

/** The mean over pixels of their standard deviation between images. */
function spreadOf(images: readonly ArrayLike<number>[], scale: number): number {
  const size = images[0]?.length ?? 0;
  let total = 0;
  const n = images.length;
  for (let i = 0; i < size; i++) {
    let sum = 0;
    for (const image of images) sum += image[i] as number;
    const mean = sum / n;
    // From the mean, not from the sum of squares: the same value n times must give 0.
    let squares = 0;
    for (const image of images) squares += ((image[i] as number) - mean) ** 2;
    total += Math.sqrt(squares / n) / scale;
  }
  return total / size;
}

/**
 * What reconstructions are like.
 *
 * @param originals - Bytes of each image.
 * @param outputs - Of each its reconstruction, 0…1.
 * @returns Null of fewer than two images.
 */
export function outputStatistics(
  originals: readonly Uint8Array[],
  outputs: readonly Float32Array[],
): OutputStatistics | null {
  if (originals.length < 2) return null;
  let [saturated, pixels] = [0, 0];
  for (const [n, output] of outputs.entries()) {
    const original = originals[n] as Uint8Array;
    // A plain loop, as millions of pixels go through it.
    for (let i = 0; i < output.length; i++) {
      const value = output[i] as number;
      const isAtEdge = value < EDGE || value > 1 - EDGE;
      if (isAtEdge && Math.abs(value - (original[i] as number) / 255) > MISS) saturated++;
    }
    pixels += output.length;
  }
  return {
    images: originals.length,
    saturated: saturated / pixels,
    originalSpread: spreadOf(originals, 255),
    outputSpread: spreadOf(outputs, 1),
  };
}
