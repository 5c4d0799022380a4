/** Clusters of a table that is not in memory: the pass that says which row is in which. */
import { translateError } from "../addon/errors.js";
import { AssignmentsFile } from "./assignments_file.js";
import { ClassCounts, type Clustering } from "./cluster.js";
import type { SavedClusters } from "./cluster_files.js";
import { ClusterGallery } from "./cluster_gallery.js";
import type { ShownCluster, ShownRows } from "./cluster_sheets.js";
import { ahead, type StreamedTable } from "./streamed_table.js";

/** How rows are assigned. */
export interface AssignStreamOptions {
  /** Of some rows, by their number in the table. */
  silhouettes?: ReadonlyMap<number, number> | undefined;
  /** Images that a contact sheet shows; 0 where none is drawn. */
  images: number;
  /** Draws what an overview shows. */
  seed: number;
  signal?: AbortSignal | undefined;
  onProgress?: ((share: number) => void) | undefined;
}

/** What was found. */
export interface AssignedStream extends Pick<Clustering, "inertia" | "sizes" | "scores"> {
  /** Rows for contact sheets. */
  shown: { rows: ShownRows; clusters: ShownCluster[] };
}

/** Classes, or clusters, beyond which nothing is scored: matching them would take long. */
const MOST_CLASSES = 4096;

/**
 * Writes the assignments of a table's rows, as `writeAssignments` does, while it reads them.
 *
 * @throws FlexaeError `FLEXAE_DATA` where the table is damaged, `FLEXAE_IO` if `out` cannot be
 *   written: it is whole or not there. Rejects with the reason of an aborted signal.
 */
export async function assignStream(
  out: string,
  table: StreamedTable,
  clusters: SavedClusters,
  options: AssignStreamOptions,
): Promise<AssignedStream> {
  const { silhouettes, signal, onProgress } = options;
  const { k } = clusters;
  const counts = new ClassCounts(k, MOST_CLASSES);
  const gallery = new ClusterGallery(k, options.images, options.seed);
  const sizes = new Array<number>(k).fill(0);
  let inertia = 0;
  const file = await AssignmentsFile.create(out);
  try {
    for await (const [{ first, rows: count }, rows] of ahead(table.stretches, (stretch) =>
      table.read(stretch),
    )) {
      signal?.throwIfAborted();
      const assigned = await clusters.assign(rows.embeddings);
      const { labels, distances } = assigned;
      inertia += assigned.inertia;
      for (const label of labels) sizes[label] = (sizes[label] as number) + 1;
      counts.add(labels, rows.classes);
      if (options.images > 0) gallery.add(first, rows, labels, distances);
      await file.write({
        paths: rows.paths,
        classes: rows.classes,
        labels,
        distances,
        silhouettes: Array.from(labels, (_, i) => silhouettes?.get(first + i) ?? null),
      });
      onProgress?.((first + count) / table.rows);
    }
    const scores = k <= MOST_CLASSES ? counts.scores() : null;
    await file.finish();
    return { inertia, sizes, scores, shown: gallery.shown(table, (cluster) => counts.of(cluster)) };
  } catch (error) {
    await file.abandon();
    throw signal?.aborted ? error : translateError(error);
  }
}
