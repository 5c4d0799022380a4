/** Contact sheets of clusters: what is in each, nearest to its centroid first. */
import { readdir, rm } from "node:fs/promises";
import { join } from "node:path";
import { configError, dataError, ioError, systemReason } from "../addon/errors.js";
import { MAX_PIXELS } from "../config/parameters.js";
import { beside } from "../files/paths.js";
import { StagedFolder } from "../files/staged_folder.js";
import { type Tile, writeContactSheet } from "../imaging/contact_sheet.js";
import { loadOpenCV } from "../imaging/opencv.js";
import type { Assignments } from "./cluster_files.js";
import { type ImageRows, imageOf } from "./row_image.js";
import type { EmbeddingTable } from "./table.js";

/** How sheets are drawn. */
export interface ClusterSheetOptions {
  /** Images a sheet shows at the most; 100 unless given. */
  images?: number | undefined;
  /** Ends it soon; it then rejects with the signal's reason, and there are no sheets. */
  signal?: AbortSignal | undefined;
  /** Called before each sheet with the share that is done, from 0 to 1. */
  onProgress?: ((share: number) => void) | undefined;
}

/** What was drawn. */
export interface ClusterSheets {
  /** The folder of `overview.png` and `cluster-00.png`, …; empty clusters have no sheet. */
  path: string;
  /** Images on the sheets. */
  images: number;
  /** How many of them could not be read: their tiles are grey. */
  unreadable: number;
}

const SHEET_NAME = /^(overview|cluster-\d+)\.png$/;
/** Images of each cluster in the overview, and clusters that it shows. */
export const OVERVIEW = { images: 12, clusters: 50 };
/** Classes that the title names. */
const CLASSES_NAMED = 3;
/** Frames images that are not of their cluster's commonest class. */
const OTHER_CLASS = [240, 130, 20] as const;

/** The folder of the sheets that belong to the assignments `out`. */
export function sheetsFolder(out: string): string {
  return beside(out, ".sheets");
}

/** The first entry of the folder that is no sheet; null without one, or without a folder. */
async function foreignEntry(folder: string): Promise<string | null> {
  try {
    return (await readdir(folder)).find((name) => !SHEET_NAME.test(name)) ?? null;
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if (code === "ENOENT") return null;
    throw ioError(`${folder} cannot be read: ${systemReason(error)}`, error);
  }
}

/**
 * Whether the folder of the sheets may be replaced.
 *
 * @throws FlexaeError `FLEXAE_CONFIG` if it holds anything but sheets, `FLEXAE_IO` if it is no
 *   folder.
 */
export async function checkSheetsFolder(out: string): Promise<void> {
  const folder = sheetsFolder(out);
  const name = await foreignEntry(folder);
  if (name === null) return;
  throw configError(
    `${folder} is to hold contact sheets, but holds ${name}: choose another name for out, or leave the sheets out with --no-sheets`,
  );
}

/** Removes sheets of earlier assignments; a folder that holds anything else is left alone. */
export async function removeSheets(out: string): Promise<void> {
  const folder = sheetsFolder(out);
  if ((await foreignEntry(folder).catch(() => "")) !== null) return;
  await rm(folder, { recursive: true, force: true });
}

/** Rows that sheets show. */
export type ShownRows = ImageRows & Pick<EmbeddingTable, "path" | "classes">;

/** A cluster as its sheet shows it. Rows are those of a table that has all that are shown. */
export interface ShownCluster {
  /** Rows that it has, shown or not. */
  size: number;
  /** Those that a sheet may show, nearest to the centroid first. */
  nearest: readonly number[];
  /** A few from the nearest to the farthest. */
  spread: readonly number[];
  /** Classes with their shares of the rows that have one, commonest first. */
  shares: readonly (readonly [name: string, share: number])[];
}

/** Of rows that are sorted by distance, those at equal steps from the first to the last. */
export function spreadOf(rows: readonly number[], count: number = OVERVIEW.images): number[] {
  const some = Math.min(count, rows.length);
  return Array.from({ length: some }, (_, i) => {
    const at = some === 1 ? 0 : Math.round((i * (rows.length - 1)) / (some - 1));
    return rows[at] as number;
  });
}

/** Classes by their counts, as shares of all, commonest first; of equals, by name. */
export function sharesOf(counts: ReadonlyMap<string, number>): [name: string, share: number][] {
  const all = [...counts.values()].reduce((sum, count) => sum + count, 0);
  return [...counts]
    .map(([name, count]): [string, number] => [name, count / all])
    .sort(([one, a], [two, b]) => b - a || (one < two ? -1 : 1));
}

/** The rows of each cluster, nearest first; of rows equally near, the earlier one first. */
function shownClusters(
  { classes }: EmbeddingTable,
  { labels, distances }: Assignments,
  k: number,
): ShownCluster[] {
  const clusters = Array.from({ length: k }, (): number[] => []);
  for (const [row, label] of labels.entries()) clusters[label]?.push(row);
  return clusters.map((rows) => {
    rows.sort((a, b) => (distances[a] as number) - (distances[b] as number));
    const counts = new Map<string, number>();
    for (const row of rows) {
      const name = classes[row];
      if (name !== null && name !== undefined) counts.set(name, (counts.get(name) ?? 0) + 1);
    }
    return { size: rows.length, nearest: rows, spread: spreadOf(rows), shares: sharesOf(counts) };
  });
}

/** `7 96 %, 1 2 %`, and what a frame means. */
function classNote(shares: readonly (readonly [string, number])[]): string {
  const named = shares
    .slice(0, CLASSES_NAMED)
    .map(([name, share]) => [name, Math.round(100 * share)] as const)
    .filter(([, percent]) => percent > 0)
    .map(([name, percent]) => `${name} ${percent} %`);
  const framed = shares.length > 1 ? ` (framed: not ${shares[0]?.[0]})` : "";
  return named.join(", ") + framed;
}

/** A row's tile, framed if it is not of its cluster's commonest class. */
function tileOf(table: ShownRows, row: number, commonest: string | undefined): Tile {
  const ofClass = table.classes[row] ?? commonest;
  return {
    pictures: [imageOf(table, row)],
    caption: table.paths[row],
    border: ofClass === commonest ? undefined : OTHER_CLASS,
  };
}

/** A line a cluster: some of its images, from the nearest to its centroid to the farthest. */
async function writeOverview(
  path: string,
  table: ShownRows,
  clusters: readonly ShownCluster[],
  signal: AbortSignal | undefined,
): Promise<void> {
  const shown = clusters.filter(({ size }) => size > 0).slice(0, OVERVIEW.clusters);
  const tiles = shown.flatMap(({ spread, shares }): Tile[] =>
    Array.from({ length: OVERVIEW.images }, (_, i): Tile => {
      const row = spread[i];
      if (row === undefined) return { pictures: [] };
      return { ...tileOf(table, row, shares[0]?.[0]), caption: undefined };
    }),
  );
  const title = `${clusters.length} clusters`;
  const note = "a line each, from what is nearest to its centroid to what is farthest";
  const options = { columns: OVERVIEW.images, size: 64, maxPixels: MAX_PIXELS, signal };
  await writeContactSheet(path, { title, note, tiles }, options);
}

/** Images of each cluster that a sheet shows, unless it was said. */
export const SHEET_IMAGES = 100;

/**
 * Draws a contact sheet of each cluster, and an overview of all, into `STEM.sheets/` beside the assignments `out`. The folder
 * is whole or not there, and replaces an older one. Paths of images are relative to their set, and
 * both to the current folder.
 *
 * @param k - How many clusters there are.
 * @throws FlexaeError `FLEXAE_INTERNAL` with the remedy if opencv4nodejs does not load,
 *   `FLEXAE_DATA` if none of the images can be read, `FLEXAE_IO` if the sheets cannot be written.
 */
export async function writeClusterSheets(
  out: string,
  table: EmbeddingTable,
  assignments: Assignments,
  k: number,
  options: ClusterSheetOptions = {},
): Promise<ClusterSheets> {
  return await drawClusterSheets(out, table, shownClusters(table, assignments, k), options);
}

/** The same of clusters of which a table has those rows alone that are shown. */
export async function drawClusterSheets(
  out: string,
  table: ShownRows,
  clusters: readonly ShownCluster[],
  options: ClusterSheetOptions = {},
): Promise<ClusterSheets> {
  const { images: most = SHEET_IMAGES, signal, onProgress } = options;
  // Before anything is made.
  loadOpenCV();
  const folder = sheetsFolder(out);
  const k = clusters.length;
  const digits = Math.max(2, String(k - 1).length);
  const staged = await StagedFolder.create(folder);
  let [images, unreadable] = [0, 0];
  try {
    for (const [i, { size, nearest, shares }] of clusters.entries()) {
      signal?.throwIfAborted();
      if (size === 0) continue;
      onProgress?.(i / k);
      const commonest = shares[0]?.[0];
      const tiles = nearest.slice(0, most).map((row) => tileOf(table, row, commonest));
      const name = `cluster-${String(i).padStart(digits, "0")}.png`;
      const title = `cluster ${i}: ${size} ${size === 1 ? "image" : "images"}`;
      const bad = await writeContactSheet(
        join(staged.path, name),
        { title, note: classNote(shares), tiles },
        { maxPixels: MAX_PIXELS, signal },
      );
      images += tiles.length;
      unreadable += bad.length;
    }
    if (unreadable === images) {
      const first = clusters.find(({ size }) => size > 0)?.nearest[0] as number;
      throw dataError(
        `none of the images in ${table.path} can be read, such as ${imageOf(table, first).file}\nRun it in the folder to which the table's paths are relative, or leave the sheets out with --no-sheets.`,
      );
    }
    await writeOverview(join(staged.path, "overview.png"), table, clusters, signal);
    signal?.throwIfAborted();
    await staged.finish();
  } catch (error) {
    await staged.abandon();
    throw error;
  }
  return { path: folder, images, unreadable };
}
