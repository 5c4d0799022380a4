/** Clusters of tables, in memory or by several passes: what `flexae cluster` does with files. */
import { configError } from "../addon/errors.js";
import type { Clustering, ClusterOptions } from "../embeddings/cluster.js";
import type { StreamedTable } from "../embeddings/streamed_table.js";
import type { Drawn, SheetWish } from "./contact_sheets.js";
import { bytes } from "./format.js";

/** What was found, in memory or not. */
export interface Outcome
  extends Pick<
    Clustering,
    "k" | "method" | "sizes" | "inertia" | "silhouette" | "scores" | "curve"
  > {
  /** How often rows were read, a stretch at a time; null if all were in memory. */
  passes: number | null;
}

/** What was asked for. */
export interface Wish {
  names: readonly string[];
  out: string;
  /** Clusters found before; undefined if they are to be found. */
  predict: string | undefined;
  how: ClusterOptions & { seed: number };
  sheets: SheetWish;
  /** Bytes that rows may take; undefined for a share of what there is. */
  memory: number | undefined;
}

export type Report = (step: string, share: number) => void;

/** The table, if it is read a stretch at a time. */
async function largeTable({ names, how, memory, predict }: Wish): Promise<StreamedTable | null> {
  const { isRun } = await import("../embeddings/run_table.js");
  const { defaultMemory, isLarge, memoryOf, StreamedTable } = await import(
    "../embeddings/streamed_table.js"
  );
  if ((await Promise.all(names.map(isRun))).includes(true)) return null;
  const table = await StreamedTable.open(names);
  const most = memory ?? defaultMemory();
  if (table === null || !isLarge(table, most)) return null;
  if (how.method !== "gmm" || predict !== undefined) return table;
  if (memoryOf(table) <= most) return null;
  throw configError(
    `A mixture takes all rows at once, here about ${bytes(memoryOf(table))}, and may have ${bytes(most)}: take --method kmeans, allow more with --memory, or fit it to some of the files and assign all rows with --predict`,
  );
}

async function inMemory(wish: Wish, signal: AbortSignal, report: Report): Promise<Drawing> {
  const { names, out, predict, how, sheets } = wish;
  const { cluster } = await import("../embeddings/cluster.js");
  const files = await import("../embeddings/cluster_files.js");
  const { writeClusterSheets } = await import("../embeddings/cluster_sheets.js");
  const { joinTables } = await import("../embeddings/join_tables.js");
  const { tableOf } = await import("../embeddings/run_table.js");
  const tables = [];
  for (const name of names) {
    const onProgress = (done: number, total: number) => report("embedding", done / total);
    tables.push(await tableOf(name, { signal, onProgress }));
  }
  const table = joinTables(tables);
  const found =
    predict === undefined
      ? await cluster(table, { ...how, signal, onProgress: report })
      : { ...(await files.predictClusters(predict, table, how)), silhouette: null, curve: [] };
  signal.throwIfAborted();
  await files.writeAssignments(out, table, found);
  if ("centroids" in found) {
    await files.writeClusters(out, table, found, how.spherical === true);
  }
  return {
    outcome: { ...found, passes: null },
    draw: () => writeClusterSheets(out, table, found, found.k, drawing(sheets, signal, report)),
  };
}

async function streamed(
  table: StreamedTable,
  { out, predict, how, sheets }: Wish,
  signal: AbortSignal,
  report: Report,
): Promise<Drawing> {
  const files = await import("../embeddings/cluster_files.js");
  const { drawClusterSheets, SHEET_IMAGES } = await import("../embeddings/cluster_sheets.js");
  const { assignStream } = await import("../embeddings/stream_assign.js");
  const { streamClusters } = await import("../embeddings/stream_clusters.js");
  const spherical = how.spherical === true;
  const found =
    predict === undefined
      ? await streamClusters(table, { ...how, signal, onProgress: report })
      : null;
  const clusters =
    found === null
      ? await files.readClusters(predict as string, table, how.device)
      : files.nearestClusters(found.centroids, table.dims, spherical, how.device);
  const { shown, ...assigned } = await assignStream(out, table, clusters, {
    silhouettes: found?.silhouettes,
    images: sheets.drawn ? (sheets.images ?? SHEET_IMAGES) : 0,
    seed: how.seed,
    signal,
    onProgress: (share) => report("assignments", share),
  });
  const { method, k } = clusters;
  const { silhouette = null, curve = [], passes = 0 } = found ?? {};
  const outcome: Outcome = { method, k, ...assigned, silhouette, curve, passes: passes + 1 };
  if (found !== null) {
    const { centroids } = found;
    await files.writeClusters(out, table, { ...outcome, centroids, mixture: null }, spherical);
  }
  return {
    outcome,
    draw: () => drawClusterSheets(out, shown.rows, shown.clusters, drawing(sheets, signal, report)),
  };
}

/** What was found, and how its sheets are drawn. */
export interface Drawing {
  outcome: Outcome;
  draw: () => Promise<Drawn>;
}

const drawing = ({ images }: SheetWish, signal: AbortSignal, report: Report) => ({
  images,
  signal,
  onProgress: (share: number) => report("contact sheets", share),
});

/** Finds clusters, or assigns rows to those found before, and writes all but the sheets. */
export async function clusterTables(
  wish: Wish,
  signal: AbortSignal,
  report: Report,
): Promise<Drawing> {
  const large = await largeTable(wish);
  return large === null
    ? await inMemory(wish, signal, report)
    : await streamed(large, wish, signal, report);
}
