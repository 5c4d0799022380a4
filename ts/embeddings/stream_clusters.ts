/**
 * K-means on tables that memory does not hold. A sample of the rows is clustered in memory; from
 * there, centroids move on as row groups come. First by mini-batches (Sculley, 2010): each is a
 * share of the row groups in a drawn order, and a centroid is the mean of all rows that it ever got,
 * as in scikit-learn. Then by all rows at once, which is an iteration of Lloyd's algorithm a pass,
 * until the inertia hardly falls. The result follows from the rows, their row groups and the seed.
 */
import { translateError } from "../addon/errors.js";
import { callAddon } from "../addon/loader.js";
import { seededRandom, shuffledIndices } from "../random.js";
import { type Clustering, type ClusterOptions, checkNumbers, cluster, inOrder } from "./cluster.js";
import { finishJob } from "./job.js";
import { normalizeRows } from "./normalize.js";
import { ahead, type StreamedTable, type Stretch } from "./streamed_table.js";
import { makeTable } from "./table.js";

/** Rows that are clustered in memory first, and numbers that their embeddings may have (128 MB). */
const SAMPLE_ROWS = 1 << 18;
const SAMPLE_NUMBERS = 1 << 25;
/** Rows of the sample that a cluster has at the least, on average. */
const SAMPLED_A_CLUSTER = 32;
/** Rows whose silhouettes are computed, among themselves. */
const SILHOUETTE_ROWS = 20_000;
/** Moves of the pass in mini-batches: enough to come far, few enough that each has many rows. */
const MOVES = 64;
/** Passes over all rows end when the inertia falls by less than this share of it. */
const LEAST_FALL = 1e-3;
/** Passes over all rows at the most. */
const PASSES = 6;

/** How rows are clustered. */
export interface StreamOptions
  extends Pick<
    ClusterOptions,
    "clusters" | "restarts" | "spherical" | "seed" | "device" | "signal" | "onProgress"
  > {
  /** Rows that are clustered in memory first; 262,144 unless given, fewer of long embeddings. */
  sampleRows?: number | undefined;
}

/** Clusters of a table that is not in memory. The largest cluster is 0. */
export interface StreamedClusters
  extends Pick<Clustering, "k" | "centroids" | "sizes" | "silhouette" | "curve"> {
  /** Of some rows, by their number in the table, ascending. */
  silhouettes: ReadonlyMap<number, number>;
  /** Times that the rows were read. */
  passes: number;
}

/** Rows from as many stripes of the table as are drawn, one of each, ascending. */
function* drawnRows(rows: number, count: number, seed: number): Generator<number> {
  const random = seededRandom(seed);
  for (let i = 0; i < count; i++) {
    const from = Math.floor((i * rows) / count);
    const to = Math.floor(((i + 1) * rows) / count);
    yield from + Math.floor(random() * (to - from));
  }
}

/** Rows of a table in memory. */
interface Sample {
  /** Their numbers in the table, ascending. */
  rows: number[];
  embeddings: Float32Array;
}

class Clusterer {
  readonly #table: StreamedTable;
  readonly #options: StreamOptions;
  readonly #spherical: boolean;
  readonly #seed: number;
  #passes = 0;

  constructor(table: StreamedTable, options: StreamOptions) {
    this.#table = table;
    this.#options = options;
    this.#spherical = options.spherical === true;
    this.#seed = options.seed ?? 0;
  }

  get passes(): number {
    return this.#passes;
  }

  /** Reads all stretches in an order. */
  async each(
    step: string,
    order: Iterable<Stretch>,
    look: (stretch: Stretch, embeddings: Float32Array) => Promise<void>,
  ): Promise<void> {
    const { signal, onProgress } = this.#options;
    this.#passes++;
    let done = 0;
    for await (const [stretch, embeddings] of ahead(order, (s) => this.#table.embeddings(s))) {
      signal?.throwIfAborted();
      await look(stretch, embeddings);
      done += stretch.rows;
      onProgress?.(step, done / this.#table.rows);
    }
  }

  async sample(count: number): Promise<Sample> {
    const { dims, rows, stretches } = this.#table;
    const drawn = drawnRows(rows, count, this.#seed);
    const sample: Sample = { rows: [], embeddings: new Float32Array(count * dims) };
    let next = drawn.next();
    await this.each("a sample", stretches, async ({ first, rows }, embeddings) => {
      for (; !next.done && next.value < first + rows; next = drawn.next()) {
        const from = (next.value - first) * dims;
        sample.embeddings.set(embeddings.subarray(from, from + dims), sample.rows.length * dims);
        sample.rows.push(next.value);
      }
    });
    return sample;
  }

  #running(centroids: Float32Array, counts: Float64Array) {
    const { dims } = this.#table;
    const { device } = this.#options;
    return callAddon((addon) =>
      addon.runningCentres(centroids, dims, this.#spherical, counts, device),
    );
  }

  /** Moves centroids after every share of the row groups, in a drawn order. */
  async miniBatches(centroids: Float32Array, counts: Float64Array): Promise<Float32Array> {
    const { stretches } = this.#table;
    const running = this.#running(centroids, counts);
    const order = [...shuffledIndices(stretches.length, this.#seed)];
    const atOnce = Math.ceil(stretches.length / MOVES);
    let looked = 0;
    let moved = centroids;
    await this.each(
      "mini-batches",
      order.map((i) => stretches[i] as Stretch),
      async (_, embeddings) => {
        await running.add(embeddings);
        looked++;
        if (looked % atOnce === 0 || looked === stretches.length) moved = running.move().centres;
      },
    );
    return moved;
  }

  /** A pass over all rows: how good centroids are, and where they would move. */
  async whole(centroids: Float32Array, pass: number) {
    const k = centroids.length / this.#table.dims;
    const running = this.#running(centroids, new Float64Array(k));
    let inertia = 0;
    await this.each(`pass ${pass}`, this.#table.stretches, async (_, embeddings) => {
      inertia += (await running.add(embeddings)).inertia;
    });
    const { centres, counts } = running.move();
    return { inertia, moved: centres, sizes: counts };
  }

  /** The silhouettes of some rows of a sample. */
  async silhouettes(sample: Sample, centroids: Float32Array) {
    const { dims } = this.#table;
    const { device, signal, onProgress } = this.#options;
    const count = Math.min(sample.rows.length, SILHOUETTE_ROWS);
    const rows: number[] = [];
    const embeddings = new Float32Array(count * dims);
    for (const i of drawnRows(sample.rows.length, count, this.#seed)) {
      embeddings.set(sample.embeddings.subarray(i * dims, (i + 1) * dims), rows.length * dims);
      rows.push(sample.rows[i] as number);
    }
    const k = centroids.length / dims;
    const { labels } = await this.#running(centroids, new Float64Array(k)).add(embeddings);
    const values = new Map<number, number>();
    const used = new Set(labels).size;
    if (used < 2 || used >= count) return { values, mean: null };
    if (this.#spherical) normalizeRows(embeddings, dims);
    const judged = await finishJob(
      callAddon((addon) =>
        addon.silhouette(embeddings, dims, labels, { samples: 0, seed: this.#seed, device }),
      ),
      signal,
      (share) => onProgress?.("silhouettes", share),
    );
    for (const [i, row] of rows.entries()) values.set(row, judged.values[i] as number);
    return { values, mean: judged.mean };
  }
}

/**
 * Clusters the rows of a table by k-means, and reads it several times for that. Of several numbers
 * of clusters, the one is taken with the greatest silhouette in the sample.
 *
 * @throws FlexaeError `FLEXAE_CONFIG` for options that cannot be, `FLEXAE_DATA` where the table is
 *   damaged. Rejects with the reason of an aborted signal.
 */
export async function streamClusters(
  table: StreamedTable,
  options: StreamOptions,
): Promise<StreamedClusters> {
  const { signal, onProgress, seed = 0, spherical } = options;
  const { rows, dims } = table;
  const numbers = checkNumbers(options.clusters, rows);
  const most = Math.max(...numbers);
  const { sampleRows = SAMPLE_ROWS } = options;
  const least = Math.min(sampleRows, Math.floor(SAMPLE_NUMBERS / dims));
  const count = Math.min(rows, Math.max(least, SAMPLED_A_CLUSTER * most));
  const clusterer = new Clusterer(table, options);
  try {
    const sample = await clusterer.sample(count);
    const start = await cluster(makeTable(sample.embeddings, dims), {
      clusters: numbers,
      restarts: options.restarts,
      batchSize: 0,
      spherical,
      seed,
      device: options.device,
      signal,
      onProgress: (step, share) => onProgress?.(`${step} of a sample`, share),
    });
    let centroids = await clusterer.miniBatches(start.centroids, Float64Array.from(start.sizes));
    let found = await clusterer.whole(centroids, 1);
    for (let pass = 2; pass <= PASSES; pass++) {
      const next = await clusterer.whole(found.moved, pass);
      const fall = (found.inertia - next.inertia) / found.inertia;
      // Rounding may make it rise by nothing worth speaking of.
      if (next.inertia <= found.inertia) {
        centroids = found.moved;
        found = next;
      }
      if (!(fall >= LEAST_FALL)) break;
    }
    const sizes = Array.from(found.sizes);
    const sorted = inOrder(sizes, centroids);
    const { values, mean } = await clusterer.silhouettes(sample, sorted.centroids);
    return {
      k: start.k,
      ...sorted,
      silhouette: mean,
      silhouettes: values,
      curve: start.curve,
      passes: clusterer.passes,
    };
  } catch (error) {
    throw signal?.aborted ? error : translateError(error);
  }
}
