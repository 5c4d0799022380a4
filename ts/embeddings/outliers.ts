/** Which images of a set are unlike those that a run was trained on. */
import { realpath } from "node:fs/promises";
import { basename, dirname, join, resolve } from "node:path";
import { configError } from "../addon/errors.js";
import { callAddon } from "../addon/loader.js";
import type { NeighbourAnswer } from "../addon/types.js";
import { modelFile } from "../runs/folder.js";
import type { EmbedOptions } from "./embed.js";
import { finishJob } from "./job.js";
import { embedInMemory } from "./memory_table.js";
import { modifiedZ } from "./modified_z.js";
import { runTable } from "./run_table.js";
import type { EmbeddingTable } from "./table.js";

/** What is searched for outliers, and how. */
export interface OutlierOptions
  extends Pick<
    EmbedOptions,
    | "sets"
    | "device"
    | "precision"
    | "batchSize"
    | "workers"
    | "maxPixels"
    | "trust"
    | "signal"
    | "onBad"
    | "onListing"
  > {
  /** Neighbours whose mean distance counts; 10 unless given. */
  nNeighbors?: number | undefined;
  /** Called now and then with what is done at the moment and its share, from 0 to 1. */
  onProgress?: ((step: string, share: number) => void) | undefined;
}

/** The images of sets, the most unusual first; entry i of each column is of the same image. */
export interface Outliers {
  /** Relative to their sets, with `/` between folders. */
  paths: string[];
  /** The sets, as they were named. */
  sets: string[];
  /** The folders below the sets that the images lie in; null of a flat set. */
  classes: (string | null)[];
  /** N: mean losses of the reconstructions. */
  losses: Float32Array;
  /** N: mean distances to the nearest training images, √Σ(x − y)² between embeddings. */
  neighbourDistances: Float32Array;
  /** N: the greater of both modified z-scores, descending. */
  scores: Float64Array;
  /** The nearest training image of each, with its set before its path. */
  nearest: string[];
  /** How many images are outliers: the first ones, whose scores exceed the threshold. */
  outliers: number;
  /** 3.5. */
  threshold: number;
  /** What images were compared with: those of the training, or where these are gone each other. */
  reference: "training" | "set";
  /** Images that could not be used, and were left out. */
  bad: number;
  /** The autoencoder's file. */
  model: string;
  /** What is worth saying. */
  warnings: string[];
}

/** Iglewicz and Hoaglin's, for modified z-scores. */
const THRESHOLD = 3.5;

const EUCLIDEAN = { metric: "euclidean" } as const;

/** Where neighbours are found: on a GPU that was asked for by name, which gives the same ones. */
const neighbourDevice = (device = "auto") => (device === "auto" ? undefined : device);

/** An image's file, by which it is known again whatever its set is called. */
async function filesOf({ paths, sets }: EmbeddingTable): Promise<string[]> {
  const folders = new Map<string | null, string>();
  for (const set of new Set(sets)) {
    const folder = resolve(set ?? "");
    folders.set(set, await realpath(folder).catch(() => folder));
  }
  return paths.map((path, i) => join(folders.get(sets[i] as string | null) as string, path));
}

function isSameRow(a: EmbeddingTable, i: number, b: EmbeddingTable, j: number): boolean {
  for (let at = 0; at < a.dims; at++) {
    if (a.embeddings[i * a.dims + at] !== b.embeddings[j * b.dims + at]) return false;
  }
  return true;
}

/** Of each row of a table, the k nearest of another. */
interface Neighbours {
  /** N: of their distances. */
  means: Float32Array;
  /** N: the nearest's row. */
  nearest: Int32Array;
}

function summarize({ indices, distances }: NeighbourAnswer, k: number): Neighbours {
  const rows = indices.length / k;
  const mean = (row: number) => {
    let sum = 0;
    for (let i = row * k; i < (row + 1) * k; i++) sum += distances[i] as number;
    return sum / k;
  };
  return {
    means: Float32Array.from({ length: rows }, (_, row) => mean(row)),
    nearest: Int32Array.from({ length: rows }, (_, row) => indices[row * k] as number),
  };
}

/** Takes from each row's k + 1 neighbours its own image, or where that is not there the last. */
function withoutSelf(answer: NeighbourAnswer, own: readonly number[], k: number): NeighbourAnswer {
  const indices = new Int32Array(own.length * k);
  const distances = new Float32Array(own.length * k);
  for (const [row, self] of own.entries()) {
    let to = row * k;
    for (let i = row * (k + 1); to < (row + 1) * k; i++) {
      if (answer.indices[i] === self) continue;
      indices[to] = answer.indices[i] as number;
      distances[to++] = answer.distances[i] as number;
    }
  }
  return { indices, distances };
}

/**
 * Of each row of `table` its k nearest in `training`, the image itself left out if it is there.
 *
 * @param known - Of each row in `training`, its own neighbours there.
 */
async function neighboursIn(
  training: EmbeddingTable,
  table: EmbeddingTable,
  known: Neighbours,
  k: number,
  { device, signal, onProgress }: OutlierOptions,
): Promise<Neighbours> {
  const { dims } = table;
  const places = new Map((await filesOf(training)).map((file, row) => [file, row]));
  const own = (await filesOf(table)).map((file) => places.get(file) ?? -1);
  // A training image that is as it was has its neighbours already.
  const asked = [...own.keys()].filter((row) => {
    const self = own[row] as number;
    return self < 0 || !isSameRow(table, row, training, self);
  });
  const means = Float32Array.from(own, (self) => known.means[self] ?? 0);
  const nearest = Int32Array.from(own, (self) => known.nearest[self] ?? 0);
  if (asked.length === 0) return { means, nearest };
  const queries = new Float32Array(asked.length * dims);
  for (const [i, row] of asked.entries()) {
    queries.set(table.embeddings.subarray(row * dims, (row + 1) * dims), i * dims);
  }
  const answer = await finishJob(
    callAddon((addon) =>
      addon.nearestNeighboursOf(queries, training.embeddings, dims, {
        k: k + 1,
        device: neighbourDevice(device),
        ...EUCLIDEAN,
      }),
    ),
    signal,
    (share) => onProgress?.("finding neighbours", share),
  );
  const theirs = asked.map((row) => own[row] as number);
  const found = summarize(withoutSelf(answer, theirs, k), k);
  for (const [i, row] of asked.entries()) {
    means[row] = found.means[i] as number;
    nearest[row] = found.nearest[i] as number;
  }
  return { means, nearest };
}

/** What `outliers` of `ts/index.ts` does. */
export async function outliers(model: string, options: OutlierOptions): Promise<Outliers> {
  const { nNeighbors: k = 10, signal, onProgress, onBad, onListing, sets, ...how } = options;
  if (!Number.isInteger(k) || k < 1) {
    throw configError(`Expected an integer of at least 1 for nNeighbors but received ${k}`);
  }
  const file = resolve(await modelFile(model, "ae.pt"));
  const { table, bad, warnings } = await embedInMemory(file, {
    ...how,
    sets,
    loss: true,
    signal,
    onBad,
    onListing,
    onProgress: (done, total) => onProgress?.("embedding", done / total),
  });
  const found =
    basename(file) === "ae.pt"
      ? await runTable(dirname(file), {
          ...how,
          loss: true,
          signal,
          onProgress: (done, total) => onProgress?.("embedding the training images", done / total),
        })
      : { missing: `${model} lies in no run's folder` };
  const training = "missing" in found ? null : found;
  if ("missing" in found) {
    warnings.push(
      `the training images are missing, so images are compared with each other: ${found.missing}`,
    );
  }
  const reference = training ?? table;
  const { dims, embeddings, paths } = reference;
  if (k >= paths.length) {
    const what = training === null ? "images" : "training images";
    throw configError(
      `${paths.length} ${what} are too few for ${k} neighbours: ask for fewer neighbours`,
    );
  }
  const answer = await finishJob(
    callAddon((addon) =>
      addon.nearestNeighbours(embeddings, dims, {
        k,
        search: "auto",
        seed: 0,
        device: neighbourDevice(how.device),
        ...EUCLIDEAN,
      }),
    ),
    signal,
    (share) => onProgress?.("finding the training images' neighbours", share),
  );
  const known = summarize(answer, k);
  const { means, nearest } =
    training === null ? known : await neighboursIn(training, table, known, k, options);
  const losses = table.losses as Float32Array;
  const lossScore = modifiedZ(reference.losses as Float32Array);
  const distanceScore = modifiedZ(known.means);
  const scores = Float64Array.from(losses, (loss, i) =>
    Math.max(lossScore(loss), distanceScore(means[i] as number)),
  );
  // Of images that are equally unusual, the earlier one first.
  const order = [...scores.keys()].sort((a, b) => (scores[b] as number) - (scores[a] as number));
  const inOrder = <T>(column: ArrayLike<T>) => order.map((row) => column[row] as T);
  return {
    paths: inOrder(table.paths),
    sets: inOrder(table.sets as string[]),
    classes: inOrder(table.classes),
    losses: Float32Array.from(inOrder(losses)),
    neighbourDistances: Float32Array.from(inOrder(means)),
    scores: Float64Array.from(inOrder(scores)),
    nearest: inOrder(nearest).map((row) =>
      join(reference.sets[row] ?? "", reference.paths[row] as string),
    ),
    outliers: scores.filter((score) => score > THRESHOLD).length,
    threshold: THRESHOLD,
    reference: training === null ? "set" : "training",
    bad,
    model: file,
    warnings,
  };
}
