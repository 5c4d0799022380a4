/** Which images of a table are the same, or nearly so. */
import { createHash } from "node:crypto";
import { configError } from "../addon/errors.js";
import { callAddon, loadAddon } from "../addon/loader.js";
import type { Metric } from "../addon/types.js";
import { mountContainers } from "../containers/mount.js";
import { checkDevice } from "../runs/plan.js";
import { distanceBetween } from "./distance.js";
import { finishJob } from "./job.js";
import { imageOf } from "./row_image.js";
import type { EmbeddingTable } from "./table.js";

/** What counts as a duplicate. */
export interface DuplicateOptions {
  /**
   * Images are nearly the same if their embeddings are so near each other, as a share of the usual
   * distance of two images of the table; 0.1 unless given. 0: equal embeddings alone.
   */
  threshold?: number | undefined;
  /** How embeddings are compared; `euclidean` unless given. */
  metric?: Metric | undefined;
  /** Only groups with images of more than one set: what leaks from one into another. */
  leaks?: boolean | undefined;
  /** Of an approximate search for neighbours, which large tables take; 0 unless given. */
  seed?: number | undefined;
  /**
   * Where exact neighbours are found: `cpu`, `cuda`, `cuda:N`, or `auto` for a GPU if there is one; `cpu` unless given.
   * They are the same.
   */
  device?: string | undefined;
  /** Ends it soon; it then rejects with the signal's reason. */
  signal?: AbortSignal | undefined;
  /** Called now and then with what is done at the moment, and the share of it, from 0 to 1. */
  onProgress?: ((step: string, share: number) => void) | undefined;
}

/** Images that are the same, or nearly so. */
export interface DuplicateGroup {
  /** `exact`: all files are the same, byte by byte. */
  kind: "exact" | "near";
  /** Rows of the table, from 0. The first is the one to keep: of the most pixels, then the first. */
  rows: number[];
  /** Of each row's embedding from the first one's. */
  distances: number[];
  /** Of each row, an earlier one of the group whose file is the same, byte by byte; null without. */
  copyOf: (number | null)[];
}

/** What was found. */
export interface Duplicates {
  /** The largest group first. */
  groups: DuplicateGroup[];
  /** Rows beyond the first of each group: images that could go. */
  surplus: number;
  /** How many of them are copies of files that stay. */
  copies: number;
  /** How near embeddings are at the most. */
  distance: number;
  /** Of two images of the table, as a root mean square. */
  usualDistance: number;
}

/** Neighbours of each row that are looked at. More copies than that are linked through each other. */
const NEIGHBOURS = 10;
/** Files are read by so many threads of Node's. */
const FILES_AT_ONCE = 4;

/** Sets of rows that grow together (Tarjan, 1975). */
class Groups {
  readonly #parents: Int32Array;

  constructor(rows: number) {
    this.#parents = Int32Array.from({ length: rows }, (_, i) => i);
  }

  find(row: number): number {
    let root = row;
    for (;;) {
      const parent = this.#parents[root] as number;
      if (parent === root) break;
      // Half of the way next time.
      this.#parents[root] = this.#parents[parent] as number;
      root = parent;
    }
    return root;
  }

  join(a: number, b: number): void {
    const [x, y] = [this.find(a), this.find(b)];
    this.#parents[Math.max(x, y)] = Math.min(x, y);
  }

  /** Those of two rows or more, each ascending. */
  all(): number[][] {
    const groups = new Map<number, number[]>();
    for (let row = 0; row < this.#parents.length; row++) {
      const root = this.find(row);
      if (root !== row) groups.set(root, [...(groups.get(root) ?? [root]), row]);
    }
    return [...groups.values()];
  }
}

/** √(mean of squared distances of two rows), from the columns' variances. */
function usualDistance(embeddings: Float32Array, dims: number): number {
  const rows = embeddings.length / dims;
  const sums = new Float64Array(dims);
  const squares = new Float64Array(dims);
  for (const [i, value] of embeddings.entries()) {
    const d = i % dims;
    sums[d] = (sums[d] as number) + value;
    squares[d] = (squares[d] as number) + value * value;
  }
  let variance = 0;
  for (let d = 0; d < dims; d++) {
    variance += Math.max(0, (squares[d] as number) / rows - ((sums[d] as number) / rows) ** 2);
  }
  return Math.sqrt(2 * variance);
}

/** The files' checksums, from the table or the files; null of files that cannot be read. */
async function checksumsOf(
  table: EmbeddingTable,
  rows: readonly number[],
  { signal, onProgress }: DuplicateOptions,
): Promise<Map<number, string | null>> {
  const { sha256 } = table;
  if (sha256 !== null) return new Map(rows.map((row) => [row, sha256[row] as string]));
  const sums = new Map<number, string | null>();
  for (let from = 0; from < rows.length; from += FILES_AT_ONCE) {
    signal?.throwIfAborted();
    onProgress?.("comparing files", from / rows.length);
    const some = rows.slice(from, from + FILES_AT_ONCE);
    const files = some.map((row) => imageOf(table, row).file);
    await mountContainers(files).catch(() => {});
    const contents = await loadAddon()
      .readImages(files)
      .catch(() => []);
    for (const [i, row] of some.entries()) {
      const content = contents[i];
      const isRead = Buffer.isBuffer(content);
      sums.set(row, isRead ? createHash("sha256").update(content).digest("hex") : null);
    }
  }
  return sums;
}

/** The one to keep first. */
function inOrder(table: EmbeddingTable, rows: readonly number[]): number[] {
  const { widths, heights } = table;
  const pixels = (row: number) => (widths?.[row] ?? 0) * (heights?.[row] ?? 0);
  return [...rows].sort((a, b) => pixels(b) - pixels(a) || a - b);
}

/** What `duplicates` of `ts/index.ts` does. */
export async function duplicates(
  table: EmbeddingTable,
  options: DuplicateOptions = {},
): Promise<Duplicates> {
  const { threshold = 0.1, metric = "euclidean", leaks = false, seed = 0 } = options;
  const { device, signal } = options;
  if (device !== undefined) checkDevice(device);
  if (!(threshold >= 0 && threshold <= 1)) {
    throw configError(`Expected 0 to 1 for threshold but received ${threshold}`);
  }
  if (metric !== "euclidean" && metric !== "cosine") {
    throw configError(`Expected euclidean, cosine for metric but received ${String(metric)}`);
  }
  signal?.throwIfAborted();
  const { embeddings, dims, paths, sets } = table;
  if (leaks && new Set(sets).size < 2) {
    throw configError(
      `${table.path} has images of one set, and leaks are between two: give tables of both, or embed both sets into one`,
    );
  }
  const rows = paths.length;
  const at = (row: number) => embeddings.subarray(row * dims, (row + 1) * dims);
  const usual = usualDistance(embeddings, dims);
  // Of two unit vectors, |x − y|² = 2·(1 − cos).
  const distance = metric === "euclidean" ? threshold * usual : threshold ** 2 / 2;
  if (rows < 2) return { groups: [], surplus: 0, copies: 0, distance, usualDistance: usual };
  const k = Math.min(NEIGHBOURS, rows - 1);
  const found = await finishJob(
    callAddon((addon) =>
      addon.nearestNeighbours(embeddings, dims, { k, metric, search: "auto", seed, device }),
    ),
    signal,
    (share) => options.onProgress?.("looking for neighbours", share),
  );
  const together = new Groups(rows);
  for (const [i, neighbour] of found.indices.entries()) {
    if ((found.distances[i] as number) <= distance) together.join(Math.floor(i / k), neighbour);
  }
  const near = together
    .all()
    .filter((group) => !leaks || new Set(group.map((row) => sets[row])).size > 1);
  const sums = await checksumsOf(table, near.flat(), options);
  // The largest first, then as they come in the table.
  const groups = near
    .sort((a, b) => b.length - a.length || (a[0] as number) - (b[0] as number))
    .map((group): DuplicateGroup => {
      const ordered = inOrder(table, group);
      const first = ordered[0] as number;
      const seen = new Map<string, number>();
      const copyOf = ordered.map((row) => {
        const sum = sums.get(row) ?? null;
        if (sum === null) return null;
        const earlier = seen.get(sum) ?? null;
        if (earlier === null) seen.set(sum, row);
        return earlier;
      });
      return {
        kind: copyOf.slice(1).every((row) => row === first) ? "exact" : "near",
        rows: ordered,
        distances: ordered.map((row) => distanceBetween(at(first), at(row), metric)),
        copyOf,
      };
    });
  const surplus = groups.reduce((sum, group) => sum + group.rows.length - 1, 0);
  const copies = groups.flatMap(({ copyOf }) => copyOf).filter((row) => row !== null).length;
  return { groups, surplus, copies, distance, usualDistance: usual };
}
