/** Image files as pixels, no larger than they are shown. */
import { loadAddon } from "../addon/loader.js";
import type { LoadOptions } from "../addon/types.js";
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

/** So many files are under way at once. */
const AT_ONCE = 8;
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
  const sizes = await sizesOf(files, load, signal);
  const decoded: (Pixels | null)[] = files.map(() => null);
  const decode = async (i: number) => {
    const size = sizes[i] as Size | null;
    if (size === null) return;
    const { width, height } = size;
    const large = Math.max(width, height) > side;
    const shape = { channels: 3, ...(large ? sizeWithin(width, height, side) : size) };
    const { file } = files[i] as ImageFile;
    try {
      const pixels = await loadAddon().decodeImages([file], shape, { ...load, workers: 1 });
      decoded[i] = { pixels, shape };
    } catch {
      // It is gone, or was never looked at: null says so.
    }
  };
  const waiting = files.keys();
  // Several take from one row of indices, so that a large file holds up none but its own.
  const work = async () => {
    for (const i of waiting) {
      signal?.throwIfAborted();
      await decode(i);
    }
  };
  await Promise.all(Array.from({ length: AT_ONCE }, work));
  return decoded;
}
