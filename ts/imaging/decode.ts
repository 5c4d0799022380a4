/** Image files as pixels, no larger than they are shown. */
import { loadAddon } from "../addon/loader.js";
import type { LoadOptions } from "../addon/types.js";
import { mountContainers } from "../containers/mount.js";
import { type Shape, sizeWithin } from "./mat.js";

/** Pixels of one image, channels first, row by row, 0…255. */
export interface Pixels {
  pixels: Uint8Array;
  shape: Shape;
}

/** An image file. */
export interface ImageFile {
  file: string;
  /** In pixels, after turning by EXIF orientation. A file of unknown size is decoded once more. */
  size?: { width: number; height: number } | undefined;
}

/** How files are decoded. */
export interface DecodeOptions {
  /** Larger images are reduced until their longer side has so many pixels. */
  side: number;
  /** Images whose files claim more pixels cannot be read. */
  maxPixels: number;
  /** Ends it soon; it then rejects with the signal's reason. */
  signal?: AbortSignal | undefined;
}

/** So many batches are under way at once. */
const AT_ONCE = 8;
/** Small files are decoded by so many: a call takes as long as one of them. */
const BATCH = 64;
/** Pixels of a small file. */
const SMALL = 1 << 16;
/** So many files are examined between two looks at the signal; the addon does them side by side. */
const EXAMINED_AT_ONCE = 64;

type Size = NonNullable<ImageFile["size"]>;

async function sizesOf(
  files: readonly ImageFile[],
  load: LoadOptions,
  signal: AbortSignal | undefined,
): Promise<(Size | null)[]> {
  const sizes: (Size | null)[] = files.map(({ size }) => size ?? null);
  const unknown = [...files.keys()].filter((i) => sizes[i] === null);
  for (let from = 0; from < unknown.length; from += EXAMINED_AT_ONCE) {
    signal?.throwIfAborted();
    const some = unknown.slice(from, from + EXAMINED_AT_ONCE);
    const { reasons, widths, heights } = await loadAddon().examineImages(
      some.map((i) => (files[i] as ImageFile).file),
      { channels: 3 },
      load,
    );
    for (const [at, i] of some.entries()) {
      if (reasons[at] !== null) continue;
      sizes[i] = { width: widths[at] as number, height: heights[at] as number };
    }
  }
  return sizes;
}

/** Files that become pictures of one size, by few where they are large. */
function batchesOf(
  sizes: readonly (Size | null)[],
  side: number,
): { some: number[]; shape: Shape }[] {
  const batches: { some: number[]; shape: Shape }[] = [];
  const open = new Map<string, number[]>();
  for (const [i, size] of sizes.entries()) {
    if (size === null) continue;
    const { width, height } = size;
    const isLarge = Math.max(width, height) > side;
    const shape = { channels: 3, ...(isLarge ? sizeWithin(width, height, side) : size) };
    const key = `${shape.width}×${shape.height}`;
    let some = width * height > SMALL ? undefined : open.get(key);
    if (some === undefined || some.length === BATCH) {
      some = [];
      batches.push({ some, shape });
      if (width * height <= SMALL) open.set(key, some);
    }
    some.push(i);
  }
  return batches;
}

/**
 * Decodes files in colour, each with its own width and height up to `side`.
 *
 * @returns Of each file its pixels; null if it cannot be read.
 */
export async function decodeWithin(
  files: readonly ImageFile[],
  { side, maxPixels, signal }: DecodeOptions,
): Promise<(Pixels | null)[]> {
  const load: LoadOptions = { interpolation: "area", workers: 0, cache: "none", maxPixels };
  await mountContainers(files.map(({ file }) => file));
  const sizes = await sizesOf(files, load, signal);
  const decoded: (Pixels | null)[] = files.map(() => null);
  const decode = async (some: readonly number[], shape: Shape) => {
    try {
      const names = some.map((i) => (files[i] as ImageFile).file);
      const pixels = await loadAddon().decodeImages(names, shape, { ...load, workers: 1 });
      const length = pixels.length / some.length;
      for (const [at, i] of some.entries()) {
        decoded[i] = { pixels: pixels.subarray(at * length, (at + 1) * length), shape };
      }
    } catch {
      // It is gone, or was never looked at: null says so. Of several the others may be well.
      if (some.length > 1) for (const i of some) await decode([i], shape);
    }
  };
  const waiting = batchesOf(sizes, side).values();
  // Several take from one row of batches, so that a large file holds up none but its own.
  const work = async () => {
    for (const { some, shape } of waiting) {
      signal?.throwIfAborted();
      await decode(some, shape);
    }
  };
  await Promise.all(Array.from({ length: AT_ONCE }, work));
  return decoded;
}
