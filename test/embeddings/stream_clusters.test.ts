/** Clusters by several passes over parts, from a sample that is a small share of the rows. */
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { cluster } from "../../ts/embeddings/cluster.ts";
import { ParquetTable } from "../../ts/embeddings/parquet.ts";
import { readTable } from "../../ts/embeddings/read_table.ts";
import { type StreamOptions, streamClusters } from "../../ts/embeddings/stream_clusters.ts";
import { StreamedTable } from "../../ts/embeddings/streamed_table.ts";
import type { EmbeddingTable, TableOrigin } from "../../ts/embeddings/table.ts";
import { seededRandom } from "../support/random.ts";

const DIMS = 6;
const HEAPS = 30;
const PARTS = 24;
const ROWS = 1000;

const ORIGIN: TableOrigin = {
  version: "0",
  model: null,
  modelSha256: null,
  dims: DIMS,
  precision: null,
  normalize: null,
  loss: false,
  sha256: false,
  file: false,
  map: null,
  settings: null,
};

/**
 * Heaps that overlap, in parts. Rows are sorted by heap, as those of folders are by class: the worst
 * that can happen to what sees a part at a time.
 */
async function writeParts(folder: string): Promise<void> {
  const random = seededRandom(1);
  const noise = () => random() + random() + random() + random() - 2;
  const centres = Array.from({ length: HEAPS * DIMS }, () => 6 * random());
  for (let part = 0; part < PARTS; part++) {
    const path = join(folder, `${String(part).padStart(2, "0")}.parquet`);
    const embeddings = new Float32Array(ROWS * DIMS);
    for (let i = 0; i < ROWS; i++) {
      const heap = Math.floor((HEAPS * (part * ROWS + i)) / (PARTS * ROWS));
      for (let d = 0; d < DIMS; d++) {
        embeddings[i * DIMS + d] = (centres[heap * DIMS + d] as number) + noise();
      }
    }
    const table = await ParquetTable.create(path, ORIGIN);
    await table.write({
      paths: Array.from({ length: ROWS }, (_, i) => `${part}/${i}.png`),
      sets: Array(ROWS).fill(null),
      classes: Array(ROWS).fill(null),
      embeddings,
      losses: null,
      widths: null,
      heights: null,
      bytes: null,
      sha256: null,
    });
    await table.finish();
  }
}

describe("clusters of a streamed table", () => {
  let folder: string;
  let streamed: StreamedTable;
  let whole: EmbeddingTable;
  beforeAll(async () => {
    folder = mkdtempSync(join(tmpdir(), "flexae-stream-"));
    await writeParts(folder);
    streamed = (await StreamedTable.open([join(folder, "*.parquet")])) as StreamedTable;
    whole = await readTable(folder);
  });
  afterAll(() => rmSync(folder, { recursive: true, force: true }));

  /** Sum of squared distances to the nearest centroid. */
  function inertiaOf(centroids: Float32Array): number {
    const { embeddings } = whole;
    let sum = 0;
    for (let row = 0; row < embeddings.length; row += DIMS) {
      let least = Number.POSITIVE_INFINITY;
      for (let c = 0; c < centroids.length; c += DIMS) {
        let squared = 0;
        for (let d = 0; d < DIMS; d++) {
          squared += ((embeddings[row + d] as number) - (centroids[c + d] as number)) ** 2;
        }
        least = Math.min(least, squared);
      }
      sum += least;
    }
    return sum;
  }

  it("are within two hundredths of those in memory, from a sample of a tenth", async () => {
    for (const clusters of [5, 30]) {
      const inMemory = await cluster(whole, { clusters, restarts: 10 });
      const options: StreamOptions = { clusters, sampleRows: 2400 };
      const found = await streamClusters(streamed, options);
      expect(found.sizes.reduce((a, b) => a + b, 0)).toBe(PARTS * ROWS);
      expect(inertiaOf(found.centroids) / inMemory.inertia).toBeLessThan(1.02);
      // The sample alone is farther off: the passes did something.
      const start = await cluster(sampled(2400), { clusters, restarts: 10 });
      expect(inertiaOf(found.centroids)).toBeLessThan(inertiaOf(start.centroids));
    }
  });

  /** As many rows, at equal steps. */
  function sampled(count: number): EmbeddingTable {
    const step = (PARTS * ROWS) / count;
    const embeddings = new Float32Array(count * DIMS);
    for (let i = 0; i < count; i++) {
      const from = Math.floor(i * step) * DIMS;
      embeddings.set(whole.embeddings.subarray(from, from + DIMS), i * DIMS);
    }
    return { ...whole, embeddings, paths: whole.paths.slice(0, count), classes: [] };
  }

  it("follow from the seed", async () => {
    const options = { clusters: 12, sampleRows: 500, seed: 3 };
    const found = await streamClusters(streamed, options);
    expect((await streamClusters(streamed, options)).centroids).toEqual(found.centroids);
    const other = await streamClusters(streamed, { ...options, seed: 4 });
    expect(other.centroids).not.toEqual(found.centroids);
  });

  it("have silhouettes of rows all over the table", async () => {
    const { silhouettes, silhouette } = await streamClusters(streamed, {
      clusters: 8,
      sampleRows: 2000,
    });
    expect(silhouettes.size).toBe(2000);
    const rows = [...silhouettes.keys()];
    expect(rows).toEqual([...rows].sort((a, b) => a - b));
    // One of each stripe of twelve.
    for (const [i, row] of rows.entries()) expect(Math.floor(row / 12)).toBe(i);
    const mean = [...silhouettes.values()].reduce((a, b) => a + b, 0) / rows.length;
    expect(mean).toBeCloseTo(silhouette as number, 9);
  });

  it("end when the signal says so", async () => {
    const reason = new Error("enough");
    const signal = AbortSignal.abort(reason);
    await expect(streamClusters(streamed, { clusters: 3, signal })).rejects.toBe(reason);
    const abort = new AbortController();
    const running = streamClusters(streamed, {
      clusters: 3,
      sampleRows: 500,
      signal: abort.signal,
      onProgress: (step) => {
        if (step === "mini-batches") abort.abort(reason);
      },
    });
    await expect(running).rejects.toBe(reason);
  });
});
