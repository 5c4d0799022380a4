/** Which images of a table are like given ones. */
import { relative, resolve, sep } from "node:path";
import { configError } from "../addon/errors.js";
import { callAddon } from "../addon/loader.js";
import type { Metric } from "../addon/types.js";
import { unicodePath } from "../files/paths.js";
import { distanceBetween } from "./distance.js";
import { type EncodeOptions, encodeFiles } from "./encode_files.js";
import { finishJob } from "./job.js";
import { hasIndex, openIndex } from "./search_index.js";
import type { EmbeddingTable } from "./table.js";
import { isTablePattern } from "./table_files.js";

/** What is looked for, and how. */
export interface SimilarOptions extends EncodeOptions {
  /** How many images are found for each; 20 unless given. */
  n?: number | undefined;
  /** How embeddings are compared; `euclidean` unless given. */
  metric?: Metric | undefined;
  /**
   * `exact` compares with every row, `index` looks into an index that is kept beside the table and
   * finds more than 99 of 100. `auto`, unless given: the index where there is one for a large table
   * or so many images are given that making it pays.
   */
  search?: "auto" | "exact" | "index" | undefined;
  /** Ends it soon; it then rejects with the signal's reason. */
  signal?: AbortSignal | undefined;
  /** Called now and then with what is done at the moment, and the share of it, from 0 to 1. */
  onProgress?: ((step: string, share: number) => void) | undefined;
}

/** An image of the table that is like another. */
export interface Match {
  /** Its row, from 0. */
  row: number;
  /** Relative to its set. */
  path: string;
  /** Its set; null where the table does not say. */
  set: string | null;
  /** Its class; null where it has none. */
  class: string | null;
  /** Of the two embeddings. */
  distance: number;
}

/** What was found for an image. */
export interface Similar {
  /** As it was given. */
  image: string;
  /** Its own row, which is not among the matches; null if it is not in the table. */
  row: number | null;
  /** The nearest first. */
  matches: Match[];
}

/** Rows from which an index that is there is used. */
const LARGE = 200_000;
/** Distances that are computed sooner than an index is made. */
const MANY_DISTANCES = 4e9;

/** The rows that images are of, as tables name them; null of those that are in no row. */
function findRows(table: EmbeddingTable, images: readonly string[]): (number | null)[] {
  const sets = [...new Set(table.sets)];
  const keyOf = (set: string | null, path: string) => `${set ?? ""}\0${path}`;
  // Of few images, so that a large table is gone through once.
  const wanted = new Map<string, number[]>();
  const want = (key: string, image: number) => wanted.set(key, [...(wanted.get(key) ?? []), image]);
  for (const [i, image] of images.entries()) {
    for (const set of sets) {
      want(keyOf(set, image), i);
      if (set === null) continue;
      const path = unicodePath(relative(resolve(set), resolve(image)));
      want(keyOf(set, path.split(sep).join("/")), i);
    }
  }
  const rows: (number | null)[] = images.map(() => null);
  for (const [row, path] of table.paths.entries()) {
    for (const i of wanted.get(keyOf(table.sets[row] ?? null, path)) ?? []) rows[i] ??= row;
  }
  return rows;
}

/** Embeddings of the images: those of their rows, and of others what the table's model gives. */
async function embeddingsOf(
  table: EmbeddingTable,
  images: readonly string[],
  rows: readonly (number | null)[],
  options: SimilarOptions,
): Promise<Float32Array> {
  const { dims, embeddings } = table;
  const queries = new Float32Array(images.length * dims);
  const fresh = images.flatMap((_, i) => (rows[i] === null ? [i] : []));
  if (fresh.length > 0) {
    const files = fresh.map((i) => images[i] as string);
    const encoded = await encodeFiles(table, files, options);
    for (const [at, i] of fresh.entries()) {
      queries.set(encoded.subarray(at * dims, (at + 1) * dims), i * dims);
    }
  }
  for (const [i, row] of rows.entries()) {
    if (row !== null) queries.set(embeddings.subarray(row * dims, (row + 1) * dims), i * dims);
  }
  return queries;
}

interface Near {
  row: number;
  distance: number;
}

async function findByIndex(
  table: EmbeddingTable,
  queries: Float32Array,
  k: number,
  { metric = "euclidean", signal, onProgress }: SimilarOptions,
): Promise<Near[][]> {
  const { dims, embeddings } = table;
  const index = await openIndex(table, metric, {
    signal,
    onProgress: (share) => onProgress?.("making the index", share),
  });
  return index.search(queries, k).map((rows, i) => {
    const query = queries.subarray(i * dims, (i + 1) * dims);
    return Array.from(rows, (row): Near => {
      const found = embeddings.subarray(row * dims, (row + 1) * dims);
      return { row, distance: distanceBetween(query, found, metric) };
    }).sort((a, b) => a.distance - b.distance || a.row - b.row);
  });
}

async function findExactly(
  table: EmbeddingTable,
  queries: Float32Array,
  k: number,
  { metric = "euclidean", signal, onProgress }: SimilarOptions,
): Promise<Near[][]> {
  const { dims, embeddings } = table;
  const { indices, distances } = await finishJob(
    callAddon((addon) => addon.nearestNeighboursOf(queries, embeddings, dims, { k, metric })),
    signal,
    (share) => onProgress?.("searching", share),
  );
  return Array.from({ length: queries.length / dims }, (_, i) =>
    Array.from({ length: k }, (_, j) => ({
      row: indices[i * k + j] as number,
      distance: distances[i * k + j] as number,
    })),
  );
}

async function takesIndex(
  table: EmbeddingTable,
  images: number,
  { search = "auto", metric = "euclidean" }: SimilarOptions,
): Promise<boolean> {
  const rows = table.paths.length;
  if (search !== "auto") return search === "index";
  // Beside what would an index lie?
  if (await isTablePattern(table.path)) return false;
  return rows * images > MANY_DISTANCES || (rows >= LARGE && (await hasIndex(table, metric)));
}

/** What `similar` of `ts/index.ts` does. */
export async function similar(
  table: EmbeddingTable,
  images: readonly string[],
  options: SimilarOptions = {},
): Promise<Similar[]> {
  const { n = 20, search = "auto", metric = "euclidean", signal } = options;
  if (images.length === 0) throw configError("Expected images to look for");
  if (!Number.isInteger(n) || n < 1) {
    throw configError(`Expected an integer of at least 1 for n but received ${n}`);
  }
  if (!["auto", "exact", "index"].includes(search)) {
    throw configError(`Expected auto, exact, index for search but received ${String(search)}`);
  }
  if (metric !== "euclidean" && metric !== "cosine") {
    throw configError(`Expected euclidean, cosine for metric but received ${String(metric)}`);
  }
  signal?.throwIfAborted();
  const rows = findRows(table, images);
  const queries = await embeddingsOf(table, images, rows, options);
  // One more, since an image in the table is the nearest to itself.
  const k = Math.min(n + 1, table.paths.length);
  const find = (await takesIndex(table, images.length, options)) ? findByIndex : findExactly;
  const near = await find(table, queries, k, options);
  return images.map((image, i) => {
    const own = rows[i] as number | null;
    const others = (near[i] as Near[]).filter(({ row }) => row !== own).slice(0, n);
    const matches = others.map(
      ({ row, distance }): Match => ({
        row,
        path: table.paths[row] as string,
        set: table.sets[row] ?? null,
        class: table.classes[row] ?? null,
        distance,
      }),
    );
    return { image, row: own, matches };
  });
}
