/** Clusters of tables in files, in memory or by several passes, written beside each other. */
import { resolve } from "node:path";
import { configError } from "../addon/errors.js";
import { bytes } from "../files/size_text.js";
import { checkDevice } from "../runs/plan.js";
import { type Clustering, type ClusterOptions, checkNumbers, cluster } from "./cluster.js";
import {
  checkAssignmentsName,
  checkMixtureSize,
  nearestClusters,
  predictClusters,
  readClusters,
  writeAssignments,
  writeClusters,
} from "./cluster_files.js";
import {
  type ClusterSheetOptions,
  type ClusterSheets,
  drawClusterSheets,
  removeSheets,
  writeClusterSheets,
} from "./cluster_sheets.js";
import { joinTables } from "./join_tables.js";
import { isRun, tableOf } from "./run_table.js";
import { assignStream } from "./stream_assign.js";
import { streamClusters } from "./stream_clusters.js";
import { defaultMemory, isLarge, memoryOf, StreamedTable } from "./streamed_table.js";

/** What rows in files may take, where they are computed with, and how that is watched and ended. */
export interface AssignFilesOptions
  extends Pick<ClusterOptions, "device" | "signal" | "onProgress"> {
  /**
   * Bytes that rows may take in memory, above 0; half of what this process may use unless given.
   * Parquet files that would take more are read several times, a row group at a time.
   */
  memory?: number | undefined;
}

/**
 * How rows in files are clustered. Where they are not all in memory, `method` can only be `kmeans`,
 * `batchSize` means nothing, and `restarts` are of the sample that is clustered first.
 */
export interface ClusterFilesOptions extends ClusterOptions, AssignFilesOptions {}

/** Clusters of rows in files. */
export interface ClusteredFiles
  extends Pick<
    Clustering,
    "k" | "method" | "sizes" | "inertia" | "silhouette" | "scores" | "curve"
  > {
  /** Absolute path of the assignments. */
  out: string;
  /** How many rows there are. */
  rows: number;
  /** How often rows were read, a row group at a time; null if all were in memory at once. */
  passes: number | null;
}

/** What is done: clusters are found, or rows assigned to those in a `….clusters.json`. */
export type Wanted = { find: ClusterOptions } | { clusters: string };

/** What `flexae cluster` says besides. */
export interface ClusterTablesOptions extends AssignFilesOptions {
  /** Images that a contact sheet would show; 0, where none is drawn, unless given. */
  sheetImages?: number | undefined;
}

/** What was found, and how contact sheets of it are drawn. */
export interface ClusteredTables {
  found: ClusteredFiles;
  draw(options: ClusterSheetOptions): Promise<ClusterSheets>;
}

/** The table, if it is read a stretch at a time. */
async function largeTable(
  names: readonly string[],
  wanted: Wanted,
  most: number,
): Promise<StreamedTable | null> {
  if ((await Promise.all(names.map(isRun))).includes(true)) return null;
  const table = await StreamedTable.open(names);
  if (table === null || !isLarge(table, most)) return null;
  if (!("find" in wanted) || wanted.find.method !== "gmm") return table;
  if (memoryOf(table) <= most) return null;
  throw configError(
    `A mixture takes all rows at once, here about ${bytes(memoryOf(table))}, and may have ` +
      `${bytes(most)}: take --method kmeans, allow more with --memory, or fit it to some of the ` +
      "files and assign all rows with --predict",
  );
}

async function inMemory(
  names: readonly string[],
  out: string,
  wanted: Wanted,
  { device, signal, onProgress }: ClusterTablesOptions,
): Promise<ClusteredTables> {
  const tables = [];
  for (const name of names) {
    const embedding = (done: number, total: number) => onProgress?.("embedding", done / total);
    tables.push(await tableOf(name, { signal, onProgress: embedding }));
  }
  const table = joinTables(tables);
  if ("find" in wanted && wanted.find.method === "gmm") {
    const most = Math.max(...checkNumbers(wanted.find.clusters));
    checkMixtureSize(most, table.dims, wanted.find.covariance);
  }
  const found =
    "find" in wanted
      ? await cluster(table, { ...wanted.find, device, signal, onProgress })
      : {
          ...(await predictClusters(wanted.clusters, table, { device })),
          silhouette: null,
          curve: [],
        };
  signal?.throwIfAborted();
  await writeAssignments(out, table, found);
  if ("find" in wanted && "centroids" in found) {
    await writeClusters(out, table, found, wanted.find.spherical === true);
  }
  const { k, method, sizes, inertia, silhouette, scores, curve } = found;
  const summary = { k, method, sizes, inertia, silhouette, scores, curve };
  return {
    found: { out: resolve(out), rows: table.paths.length, ...summary, passes: null },
    draw: (options) => writeClusterSheets(out, table, found, k, options),
  };
}

async function streamed(
  table: StreamedTable,
  out: string,
  wanted: Wanted,
  { device, signal, onProgress, sheetImages = 0 }: ClusterTablesOptions,
): Promise<ClusteredTables> {
  const { seed = 0, spherical = false } = "find" in wanted ? wanted.find : {};
  const centres =
    "find" in wanted
      ? await streamClusters(table, { ...wanted.find, device, signal, onProgress })
      : null;
  const clusters =
    "clusters" in wanted
      ? await readClusters(wanted.clusters, table, device)
      : nearestClusters(
          (centres as NonNullable<typeof centres>).centroids,
          table.dims,
          spherical,
          device,
        );
  const { shown, ...assigned } = await assignStream(out, table, clusters, {
    silhouettes: centres?.silhouettes,
    images: sheetImages,
    seed,
    signal,
    onProgress: (share) => onProgress?.("assignments", share),
  });
  const { method, k } = clusters;
  const { silhouette = null, curve = [], passes = 0 } = centres ?? {};
  const summary = { method, k, ...assigned, silhouette, curve };
  if (centres !== null) {
    const { centroids } = centres;
    await writeClusters(out, table, { ...summary, centroids, mixture: null }, spherical);
  }
  return {
    found: { out: resolve(out), rows: table.rows, ...summary, passes: passes + 1 },
    draw: (options) => drawClusterSheets(out, shown.rows, shown.clusters, options),
  };
}

/**
 * Finds clusters, or assigns rows to those found before, and writes all but the sheets. Sheets of
 * earlier assignments are removed.
 */
export async function clusterTables(
  names: readonly string[],
  out: string,
  wanted: Wanted,
  options: ClusterTablesOptions = {},
): Promise<ClusteredTables> {
  const { memory = defaultMemory(), signal } = options;
  if (names.length === 0) throw configError("Expected a table of embeddings");
  if (!(memory > 0)) {
    throw configError(`Expected more than 0 bytes for memory but received ${memory}`);
  }
  checkAssignmentsName(out);
  if (options.device !== undefined) checkDevice(options.device);
  if ("find" in wanted) checkNumbers(wanted.find.clusters);
  signal?.throwIfAborted();
  const large = await largeTable(names, wanted, memory);
  const done =
    large === null
      ? await inMemory(names, out, wanted, options)
      : await streamed(large, out, wanted, options);
  await removeSheets(out);
  return done;
}

const listOf = (names: string | readonly string[]) => (typeof names === "string" ? [names] : names);

/** What `clusterFiles` of `ts/index.ts` does. */
export async function clusterFiles(
  names: string | readonly string[],
  out: string,
  options: ClusterFilesOptions,
): Promise<ClusteredFiles> {
  const { memory, device, signal, onProgress, ...find } = options;
  const watched = { memory, device, signal, onProgress };
  return (await clusterTables(listOf(names), out, { find }, watched)).found;
}

/** What `assignFiles` of `ts/index.ts` does. */
export async function assignFiles(
  names: string | readonly string[],
  clusters: string,
  out: string,
  options: AssignFilesOptions = {},
): Promise<ClusteredFiles> {
  return (await clusterTables(listOf(names), out, { clusters }, options)).found;
}
