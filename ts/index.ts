/**
 * Train flexible convolutional autoencoders on folders of images, and use them, from Node.js.
 *
 * ```js
 * import { createTraining, load } from "flexible-autoencoder";
 *
 * const training = createTraining({ trainDir: "data/train", validDir: "data/valid", trainEpochs: 20 });
 * for await (const event of training) {
 *   if (event.type === "epoch") console.log(event.epoch, event.valid.loss);
 * }
 * const { runDir } = await training.result;
 *
 * const encoder = await load(`${runDir}/en.pt`);
 * const { data, shape } = await encoder.encode(["a.png", "b.png"]);
 * encoder.dispose();
 * ```
 *
 * @packageDocumentation
 */
import { setupNotice } from "./addon/setup.js";
import type { Summary } from "./addon/types.js";
import { readConfigFile } from "./config/file.js";
import type { CamelCase, Network } from "./config/network.js";
import type { ParameterName } from "./config/parameters.js";
import { type GivenSettings, resolveSettings } from "./config/resolve.js";
import type { Settings } from "./config/settings.js";
import type { Dashboard, DashboardOptions } from "./dashboard/server.js";
import type { Packing, PackOptions } from "./dataset/pack.js";
import type {
  AssignFilesOptions,
  ClusteredFiles,
  ClusterFilesOptions,
} from "./embeddings/cluster_tables.js";
import type { DuplicateOptions, Duplicates } from "./embeddings/duplicates.js";
import type { Embedding, EmbedOptions } from "./embeddings/embed.js";
import type { OutlierOptions, Outliers } from "./embeddings/outliers.js";
import type { Similar, SimilarOptions } from "./embeddings/similar.js";
import type { EmbeddingTable } from "./embeddings/table.js";
import type { ExploreOptions } from "./explore/exploration.js";
import type { ExploreServer, ServeOptions } from "./explore/server.js";
import type { ExplorerFile } from "./explore/write_page.js";
import type { Exported, ExportOptions } from "./export/export.js";
import type { Imported, ImportOptions } from "./import/import.js";
import type { Report, ReportOptions } from "./report/report.js";
import { type CheckOptions, type CheckReport, checkFolder } from "./runs/check.js";
import type { Comparison, ListedRun } from "./runs/list.js";
import { summarize } from "./runs/plan.js";
import type { ModelManifest } from "./runs/setting.js";
import { Training, type TrainingOptions, type TrainingResult } from "./runs/training.js";
import type { TrainingEvent } from "./runs/training_event.js";
import type { Sweep, SweepOptions } from "./sweep/sweep.js";
import { makeTracker, type TrackingOptions } from "./tracking/track.js";
import type { TensorBoardFiles, TensorBoardOptions } from "./tracking/write_tensorboard.js";

export { FlexaeError } from "./addon/errors.js";
export type {
  AddonErrorCode,
  Cache,
  ClusteringScores,
  Covariance,
  EpochScores,
  Interpolation,
  Metric,
  MixtureModel,
  NeighbourSearch,
  PcaModel,
  Scores,
  Stopped,
  Summary,
  SummaryLayer,
  TrainEvent,
  UmapRequest,
} from "./addon/types.js";
export type { Constraint, Pooling, Regularizer } from "./config/choices.js";
export type { Network } from "./config/network.js";
export type { Settings } from "./config/settings.js";
export type { ListingProgress } from "./containers/listing.js";
export type { Dashboard, DashboardOptions } from "./dashboard/server.js";
export type { Packing, PackOptions } from "./dataset/pack.js";
export { type Clustering, type ClusterOptions, cluster } from "./embeddings/cluster.js";
export type {
  AssignFilesOptions,
  ClusteredFiles,
  ClusterFilesOptions,
} from "./embeddings/cluster_tables.js";
export type { DuplicateGroup, DuplicateOptions, Duplicates } from "./embeddings/duplicates.js";
export type { Embedding, EmbedOptions } from "./embeddings/embed.js";
export type { EncodeOptions } from "./embeddings/encode_files.js";
export { joinTables } from "./embeddings/join_tables.js";
export {
  type EmbeddingMap,
  type FittedMap,
  type MapOptions,
  map,
  placeInMap,
  trustworthiness,
} from "./embeddings/map.js";
export { loadMap, saveMap } from "./embeddings/map_file.js";
export type { OutlierOptions, Outliers } from "./embeddings/outliers.js";
export type { Match, Similar, SimilarOptions } from "./embeddings/similar.js";
export {
  type EmbeddingRows,
  type EmbeddingTable,
  type MapOrigin,
  makeTable,
  type TableOrigin,
} from "./embeddings/table.js";
export type { ExploreOptions } from "./explore/exploration.js";
export type { ExploreServer, ServeOptions } from "./explore/server.js";
export type { ExplorerFile } from "./explore/write_page.js";
export type { InputType } from "./export/contract.js";
export type { Exported, ExportedFile, ExportedHalf, ExportOptions } from "./export/export.js";
export type { Verified } from "./export/format.js";
export type { HalfDifference } from "./export/half.js";
export type { OutputDifference } from "./export/native_outputs.js";
export type { Imported, ImportOptions } from "./import/import.js";
export { type Batch, type ImageInput, type LoadModelOptions, load, Model } from "./model.js";
export type { Report, ReportOptions } from "./report/report.js";
export type { CheckCounts, CheckOptions, CheckReport, OddImage } from "./runs/check.js";
export {
  type EvaluateOverrides,
  type Evaluation,
  evaluateRun as evaluate,
  type ScoredImages,
} from "./runs/evaluate.js";
export type { Comparison, ListedRun } from "./runs/list.js";
export type { MemoryImages } from "./runs/plan.js";
export type { RecordedScores } from "./runs/record.js";
export type { ModelManifest } from "./runs/setting.js";
export type { Training, TrainingOptions, TrainingResult } from "./runs/training.js";
export type { TrainingEvent } from "./runs/training_event.js";
export type { SweepEvent } from "./sweep/driver.js";
export type { SweepMetric } from "./sweep/metric.js";
export type { Sweep, SweepOptions } from "./sweep/sweep.js";
export type { SweepTrial, SweepTrialState } from "./sweep/trials.js";
export type { TrackingOptions } from "./tracking/track.js";
export type { TensorBoardFiles, TensorBoardOptions } from "./tracking/write_tensorboard.js";
export { VERSION as version } from "./version.js";

// Whoever imports it right after installing it reads what is left to do.
const notice = setupNotice();
if (notice !== null) process.emitWarning(notice);

/** @deprecated Another name of {@link Network}. */
export type ModelOptions = Network;

/** @deprecated Another name of {@link ModelManifest}. */
export type ModelConfig = ModelManifest;

/** A setting as it may be given: as text, as on the command line, or as it is resolved to. */
type Given<Name extends ParameterName> = Settings[Name] | string | null;

/**
 * Settings for a training: every parameter, in its own spelling (`train_epochs`) or in camel case
 * (`trainEpochs`). What is left out has its default.
 */
export type TrainingConfig = {
  [Name in ParameterName]?: Given<Name> | undefined;
} & {
  [Name in ParameterName as CamelCase<Name>]?: Given<Name> | undefined;
} & {
  /** Short for `AutoencoderMLP_switch`. */
  mlp?: boolean | undefined;
};

function given(config: TrainingConfig): GivenSettings {
  return { values: config as Record<string, unknown>, spell: (name) => name };
}

/**
 * Checks settings and fills in the defaults.
 *
 * @param config - The settings given.
 * @param configFile - A YAML or JSON file of more settings, over which `config` wins.
 * @throws FlexaeError `FLEXAE_CONFIG` naming the first setting that is unknown or wrong.
 */
export function resolveConfig(config: TrainingConfig = {}, configFile?: string): Settings {
  const file = configFile === undefined ? [] : [readConfigFile(configFile)];
  return resolveSettings([...file, given(config)]);
}

/**
 * The layers, parameters and costs of the network that `config` describes. Nothing is trained.
 *
 * @throws FlexaeError `FLEXAE_CONFIG`, also when the images are too small for the strides and
 *   poolings.
 */
export function summary(config: TrainingConfig = {}): Summary {
  return summarize(resolveConfig(config));
}

/**
 * Starts a training and returns its handle at once. Iterate the handle for events, await its
 * `result`, end it early with `cancel()` or an AbortSignal; an early end still leaves the models of
 * the best weights. Several may run in one process, and in worker threads.
 *
 * With `tensorboard` or `mlflow` it is followed there. Neither slows the training or makes it fail:
 * what cannot be written is a `warning` event. `result` waits until what is left is written, for
 * seconds at most where nobody takes it.
 *
 * @throws FlexaeError `FLEXAE_CONFIG` for a setting that is unknown or wrong. Everything found
 *   later rejects `result`.
 */
export function createTraining(
  config: TrainingConfig = {},
  options: TrainingOptions & TrackingOptions = {},
): Training {
  const { tensorboard, mlflow, mlflowExperiment, ...rest } = options;
  const tracker = makeTracker({ tensorboard, mlflow, mlflowExperiment }, (message) =>
    training.warn(message),
  );
  const onEvent = (event: TrainingEvent) => {
    tracker.event(event);
    rest.onEvent?.(event);
  };
  // The signal ends the training, which is to be told as well.
  const training: Training = new Training([given(config)], { ...rest, onEvent }, (outcome) =>
    tracker.finish(outcome),
  );
  return training;
}

/**
 * Trains to the end.
 *
 * @throws FlexaeError `FLEXAE_CONFIG`, `FLEXAE_DATA`, `FLEXAE_IO`, `FLEXAE_MEMORY`, `FLEXAE_NAN`.
 */
export async function train(
  config: TrainingConfig = {},
  options: TrainingOptions & TrackingOptions = {},
): Promise<TrainingResult> {
  return await createTraining(config, options).result;
}

/**
 * Looks at every image of a folder, or a list, without training: which cannot be used, which have the same pixels, which are of
 * odd size, and which are nearly blank. Of `config`, `imageShape`, `channels`, `workers`, `maxBad` and `maxPixels` count.
 *
 * @throws FlexaeError `FLEXAE_CONFIG`; `FLEXAE_DATA` if there is no readable set with images. Rejects with the reason
 *   of an aborted signal.
 */
export async function checkImages(
  folder: string,
  config: TrainingConfig = {},
  options: CheckOptions = {},
): Promise<CheckReport> {
  return await checkFolder(folder, resolveConfig(config), options);
}

/**
 * Writes a set of images as tar shards in WebDataset's layout: `CLASS/NAME.jpg` with `CLASS/NAME.cls`
 * beside it, the number of the class, and `classes.txt` with the names. The files' bytes are kept as
 * they are. The folder appears once it is whole.
 *
 * @param set - What `trainDir` may be: a folder, a list, a container, a pattern, or several of them.
 * @throws FlexaeError `FLEXAE_CONFIG` if the folder holds something, `FLEXAE_DATA` if the set cannot be
 *   read, `FLEXAE_IO`. Rejects with the reason of an aborted signal.
 */
export async function pack(set: string, options: PackOptions): Promise<Packing> {
  const { pack } = await import("./dataset/pack.js");
  return await pack(set, options);
}

/**
 * Embeds sets of images and writes a table with a row for each image that can be used, in the order
 * of the sets and of their folders.
 *
 * ```js
 * await embed("logs/ae_20250101_120000", { sets: "data/digits", out: "digits.parquet" });
 * ```
 *
 * @param model - A run's folder, `last` for the newest in `logs/`, or an `en.pt` or `ae.pt`.
 * @throws FlexaeError `FLEXAE_CONFIG` for an option that cannot be, `FLEXAE_DATA` if there are no
 *   images or none can be used, `FLEXAE_MODEL`, `FLEXAE_IO`. Rejects with the reason of an aborted
 *   signal.
 */
export async function embed(model: string, options: EmbedOptions): Promise<Embedding> {
  // What reads and writes Parquet takes a while to load, and most who import this need none of it.
  const { embed } = await import("./embeddings/embed.js");
  return await embed(model, options);
}

/**
 * A table: a `.parquet`, `.csv`, `.npy` or `.jsonl` file, a folder of Parquet files, or a pattern such as
 * `parts/*.parquet`; several files are taken in the order of their names.
 *
 * @throws FlexaeError `FLEXAE_DATA` if it cannot be read, has no embeddings, or one that is not as long
 *   as the others or not finite; `FLEXAE_CONFIG` for another kind of file.
 */
export async function readTable(path: string): Promise<EmbeddingTable> {
  const { readTable } = await import("./embeddings/read_table.js");
  return await readTable(path);
}

/**
 * Clusters the rows of tables in files, however many there are: Parquet files that would take more
 * than `memory` are read several times, a row group at a time, and clustered by k-means from a
 * sample on. Writes the assignments, `path,class,cluster,distance,silhouette`, a row each, and
 * beside them the clusters, `….clusters.json` and `….clusters.npy`, k × D. It is what `flexae
 * cluster` does, contact sheets left out; the same seed and files give the same clusters.
 *
 * ```js
 * const { k, sizes } = await clusterFiles("parts/*.parquet", "clusters.parquet", {
 *   clusters: 100,
 *   memory: 4e9,
 *   onProgress: (step, share) => console.log(step, share),
 * });
 * ```
 *
 * @param names - Tables, as {@link readTable} takes them, or folders of runs; one after the other.
 * @param out - A `.parquet` or `.csv` file, which is replaced if it is there: whole, or not at all.
 * @throws FlexaeError `FLEXAE_CONFIG` for options that cannot be, such as more clusters than rows,
 *   or a mixture of rows that take more than `memory`; `FLEXAE_DATA` if a table cannot be read, or
 *   is of another model than the first; `FLEXAE_IO`. Rejects with the reason of an aborted signal.
 */
export async function clusterFiles(
  names: string | readonly string[],
  out: string,
  options: ClusterFilesOptions,
): Promise<ClusteredFiles> {
  const { clusterFiles } = await import("./embeddings/cluster_tables.js");
  return await clusterFiles(names, out, options);
}

/**
 * Assigns the rows of tables in files to clusters that {@link clusterFiles} or `flexae cluster` has
 * found, and writes them as that does, without silhouettes. Parquet files that would take more than
 * `memory` are read a row group at a time, once.
 *
 * ```js
 * await assignFiles("new/*.parquet", "clusters.clusters.json", "new.parquet");
 * ```
 *
 * @param names - Tables, as {@link readTable} takes them, or folders of runs; one after the other.
 * @param clusters - A `….clusters.json`.
 * @param out - A `.parquet` or `.csv` file, which is replaced if it is there: whole, or not at all.
 * @throws FlexaeError `FLEXAE_CONFIG` for options that cannot be, `FLEXAE_DATA` if a table cannot
 *   be read or is of another model than the clusters, `FLEXAE_IO`. Rejects with the reason of an
 *   aborted signal.
 */
export async function assignFiles(
  names: string | readonly string[],
  clusters: string,
  out: string,
  options: AssignFilesOptions = {},
): Promise<ClusteredFiles> {
  const { assignFiles } = await import("./embeddings/cluster_tables.js");
  return await assignFiles(names, clusters, out, options);
}

/**
 * The images of a table that are like given ones, the nearest first.
 *
 * @param images - Paths: of images in the table, as it names them or as files, or of any others, which
 *   are encoded by the table's model. An image in the table is not among its own matches.
 * @returns An entry for each image, in their order.
 * @throws FlexaeError `FLEXAE_DATA` if an image cannot be used or the table's model is another or gone,
 *   `FLEXAE_CONFIG` for an option that cannot be. Rejects with the reason of an aborted signal.
 */
export async function similar(
  table: EmbeddingTable,
  images: readonly string[],
  options: SimilarOptions = {},
): Promise<Similar[]> {
  const { similar } = await import("./embeddings/similar.js");
  return await similar(table, images, options);
}

/**
 * Groups of images that are the same, or whose embeddings are so near each other that they nearly
 * are. Files of the images are read to tell copies, unless the table has their checksums.
 *
 * @param table - Of several sets, {@link joinTables} makes one.
 * @throws FlexaeError `FLEXAE_CONFIG` for an option that cannot be. Rejects with the reason of an
 *   aborted signal.
 */
export async function duplicates(
  table: EmbeddingTable,
  options: DuplicateOptions = {},
): Promise<Duplicates> {
  const { duplicates } = await import("./embeddings/duplicates.js");
  return await duplicates(table, options);
}

/**
 * Searches sets of images for those unlike what a run was trained on. The score of an image is the
 * greater of two modified z-scores (Iglewicz and Hoaglin, 1993), of its reconstruction loss and of
 * the mean distance of its embedding to the nearest training images, itself left out; both among
 * the training images' own. Scores above 3.5 are outliers. The training images' losses and
 * embeddings are kept in the run's `embeddings.parquet`, which is written if it lacks them.
 *
 * ```js
 * const { paths, scores } = await outliers("logs/ae_20250101_120000", { sets: "photos/new" });
 * ```
 *
 * @param run - A run's folder, `last` for the newest in `logs/`, or an `ae.pt`.
 * @throws FlexaeError `FLEXAE_CONFIG` for an option that cannot be, such as more neighbours than
 *   training images, `FLEXAE_DATA` if there are no images or none can be used, `FLEXAE_MODEL`,
 *   `FLEXAE_IO`. Rejects with the reason of an aborted signal.
 */
export async function outliers(run: string, options: OutlierOptions): Promise<Outliers> {
  const { outliers } = await import("./embeddings/outliers.js");
  return await outliers(run, options);
}

/**
 * Writes a trained model in formats of other programs, with a model card and checksums. Before the
 * folder takes its name, each file is read back and compared with the model, and run on synthetic
 * images: what it computes must be what the native fp32 pass does, within 1e-5 of the largest
 * number of an embedding and 1e-5 of a pixel, which is from 0 to 1.
 *
 * ```js
 * await exportModel("logs/ae_20250101_120000", { to: ["onnx", "pytorch"], out: "digits-model" });
 * ```
 *
 * @param run - A run's folder, `last` for the newest in `logs/`, or an `ae.pt`.
 * @throws FlexaeError `FLEXAE_CONFIG` for an unknown format, an option that cannot be, or a folder
 *   that holds other files, `FLEXAE_MODEL` if the model cannot be used, `FLEXAE_IO`,
 *   `FLEXAE_INTERNAL` naming a file that holds or computes something else. Rejects with the reason
 *   of an aborted signal. Nothing is then written.
 */
export async function exportModel(run: string, options: ExportOptions): Promise<Exported> {
  const { exportModel } = await import("./verify/export_model.js");
  return await exportModel(run, options);
}

/**
 * Makes a run of a model of Keras, PyTorch or this program, to be evaluated, embedded, exported, or
 * trained on by `train(config, { weights })`. Nothing in the file is executed.
 *
 * ```js
 * await importModel("ae_weights.h5", { out: "logs/ancestor" });
 * ```
 *
 * @param file - A `.keras` file, an `.h5` file of Keras (a whole model, or weights alone), a
 *   `.safetensors` file or state dict with this program's names, or an `ae.pt`.
 * @param config - Settings for what the file does not say: of weights alone, the network.
 * @throws FlexaeError `FLEXAE_MODEL` naming, layer by layer, what cannot be expressed or does not
 *   fit, `FLEXAE_CONFIG` for settings that are wrong or a folder that is taken, `FLEXAE_IO`.
 *   Nothing is then written.
 */
export async function importModel(
  file: string,
  options: ImportOptions = {},
  config: TrainingConfig = {},
): Promise<Imported> {
  const { importModel } = await import("./import/import.js");
  return await importModel(file, [given(config)], options);
}

/**
 * Writes a page about a run, or several, that needs no other file and no network: the verdict,
 * curves, images before and after, the network, the embedding, the settings. What a run lacks, such
 * as its images, is left out and named. `flexae run` writes one by itself; a training of the library
 * does not.
 *
 * ```js
 * const { runDir } = await createTraining(config).result;
 * await report(runDir);
 * ```
 *
 * @param runs - Folders of runs, or `last` for the newest in `logs/`.
 * @throws FlexaeError `FLEXAE_CONFIG` if there is no such run, or several and no `out`, `FLEXAE_IO`,
 *   `FLEXAE_INTERNAL`. Rejects with the reason of an aborted signal. Nothing is then written.
 */
export async function report(
  runs: string | readonly string[],
  options: ReportOptions = {},
): Promise<Report> {
  const { report } = await import("./report/report.js");
  return await report(typeof runs === "string" ? [runs] : runs, options);
}

/**
 * Writes a run, or a table of embeddings, for TensorBoard: of a run that has ended, or was killed,
 * curves, settings and reconstructions as far as its folder has them, in place of what was there
 * before; of a table, or a run with an `embeddings.parquet`, what the embedding projector shows.
 *
 * ```js
 * await writeTensorBoard("digits.parquet", { out: "projector" });
 * ```
 *
 * @param name - A run's folder, `last` for the newest in `logs/`, or a table as {@link readTable}
 *   takes them.
 * @throws FlexaeError `FLEXAE_CONFIG` if there is no such run or it is under way and writes there
 *   itself, `FLEXAE_DATA` if a table cannot be read, `FLEXAE_IO`. Rejects with the reason of an
 *   aborted signal.
 */
export async function writeTensorBoard(
  name: string,
  options: TensorBoardOptions = {},
): Promise<TensorBoardFiles> {
  const { writeTensorBoard } = await import("./tracking/write_tensorboard.js");
  return await writeTensorBoard(name, options);
}

/**
 * Writes a page on which the images of a table lie in their map, to be looked around in: pictures,
 * columns by colour and filter, selections, neighbours. It needs no other file and no network.
 *
 * ```js
 * await writeExplorer("digits.parquet", "digits.html", { columns: ["clusters.csv"] });
 * ```
 *
 * @param name - A table as {@link readTable} takes them, or a run's folder or `last`, whose training
 *   images are embedded if they are not yet.
 * @param out - The page, which is replaced if it is there.
 * @throws FlexaeError `FLEXAE_CONFIG` for an option that cannot be, `FLEXAE_DATA` if a table cannot be
 *   read or another does not fit it, `FLEXAE_IO`, `FLEXAE_INTERNAL`. Rejects with the reason of an
 *   aborted signal. Nothing is then written.
 */
export async function writeExplorer(
  name: string,
  out: string,
  options: ExploreOptions = {},
): Promise<ExplorerFile> {
  const { writeExplorer } = await import("./explore/write_page.js");
  return await writeExplorer(name, out, options);
}

/**
 * The page of {@link writeExplorer} with a server behind it, for a million images: a browser on this
 * machine gets columns as they are, and thumbnails, images and neighbours as they are looked at.
 * Requests of other machines and of other sites' pages are refused.
 *
 * ```js
 * const server = await serveExplorer("millions.parquet", { map: "map.parquet" });
 * console.log(server.url);
 * ```
 *
 * @throws FlexaeError as {@link writeExplorer}, and `FLEXAE_CONFIG` if the port cannot be used.
 */
export async function serveExplorer(
  name: string,
  options: ServeOptions = {},
): Promise<ExploreServer> {
  const { serveExplorer } = await import("./explore/server.js");
  return await serveExplorer(name, options);
}

/**
 * Serves a page on which the runs below a folder can be watched while they train, and compared. It
 * reads what they leave in their folders, whatever process they run in. Requests of other machines,
 * unless `host` says otherwise, and of other sites' pages are refused, and nothing outside the
 * folder is handed out.
 *
 * ```js
 * const dashboard = await serveDashboard("logs", { port: 7357 });
 * console.log(dashboard.url);
 * ```
 *
 * @param folder - `logs` unless given. It need not be there yet.
 * @throws FlexaeError `FLEXAE_CONFIG` if it cannot be served there.
 */
export async function serveDashboard(
  folder?: string,
  options: DashboardOptions = {},
): Promise<Dashboard> {
  const { serveDashboard } = await import("./dashboard/server.js");
  return await serveDashboard(folder, options);
}

/**
 * The runs below a folder, up to three folders deep, the newest last. Folders that cannot be read
 * are passed over, and a run whose files cannot be has the state `unreadable`.
 *
 * ```js
 * const runs = await listRuns("logs");
 * runs.sort((a, b) => a.valid.loss - b.valid.loss);
 * ```
 *
 * @param folder - `logs` unless given.
 * @throws FlexaeError `FLEXAE_CONFIG` if there is no such folder, `FLEXAE_IO` if it cannot be read.
 */
export async function listRuns(folder?: string): Promise<ListedRun[]> {
  const { listRuns } = await import("./runs/list.js");
  return await listRuns(folder);
}

/**
 * Runs beside each other: how their settings differ, and what came of them.
 *
 * @param runs - Folders of runs, or `last` for the newest in `logs/`.
 * @throws FlexaeError `FLEXAE_CONFIG` if there is no such run.
 */
export async function compareRuns(runs: readonly string[]): Promise<Comparison> {
  const { compareRuns } = await import("./runs/list.js");
  return await compareRuns(runs);
}

/**
 * Trains with many settings, each training in a process of its own, and says which do best and which
 * settings mattered. Everything is in the sweep's folder, `saveDir` or `logs/sweep_<time>`: a run
 * folder a trial, `sweep.csv`, `sweep.html`, and `sweep.yaml`, by which a sweep that was ended or
 * killed goes on.
 *
 * ```js
 * const { best } = await sweep(
 *   { dims: [16, 32, 64], learningRate: "0.001,0.01" },
 *   { trainDir: "data/train", validDir: "data/valid", trainEpochs: 27 },
 *   { halving: true },
 * );
 * ```
 *
 * @param over - The settings that are swept: lists of values, or text as after `--over NAME=` of the
 *   command line, ranges for a random search included.
 * @param config - What holds for all trials.
 * @throws FlexaeError `FLEXAE_CONFIG` if no trial can be trained, `FLEXAE_DATA`, `FLEXAE_IO`. A trial
 *   that fails is told of in `trials`.
 */
export async function sweep(
  over: Readonly<Record<string, unknown>>,
  config: TrainingConfig = {},
  options: SweepOptions = {},
): Promise<Sweep> {
  const { runSweep } = await import("./sweep/sweep.js");
  return await runSweep({ values: over, spell: (name) => name }, [given(config)], options);
}
