/** An index by which neighbours are found in a large table, kept beside it: usearch's HNSW. */
import { createHash } from "node:crypto";
import { readdir, readFile, rename, rm, stat } from "node:fs/promises";
import { join } from "node:path";
import { setImmediate } from "node:timers/promises";
import { configError } from "../addon/errors.js";
import type { Metric } from "../addon/types.js";
import { writeFileAtomic } from "../files/atomic.js";
import { temporaryPath } from "../files/temporary.js";
import type { EmbeddingTable } from "./table.js";
import { isTablePattern } from "./table_files.js";

/** Rows that are added between two looks at the signal. */
const ROWS_AT_ONCE = 2000;
/**
 * As usearch takes them, but more thorough: by these ten nearest of a million clustered points are
 * found with a recall above 0.99.
 */
const CONNECTIVITY = 24;
const EXPANSION_ADD = 128;
const EXPANSION_SEARCH = 256;

/** What the index beside a table is of. */
interface IndexNote {
  format: 1;
  metric: Metric;
  /** Names, sizes and times of the table's files. */
  table: string;
  rows: number;
  dims: number;
}

/** The index of a table. */
export interface SearchIndex {
  /** Rows of the `k` nearest of each query, about the nearest first; N × k or fewer a query. */
  search(queries: Float32Array, k: number): Uint32Array[];
}

type UsearchModule = typeof import("usearch");

/** @throws FlexaeError `FLEXAE_CONFIG` with the remedy if usearch is not installed. */
async function loadUsearch(): Promise<UsearchModule> {
  try {
    return await import("usearch");
  } catch (error) {
    const reason = (error as Error).message.split("\n", 1)[0];
    throw configError(
      `usearch, which makes the index, does not load: ${reason}\nInstall it with \`npm install usearch@2.25.3\`, or search exactly.`,
    );
  }
}

/** What changes when a table does. */
async function stateOf(path: string): Promise<string> {
  const hash = createHash("sha256");
  const note = async (name: string, file: string) => {
    const { size, mtimeMs } = await stat(file);
    hash.update(`${name} ${size} ${mtimeMs}\n`);
  };
  if ((await stat(path)).isDirectory()) {
    const names = (await readdir(path)).filter((name) => name.endsWith(".parquet")).sort();
    for (const name of names) await note(name, join(path, name));
  } else {
    await note("", path);
  }
  return hash.digest("hex");
}

/** Where the index of a table by a metric lies. */
export function indexFile(path: string, metric: Metric): string {
  return `${path.replace(/\/+$/, "")}.${metric}.usearch`;
}

function emptyIndex(
  { Index, MetricKind, ScalarKind }: UsearchModule,
  dims: number,
  metric: Metric,
) {
  return new Index({
    dimensions: dims,
    metric: metric === "cosine" ? MetricKind.Cos : MetricKind.L2sq,
    quantization: ScalarKind.F32,
    connectivity: CONNECTIVITY,
    expansion_add: EXPANSION_ADD,
    expansion_search: EXPANSION_SEARCH,
    multi: false,
  });
}

async function noteOf(table: EmbeddingTable, metric: Metric): Promise<IndexNote> {
  const { path, dims, paths } = table;
  return { format: 1, metric, table: await stateOf(path), rows: paths.length, dims };
}

/** Whether there is an index beside the table that is of it as it is now. */
export async function hasIndex(table: EmbeddingTable, metric: Metric): Promise<boolean> {
  const file = indexFile(table.path, metric);
  try {
    const kept = await readFile(`${file}.json`, "utf8");
    await stat(file);
    return kept === JSON.stringify(await noteOf(table, metric));
  } catch {
    return false;
  }
}

/**
 * The index beside a table. One that is not there or of an older table is made first, which takes
 * about a minute for 300,000 rows of 64 numbers on two cores.
 *
 * @throws FlexaeError `FLEXAE_CONFIG` if usearch is not installed or the table is a pattern of files,
 *   `FLEXAE_IO`. Rejects with the reason of an aborted signal.
 */
export async function openIndex(
  table: EmbeddingTable,
  metric: Metric,
  {
    signal,
    onProgress,
  }: {
    signal?: AbortSignal | undefined;
    onProgress?: ((share: number) => void) | undefined;
  } = {},
): Promise<SearchIndex> {
  if (await isTablePattern(table.path)) {
    throw configError(
      `An index is kept beside its table: name a file or a folder in place of ${table.path}, or search exactly`,
    );
  }
  const usearch = await loadUsearch();
  const { path, dims, embeddings, paths } = table;
  const index = emptyIndex(usearch, dims, metric);
  const file = indexFile(path, metric);
  if (await hasIndex(table, metric)) {
    index.view(file);
  } else {
    const note = await noteOf(table, metric);
    const rows = paths.length;
    for (let from = 0; from < rows; from += ROWS_AT_ONCE) {
      // usearch computes on this thread: signals are looked at between.
      await setImmediate();
      signal?.throwIfAborted();
      onProgress?.(from / rows);
      const to = Math.min(rows, from + ROWS_AT_ONCE);
      const keys = BigUint64Array.from({ length: to - from }, (_, i) => BigInt(from + i));
      index.add(keys, embeddings.subarray(from * dims, to * dims), 0);
    }
    const temporary = await temporaryPath(file);
    try {
      index.save(temporary);
      // Without its note it counts for nothing: in between there is none.
      await rm(`${file}.json`, { force: true });
      await rename(temporary, file);
      await writeFileAtomic(`${file}.json`, JSON.stringify(note));
    } finally {
      await rm(temporary, { force: true });
    }
  }
  return {
    search: (queries, k) => {
      const found: Uint32Array[] = [];
      for (let from = 0; from < queries.length; from += dims) {
        const { keys } = index.search(queries.subarray(from, from + dims), k, 0);
        found.push(Uint32Array.from(keys, Number));
      }
      return found;
    },
  };
}
