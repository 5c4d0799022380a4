/** Rows of a table that is gone on with: which stay, and which images are to be embedded anew. */
import { configError } from "../addon/errors.js";
import { awaitAddon } from "../addon/loader.js";
import { type EmbeddingRows, sliceRows, type TableOrigin } from "./table.js";

/** What must be the same of all rows of a table. */
const SAME = ["modelSha256", "dims", "precision", "normalize", "loss", "sha256"] as const;

/** By which an image is told; no path holds a NUL. */
export const keyOf = (set: string | null, path: string): string => `${set ?? ""}\0${path}`;

/** An image as it is found now. */
export interface FoundImage {
  set: string;
  path: string;
  file: string;
}

/** What a row says of its image. */
export interface KeptRow {
  /** The file that holds the row. */
  part: string;
  /** Length of the image's file. */
  bytes: number;
  /** When the row was written, in milliseconds since 1970. */
  written: number;
}

/** @throws FlexaeError `FLEXAE_CONFIG` unless rows of both kinds can stand in one table. */
export function checkSameOrigin(
  path: string,
  theirs: TableOrigin | null,
  origin: TableOrigin,
): void {
  const differs = SAME.find((key) => theirs?.[key] !== origin[key]);
  if (theirs !== null && differs === undefined) return;
  const how =
    theirs === null ? "not written by this program" : `made otherwise (${differs as string})`;
  throw configError(`${path} was ${how}: name another table`);
}

/**
 * Which images have no row yet, as positions among those given. With `changed`, those too whose file
 * has another length, or was written after its row was: their rows are stale.
 */
export async function findMissing(
  images: readonly FoundImage[],
  kept: ReadonlyMap<string, KeptRow>,
  changed: boolean,
): Promise<{ missing: number[]; stale: Map<string, KeptRow> }> {
  const missing: number[] = [];
  const stale = new Map<string, KeptRow>();
  const none = { bytes: [], changed: [] };
  const stamps = changed
    ? await awaitAddon((addon) => addon.stampImages(images.map(({ file }) => file)))
    : none;
  for (const [i, { set, path }] of images.entries()) {
    const key = keyOf(set, path);
    const row = kept.get(key);
    if (row !== undefined && changed) {
      const bytes = stamps.bytes[i] as number;
      const written = stamps.changed[i] as number;
      if (bytes >= 0 && (bytes !== row.bytes || written > row.written)) {
        stale.set(key, row);
        missing.push(i);
      }
      continue;
    }
    if (row === undefined) missing.push(i);
  }
  return { missing, stale };
}

/** Those rows that are of none of the images, in stretches. */
export function* rowsWithout(
  rows: EmbeddingRows,
  dims: number,
  keys: { has(key: string): boolean },
): Generator<EmbeddingRows> {
  const goes = (i: number) => keys.has(keyOf(rows.sets[i] ?? null, rows.paths[i] as string));
  const count = rows.paths.length;
  for (let from = 0; from < count; ) {
    let to = from;
    while (to < count && !goes(to)) to++;
    if (to > from) yield sliceRows(rows, dims, from, to);
    from = to + 1;
  }
}
