/** Clusters of embeddings. */
import { configError } from "../addon/errors.js";
import { callAddon } from "../addon/loader.js";
import type {
  ClusteringScores,
  Covariance,
  KmeansAnswer,
  MixtureAnswer,
  MixtureModel,
} from "../addon/types.js";
import { checkDevice } from "../runs/plan.js";
import { finishJob } from "./job.js";
import { normalizeRows } from "./normalize.js";
import type { EmbeddingTable } from "./table.js";

/** How embeddings are clustered. */
export interface ClusterOptions {
  /** How many clusters; of several numbers, the one with the greatest silhouette is taken. */
  clusters: number | readonly number[];
  /** `kmeans` unless given; `gmm`: a mixture of Gaussians. */
  method?: "kmeans" | "gmm" | undefined;
  /** Starts, of which the best is taken; 10 unless given, 4 of a mixture. */
  restarts?: number | undefined;
  /** Of k-means: embeddings count by their directions alone. */
  spherical?: boolean | undefined;
  /**
   * Of k-means: points of a batch; 0 takes all in each iteration. Unless given, 0 up to a million embeddings,
   * else 4096.
   */
  batchSize?: number | undefined;
  /** Of a mixture; `full` unless given. */
  covariance?: Covariance | undefined;
  /** 0 unless given. */
  seed?: number | undefined;
  /**
   * Where it is computed: `cpu`, `cuda`, `cuda:N`, or `auto` for a GPU if there is one; `cpu` unless given. Results of
   * a GPU differ by rounding.
   */
  device?: string | undefined;
  /** Ends it soon; it then rejects with the signal's reason. */
  signal?: AbortSignal | undefined;
  /** Called now and then with what is done at the moment, and the share of it, from 0 to 1. */
  onProgress?: ((step: string, share: number) => void) | undefined;
}

/** Clusters of a table's rows. */
export interface Clustering {
  /** kmeans or gmm. */
  method: "kmeans" | "gmm";
  /** How many clusters. */
  k: number;
  /** k × D. */
  centroids: Float32Array;
  /** Of each row, from 0; the largest cluster is 0. */
  labels: Int32Array;
  /** Of each row, to its centroid; with `spherical`, of the directions. */
  distances: Float32Array;
  /** Of the rows that were looked at (all, up to 20,000), from -1 to 1; NaN of the others. */
  silhouettes: Float64Array;
  /** Their mean; null for one cluster. */
  silhouette: number | null;
  /** Sum of squared distances. */
  inertia: number;
  /** Rows of each cluster. */
  sizes: number[];
  /** Against the classes of the rows that have one; null where there are none. */
  scores: ClusteringScores | null;
  /** Of a mixture, its model; null otherwise. */
  mixture: MixtureModel | null;
  /** Of several numbers of clusters, the silhouette of each. */
  curve: {
    /** The number of clusters. */
    k: number;
    /** Their mean silhouette. */
    silhouette: number;
  }[];
}

/** More distances are not computed for silhouettes. */
const SILHOUETTE_ROWS = 20_000;
const WHOLE_ROWS = 1_000_000;

/** How many rows each of k clusters has. */
export function countLabels(labels: Int32Array, k: number): number[] {
  const sizes = new Array<number>(k).fill(0);
  for (const label of labels) sizes[label] = (sizes[label] as number) + 1;
  return sizes;
}

/** Clusters in the order of their sizes: what a start happened to number them is of no use. */
function bySize(sizes: readonly number[]): { order: Int32Array; sizes: number[] } {
  const old = sizes.map((_, i) => i).sort((a, b) => (sizes[b] as number) - (sizes[a] as number));
  const order = new Int32Array(sizes.length);
  for (const [now, before] of old.entries()) order[before] = now;
  return { order, sizes: old.map((i) => sizes[i] as number) };
}

/** Sizes and centroids, the largest cluster first. */
export function inOrder(
  sizes: readonly number[],
  centroids: Float32Array,
): Pick<Clustering, "sizes" | "centroids"> {
  const sorted = bySize(sizes);
  return { sizes: sorted.sizes, centroids: reorder(centroids, sorted.order) };
}

function reorder<T extends Float32Array | Float64Array>(rows: T, order: Int32Array): T {
  const sorted = rows.slice() as T;
  const width = rows.length / order.length;
  for (const [before, now] of order.entries()) {
    sorted.set(rows.subarray(before * width, (before + 1) * width) as never, now * width);
  }
  return sorted;
}

function sortedMixture(mixture: MixtureModel, order: Int32Array): MixtureModel {
  const each = <T extends Float64Array>(rows: T) => reorder(rows, order);
  const shared = mixture.covariance === "tied";
  return {
    covariance: mixture.covariance,
    weights: each(mixture.weights),
    means: each(mixture.means),
    covariances: shared ? mixture.covariances : each(mixture.covariances),
    precisionsCholesky: shared ? mixture.precisionsCholesky : each(mixture.precisionsCholesky),
  };
}

/** Distances of embeddings to the centroids of their clusters. */
export function distancesTo(
  embeddings: Float32Array,
  centroids: Float32Array,
  labels: Int32Array,
  dims: number,
): { distances: Float32Array; inertia: number } {
  const distances = new Float32Array(labels.length);
  let inertia = 0;
  for (const [i, label] of labels.entries()) {
    let sum = 0;
    for (let d = 0; d < dims; d++) {
      sum += ((embeddings[i * dims + d] as number) - (centroids[label * dims + d] as number)) ** 2;
    }
    distances[i] = Math.sqrt(sum);
    inertia += sum;
  }
  return { distances, inertia };
}

/** How many rows have each cluster and each class, as rows come. */
export class ClassCounts {
  readonly #classes = new Map<string, number>();
  /** Of each class, by clusters. */
  readonly #counts: Float64Array[] = [];
  readonly #k: number;
  readonly #most: number;

  /** @param most - Classes that are counted; of more, none are. */
  constructor(k: number, most = Number.POSITIVE_INFINITY) {
    this.#k = k;
    this.#most = most;
  }

  /** Counts rows; those without a class are passed by. */
  add(labels: Int32Array, classes: readonly (string | null)[]): void {
    for (let i = 0; i < classes.length; i++) {
      const name = classes[i] ?? null;
      if (name === null || this.#classes.size > this.#most) continue;
      let number = this.#classes.get(name);
      if (number === undefined) {
        number = this.#classes.size;
        this.#classes.set(name, number);
        this.#counts.push(new Float64Array(this.#k));
      }
      const counts = this.#counts[number] as Float64Array;
      const label = labels[i] as number;
      counts[label] = (counts[label] as number) + 1;
    }
  }

  /** The rows of a cluster, by their classes. */
  of(cluster: number): Map<string, number> {
    const counts = new Map<string, number>();
    if (this.#classes.size > this.#most) return counts;
    for (const [name, number] of this.#classes) {
      const count = this.#counts[number]?.[cluster] as number;
      if (count > 0) counts.set(name, count);
    }
    return counts;
  }

  /** How far clusters are the classes; null if no row has one, or there are more than are counted. */
  scores(): ClusteringScores | null {
    if (this.#classes.size > this.#most) return null;
    const [labels, classes, counts]: [number[], number[], number[]] = [[], [], []];
    for (const [number, ofClass] of this.#counts.entries()) {
      for (const [label, count] of ofClass.entries()) {
        if (count === 0) continue;
        labels.push(label);
        classes.push(number);
        counts.push(count);
      }
    }
    if (labels.length === 0) return null;
    return callAddon((addon) =>
      addon.clusteringScores(
        Int32Array.from(labels),
        Int32Array.from(classes),
        Float64Array.from(counts),
      ),
    );
  }
}

/** How far labels are the classes of the rows that have one; null if none has. */
export function scoreLabels(
  labels: Int32Array,
  classes: readonly (string | null)[],
  k: number,
): ClusteringScores | null {
  const counts = new ClassCounts(k);
  counts.add(labels, classes);
  return counts.scores();
}

/** Copies of embeddings, of length 1; rows of zeros stay. */
function directions(embeddings: Float32Array, dims: number): Float32Array {
  const unit = embeddings.slice();
  normalizeRows(unit, dims);
  return unit;
}

interface Found {
  k: number;
  labels: Int32Array;
  centroids: Float32Array;
  kmeans: KmeansAnswer | null;
  mixture: MixtureModel | null;
}

async function fitClusters(
  table: EmbeddingTable,
  k: number,
  options: ClusterOptions,
  onShare: (share: number) => void,
): Promise<Found> {
  const { method = "kmeans", seed = 0, device, signal, spherical = false } = options;
  const { embeddings, dims } = table;
  if (method === "gmm") {
    const answer: MixtureAnswer = await finishJob(
      callAddon((addon) =>
        addon.fitMixture(embeddings, dims, {
          components: k,
          covariance: options.covariance ?? "full",
          restarts: options.restarts ?? 4,
          maxIterations: 100,
          seed,
          device,
        }),
      ),
      signal,
      onShare,
    );
    const { labels, mixture } = answer;
    return { k, labels, centroids: Float32Array.from(mixture.means), kmeans: null, mixture };
  }
  const large = embeddings.length / dims > WHOLE_ROWS;
  const answer: KmeansAnswer = await finishJob(
    callAddon((addon) =>
      addon.kmeans(embeddings, dims, {
        clusters: k,
        restarts: options.restarts ?? 10,
        maxIterations: 300,
        tolerance: 1e-4,
        spherical,
        batchSize: options.batchSize ?? (large ? 4096 : 0),
        seed,
        device,
      }),
    ),
    signal,
    onShare,
  );
  return { k, labels: answer.labels, centroids: answer.centres, kmeans: answer, mixture: null };
}

/**
 * The numbers of clusters that were asked for.
 *
 * @param rows - Embeddings that there are, if that is known.
 * @throws FlexaeError `FLEXAE_CONFIG` if there is none, or one cannot be.
 */
export function checkNumbers(
  clusters: ClusterOptions["clusters"],
  rows = Number.POSITIVE_INFINITY,
): readonly number[] {
  const numbers = typeof clusters === "number" ? [clusters] : clusters;
  for (const k of numbers) {
    if (!Number.isInteger(k) || k < 1) {
      throw configError(`Expected an integer of at least 1 for clusters but received ${k}`);
    }
    if (k > rows) {
      throw configError(`${k} clusters cannot be found among ${rows} embeddings: ask for fewer`);
    }
  }
  if (numbers.length === 0) throw configError("Expected a number of clusters");
  return numbers;
}

/**
 * Clusters the rows of a table.
 *
 * ```js
 * const table = await readTable("digits.parquet");
 * const { labels, scores } = await cluster(table, { clusters: 10 });
 * ```
 *
 * @throws FlexaeError `FLEXAE_CONFIG` for options that cannot be, such as more clusters than rows.
 *   Rejects with the reason of an aborted signal.
 */
export async function cluster(table: EmbeddingTable, options: ClusterOptions): Promise<Clustering> {
  const { method = "kmeans", seed = 0, device, signal, onProgress } = options;
  if (device !== undefined) checkDevice(device);
  const { embeddings, dims, classes } = table;
  const rows = embeddings.length / dims;
  const numbers = checkNumbers(options.clusters, rows);
  // By what clusters are found.
  const compared = options.spherical === true ? directions(embeddings, dims) : embeddings;
  const judge = async (labels: Int32Array) => {
    const used = new Set(labels).size;
    if (used < 2 || used >= rows) return null;
    const samples = rows > SILHOUETTE_ROWS ? SILHOUETTE_ROWS : 0;
    return await finishJob(
      callAddon((addon) => addon.silhouette(compared, dims, labels, { samples, seed, device })),
      signal,
      (share) => onProgress?.("silhouettes", share),
    );
  };

  let best: { found: Found; judged: Awaited<ReturnType<typeof judge>> } | undefined;
  const curve: Clustering["curve"] = [];
  for (const k of numbers) {
    const step = method === "gmm" ? `mixture of ${k}` : `${k} clusters`;
    const found = await fitClusters(table, k, options, (share) => onProgress?.(step, share));
    const judged = await judge(found.labels);
    if (numbers.length > 1) curve.push({ k, silhouette: judged?.mean ?? Number.NaN });
    if (best === undefined || (judged?.mean ?? -2) > (best.judged?.mean ?? -2)) {
      best = { found, judged };
    }
  }
  const { found, judged } = best as NonNullable<typeof best>;
  const { order, sizes } = bySize(countLabels(found.labels, found.k));
  const labels = found.labels.map((label) => order[label] as number);
  const centroids = reorder(found.centroids, order);
  const silhouettes = new Float64Array(rows).fill(Number.NaN);
  if (judged !== null) {
    for (const [i, point] of judged.points.entries())
      silhouettes[point] = judged.values[i] as number;
  }
  const { kmeans } = found;
  const { distances, inertia } =
    kmeans === null
      ? distancesTo(embeddings, centroids, labels, dims)
      : {
          distances: Float32Array.from(kmeans.squaredDistances, Math.sqrt),
          inertia: kmeans.inertia,
        };
  return {
    method,
    k: found.k,
    centroids,
    labels,
    distances,
    silhouettes,
    silhouette: judged?.mean ?? null,
    inertia,
    sizes,
    scores: scoreLabels(labels, classes, found.k),
    mixture: found.mixture === null ? null : sortedMixture(found.mixture, order),
    curve,
  };
}
