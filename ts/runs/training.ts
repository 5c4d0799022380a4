/** One training from plan to pictures, for the command line and for the library alike. */
import { readFile, rm } from "node:fs/promises";
import { basename, join, resolve } from "node:path";
import { configError, dataError, FlexaeError, translateError } from "../addon/errors.js";
import { callAddon, loadAddon } from "../addon/loader.js";
import type {
  Scores,
  Stopped,
  Traffic,
  TrainEvent,
  TrainingHandle,
  TrainResult,
} from "../addon/types.js";
import { toLoadOptions } from "../config/data.js";
import { nameKey } from "../config/names.js";
import { toTrainingJson } from "../config/network.js";
import { PARAMETERS } from "../config/parameters.js";
import {
  type GivenSettings,
  plainSettings,
  resolveSettings,
  type Settings,
} from "../config/resolve.js";
import type { ListingProgress } from "../containers/listing.js";
import { writeList } from "../dataset/write_list.js";
import { LiveFile, writeFileAtomic } from "../files/atomic.js";
import { checksum } from "../files/checksum.js";
import { writePictures } from "../imaging/pictures.js";
import { deviceOf, type ProcessGroup, threadsEach } from "../processes/group.js";
import { EventQueue } from "./events.js";
import {
  createRunFolder,
  LOGS,
  modelFile,
  REPORT_FILE,
  type RunFolder,
  SETTING_FILE,
  SPLIT_FILES,
} from "./folder.js";
import { LiveLog } from "./live_log.js";
import { type MemoryImages, type Plan, planRun } from "./plan.js";
import { type ResumePoint, resumeRun } from "./resume.js";
import {
  type InitialWeights,
  modelManifest,
  type RunRecord,
  resumableSettings,
  settingText,
} from "./setting.js";
import { sharedFacts } from "./shared_facts.js";
import { appendScore, BadImagesTable, clockTime, MetricsTable } from "./tables.js";
import type { TrainingEvent } from "./training_event.js";

const PROGRESS_INTERVAL_MS = 100;

/** Events that a newer one of their kind replaces. */
const PASSING = new Set<TrainingEvent["type"]>(["listing", "batch", "reconstructions"]);

/** How a training ended. */
export interface TrainingResult {
  /** Why it ended. */
  stopped: Stopped;
  /** Epochs completed. */
  epochs: number;
  /** Epoch (from 1) whose weights were kept; 0 when none was completed. */
  bestEpoch: number;
  /** Scores of the kept weights on the training images; null after an interruption. */
  train: Scores | null;
  /** Scores of the kept weights on the validation images; null when no epoch was completed. */
  valid: Scores | null;
  /** How long it took. */
  seconds: number;
  /** Where it computed: cpu or cuda:N. */
  device: string;
  /** Images that could not be used, of both sets. */
  badImages: number;
  /**
   * What several processes have cost each other; undefined where one trained.
   *
   * @internal
   */
  traffic?: Traffic;
  /** Absolute path of the run folder; null when nothing was saved. */
  runDir: string | null;
  /** Names of the pictures that were drawn, in the run folder. */
  pictures: string[];
}

/** How a training ended: well, or not. */
export type TrainingOutcome = { result: TrainingResult } | { error: unknown };

/** How a training is started, watched and ended; what it trains is in its settings. */
export interface TrainingOptions {
  /** Ends the training after the batch under way; the result is then `interrupted`. */
  signal?: AbortSignal | undefined;
  /** Whether to make a run folder; true unless said otherwise. */
  save?: boolean | undefined;
  /**
   * A run folder, or `last` for the newest in `logs/`: goes on where that run ended, however it
   * ended, with its settings. Settings given besides may change how long and where it trains, not
   * what.
   */
  resume?: string | undefined;
  /**
   * A run folder, `last`, or an `ae.pt` or `en.pt`: begins with its weights in place of random ones,
   * with a new optimizer. Layers are matched by name and size.
   */
  weights?: string | undefined;
  /** Layers that `weights` does not have, or has of another size, begin new; else they are an error. */
  partial?: boolean | undefined;
  /**
   * The processes with which this one trains; rank 0's alone makes a run folder and resumes.
   *
   * @internal
   */
  processes?: ProcessGroup | undefined;
  /** Called with every event, besides the iteration. */
  onEvent?: ((event: TrainingEvent) => void) | undefined;
  /** Images that are in memory, in place of folders. */
  images?: MemoryImages | undefined;
}

/**
 * A training under way. Iterate it for its events; await `result` for its end. The native work runs
 * on a thread of its own, so the event loop stays free.
 */
export class Training implements AsyncIterable<TrainingEvent> {
  /**
   * Settles after the training thread has ended and every file is written. Rejects with a
   * {@link FlexaeError}; with the signal's reason if that was aborted before the training began.
   */
  readonly result: Promise<TrainingResult>;

  #given: readonly GivenSettings[];
  #options: TrainingOptions;
  #events = new EventQueue<TrainingEvent>(({ type }) => (PASSING.has(type) ? type : null));
  #handle: TrainingHandle | undefined;
  #runDir: string | null = null;
  #log: LiveLog | undefined;
  /** Warnings from before there was one. */
  #early: TrainingEvent[] = [];
  #cancelled = false;
  /** Ends the listing of its sets. */
  #listing = new AbortController();
  #bestValid: Scores | null = null;
  #abort = () => this.cancel();

  /**
   * Starts at once, with the settings given over the defaults or over those of the run that is
   * resumed.
   *
   * @param onEnd - Called when every file is written, or it has failed; `result` waits for it.
   * @throws FlexaeError `FLEXAE_CONFIG` naming the first setting that is unknown or wrong.
   * @internal
   */
  constructor(
    given: readonly GivenSettings[],
    options: TrainingOptions = {},
    onEnd: (outcome: TrainingOutcome) => Promise<void> = async () => {},
  ) {
    resolveSettings(given);
    this.#given = given;
    this.#options = options;
    const { signal } = options;
    if (signal?.aborted) this.#cancelled = true;
    else signal?.addEventListener("abort", this.#abort, { once: true });
    this.result = this.#runWithOthers()
      .then(
        async (result) => {
          await onEnd({ result });
          return result;
        },
        async (error) => {
          await onEnd({ error });
          throw error;
        },
      )
      .finally(() => signal?.removeEventListener("abort", this.#abort));
    this.result.then(
      () => this.#events.end(),
      // Whoever only iterates meets the failure there; it must not count as unhandled as well.
      (error) => this.#events.end(error),
    );
  }

  /**
   * Absolute path of the run folder once the training has begun, also of one that failed.
   *
   * @internal
   */
  get runDir(): string | null {
    return this.#runDir;
  }

  /**
   * Says what is worth saying, as an event.
   *
   * @internal
   */
  warn(message: string): void {
    this.#emit({ type: "warning", message });
  }

  /** Asks the training to end after the batch under way. Idempotent. */
  cancel(): void {
    this.#cancelled = true;
    this.#listing.abort(this.#cancelReason());
    this.#handle?.cancel();
  }

  /**
   * The events from the start of the training on. Of `listing`, `batch` and `reconstructions`
   * events that nobody took in time the newest alone is kept; no other event is lost. One iteration
   * a training.
   */
  [Symbol.asyncIterator](): AsyncIterator<TrainingEvent> {
    return this.#events[Symbol.asyncIterator]();
  }

  #emit(event: TrainingEvent): void {
    if (this.#log !== undefined) this.#log.note(event);
    else if (event.type === "warning") this.#early.push(event);
    this.#events.push(event);
    try {
      this.#options.onEvent?.(event);
    } catch (error) {
      // The caller's own fault, as in any callback: it must not pass through the native code.
      queueMicrotask(() => {
        throw error;
      });
    }
  }

  #cancelReason(): unknown {
    return (
      this.#options.signal?.reason ??
      new DOMException("The training was cancelled before it began", "AbortError")
    );
  }

  #throwIfCancelled(): void {
    if (this.#cancelled) throw this.#cancelReason();
  }

  /** The others are told how it ended. */
  async #runWithOthers(): Promise<TrainingResult> {
    const { processes } = this.#options;
    if (processes === undefined) return await this.#run();
    try {
      const restarted = await this.#restarted(processes);
      // One of them may have been lost when the others had finished.
      if (restarted !== null) return await this.#resume(restarted, true);
      return await this.#run();
    } catch (error) {
      processes.fail(error);
      throw error;
    } finally {
      await processes.leave();
    }
  }

  /**
   * The run that processes go on with which their launcher has started again, if it had begun.
   * What would mean nothing to it is left out of what was given.
   */
  async #restarted(processes: ProcessGroup): Promise<string | null> {
    const { resume, save = true } = this.#options;
    const { mayRestart, restarts } = processes.place;
    if (!mayRestart || resume !== undefined || !save) return null;
    const folder = resolveSettings(this.#given).save_dir;
    if (folder === null) {
      throw configError(
        "Processes that are started again must find their run: name its folder with --save-dir",
      );
    }
    if (restarts === 0) return null;
    const begun = await processes.fromFirst(async () => await readSettingText(folder));
    const kept = (name: string) =>
      begun === ""
        ? nameKey(name) !== "overwrite"
        : !PARAMETERS.some((p) => p.resume === "none" && nameKey(p.name) === nameKey(name));
    this.#given = this.#given.map(({ values, spell }) => ({
      spell,
      values: Object.fromEntries(Object.entries(values).filter(([name]) => kept(name))),
    }));
    if (begun !== "") return folder;
    // Killed before it said what it was.
    this.#given = [...this.#given, { values: { overwrite: true }, spell: (name) => name }];
    return null;
  }

  /** The plan, which all processes have alike. */
  async #plan(settings: Settings, save: boolean): Promise<Plan> {
    const { images, processes } = this.#options;
    const listing = {
      signal: this.#listing.signal,
      onListing: (found: ListingProgress) => this.#emit({ type: "listing", ...found }),
    };
    if (processes === undefined) return await planRun(settings, images, save, listing);
    const own = { ...settings, device: deviceOf(settings.device, processes.place) };
    return await processes.agree(
      async () => await planRun(own, images, save && processes.isFirst, listing),
      sharedFacts,
    );
  }

  async #run(): Promise<TrainingResult> {
    this.#throwIfCancelled();
    const { save: wanted = true, resume, processes } = this.#options;
    if (resume !== undefined) return await this.#resume(resume);
    const save = wanted && (processes?.isFirst ?? true);
    const weights = await this.#shared(async () => await this.#weights());
    const settings = resolveSettings(this.#given);
    const plan = await this.#plan(settings, save);
    for (const message of plan.warnings) this.#emit({ type: "warning", message });
    this.#throwIfCancelled();
    if (!save) return await this.#train(plan, null, { resumeFrom: "", weights });
    const folder = await createRunFolder(settings.save_dir, settings.overwrite);
    try {
      if (plan.isSplit) await keepSplit(plan, folder);
      const journal = new Journal(plan, folder, weights, () => this.cancel());
      return await this.#train(plan, journal, { resumeFrom: "", weights });
    } finally {
      folder.release();
    }
  }

  /** What it begins with, and a checksum to tell by later. */
  async #weights(): Promise<InitialWeights | null> {
    const { weights, partial = false } = this.#options;
    if (weights === undefined) {
      if (partial) throw configError("partial means nothing without weights: leave it out");
      return null;
    }
    const file = resolve(await modelFile(weights, "ae.pt"));
    return { file, sha256: await checksum(file), partial };
  }

  /** What rank 0 finds out for all. */
  async #shared<T>(find: () => Promise<T>): Promise<T> {
    const { processes } = this.#options;
    return processes === undefined ? await find() : await processes.fromFirst(find);
  }

  async #resume(name: string, evenFinished = false): Promise<TrainingResult> {
    if (this.#options.weights !== undefined) {
      throw configError("weights mean nothing to a run that goes on with its own: leave them out");
    }
    if (this.#options.save === false) {
      throw configError("save: false means nothing to a run that goes on in its folder");
    }
    let found: ResumePoint | undefined;
    const shared = await this.#shared(async () => {
      found = await resumeRun(name, this.#given, evenFinished);
      const { settings, file, weights } = found;
      return { settings: plainSettings(settings), file, weights };
    });
    const point = found;
    if (point === undefined) {
      // Of another process: what rank 0 has found it trains with.
      const settings = resolveSettings([{ values: shared.settings, spell: (name) => name }]);
      const plan = await this.#plan(settings, false);
      return await this.#train(plan, null, {
        resumeFrom: shared.file ?? "",
        weights: shared.weights,
      });
    }
    try {
      const plan = await this.#plan(point.settings, false);
      for (const message of [...point.warnings, ...plan.warnings]) {
        this.#emit({ type: "warning", message });
      }
      this.#throwIfCancelled();
      // Nothing is undone: what the folder holds is the run's.
      const folder = { path: point.folder, discard: async () => {}, release: () => {} };
      const { weights } = point;
      const journal = new Journal(plan, folder, weights, () => this.cancel());
      await journal.goOn(point);
      // Without a checkpoint it begins once more, with what it began with.
      if (point.file === null && weights !== null) await requireUnchanged(weights);
      return await this.#train(plan, journal, { resumeFrom: point.file ?? "", weights });
    } finally {
      point.lock.release();
    }
  }

  async #train(plan: Plan, journal: Journal | null, from: Beginning): Promise<TrainingResult> {
    const warn = (message: string) => this.#emit({ type: "warning", message });
    try {
      await journal?.writeSetting();
      this.#throwIfCancelled();
      this.#handle = this.#startNative(plan, journal, from);
      this.#runDir = journal?.folder.path ?? null;
    } catch (error) {
      await journal?.folder.discard();
      throw error;
    }
    if (journal !== null) {
      this.#log = new LiveLog(journal.folder.path, warn, () => this.cancel());
      for (const event of this.#early) this.#log.note(event);
      this.#early = [];
    }
    if (this.#cancelled) this.#handle.cancel();
    let native: TrainResult;
    try {
      native = await this.#handle.result;
    } catch (error) {
      const failure = withAdvice(translateError(error), plan, journal?.folder.path);
      await journal?.fail(failure);
      await this.#log?.end("failed", failure.message);
      throw failure;
    }
    // The best epoch's own validation stands in for the pass an interruption leaves out: the
    // weights kept are those it was made with.
    const result: TrainingResult = {
      ...native,
      valid: native.valid ?? this.#bestValid ?? journal?.bestValid ?? null,
      runDir: journal?.folder.path ?? null,
      pictures: [],
    };
    if (journal !== null) {
      try {
        await journal.finish(native, result, warn);
        if (result.stopped !== "interrupted") result.pictures = await journal.pictures(warn);
      } catch (error) {
        await this.#log?.end("failed", translateError(error).message);
        throw error;
      }
      await this.#log?.end(result.stopped, null);
    }
    return result;
  }

  #startNative(plan: Plan, journal: Journal | null, from: Beginning): TrainingHandle {
    const { processes } = this.#options;
    const { settings } = plan;
    const each = processes === undefined ? 0 : threadsEach(processes.place);
    const own = {
      ...settings,
      threads: settings.threads || each,
      workers: settings.workers || each,
    };
    const onEvent = (event: TrainEvent) => {
      journal?.note(event);
      if (event.type === "epoch" && event.best) this.#bestValid = event.valid;
      if (event.type === "start") {
        this.#emit({
          ...event,
          runDir: journal?.folder.path ?? null,
          epochs: settings.train_epochs,
          batchSize: settings.batch_size,
          summary: plan.summary,
        });
      } else {
        this.#emit(event);
      }
    };
    return callAddon((addon) =>
      addon.train(
        {
          train: plan.train.source,
          valid: plan.valid.source,
          load: toLoadOptions(own),
          training: toTrainingJson(own),
          maxBadShare: settings.max_bad,
          runDir: journal?.folder.path ?? "",
          configJson: JSON.stringify(modelManifest(settings, plan.network)),
          settingsJson: JSON.stringify(resumableSettings(plan)),
          resumeFrom: from.resumeFrom,
          weightsFrom: from.weights?.file ?? "",
          partialWeights: from.weights?.partial ?? false,
          progressInterval: PROGRESS_INTERVAL_MS,
          processes: processes?.handle,
        },
        onEvent,
      ),
    );
  }
}

/** Leaves lists of both parts in the run folder: from there on they are the sets of the run. */
async function keepSplit(plan: Plan, folder: RunFolder): Promise<void> {
  try {
    for (const set of ["train", "valid"] as const) {
      const path = join(folder.path, SPLIT_FILES[set]);
      await writeList(path, plan[set]);
      plan[set].place = path;
    }
  } catch (error) {
    await folder.discard();
    throw error;
  }
}

/** Where a training begins. */
interface Beginning {
  /** A checkpoint; "" without one. */
  resumeFrom: string;
  weights: InitialWeights | null;
}

/** @throws FlexaeError `FLEXAE_DATA` if the file is gone or another by now. */
async function requireUnchanged({ file, sha256 }: InitialWeights): Promise<void> {
  if ((await checksum(file)) === sha256) return;
  throw dataError(`${file}, with which the run began, is another file now: begin a new run`);
}

/** What a run says of itself in its folder; "" if there is none. */
async function readSettingText(folder: string): Promise<string> {
  return await readFile(join(folder, SETTING_FILE), "utf8").catch(() => "");
}

/** Says how much memory was wanted, where it ran out; and how to go on without a lost process. */
function withAdvice(error: FlexaeError, plan: Plan, folder: string | undefined): FlexaeError {
  if (error.code === "FLEXAE_PROCESS" && folder !== undefined) {
    const [first] = error.message.split("\n", 1);
    return new FlexaeError(
      error.code,
      `${first}\nIt can go on, with as many processes as you like: run --resume ${folder}`,
      { cause: error },
    );
  }
  if (error.code !== "FLEXAE_MEMORY") return error;
  const { batch_size, imageShape } = plan.settings;
  return new FlexaeError(
    error.code,
    `Memory ran out: training with batch_size ${batch_size} and imageShape ${imageShape.join(",")} takes about ${(plan.summary.trainingBytes / 1e9).toFixed(1)} GB. ` +
      "Use a smaller --batch-size or --image-shape, or fewer --filters; `flexae summary` estimates what a training takes.",
    { cause: error },
  );
}

/** Keeps a run's folder, and its row among the scores, in step with the training. */
class Journal {
  readonly folder: RunFolder;
  #plan: Plan;
  /** Of the best epoch of earlier sessions. */
  bestValid: Scores | null = null;
  #record: RunRecord;
  #metrics = new MetricsTable();
  #metricsFile: LiveFile;
  #bad = new BadImagesTable();
  #badFile: LiveFile;
  /** Where the scores go even if the process changes its folder meanwhile. */
  #scores = resolve(LOGS, "aescore.csv");

  constructor(
    plan: Plan,
    folder: RunFolder,
    weights: InitialWeights | null,
    onFailure: () => void,
  ) {
    this.#plan = plan;
    this.folder = folder;
    const started = clockTime(new Date());
    this.#record = {
      plan,
      runDir: folder.path,
      started,
      weights,
      resumed: [],
      state: "running",
    };
    this.#metricsFile = new LiveFile(join(folder.path, "metrics.csv"), onFailure);
    this.#badFile = new LiveFile(join(folder.path, "bad_images.csv"), onFailure);
  }

  /**
   * Takes over from the sessions before: their epochs up to the checkpoint, whatever metrics.csv has
   * of them, and the images they found bad.
   */
  async goOn(point: ResumePoint): Promise<void> {
    // It tells of an end that is none any more. Nothing hangs on whether it can be removed.
    await rm(join(this.folder.path, REPORT_FILE), { force: true }).catch(() => {});
    this.#record.started = point.started ?? this.#record.started;
    const { epoch = 0, batch = 0, history = [] } = point.checkpoint ?? {};
    this.#record.resumed = [
      ...point.resumed,
      { time: clockTime(new Date()), epoch, ...(batch > 0 ? { batch } : {}) },
    ];
    for (const row of history) {
      this.#metrics.add(row);
      if (row.best) this.bestValid = row.valid;
    }
    this.#metricsFile.update(this.#metrics.content);
    await this.#metricsFile.flush();
    const bad = await readFile(join(this.folder.path, "bad_images.csv"), "utf8").catch(() => "");
    this.#bad = new BadImagesTable(bad);
  }

  async writeSetting(): Promise<void> {
    await writeFileAtomic(join(this.folder.path, SETTING_FILE), settingText(this.#record));
  }

  note(event: TrainEvent): void {
    if (event.type === "start") this.#record.start = event;
    if (event.type === "epoch") {
      this.#metrics.add(event);
      this.#metricsFile.update(this.#metrics.content);
    }
    if (event.type === "bad") {
      const text = this.#bad.add(event);
      if (text !== null) this.#badFile.update(text);
    }
  }

  async finish(
    native: TrainResult,
    result: TrainingResult,
    warn: (message: string) => void,
  ): Promise<void> {
    await this.#metricsFile.flush();
    await this.#badFile.flush();
    const { train, valid } = result;
    const ended = new Date();
    Object.assign(this.#record, { state: native.stopped, result: native, train, valid, ended });
    await this.writeSetting();
    const folder = basename(this.folder.path);
    // The run itself is whole by now.
    await appendScore(this.#scores, { time: ended, folder, train, valid }).catch((error) =>
      warn(translateError(error).message),
    );
  }

  /** Leaves word of a failure; a failure to do so must not hide the first. */
  async fail(error: FlexaeError): Promise<void> {
    Object.assign(this.#record, { state: "failed", error: error.message, ended: new Date() });
    await this.#metricsFile.flush().catch(() => {});
    await this.#badFile.flush().catch(() => {});
    await this.writeSetting().catch(() => {});
  }

  /** The training is safe on disk by now: what goes wrong here is said, not thrown. */
  async pictures(warn: (message: string) => void): Promise<string[]> {
    const names: string[] = [];
    try {
      const model = await loadAddon().loadModel(join(this.folder.path, "ae.pt"), "cpu", {
        trust: false,
        precision: "fp32",
      });
      try {
        const load = toLoadOptions(this.#plan.settings);
        for (const set of ["train", "valid"] as const) {
          const { source } = this.#plan[set];
          const { seed } = this.#plan.settings;
          const { path: folder } = this.folder;
          names.push(...(await writePictures({ model, set, source, load, seed, folder })));
        }
      } finally {
        model.dispose();
      }
    } catch (error) {
      warn(`The before-and-after pictures could not be made: ${translateError(error).message}`);
    }
    return names;
  }
}
