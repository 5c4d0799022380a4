/**
 * The whole native addon, typed. Nothing else in `ts/` knows what the addon exports.
 *
 * Conventions: image batches cross the border as N×C×H×W, row-major; floats lie in [0, 1], bytes in
 * 0…255. Tensors never leave C++. Every rejected promise and thrown error is an {@link AddonError}.
 */

/** What went wrong, as the machine-readable `code` of every error the addon raises. */
export type AddonErrorCode =
  /** The model or training options are not valid. */
  | "FLEXAE_CONFIG"
  /** Images cannot be used: none found, or too many unreadable. */
  | "FLEXAE_DATA"
  /** A file cannot be written or read. */
  | "FLEXAE_IO"
  /** A `.pt` or `.ckpt` file is not what it should be. */
  | "FLEXAE_MODEL"
  /** Host or device memory ran out. */
  | "FLEXAE_MEMORY"
  /** A loss or gradient stopped being finite. */
  | "FLEXAE_NAN"
  /** The handle was disposed of. */
  | "FLEXAE_DISPOSED"
  /** Another process of the training failed, or cannot be reached. */
  | "FLEXAE_PROCESS"
  /** Anything else: a defect of this program or of libtorch. */
  | "FLEXAE_INTERNAL";

/** An error raised by the addon: one or two lines of message, and a {@link AddonErrorCode}. */
export interface AddonError extends Error {
  code: AddonErrorCode;
}

/** One row of a model summary. */
export interface SummaryLayer {
  /** As in the exported model, e.g. `encoder.conv_0`. */
  name: string;
  /** Keras's class name, e.g. `Conv2D`. */
  type: string;
  /** Without the batch: [C, H, W] or [units]. */
  outputShape: number[];
  /** Trainable and not. */
  parameters: number;
  /** Multiply-accumulates for one image. */
  macs: number;
  /** False where nothing faster than libtorch's operations, one by one, computes the layer. */
  fastPath: boolean;
}

/** What a network is made of and costs, before it is trained. */
export interface Summary {
  /** [C, H, W]. */
  inputShape: number[];
  /** In the order in which they compute. */
  layers: SummaryLayer[];
  /** Counts of numbers. */
  parameters: {
    /** All that a model holds. */
    total: number;
    /** Those that the optimizer changes. */
    trainable: number;
    /** The moving statistics of batch normalizations. */
    nonTrainable: number;
  };
  /** Of the layers up to the embedding. */
  encoder: {
    /** Trainable and not. */
    parameters: number;
    /** Of one embedding, without the batch. */
    outputShape: number[];
  };
  /** Multiply-accumulates for one image, forward. */
  macs: number;
  /** Estimated peak bytes of training at `batchSize`: weights, gradients, optimizer state, saved activations. */
  trainingBytes: number;
}

/** How images are resized: by OpenCV's method of that name. */
export type Interpolation = "area" | "bilinear" | "nearest";

/** Where decoded images are kept: `auto` takes memory when they fit, else the disk, else neither. */
export type Cache = "auto" | "ram" | "disk" | "none";

/** How image files become arrays. Height, width and channels come from the model. */
export interface LoadOptions {
  interpolation: Interpolation;
  /** Decoding threads; 0 chooses by cores. */
  workers: number;
  /** Trainings keep decoded images there; a scoring only reads what one has kept on disk. */
  cache: Cache;
  /** Images whose files claim more pixels are bad, and no memory is taken for them; at most 2³⁰. */
  maxPixels: number;
}

/** Where images come from: files to decode, or bytes already in memory (N×C×H×W). */
export type ImageSource = { files: string[]; parts?: SetPart[] } | { images: Uint8Array };

/** Images that follow each other in a source, and how often they are drawn beside the others. */
export interface SetPart {
  images: number;
  /** Above 0; what counts is its share in the sum of all. */
  weight: number;
}

/** How an image lies in a container: as a file does, so but deflated, or as height×width×channels bytes. */
export const MEMBER_FORMS = ["stored", "deflated", "pixels"] as const;
export type MemberForm = (typeof MEMBER_FORMS)[number];

/** The images of a container; entry i of each array is of image i. */
export interface MemberList {
  /** Each once, and none with a NUL. */
  names: string[];
  /** Where its bytes begin, in the file or in what `append` took. */
  offsets: Float64Array;
  /** Bytes of it as a file; of pixels, theirs. */
  lengths: Uint32Array;
  /** Bytes in the file, where it is deflated. */
  stored: Uint32Array;
  /** CRC-32 of its bytes; 0 where it is not known. */
  crcs: Uint32Array;
  /** Position in `classes`; -1 where the container names no class. */
  labels: Int32Array;
  /** Position in {@link MEMBER_FORMS}. */
  forms: Uint8Array;
  classes: string[];
  /** Members that are no images. */
  others: number;
  /** Of images that are pixels; zeros without any. */
  shape: { height: number; width: number; channels: number };
}

/** A container whose images can be read. */
export interface ContainerListing {
  /** Absolute paths: the container's with the image's name below. */
  files: string[];
  /** Position in `classes`; -1 where the container names no class. */
  labels: Int32Array;
  classes: string[];
  /** Members that are no images. */
  others: number;
}

/** A container that is being listed. */
export interface ContainerFile {
  /** Adds bytes to what is kept of it, and returns where they are. Throws FLEXAE_IO. */
  append(bytes: Uint8Array): number;
  /** Reads back what was added, as much as fits; returns how much that was. */
  read(target: Uint8Array, position: number): number;
  /** Keeps the list, and makes the images readable. Rejects with FLEXAE_IO. */
  finish(members: MemberList): Promise<ContainerListing>;
  /** Gives it up. */
  discard(): void;
}

/** What a folder holds; see `scanFolder`. */
export interface FolderScan {
  /**
   * Absolute paths in a stable order (class, then name; compared bytewise). Bytes that are no UTF-8 are lone surrogates,
   * U+DC80…U+DCFF, which the addon takes back; `shownPath` makes them fit to be seen.
   */
  files: string[];
  /** Sub-folder names that hold images, fit to be shown; empty for a flat folder. */
  classes: string[];
  /** For each file, its position in `classes`; empty for a flat folder. */
  labels: Int32Array;
  /** Images lying directly in a folder that has classes: left out. */
  loose: number;
  /** Files passed over because their names are not those of images. */
  others: number;
}

/** What can be told of images without training on them; entry i is of file i. */
export interface Examination {
  /** Why an image cannot be used; null if it can. What is below is 0 if it cannot. */
  reasons: (string | null)[];
  /** In pixels, after turning by EXIF orientation. */
  widths: Int32Array;
  heights: Int32Array;
  /** The same for images of the same size and pixels, however they are stored. */
  hashes: BigUint64Array;
  /** Standard deviation of the pixels, 0…127.5, of the channel where it is largest. */
  deviations: Float32Array;
}

/** What `train` is asked for. */
export interface TrainRequest {
  /** Stored in ae.pt and en.pt as the extra file `config.json`; its `model` is the network. */
  configJson: string;
  /** How to train it: the JSON object of `toTrainingJson`. */
  training: string;
  train: ImageSource;
  valid: ImageSource;
  load: LoadOptions;
  /** Share of images in [0, 1] that may be unreadable before training stops with FLEXAE_DATA. */
  maxBadShare: number;
  /** An existing folder, or "" to write nothing. `ae.pt`, `en.pt` and the checkpoints go there. */
  runDir: string;
  /** Stored in checkpoints, for whoever resumes. */
  settingsJson: string;
  /** A checkpoint to go on from, of the same network and optimizer; "" starts anew. Rejects with FLEXAE_MODEL if it is not. */
  resumeFrom: string;
  /** An `ae.pt` or `en.pt` whose weights it begins with; "" for new ones. Rejects with FLEXAE_MODEL if layers differ. */
  weightsFrom: string;
  /** Layers that it does not have begin new. */
  partialWeights: boolean;
  /** Least time between two `batch` events, in milliseconds. */
  progressInterval: number;
  /** The others of one training; all of them call `train`, with the same network and settings. */
  processes?: ProcessGroupHandle | undefined;
}

/** How a process finds the others of its training. Names as PyTorch has them. */
export interface JoinRequest {
  /** Of this process, from 0. */
  rank: number;
  worldSize: number;
  masterAddress: string;
  masterPort: number;
  /** Whether rank 0 opens the store; else somebody has, such as torchrun. */
  hostsStore: boolean;
  /** Of keys in the store: another for each start. */
  prefix: string;
  /** How long all are waited for. */
  joinSeconds: number;
}

/** The processes of one training. */
export interface ProcessGroupHandle {
  /** Everybody's texts, by rank. Rejects with FLEXAE_PROCESS if a process fails or is lost. */
  exchange(text: string): Promise<string[]>;
  /** This process cannot go on: all others end, with this reason. */
  fail(reason: string): void;
  /** This process is done; rank 0 waits for all others to be. */
  leave(): Promise<void>;
}

/** What the processes of a training have cost each other. */
export interface Traffic {
  /** Bytes that were added up. */
  bytes: number;
  /** In how many sums. */
  sums: number;
  /** From the start of each sum to its end, added up. */
  seconds: number;
  /** Of those, spent waiting. */
  waited: number;
  /** The gradients' part of these. */
  gradientBytes: number;
  gradientSeconds: number;
  gradientWaited: number;
}

/** Loss, binary accuracy, mean squared error and peak signal-to-noise ratio (dB) of a set of images. */
export interface Scores {
  /** Keras's binary cross-entropy, a mean over pixels in nats, plus the penalties, if any. */
  loss: number;
  /** Keras's binary accuracy, 0…1: the share of pixels whose rounded output equals the original. */
  accuracy: number;
  /** Mean squared error of pixels in [0, 1]. */
  mse: number;
  /** Peak signal-to-noise ratio in dB, of all images together: -10·log₁₀(mse). */
  psnr: number;
}

/** What an epoch gave; `epoch` counts from 1. */
export interface EpochScores {
  /** From 1. */
  epoch: number;
  /** Of the training images, while the weights changed. */
  train: Scores;
  /** Of the validation images, at its end. */
  valid: Scores;
  /** How long it took, validation included. */
  seconds: number;
  /** Training images per second, validation excluded. */
  imagesPerSecond: number;
  /** At its end; NaN of an epoch that an earlier checkpoint tells of, which lacks it. */
  learningRate: number;
  /** Whether this epoch has the best validation loss so far. */
  best: boolean;
  /** Which one has, from 1. */
  bestEpoch: number;
}

/** What a checkpoint says of its training; see docs/formats.md. */
export interface CheckpointInfo {
  /** Epochs completed. */
  epoch: number;
  /** Batches trained of the epoch after. */
  batch: number;
  /** 0 when no epoch was completed. */
  bestEpoch: number;
  configJson: string;
  settingsJson: string;
  /** A row an epoch completed. */
  history: EpochScores[];
}

/** A folder held against other processes. */
export interface FolderLock {
  /** Idempotent; the end of the process does it too. */
  release(): void;
}

/** What a training tells while it runs, as the native side does. */
export type TrainEvent =
  /** Once, when the device is chosen and the model made. */
  | {
      type: "start";
      /** cpu or cuda:N. */
      device: string;
      /** What its maker calls it. */
      deviceName: string;
      /** What products are computed in. */
      precision: "fp32" | "bf16";
      /** Threads that compute. */
      threads: number;
      /** Images of the training set. */
      trainImages: number;
      /** Images of the validation set. */
      validImages: number;
      /** Batches an epoch. */
      batches: number;
      /** Where decoded images are kept; `none` also when nothing can be, or no images are files. */
      cache: Exclude<Cache, "auto">;
      /** Where a resumed training goes on: epochs completed, and batches of the next; else 0. */
      epochsDone: number;
      /** Batches of the epoch after that are trained already. */
      batchesDone: number;
    }
  /** Now and then inside an epoch. */
  | {
      type: "batch";
      /** Which set is under way. */
      phase: "train" | "validate";
      /** From 1. */
      epoch: number;
      /** From 1. */
      batch: number;
      /** Of the set. */
      batches: number;
      /** The mean of the epoch's batches so far. */
      loss: number;
      /** Since the set's first batch. */
      imagesPerSecond: number;
    }
  /** At the end of each epoch (never dropped). */
  | (EpochScores & {
      type: "epoch";
      /** Name of its `ep….ckpt` in the run folder, or null. */
      checkpoint: string | null;
    })
  /**
   * Right after an epoch's event: what the model makes of the same few validation images, each time.
   * Where epochs are short, some go by without; whoever is slow to read finds the newest alone.
   */
  | {
      type: "reconstructions";
      /** From 1. */
      epoch: number;
      /** Images, rows, columns, channels (1 or 3). The longer side has at most 128 pixels. */
      shape: readonly [count: number, height: number, width: number, channels: number];
      /** The images, count × height × width × channels, 0 to 255. */
      originals: Uint8Array;
      /** What came of them, alike. */
      reconstructions: Uint8Array;
    }
  /** An image that was skipped, once an image. */
  | {
      type: "bad";
      /** Whose image it is. */
      set: "train" | "valid";
      /** Its path; bytes that are no UTF-8 are lone surrogates, U+DC80…U+DCFF. */
      file: string;
      /** Why, in a few words. */
      reason: string;
    }
  /** What is allowed but worth saying, at any time. */
  | {
      type: "warning";
      /** One or two lines. */
      message: string;
    }
  /** After the last epoch: best weights restored, scores being computed, models being written. */
  | {
      type: "finishing";
      /** Why the training ends. */
      stopped: Stopped;
    };

/** Why a training ended: all epochs done, none better for `patience` epochs, or asked to end. */
export type Stopped = "finished" | "early" | "interrupted";

export interface TrainResult {
  stopped: Stopped;
  /** Epochs completed. */
  epochs: number;
  /** Epoch (from 1) whose weights were kept; 0 when no epoch completed. */
  bestEpoch: number;
  /** Scores of the kept weights in evaluation mode; null after an interruption (they take a pass over the data). */
  train: Scores | null;
  valid: Scores | null;
  seconds: number;
  device: string;
  badImages: number;
  /** Only where several processes trained. */
  traffic?: Traffic;
}

/** A training that runs on its own thread. */
export interface TrainingHandle {
  /** Settles after the training thread has ended. */
  readonly result: Promise<TrainResult>;
  /** Asks the training to end after the batch under way. Idempotent. */
  cancel(): void;
}

/** The embeddings of some of the files, in their order. */
export interface EmbeddingStretch {
  /** Positions among the files; bad ones are left out. The arrays below have an entry for each. */
  indices: Int32Array;
  /** N × (embedding length). */
  embeddings: Float32Array;
  /** Mean loss of each image's reconstruction; null unless asked for. */
  losses: Float32Array | null;
  /** In pixels, after turning by EXIF orientation. */
  widths: Int32Array;
  heights: Int32Array;
  /** Lengths of the files. */
  bytes: Float64Array;
  /** Files that could not be used, and why. */
  bad: { file: string; reason: string }[];
  /** What decoding has taken one core so far, all decoding threads together. */
  decodeSeconds: number;
  /** What encoding has taken so far, on all compute threads at once. */
  encodeSeconds: number;
  /** Whether no file is left. */
  last: boolean;
}

/** Files being embedded: images are decoded ahead while others are encoded. */
export interface EmbeddingHandle {
  /** The next stretch: some thousand images, or what a quarter of a second gives. It may be empty. */
  next(): Promise<EmbeddingStretch>;
  /** Abandons what is left. */
  close(): Promise<void>;
}

/** A loaded `ae.pt` or `en.pt`. */
export interface ModelHandle {
  readonly kind: "autoencoder" | "encoder";
  /** The text of the extra file `config.json`; "" if there is none. */
  readonly configJson: string;
  /** [C, H, W] the model takes. */
  readonly inputShape: number[];
  /** Shape of one embedding, without the batch. */
  readonly embeddingShape: number[];
  readonly device: string;
  readonly precision: "fp32" | "bf16";
  /** Embeddings of N images: N × (embedding length) floats. */
  encode(images: Float32Array | Uint8Array): Promise<Float32Array>;
  /** Reconstructions, N×C×H×W floats in [0, 1]. Only for an autoencoder. */
  reconstruct(images: Float32Array | Uint8Array): Promise<Float32Array>;
  /** {@link encode} on this thread: it waits for calls that are under way. */
  encodeSync(images: Float32Array | Uint8Array): Float32Array;
  /** {@link reconstruct} on this thread. */
  reconstructSync(images: Float32Array | Uint8Array): Float32Array;
  /**
   * Loss and metrics over a source, in batches; `bad` images are left out. Only for an autoencoder.
   * Rejects with FLEXAE_DATA if all are.
   */
  evaluate(
    source: ImageSource,
    load: LoadOptions,
    batchSize: number,
  ): Promise<Scores & { bad: number }>;
  /** Begins to embed files. `loss` is an autoencoder's alone. */
  embed(
    files: string[],
    load: LoadOptions,
    options: { batchSize: number; loss: boolean },
  ): EmbeddingHandle;
  /** Frees the weights. Idempotent; later calls fail with FLEXAE_DISPOSED. */
  dispose(): void;
}

/** Which training to time. */
export interface BenchmarkRequest {
  /** The network as JSON. */
  network: string;
  /** As in {@link TrainRequest}. */
  training: string;
  /** N×C×H×W bytes to train on, at least a batch; synthetic images unless given. */
  images?: Uint8Array;
}

/** A training whose steps are timed when asked for; it has a thread of its own. */
export interface BenchmarkHandle {
  readonly device: string;
  /** fp32 or bf16. */
  readonly precision: string;
  readonly threads: number;
  /** The set of inner loops chosen for this processor: baseline, avx2, avx512 or avx512bf16. */
  readonly kernels: string;
  /** Runs whole training steps. Gives the milliseconds of each and their mean loss. */
  train(steps: number): Promise<{ milliseconds: number[]; loss: number }>;
  /** Embeds batches, from bytes to embeddings on the device. Gives the milliseconds of each. */
  encode(batches: number): Promise<number[]>;
  /** The images trained on, N×C×H×W bytes. */
  images(): Promise<Uint8Array>;
  /** Frees the model, after the work under way. Idempotent; later calls fail with FLEXAE_DISPOSED. */
  dispose(): void;
}

/** A folder that is being listed; its share is not known. */
export interface FolderScanJob extends Omit<Job<FolderScan>, "progress"> {
  /** Those found so far. */
  images(): number;
}

/** Something that takes a while, and may be ended. */
export interface Job<T> {
  /** Null where it was ended before it was done. */
  readonly result: Promise<T | null>;
  /** Asks it to end soon. Idempotent. */
  cancel(): void;
  /** The share that is done, 0 to 1. */
  progress(): number;
}

/** How far two embeddings are from each other: √Σ(x − y)², or 1 − cos of the angle between them. */
export type Metric = "euclidean" | "cosine";

/** How neighbours are found: `auto` exactly where that takes half a minute at most. */
export type NeighbourSearch = "auto" | "exact" | "approximate";

export interface NeighbourRequest {
  k: number;
  metric: Metric;
  search: NeighbourSearch;
  seed: number;
  /** Where it is computed: `cpu`, `cuda`, `cuda:N` or `auto`; `cpu` unless given. */
  device?: string | undefined;
}

/** Of each of N queries its k nearest, the nearest first. */
export interface NeighbourAnswer {
  /** N × k. */
  indices: Int32Array;
  /** N × k. */
  distances: Float32Array;
}

/** How a map is made; see native/analysis/umap.h. */
export interface UmapRequest {
  /** Dimensions of the map. */
  dims: number;
  /** With the point itself. */
  nNeighbors: number;
  /** How close points may lie, 0 to 1. */
  minDist: number;
  /** 0: 500 for up to 10,000 points, else 200. */
  epochs: number;
  /** How far embeddings are apart. */
  metric: Metric;
  /** How neighbours are found. */
  search: NeighbourSearch;
  /** Of all that is drawn at random. */
  seed: number;
}

/** Principal components of embeddings of D numbers. */
export interface PcaModel {
  /** D: what embeddings are measured from. */
  mean: Float64Array;
  /** dims × D: unit vectors, the greatest variance first. */
  components: Float64Array;
}

export interface PcaAnswer extends PcaModel {
  /** N × dims. */
  map: Float32Array;
  /** dims: along each component, as a share of all variance. */
  explainedVarianceRatio: Float64Array;
}

/** An array of a safetensors file, row-major. */
export interface TensorEntry {
  values: Float32Array | Float64Array;
  /** At least one size; their product is the number of values. */
  shape: number[];
}

/** A tensor of a model. */
export interface ModelWeight {
  /** As in the exported model, e.g. `encoder.conv_0.weight`. */
  name: string;
  /** PyTorch's: out × in × rows × columns of a convolution, in × out × … of a transposed one. */
  shape: number[];
  /** False for moving statistics. */
  trained: boolean;
  /** Row-major. */
  values: Float32Array;
}

/** What a layer computes in evaluation, and its weights. Pairs are of rows, then of columns. */
export interface ModelLayer {
  /** As in the exported model, e.g. `encoder.conv_0`. */
  name: string;
  /** Keras's class name, e.g. `Conv2D`. */
  type: string;
  /** Which half it belongs to. */
  part: "encoder" | "decoder";
  /** Without the batch: [C, H, W] or [units]. */
  inputShape: number[];
  outputShape: number[];
  /** Sizes of the window; [1, 1] where there is none. */
  kernel: [number, number];
  /** Of an upsampling, the factor by which images grow. */
  stride: [number, number];
  /**
   * Added above, on the left, below, on the right: zeros before a convolution, what does not count
   * before a pooling. Of a transposed convolution, cut off its full result there.
   */
  pads: [number, number, number, number];
  /** Added to the result of a transposed convolution, below and on the right. */
  outputPadding: [number, number];
  /** Then cut off the result, below and on the right. */
  crop: [number, number];
  /** Of what the layer gives; `linear` if there is none. */
  activation: string;
  /** The share that a dropout drops in training; 0 of others. */
  dropRate: number;
  /** `eps` of a batch normalization. */
  constants: Record<string, number>;
  /** In the order of the exported model. */
  weights: ModelWeight[];
}

/** A layer of a network that is not made yet. */
export type PlannedLayer = Omit<ModelLayer, "weights"> & {
  weights: Omit<ModelWeight, "values">[];
};

/** A model file, layer by layer, for whoever writes it in another format. */
export interface ModelLayers {
  kind: "autoencoder" | "encoder";
  /** The text of the extra file `config.json`. */
  configJson: string;
  /** [C, H, W] the model takes. */
  inputShape: number[];
  /** Shape of one embedding, without the batch. */
  embeddingShape: number[];
  /** In the order in which they compute; the last one of an autoencoder gives reconstructions. */
  layers: ModelLayer[];
}

/** How k-means is computed; see native/analysis/kmeans.h. */
export interface KmeansRequest {
  clusters: number;
  /** Of which the one with the least inertia is taken. */
  restarts: number;
  maxIterations: number;
  /** As scikit-learn's `tol`. */
  tolerance: number;
  /** Embeddings count by their directions alone. */
  spherical: boolean;
  /** Points of a batch; 0 takes all in each iteration. */
  batchSize: number;
  seed: number;
  /** Where it is computed: `cpu`, `cuda`, `cuda:N` or `auto`; `cpu` unless given. */
  device?: string | undefined;
}

export interface KmeansAnswer {
  /** k × D. */
  centres: Float32Array;
  /** N: the nearest centre. */
  labels: Int32Array;
  /** N, to that centre. */
  squaredDistances: Float32Array;
  /** Their sum. */
  inertia: number;
  iterations: number;
  converged: boolean;
}

/** Centres that move as batches come; see native/analysis/running_centres.h. */
export interface RunningCentresHandle {
  /**
   * The nearest centres of N embeddings, which are noted for the next move, and must not be changed
   * until the result is there.
   */
  add(
    embeddings: Float32Array,
  ): Promise<Pick<KmeansAnswer, "labels" | "squaredDistances" | "inertia">>;
  /** Moves centres to where the points noted are. Gives k × D centres, and the points each has had. */
  move(): { centres: Float32Array; counts: Float64Array };
}

/** What the covariances of a mixture are: a matrix each, a variance a column, one matrix for all. */
export type Covariance = "full" | "diag" | "tied";

/** How a mixture of Gaussians is fitted; see native/analysis/mixture.h. */
export interface MixtureRequest {
  components: number;
  covariance: Covariance;
  /** Of which the one with the greatest lower bound is taken. */
  restarts: number;
  maxIterations: number;
  seed: number;
  /** Where it is computed: `cpu`, `cuda`, `cuda:N` or `auto`; `cpu` unless given. */
  device?: string | undefined;
}

/** A mixture of k Gaussians in D dimensions, row-major. */
export interface MixtureModel {
  /** What the covariances are. */
  covariance: Covariance;
  /** k, whose sum is 1. */
  weights: Float64Array;
  /** k × D. */
  means: Float64Array;
  /** k × D × D, k × D or D × D, by `covariance`. */
  covariances: Float64Array;
  /** As scikit-learn's `precisions_cholesky_`; the same shape. */
  precisionsCholesky: Float64Array;
}

/** What a mixture says of N embeddings. */
export interface MixturePrediction {
  /** The most probable component. */
  labels: Int32Array;
  /** Its probability. */
  confidences: Float32Array;
  /** Logarithms of the mixture's density, in nats. */
  logLikelihoods: Float64Array;
}

export interface MixtureAnswer extends MixturePrediction {
  mixture: MixtureModel;
  /** Mean log-likelihood that convergence was judged by. */
  lowerBound: number;
  iterations: number;
  converged: boolean;
}

/** How well points lie in their clusters (Rousseeuw, 1987). */
export interface SilhouetteAnswer {
  /** From -1 to 1. */
  mean: number;
  /** Which of the embeddings were looked at, ascending. */
  points: Int32Array;
  /** Of each of those. */
  values: Float64Array;
}

/** How far clusters are the classes, each 1 at best. */
export interface ClusteringScores {
  /** Of the best matching of clusters and classes, one to one. */
  accuracy: number;
  /** Normalized mutual information, by the mean of both entropies. */
  nmi: number;
  /** Adjusted Rand index. */
  ari: number;
  /** The share of points in the commonest class of their cluster. */
  purity: number;
}

export interface AddonVersions {
  addon: string;
  /** Of the libtorch that is loaded. */
  torch: string;
  /** Of the libtorch the addon was compiled against. */
  torchBuild: string;
  opencv: string;
  compiler: string;
}

export interface HardwareInfo {
  cpu: {
    name: string;
    /** Hardware threads this process may use. */
    cores: number;
    /** What ATen dispatches to, e.g. AVX2 or AVX512. */
    capability: string;
    avx2: boolean;
    avx512: boolean;
    avx512Bf16: boolean;
    amxBf16: boolean;
    /** The set of inner loops that computes here; "" if none does. */
    kernels: string;
    /** Why none does: FLEXAE_KERNELS names a set that this CPU has not; "" otherwise. */
    kernelsProblem: string;
  };
  cuda: {
    /** Whether the libtorch that is loaded has CUDA support. */
    built: boolean;
    /** Why CUDA cannot be used; "" if it can. */
    problem: string;
    devices: { index: number; name: string; memoryBytes: number; capability: string }[];
  };
  /** Why several processes cannot train together, and what to do; "" if they can. */
  processesProblem: string;
  /** Why sums of theirs between GPUs go by the host; "" where NCCL makes them. */
  ncclProblem: string;
}

export interface Addon {
  versions(): AddonVersions;
  hardware(): HardwareInfo;
  /**
   * Layers, parameters and costs of a network, given as JSON, without making it. `device`: auto, cpu, cuda or cuda:N,
   * which need not be there. Throws FLEXAE_CONFIG naming the layer that does not fit.
   */
  summarize(network: string, batchSize: number, optimizer: string, device: string): Summary;
  /**
   * Image files below `dir`: of its sub-folders (one a class, any depth), or its own when it has none with images.
   * Chosen by extension; hidden files are passed over. Its result rejects with FLEXAE_DATA if `dir`
   * is no readable folder.
   */
  scanFolder(dir: string): FolderScanJob;
  /**
   * Makes the images of a container readable by their paths in this process, from the list that was
   * kept under `key`, 32 hexadecimal digits for one state of one file. Null if there is none.
   */
  openContainer(place: string, key: string): Promise<ContainerListing | null>;
  /** Lists one anew; with `holdsData`, its images are handed over. Throws FLEXAE_IO. */
  createContainer(place: string, key: string, options: { holdsData: boolean }): ContainerFile;
  /** The bytes of images, in files or containers; of one that cannot be read, why. */
  readImages(files: string[]): Promise<(Buffer | string)[]>;
  /** Length in bytes, -1 if it is not there, and time of change in milliseconds since 1970, of images. */
  stampImages(files: string[]): Promise<{ bytes: Float64Array; changed: Float64Array }>;
  /** Decodes and resizes to N×C×H×W bytes. `images` are paths or encoded bytes. Rejects with FLEXAE_DATA naming the image. */
  decodeImages(
    images: (string | Uint8Array)[],
    shape: { height: number; width: number; channels: number },
    load: LoadOptions,
  ): Promise<Uint8Array>;
  /** Decodes files at their full size. Of `load`, `workers` and `maxPixels` count. */
  examineImages(
    files: string[],
    shape: { channels: number },
    load: LoadOptions,
  ): Promise<Examination>;
  /** Checks the request (throws FLEXAE_CONFIG), then trains on a thread of its own. */
  train(request: TrainRequest, onEvent: (event: TrainEvent) => void): TrainingHandle;
  /**
   * Waits until all processes of a training are there. Rejects with FLEXAE_PROCESS naming who is
   * missing, and FLEXAE_CONFIG where this build cannot, a port is in use or a rank is taken twice.
   */
  joinProcesses(request: JoinRequest): Promise<ProcessGroupHandle>;
  /** Reads and verifies a checkpoint. Rejects with FLEXAE_MODEL naming what is wrong with it, FLEXAE_IO. */
  readCheckpoint(path: string): Promise<CheckpointInfo>;
  /** Throws FLEXAE_CONFIG if another process, or another call, holds the folder. */
  lockFolder(path: string): FolderLock;
  /** Whether anyone on this machine holds the folder; true, too, of one that cannot be opened. */
  isFolderHeld(path: string): boolean;
  /**
   * With `trust`, also TorchScript of other origin, which is then run. `precision` is auto, fp32 or
   * bf16. `brief` is for a few images: memory goes back to the system at once. Rejects with
   * FLEXAE_MODEL, FLEXAE_IO, FLEXAE_CONFIG.
   */
  loadModel(
    path: string,
    device: string,
    options: { trust: boolean; precision: string; brief?: boolean },
  ): Promise<ModelHandle>;
  /** Reads an `ae.pt` or `en.pt` of this program and runs nothing of it. Rejects with FLEXAE_MODEL, FLEXAE_IO. */
  readModelLayers(path: string): Promise<ModelLayers>;
  /** The layers of a network, given as JSON, without values. Throws FLEXAE_CONFIG. */
  describeLayers(network: string): PlannedLayer[];
  /**
   * Writes `ae.pt` and `en.pt` of the network that `configJson` has under `model`, with weights by
   * the names and in the shapes of its layers. Rejects with FLEXAE_MODEL naming a weight that is
   * missing, misshapen or not finite, FLEXAE_IO.
   */
  writeModel(
    folder: string,
    configJson: string,
    weights: Readonly<Record<string, TensorEntry>>,
  ): Promise<void>;
  /** Makes a model and its images and times nothing yet. Throws or rejects with FLEXAE_CONFIG. */
  benchmark(request: BenchmarkRequest): Promise<BenchmarkHandle>;
  /** Clusters N × `dims` embeddings, which must not be changed until the result is there. */
  kmeans(embeddings: Float32Array, dims: number, options: KmeansRequest): Job<KmeansAnswer>;
  /** The nearest of k × `dims` centres for each of N embeddings. */
  assign(
    embeddings: Float32Array,
    dims: number,
    centres: Float32Array,
    spherical: boolean,
    device?: string,
  ): Promise<Pick<KmeansAnswer, "labels" | "squaredDistances">>;
  /** `counts`: k, the points that each centre is taken to have had. */
  runningCentres(
    centres: Float32Array,
    dims: number,
    spherical: boolean,
    counts: Float64Array,
    device?: string,
  ): RunningCentresHandle;
  fitMixture(embeddings: Float32Array, dims: number, options: MixtureRequest): Job<MixtureAnswer>;
  predictMixture(
    embeddings: Float32Array,
    dims: number,
    mixture: MixtureModel,
    device?: string,
  ): Promise<MixturePrediction>;
  /** Of at most `samples` points, drawn at random; 0 takes all, N² distances. */
  silhouette(
    embeddings: Float32Array,
    dims: number,
    labels: Int32Array,
    options: { samples: number; seed: number; device?: string | undefined },
  ): Job<SilhouetteAnswer>;
  /** With `counts`, entry i stands for that many points. */
  clusteringScores(
    labels: Int32Array,
    classes: Int32Array,
    counts?: Float64Array,
  ): ClusteringScores;

  /** The k nearest others of each of N × `dims` embeddings. */
  nearestNeighbours(
    embeddings: Float32Array,
    dims: number,
    options: NeighbourRequest,
  ): Job<NeighbourAnswer>;
  /** The k nearest embeddings of each query, exactly. */
  nearestNeighboursOf(
    queries: Float32Array,
    embeddings: Float32Array,
    dims: number,
    options: Pick<NeighbourRequest, "k" | "metric" | "device">,
  ): Job<NeighbourAnswer>;

  /** A map of N × `dims` embeddings: N × `options.dims`. */
  fitUmap(
    embeddings: Float32Array,
    dims: number,
    options: UmapRequest,
    device?: string,
  ): Job<Float32Array>;
  /** Places embeddings in the `map` of `points`, which was made with the same options. */
  transformUmap(
    embeddings: Float32Array,
    dims: number,
    points: Float32Array,
    map: Float32Array,
    options: UmapRequest,
    device?: string,
  ): Job<Float32Array>;
  fitPca(
    embeddings: Float32Array,
    dims: number,
    mapDims: number,
    device?: string,
  ): Promise<PcaAnswer>;
  transformPca(
    embeddings: Float32Array,
    dims: number,
    pca: PcaModel,
    device?: string,
  ): Promise<Float32Array>;
  /** How far neighbours in a map are neighbours among the embeddings, 0 to 1. */
  trustworthiness(
    embeddings: Float32Array,
    dims: number,
    map: Float32Array,
    mapDims: number,
    options: { nNeighbors: number; metric: Metric; seed: number },
  ): Job<number>;

  /** Writes a safetensors file, whole or not at all, with a checksum. */
  writeTensors(
    path: string,
    tensors: Readonly<Record<string, TensorEntry>>,
    metadata: Readonly<Record<string, string>>,
  ): Promise<void>;
  /**
   * Reads a safetensors file; every size is verified, and the checksum that
   * {@link Addon.writeTensors} gives a file, where there is one. fp16 and bf16 become fp32.
   */
  readTensors(
    path: string,
    options: { requireChecksum: boolean },
  ): Promise<{
    tensors: Record<string, TensorEntry>;
    metadata: Record<string, string>;
  }>;
}
