/** What is to be explored: images, their places in a map, and all that is known of them. */
import { stat } from "node:fs/promises";
import { basename, resolve } from "node:path";
import { configError, dataError, translateError } from "../addon/errors.js";
import { callAddon } from "../addon/loader.js";
import { MAX_PIXELS } from "../config/parameters.js";
import { finishJob } from "../embeddings/job.js";
import { map } from "../embeddings/map.js";
import { type NamedColumn, readColumns, rowsOfSameImages } from "../embeddings/other_columns.js";
import { readTable } from "../embeddings/read_table.js";
import { EMBEDDING_NAMES } from "../embeddings/row_facts.js";
import { imageOf } from "../embeddings/row_image.js";
import { isRun, tableOf } from "../embeddings/run_table.js";
import type { EmbeddingTable } from "../embeddings/table.js";
import { unicodePath } from "../files/paths.js";
import type { ImageFile } from "../imaging/decode.js";
import { loadOpenCV } from "../imaging/opencv.js";
import { findRun } from "../runs/folder.js";
import { packColumns } from "./columns.js";
import { curveOrder } from "./curve_order.js";
import { Packer } from "./pack.js";
import type { NeighboursBy, WireHeader } from "./wire.js";

/** What is explored, and how. */
export interface ExploreOptions {
  /**
   * A table with the same images and their places in a map, such as `flexae map` writes. Unless
   * given, the map is made here: none for embeddings of one or two numbers, which are places.
   */
  map?: string | undefined;
  /** How the map is made; `umap` unless given, and of fewer than 16 images `pca`. */
  method?: "umap" | "pca" | undefined;
  /** Of the map; 0 unless given. */
  seed?: number | undefined;
  /**
   * Tables whose columns are shown too, such as `flexae cluster` and `flexae outliers` write: `.csv`,
   * `.parquet` or `.jsonl` with a column of paths.
   */
  columns?: readonly string[] | undefined;
  /** `false`: without thumbnails. */
  thumbnails?: boolean | undefined;
  /**
   * Pixels of a thumbnail's longer side, 8 to 255. Unless given, 64 for up to 5,000 images and
   * through a server, 48 for up to 20,000, else 32.
   */
  thumbnailSize?: number | undefined;
  /** Where paths of images begin that are not absolute; the current folder unless given. */
  imageDir?: string | undefined;
  /** Images of more pixels have no thumbnail; 268435456 unless given. */
  maxPixels?: number | undefined;
  /** Ends it soon; it then rejects with the signal's reason. */
  signal?: AbortSignal | undefined;
  /** Called now and then with what is done at the moment, and the share of it, from 0 to 1. */
  onProgress?: ((step: string, share: number) => void) | undefined;
}

/** What was found, ready to be packed. */
export interface Exploration {
  table: EmbeddingTable;
  /** The file of each row. */
  fileOf: (row: number) => ImageFile;
  /** Rows in the order in which they follow each other on sheets. */
  sheetOrder: Uint32Array;
  header: WireHeader;
  packer: Packer;
  /** Images of more pixels cannot be read. */
  maxPixels: number;
  /** What could not be had, and why. */
  problems: string[];
}

/** Pixels of a thumbnail's longer side, at least and at most. */
export const THUMBNAIL_SIZES = [8, 255] as const;
/** Neighbours that a page shows of an image. */
const NEIGHBOURS = 12;
/** Rows from which on a map can be made by UMAP. */
const LEAST_UMAP_ROWS = 16;
/** Pixels a side of a sheet, at most. */
const SHEET_SIDE = 1024;
/** Squares of a sheet, at most: one that is fetched for a few pictures brings no thousands. */
const MOST_PER_SHEET = 256;

interface Places {
  x: Float32Array;
  y: Float32Array;
  how: string;
}

/** Coordinates from -1 to 1, alike in both directions. */
function normalize(places: Float32Array, dims: number, how: string): Places {
  const rows = places.length / dims;
  const at = (row: number, axis: number) =>
    axis < dims ? (places[row * dims + axis] as number) : 0;
  const [low, high] = [
    [Infinity, Infinity],
    [-Infinity, -Infinity],
  ] as [[number, number], [number, number]];
  for (let row = 0; row < rows; row++) {
    for (const axis of [0, 1] as const) {
      low[axis] = Math.min(low[axis], at(row, axis));
      high[axis] = Math.max(high[axis], at(row, axis));
    }
  }
  // All in one place lie in the middle.
  const scale = Math.max(high[0] - low[0], high[1] - low[1]) / 2 || 1;
  const axis = (a: 0 | 1) => {
    const middle = (low[a] + high[a]) / 2;
    return Float32Array.from({ length: rows }, (_, row) => (at(row, a) - middle) / scale);
  };
  return { x: axis(0), y: axis(1), how };
}

/** Places by a table that has them; its rows may stand in another order. */
async function placesIn(file: string, table: EmbeddingTable): Promise<Places> {
  const given = await readTable(file);
  if (given.dims > 2) {
    throw configError(
      `${file} has ${given.dims} numbers an image, and a map that can be seen has 2: make it with \`flexae map --dims 2\``,
    );
  }
  const named = [
    { name: "path", values: given.paths },
    { name: "set", values: given.sets },
  ];
  const { rows } = rowsOfSameImages(table, file, named);
  const missing = rows.indexOf(-1);
  if (missing >= 0) {
    throw dataError(
      `${file} has no place for ${table.paths[missing]}: make the map of ${table.path} itself`,
    );
  }
  const { dims, embeddings } = given;
  const places = new Float32Array(rows.length * dims);
  for (const [i, row] of rows.entries()) {
    places.set(embeddings.subarray(row * dims, (row + 1) * dims), i * dims);
  }
  return normalize(places, dims, `placed by ${basename(file)}`);
}

async function placesOf(table: EmbeddingTable, options: ExploreOptions): Promise<Places> {
  if (options.map !== undefined) return await placesIn(options.map, table);
  const { dims, embeddings, paths, origin } = table;
  if (dims <= 2) {
    const method = origin?.map?.method;
    const how = method === undefined ? "placed by the table's two numbers" : `placed by ${method}`;
    return normalize(embeddings, dims, how);
  }
  if (paths.length === 1) return normalize(new Float32Array(2), 2, "alone in its map");
  const { seed, signal, onProgress } = options;
  const method = options.method ?? (paths.length < LEAST_UMAP_ROWS ? "pca" : "umap");
  const made = await map(table, {
    method,
    seed,
    signal,
    onProgress: (share) => onProgress?.("mapping", share),
  });
  const name = method === "umap" ? "UMAP" : "principal components";
  return normalize(made.table.embeddings, made.table.dims, `placed by ${name}`);
}

/** What a table itself says of its images. */
function factsOf(table: EmbeddingTable): string[] {
  const { losses, widths, heights, bytes, sha256 } = table;
  const facts = { loss: losses, width: widths, height: heights, bytes, sha256 };
  return ["set", "class", ...Object.entries(facts).flatMap(([name, all]) => (all ? [name] : []))];
}

/** Columns of the file that a table was read from; of `.npy` files, of the one beside it. */
async function ownColumns(table: EmbeddingTable): Promise<NamedColumn[]> {
  const { path, paths } = table;
  const isArray = /\.npy$/i.test(path);
  const file = isArray ? path.replace(/\.npy$/i, ".csv") : path;
  if (isArray && (await stat(file).catch(() => null)) === null) return [];
  // A column that lacks a value somewhere is none to a table, and is one here.
  const found = await readColumns(file, [...EMBEDDING_NAMES, "path", ...factsOf(table)]);
  return found.filter(({ values }) => !values.every((value, row) => value === paths[row]));
}

/** Columns of the table itself that it gives no meaning, and those of other files. */
async function otherColumns(
  table: EmbeddingTable,
  isFile: boolean,
  files: readonly string[],
): Promise<NamedColumn[]> {
  const found = isFile ? await ownColumns(table) : [];
  const hasClasses = table.classes.some((value) => value !== null);
  const hasSets = table.sets.some((value) => value !== null);
  const names = new Set([...factsOf(table), ...found.map(({ name }) => name)]);
  if (!hasClasses) names.delete("class");
  if (!hasSets) names.delete("set");
  for (const file of files) {
    const columns = await readColumns(file);
    const { rows, by } = rowsOfSameImages(table, file, columns);
    for (const { name, values } of columns) {
      // Other commands repeat the class that the table has.
      if (by.includes(name) || (name === "class" && hasClasses)) continue;
      let own = name;
      for (let n = 1; names.has(own); n++) {
        own = `${name} (${basename(file)}${n === 1 ? "" : `, ${n}`})`;
      }
      names.add(own);
      found.push({
        name: own,
        values: Array.from(rows, (row) => (row < 0 ? null : (values[row] ?? null))),
      });
    }
  }
  return found;
}

function usualSize(rows: number, isServed: boolean): number {
  if (isServed || rows <= 5000) return 64;
  return rows <= 20_000 ? 48 : 32;
}

function checkOptions({ thumbnailSize, thumbnails = true, map, method }: ExploreOptions): void {
  const [least, most] = THUMBNAIL_SIZES;
  if (thumbnailSize !== undefined) {
    if (!Number.isInteger(thumbnailSize) || thumbnailSize < least || thumbnailSize > most) {
      throw configError(
        `Expected ${least} to ${most} for thumbnailSize but received ${thumbnailSize}`,
      );
    }
    if (!thumbnails) {
      throw configError("thumbnailSize means nothing without thumbnails: leave one of them out");
    }
  }
  if (map !== undefined && method !== undefined) {
    throw configError("method means nothing to a map that is given: leave one of them out");
  }
}

/**
 * The neighbours of each image, in one array.
 *
 * @returns Rows, `count` of each image, the nearest first.
 */
async function allNeighbours(
  { embeddings, dims }: EmbeddingTable,
  count: number,
  { signal, onProgress, seed = 0 }: ExploreOptions,
): Promise<Uint32Array> {
  const request = { k: count, metric: "euclidean", search: "auto", seed } as const;
  const { indices } = await finishJob(
    callAddon((addon) => addon.nearestNeighbours(embeddings, dims, request)),
    signal,
    (share) => onProgress?.("finding neighbours", share),
  );
  return Uint32Array.from(indices);
}

/** Why there are no pictures; null if there can be. */
function reasonAgainstPictures(): string | null {
  try {
    loadOpenCV();
    return null;
  } catch (error) {
    return `The thumbnails could not be made: ${translateError(error).message}`;
  }
}

/**
 * Reads a table or a run, and finds all that a page shows of it.
 *
 * @param isServed - Whether a server will be there to be asked for sheets, images and neighbours.
 * @throws FlexaeError as `readTable`, `embed` and `map` do, and `FLEXAE_DATA` if another table does
 *   not fit. Rejects with the reason of an aborted signal.
 */
export async function prepare(
  name: string,
  options: ExploreOptions,
  isServed: boolean,
): Promise<Exploration> {
  checkOptions(options);
  const { signal, onProgress, imageDir = ".", maxPixels = MAX_PIXELS } = options;
  const wanted = options.thumbnails !== false || isServed;
  const problem = wanted ? reasonAgainstPictures() : null;
  const thumbnails = options.thumbnails !== false && problem === null;
  const ofRun = await isRun(name);
  const table = await tableOf(name, {
    loss: ofRun,
    maxPixels,
    signal,
    onProgress: (done, total) => onProgress?.("embedding", done / total),
  });
  const others = await otherColumns(table, !ofRun, options.columns ?? []);
  signal?.throwIfAborted();
  const { x, y, how } = await placesOf(table, options);
  const rows = table.paths.length;
  const count = Math.min(NEIGHBOURS, rows - 1);
  const by: NeighboursBy = table.dims > 2 ? "embedding" : "map";
  const packer = new Packer();
  // What is needed first lies first.
  const header: WireHeader = {
    title: ofRun ? basename(await findRun(name)) : basename(unicodePath(resolve(table.path))),
    note: `${table.dims} numbers an image, ${how}.`,
    rows,
    x: packer.add(x),
    y: packer.add(y),
    columns: packColumns(packer, table, others),
    paths: packer.addTexts(table.paths),
    neighbours: { by, count, rows: null },
    thumbnails: null,
    hasImages: isServed && problem === null,
  };
  if (!isServed && count > 0) {
    header.neighbours.rows = packer.add(await allNeighbours(table, count, options));
  }
  const squares = curveOrder(x, y);
  const sheetOrder = new Uint32Array(rows);
  for (const [row, square] of squares.entries()) sheetOrder[square] = row;
  if (thumbnails) {
    const side = options.thumbnailSize ?? usualSize(rows, isServed);
    const columns = Math.max(1, Math.min(Math.sqrt(MOST_PER_SHEET), Math.floor(SHEET_SIDE / side)));
    const perSheet = columns * columns;
    header.thumbnails = {
      side,
      columns,
      perSheet,
      sheets: Math.ceil(rows / perSheet),
      squares: packer.add(squares),
    };
  }
  const fileOf = (row: number): ImageFile => {
    const { file, size } = imageOf(table, row);
    return { file: resolve(imageDir, file), size };
  };
  const problems = problem === null ? [] : [problem];
  return { table, fileOf, sheetOrder, header, packer, maxPixels, problems };
}
