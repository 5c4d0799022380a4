/** What a run's model makes of a sample of its validation images. */
import { relative } from "node:path";
import { awaitAddon } from "../addon/loader.js";
import type { LoadOptions, ModelHandle } from "../addon/types.js";
import { toLoadOptions } from "../config/data.js";
import type { Settings } from "../config/resolve.js";
import type { ImageSet, SetArgument } from "../dataset/image_set.js";
import { openSet } from "../dataset/open_set.js";
import { shownPath } from "../files/paths.js";
import { shuffledIndices } from "../random.js";
import { recordedFolders } from "../runs/setting.js";
import {
  correlationsOf,
  type Dimension,
  dimensionsOf,
  outputStatistics,
  shownDimensions,
} from "./statistics.js";
import type { OutputStatistics } from "./verdict.js";

/** Images looked at, at most. */
const SAMPLE_SIZE = 300;
/** After so long the rest is left out, since a run must not wait for its report. */
const PATIENCE_MS = 1000;
/** Shown of the best, of the typical and of the worst. */
const EXAMPLES = 4;
/** Images whose reconstructions the rules look at besides those shown, where there is time. */
const RECONSTRUCTED = 24;
/** UMAP of fewer points says less than principal components. */
const LEAST_FOR_UMAP = 30;
/** Clusters by which a map is coloured where there are no classes. */
const CLUSTERS = 8;

/** An image of the sample and its reconstruction. */
export interface Example {
  kind: "best" | "typical" | "worst";
  /** Path in its set. */
  name: string;
  loss: number;
  image: Uint8Array;
  output: Float32Array;
}

/** A map of the sample, in which like images lie near each other. */
export interface SampleMap {
  method: "UMAP" | "principal components" | "the embedding itself";
  /** x and y of each image. */
  places: Float32Array;
  /** By what it is coloured. */
  groups: { by: "class" | "cluster"; names: string[]; of: number[] };
  /** Path of each image in its set. */
  names: string[];
}

/** What was found. */
export interface Sample {
  set: "validation" | "training";
  /** Images looked at, and all of the set. */
  images: number;
  of: number;
  /** [C, H, W]. */
  inputShape: number[];
  examples: Example[];
  outputs: OutputStatistics | null;
  /** Numbers of an embedding. */
  dims: number;
  /** Standard deviation of every dimension. */
  deviations: number[];
  shown: Dimension[];
  /** Of those shown. */
  correlations: Float64Array;
  /** Null where there are too few images. */
  map: SampleMap | null;
}

/** Rows of the sample, in the order in which they were drawn. */
interface Embedded {
  files: string[];
  /** Position of each in the set. */
  positions: number[];
  rows: Float32Array;
  losses: number[];
}

async function findImages(folder: string): Promise<{ set: Sample["set"]; images: ImageSet }> {
  const { train_dir, valid_dir } = recordedFolders(folder);
  const argument: SetArgument = { name: "The folder" };
  const first = valid_dir ?? train_dir;
  if (first === undefined) throw new Error("it does not say which images it was trained on");
  try {
    const set = valid_dir === undefined ? "training" : "validation";
    return { set, images: await openSet(first, argument) };
  } catch (error) {
    if (train_dir === undefined || first === train_dir) throw error;
    return { set: "training", images: await openSet(train_dir, argument) };
  }
}

async function embedSample(
  model: ModelHandle,
  { source }: ImageSet,
  load: LoadOptions,
  { seed, end, signal }: { seed: number; end: number; signal: AbortSignal | undefined },
): Promise<Embedded> {
  const { files: all } = source as { files: string[] };
  const drawn: number[] = [];
  for (const index of shuffledIndices(all.length, seed)) {
    if (drawn.length === SAMPLE_SIZE) break;
    drawn.push(index);
  }
  const found: Embedded = { files: [], positions: [], rows: new Float32Array(), losses: [] };
  const parts: Float32Array[] = [];
  const options = { batchSize: 32, loss: true };
  const handle = model.embed(
    drawn.map((index) => all[index] as string),
    load,
    options,
  );
  try {
    for (let last = false; !last; ) {
      const stretch = await handle.next();
      signal?.throwIfAborted();
      for (const [i, index] of stretch.indices.entries()) {
        const position = drawn[index] as number;
        found.positions.push(position);
        found.files.push(all[position] as string);
        found.losses.push(stretch.losses?.[i] as number);
      }
      parts.push(stretch.embeddings);
      last = stretch.last || (performance.now() > end && found.files.length >= 3 * EXAMPLES);
    }
  } finally {
    await handle.close();
  }
  found.rows = new Float32Array(parts.reduce((length, part) => length + part.length, 0));
  let at = 0;
  for (const part of parts) {
    found.rows.set(part, at);
    at += part.length;
  }
  return found;
}

/** Positions in the sample of the best, typical and worst; each image once. */
function chooseExamples(losses: readonly number[]): { kind: Example["kind"]; at: number }[] {
  const order = [...losses.keys()].sort((a, b) => (losses[a] as number) - (losses[b] as number));
  const each = Math.min(EXAMPLES, Math.floor(order.length / 3));
  if (each === 0) return order.map((at) => ({ kind: "typical", at }));
  const middle = Math.floor((order.length - each) / 2);
  const of = (kind: Example["kind"], positions: number[]) => positions.map((at) => ({ kind, at }));
  return [
    ...of("best", order.slice(0, each)),
    ...of("typical", order.slice(middle, middle + each)),
    ...of("worst", order.slice(-each).reverse()),
  ];
}

async function groupsOf(
  { classes, labels }: ImageSet,
  { positions, rows }: Embedded,
  dims: number,
  seed: number,
): Promise<SampleMap["groups"]> {
  if (classes.length > 0) {
    return { by: "class", names: classes, of: positions.map((i) => labels[i] as number) };
  }
  const clusters = Math.min(CLUSTERS, positions.length);
  const answer = await awaitAddon(
    (addon) =>
      addon.kmeans(rows, dims, {
        clusters,
        restarts: 3,
        maxIterations: 100,
        tolerance: 1e-4,
        spherical: false,
        batchSize: 0,
        seed,
      }).result,
  );
  const names = Array.from({ length: clusters }, (_, i) => `cluster ${i}`);
  return { by: "cluster", names, of: [...(answer?.labels ?? positions.map(() => 0))] };
}

async function mapSample(
  images: ImageSet,
  sample: Embedded,
  dims: number,
  seed: number,
  names: string[],
): Promise<SampleMap | null> {
  const { rows, files } = sample;
  if (files.length < 3 || dims < 2) return null;
  const groups = await groupsOf(images, sample, dims, seed);
  if (dims === 2) return { method: "the embedding itself", places: rows, groups, names };
  if (files.length < LEAST_FOR_UMAP) {
    const { map: places } = await awaitAddon((addon) => addon.fitPca(rows, dims, 2));
    return { method: "principal components", places, groups, names };
  }
  const places = await awaitAddon(
    (addon) =>
      addon.fitUmap(rows, dims, {
        dims: 2,
        nNeighbors: 15,
        minDist: 0.1,
        epochs: 0,
        metric: "euclidean",
        search: "exact",
        seed,
      }).result,
  );
  return places === null ? null : { method: "UMAP", places, groups, names };
}

/**
 * Loads a run's `ae.pt` and looks at images drawn by the run's seed: of the validation images, or
 * of the training ones if those are gone. On the CPU.
 *
 * @throws FlexaeError if the model or the images cannot be used; the reason of an aborted signal.
 */
export async function lookAtSample(
  folder: string,
  model: ModelHandle,
  settings: Settings,
  signal?: AbortSignal,
): Promise<Sample> {
  const { set, images } = await findImages(folder);
  const load: LoadOptions = { ...toLoadOptions(settings), cache: "none" };
  const { seed } = settings;
  const end = performance.now() + PATIENCE_MS;
  const sample = await embedSample(model, images, load, { seed, end, signal });
  if (sample.files.length === 0) throw new Error("none of the images drawn can be used");
  const { files, losses, rows } = sample;
  const dims = rows.length / files.length;
  const [channels, height, width] = model.inputShape as [number, number, number];
  const names = files.map((file) => shownPath(relative(images.root, file)));

  const chosen = chooseExamples(losses);
  const shownAt = new Set(chosen.map(({ at }) => at));
  const more = performance.now() < end ? RECONSTRUCTED : 0;
  const others = [...files.keys()].filter((at) => !shownAt.has(at)).slice(0, more);
  const drawn = [...shownAt, ...others];
  // Side by side, as files may be large.
  const decoded = await awaitAddon((addon) =>
    addon.decodeImages(
      drawn.map((at) => files[at] as string),
      { height, width, channels },
      load,
    ),
  );
  const pixels = new Map<number, { image: Uint8Array; output: Float32Array }>();
  const size = channels * height * width;
  for (const [i, at] of drawn.entries()) {
    signal?.throwIfAborted();
    const image = decoded.subarray(i * size, (i + 1) * size);
    pixels.set(at, { image, output: await model.reconstruct(image) });
  }
  signal?.throwIfAborted();
  const looked = [...pixels.values()];
  const all = dimensionsOf(rows, dims);
  const shown = shownDimensions(all);
  return {
    set,
    images: files.length,
    of: images.images,
    inputShape: model.inputShape,
    examples: chosen.map(({ kind, at }) => ({
      kind,
      name: names[at] as string,
      loss: losses[at] as number,
      ...(pixels.get(at) as { image: Uint8Array; output: Float32Array }),
    })),
    outputs: outputStatistics(
      looked.map(({ image }) => image),
      looked.map(({ output }) => output),
    ),
    dims,
    deviations: all.map(({ deviation }) => deviation),
    shown,
    correlations: correlationsOf(rows, dims, shown),
    map: await mapSample(images, sample, dims, seed, names),
  };
}
