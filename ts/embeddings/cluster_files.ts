/** What `flexae cluster` leaves: rows' clusters, and what assigns further rows to them. */
import { readFile } from "node:fs/promises";
import { extname } from "node:path";
import { configError, dataError, systemReason, translateError } from "../addon/errors.js";
import { awaitAddon } from "../addon/loader.js";
import type { ClusteringScores, MixtureModel } from "../addon/types.js";
import { writeFileAtomic } from "../files/atomic.js";
import { beside } from "../files/paths.js";
import { checkDevice } from "../runs/plan.js";
import { VERSION } from "../version.js";
import { AssignmentsFile } from "./assignments_file.js";
import {
  type Clustering,
  type ClusterOptions,
  countLabels,
  distancesTo,
  scoreLabels,
} from "./cluster.js";
import { npyBytes } from "./npy.js";
import type { EmbeddingTable } from "./table.js";
import { isSameSpace, type MapOrigin } from "./table.js";

/** Numbers of all covariances that a `clusters.json` can hold, of which it has two for each. */
const MOST_COVARIANCES = 1 << 22;

/**
 * Checks, before it is fitted, that a mixture can be kept in a file.
 *
 * @throws FlexaeError `FLEXAE_CONFIG` if its covariances have too many numbers.
 */
export function checkMixtureSize(
  k: number,
  dims: number,
  covariance: NonNullable<ClusterOptions["covariance"]> = "full",
): void {
  const numbers = { full: k * dims * dims, tied: dims * dims, diag: k * dims }[covariance];
  if (numbers <= MOST_COVARIANCES) return;
  const other = covariance === "full" ? "--covariance diag or tied" : "--covariance diag";
  throw configError(
    `A mixture of ${k} with ${covariance} covariances of embeddings of ${dims} numbers has ${numbers} of them, too many for a file: map the embeddings first (flexae map --dims 10), or take ${other}`,
  );
}

/** `clusters.json`: a clustering without its rows. */
interface ClustersFile {
  format: 1;
  version: string;
  method: "kmeans" | "gmm";
  k: number;
  dims: number;
  /** Of the model whose embeddings were clustered; null if their table did not say. */
  modelSha256: string | null;
  /** Of the map that was clustered; null if the encoder's embeddings were. */
  map: MapOrigin | null;
  spherical: boolean;
  sizes: number[];
  inertia: number;
  silhouette: number | null;
  scores: ClusteringScores | null;
  curve: { k: number; silhouette: number }[];
  centroids: number[][];
  mixture: Record<string, unknown> | null;
}

/** The rows' clusters. */
export interface Assignments {
  labels: Int32Array;
  distances: Float32Array;
  /** NaN where none was computed. */
  silhouettes: Float64Array | null;
}

/** Names of what lies beside the assignments `out`. */
function filesBeside(out: string): { json: string; npy: string } {
  return { json: beside(out, ".clusters.json"), npy: beside(out, ".clusters.npy") };
}

/** @throws FlexaeError `FLEXAE_CONFIG` unless it ends in .csv or .parquet. */
export function checkAssignmentsName(out: string): void {
  if (![".csv", ".parquet"].includes(extname(out).toLowerCase())) {
    throw configError(`Expected a name that ends in .csv or .parquet for out but received ${out}`);
  }
}

const known = (value: number | undefined) =>
  value === undefined || Number.isNaN(value) ? null : value;

/** Writes `path,class,cluster,distance,silhouette`, a row each, as CSV or Parquet by the name's ending. */
export async function writeAssignments(
  out: string,
  { paths, classes }: EmbeddingTable,
  { labels, distances, silhouettes }: Assignments,
): Promise<void> {
  const file = await AssignmentsFile.create(out);
  try {
    await file.write({
      paths,
      classes,
      labels,
      distances,
      silhouettes: paths.map((_, i) => known(silhouettes?.[i])),
    });
    await file.finish();
  } catch (error) {
    await file.abandon();
    throw error;
  }
}

const MIXTURE_ARRAYS = ["weights", "means", "covariances", "precisionsCholesky"] as const;

/** Writes `….clusters.json` and `….clusters.npy`, the centroids. */
export async function writeClusters(
  out: string,
  { dims, origin }: Pick<EmbeddingTable, "dims" | "origin">,
  clustering: Omit<Clustering, "labels" | "distances" | "silhouettes">,
  spherical: boolean,
): Promise<void> {
  const { method, k, centroids, sizes, inertia, silhouette, scores, curve, mixture } = clustering;
  const content: ClustersFile = {
    format: 1,
    version: VERSION,
    method,
    k,
    dims,
    modelSha256: origin?.modelSha256 ?? null,
    map: origin?.map ?? null,
    spherical,
    sizes,
    inertia,
    silhouette,
    scores,
    curve,
    centroids: Array.from({ length: k }, (_, i) =>
      Array.from(centroids.subarray(i * dims, (i + 1) * dims)),
    ),
    mixture:
      mixture === null
        ? null
        : {
            covariance: mixture.covariance,
            ...Object.fromEntries(MIXTURE_ARRAYS.map((name) => [name, Array.from(mixture[name])])),
          },
  };
  const { json, npy } = filesBeside(out);
  await writeFileAtomic(npy, npyBytes(centroids, dims));
  await writeFileAtomic(json, `${JSON.stringify(content, null, 1)}\n`);
}

/** What was found of further rows. */
export interface Prediction extends Assignments {
  k: number;
  method: "kmeans" | "gmm";
  inertia: number;
  sizes: number[];
  scores: ClusteringScores | null;
}

/** Clusters found earlier, to which rows can be assigned. */
export interface SavedClusters {
  k: number;
  method: "kmeans" | "gmm";
  /** The clusters of N embeddings, and how far these are from the centroids. */
  assign(
    embeddings: Float32Array,
  ): Promise<{ labels: Int32Array; distances: Float32Array; inertia: number }>;
}

/** Clusters by their centroids, k × dims: rows go to the nearest. */
export function nearestClusters(
  centroids: Float32Array,
  dims: number,
  spherical: boolean,
  device?: string,
): SavedClusters {
  return {
    k: centroids.length / dims,
    method: "kmeans",
    async assign(embeddings) {
      const { labels, squaredDistances } = await awaitAddon((addon) =>
        addon.assign(embeddings, dims, centroids, spherical, device),
      );
      return {
        labels,
        distances: Float32Array.from(squaredDistances, Math.sqrt),
        inertia: squaredDistances.reduce((sum, value) => sum + value, 0),
      };
    },
  };
}

/**
 * Reads clusters that were found earlier, for a table's rows.
 *
 * @param file - A `….clusters.json`.
 * @param device - Where rows are assigned; `cpu` unless given.
 * @throws FlexaeError `FLEXAE_DATA` if it is none, or of another model's embeddings.
 */
export async function readClusters(
  file: string,
  table: Pick<EmbeddingTable, "path" | "dims" | "origin">,
  device?: string,
): Promise<SavedClusters> {
  if (device !== undefined) checkDevice(device);
  let clusters: ClustersFile;
  try {
    clusters = JSON.parse(await readFile(file, "utf8")) as ClustersFile;
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    throw dataError(
      `${file} cannot be read: ${code === undefined ? "it is no JSON" : systemReason(error)}`,
      error,
    );
  }
  const { k, dims, method, spherical } = clusters;
  if (clusters.format !== 1 || !Array.isArray(clusters.centroids)) {
    throw dataError(`${file} holds no clusters that flexae cluster wrote`);
  }
  if (dims !== table.dims || !isSameSpace(clusters, table.origin)) {
    throw dataError(
      `${table.path} is of another model or map than the clusters in ${file}: embed its images with the same model, and place them with --transform if a map was clustered`,
    );
  }
  const centroids = Float32Array.from(clusters.centroids.flat());
  if (method !== "gmm") return nearestClusters(centroids, dims, spherical, device);
  const stored = clusters.mixture as Record<string, unknown>;
  const mixture = {
    covariance: stored.covariance,
    ...Object.fromEntries(
      MIXTURE_ARRAYS.map((name) => [name, Float64Array.from(stored[name] as number[])]),
    ),
  } as unknown as MixtureModel;
  return {
    k,
    method,
    assign: async (embeddings) => {
      const { labels } = await awaitAddon((addon) =>
        addon.predictMixture(embeddings, dims, mixture, device),
      );
      return { labels, ...distancesTo(embeddings, centroids, labels, dims) };
    },
  };
}

/**
 * Assigns a table's rows to clusters found earlier.
 *
 * @param file - A `….clusters.json`.
 * @param device - Where rows are assigned, as in {@link ClusterOptions}.
 * @throws FlexaeError `FLEXAE_DATA` if it is none, or of another model's embeddings.
 */
export async function predictClusters(
  file: string,
  table: EmbeddingTable,
  { device }: Pick<ClusterOptions, "device"> = {},
): Promise<Prediction> {
  const { k, method, assign } = await readClusters(file, table, device);
  const { labels, distances, inertia } = await assign(table.embeddings).catch((error) => {
    throw translateError(error);
  });
  const sizes = countLabels(labels, k);
  const scores = scoreLabels(labels, table.classes, k);
  return { k, method, labels, distances, silhouettes: null, inertia, sizes, scores };
}
