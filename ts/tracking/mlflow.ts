/** Follows a training on an MLflow server. */
import { randomUUID } from "node:crypto";
import { readFile, stat } from "node:fs/promises";
import { userInfo } from "node:os";
import { basename, join } from "node:path";
import { translateError } from "../addon/errors.js";
import type { Scores } from "../addon/types.js";
import { writeFileAtomic } from "../files/atomic.js";
import { unicodePath } from "../files/paths.js";
import { MLFLOW_FILE } from "../runs/folder.js";
import { readRunFiles } from "../runs/record.js";
import type { TrainingOutcome } from "../runs/training.js";
import type { TrainingEvent } from "../runs/training_event.js";
import { VERSION } from "../version.js";
import { type EpochRow, recordedRows, rowOf } from "./epoch_row.js";
import type { MlflowServer } from "./mlflow_address.js";
import {
  type Metric,
  MlflowClient,
  MlflowError,
  type Pair,
  type RunStatus,
  type ServerRun,
} from "./mlflow_client.js";
import type { Recorder } from "./tracker.js";

type StartEvent = Extract<TrainingEvent, { type: "start" }>;
type KeptScores = { train: Scores | null; valid: Scores | null; bestEpoch: number };

/** What a request may hold. */
const [METRICS_AT_ONCE, PARAMS_AT_ONCE] = [1000, 100];
/** Longer values are cut: servers up to MLflow 1.27 take no more of a parameter. */
const MOST_TEXT = 500;
/** Of a server that is away so many numbers are kept, the newest: some ten thousand epochs. */
const MOST_METRICS = 100_000;
/** Between two attempts, in milliseconds: first, and at most. */
const [FIRST_PAUSE, LONGEST_PAUSE] = [2000, 60_000];
/** How long the end may take, files apart: of a server that never answered, and of one that has. */
const [SHORT_PATIENCE_MS, PATIENCE_MS] = [5000, 15_000];

/** Files of a run that are handed over, those that tell most first. */
const ARTIFACTS = [
  "setting.yaml",
  "metrics.csv",
  "bad_images.csv",
  "report.html",
  "train_comparison.png",
  "valid_comparison.png",
  "en.pt",
  "ae.pt",
];

/** What a run folder keeps, for a training that goes on. */
interface KeptRun {
  address: string;
  experiment: string;
  run_id: string;
}

/** By which a run is found that was made although its answer got lost. */
const IDENTITY = "flexible_autoencoder.id";

const cut = (text: string) => (text.length > MOST_TEXT ? `${text.slice(0, MOST_TEXT - 1)}…` : text);

/** Scores under Keras's names. */
function scoreMetrics(prefix: string, scores: Scores): [string, number][] {
  const { loss, accuracy, mse, psnr } = scores;
  return Object.entries({ loss, accuracy, mse, psnr }).map(([name, value]) => [
    `${prefix}${name}`,
    value,
  ]);
}

/** What is not finite is nothing to compare. */
function metrics(values: [string, number][], timestamp: number, step: number): Metric[] {
  return values.flatMap(([key, value]) =>
    Number.isFinite(value) ? [{ key, value, timestamp: Math.round(timestamp), step }] : [],
  );
}

function epochMetrics({ epoch, train, valid, imagesPerSecond, learningRate, time }: EpochRow) {
  const values: [string, number][] = [
    ...scoreMetrics("", train),
    ...scoreMetrics("val_", valid),
    ["learning_rate", learningRate],
    ["images_per_second", imagesPerSecond],
  ];
  return metrics(values, time, epoch);
}

function userName(): string {
  try {
    return userInfo().username;
  } catch {
    return "";
  }
}

function tagsOf(event: StartEvent): Pair[] {
  const { runDir, device, deviceName, precision, trainImages, validImages, summary } = event;
  const tags: Record<string, string> = {
    "mlflow.source.name": "flexae run",
    "mlflow.source.type": "LOCAL",
    "mlflow.user": userName(),
    "flexible_autoencoder.version": VERSION,
    device,
    device_name: deviceName,
    precision,
    run_folder: runDir === null ? "" : unicodePath(runDir),
    train_images: String(trainImages),
    valid_images: String(validImages),
    parameters: String(summary.parameters.total),
  };
  return Object.entries(tags).flatMap(([key, value]) =>
    value === "" ? [] : [{ key, value: cut(value) }],
  );
}

async function keptRun(runDir: string): Promise<KeptRun | null> {
  try {
    const kept = JSON.parse(await readFile(join(runDir, MLFLOW_FILE), "utf8")) as KeptRun;
    return typeof kept?.run_id === "string" ? kept : null;
  } catch {
    return null;
  }
}

function statusOf(outcome: TrainingOutcome): RunStatus {
  if ("error" in outcome) return "FAILED";
  return outcome.result.stopped === "interrupted" ? "KILLED" : "FINISHED";
}

/** One training. What the server does not take waits for it, and is tried again now and then. */
export class MlflowRecorder implements Recorder {
  #server: MlflowServer;
  #client: MlflowClient;
  #warn: (message: string) => void;
  #warned = false;
  #runDir: string | null = null;
  /** As the server has it; undefined until it does. */
  #run: ServerRun | undefined;
  /** Of the run that an earlier session began. */
  #kept: KeptRun | null = null;
  #id = randomUUID();
  /** Whether a run may have been made whose answer got lost. */
  #isUncertain = false;
  #begun = 0;
  #name = "";
  #tags: Pair[] = [];
  #params: Pair[] = [];
  #metrics: Metric[] = [];
  #work: Promise<void> | undefined;
  #pause = FIRST_PAUSE;
  #next = 0;
  #isEnding = false;
  #hasAnswered = false;
  /** Ends requests at the end of the run. */
  #leaving = new AbortController();

  /** @param warn - Called once, with what the server does not do. */
  constructor(server: MlflowServer, warn: (message: string) => void) {
    this.#server = server;
    this.#client = new MlflowClient(server);
    this.#warn = warn;
  }

  async record(event: TrainingEvent, time: number): Promise<void> {
    if (event.type === "start") await this.#start(event, time);
    if (event.type === "epoch") this.#add(epochMetrics(rowOf(event, time)));
    // Of all events, as a server that is back is asked by the next of them.
    if (this.#begun > 0 && time >= this.#next) this.#work ??= this.#attempt();
  }

  async end(
    outcome: TrainingOutcome,
    time: number,
    signal: AbortSignal | undefined,
  ): Promise<void> {
    if (this.#begun === 0) return;
    const leave = () => this.#leaving.abort();
    if (signal?.aborted) return leave();
    signal?.addEventListener("abort", leave, { once: true });
    let limit = setTimeout(() => {
      // Of a short run, its first answer may have come only now.
      if (!this.#hasAnswered) leave();
      else limit = setTimeout(leave, PATIENCE_MS - SHORT_PATIENCE_MS);
    }, SHORT_PATIENCE_MS);
    try {
      const isAsking = this.#work !== undefined;
      await this.#work;
      this.#isEnding = true;
      if ("result" in outcome) this.#addKept(outcome.result, time);
      // One that has just not answered is not waited for once more.
      if (!isAsking || this.#next === 0) await this.#attempt();
      const run = this.#run;
      if (run === undefined || this.#next > 0) return;
      const { run_id } = run.info;
      await this.#client.setStatus(run_id, statusOf(outcome), time, this.#leaving.signal);
      clearTimeout(limit);
      await this.#uploadFiles(run);
    } catch (error) {
      if (!signal?.aborted) this.#complain(error);
    } finally {
      clearTimeout(limit);
      signal?.removeEventListener("abort", leave);
    }
  }

  async #start(event: StartEvent, time: number): Promise<void> {
    const { runDir, epochsDone } = event;
    this.#runDir = runDir;
    this.#name = runDir === null ? "flexae" : unicodePath(basename(runDir));
    this.#tags = tagsOf(event);
    if (runDir !== null) {
      const files = await readRunFiles(runDir, { network: false }).catch(() => null);
      const listed = files?.listed ?? [];
      this.#params = listed.map(({ name: key, value }) => ({ key, value: cut(value) }));
      // What earlier sessions could not say, or did not want to.
      const rows = files === null ? [] : recordedRows(files);
      for (const row of rows) if (row.epoch <= epochsDone) this.#add(epochMetrics(row));
      this.#kept = await keptRun(runDir);
    }
    this.#begun = time;
  }

  #add(metrics: readonly Metric[]): void {
    this.#metrics.push(...metrics);
    if (this.#metrics.length > MOST_METRICS) this.#metrics.splice(0, MOST_METRICS / 10);
  }

  /** What the model that is kept is worth, beside the last epoch's numbers. */
  #addKept({ train, valid, bestEpoch }: KeptScores, time: number): void {
    const values: [string, number][] = [
      ...(train === null ? [] : scoreMetrics("best_", train)),
      ...(valid === null ? [] : scoreMetrics("best_val_", valid)),
    ];
    if (bestEpoch > 0) values.push(["best_epoch", bestEpoch]);
    this.#add(metrics(values, time, Math.max(0, bestEpoch)));
  }

  /** Says all that is to be said; where the server is away, until it is. */
  async #attempt(): Promise<void> {
    try {
      const run = await this.#begin();
      await this.#say(run);
      this.#pause = FIRST_PAUSE;
      this.#next = 0;
    } catch (error) {
      this.#complain(error);
      this.#next = Date.now() + this.#pause;
      this.#pause = Math.min(2 * this.#pause, LONGEST_PAUSE);
    } finally {
      this.#work = undefined;
    }
  }

  async #begin(): Promise<ServerRun> {
    if (this.#run !== undefined) return this.#run;
    const run = (await this.#goOn()) ?? (await this.#create());
    await this.#keep(run);
    this.#run = run;
    return run;
  }

  /** The run of an earlier session, if the server still has it. */
  async #goOn(): Promise<ServerRun | undefined> {
    const kept = this.#kept;
    if (kept === null || kept.address !== this.#server.address) return undefined;
    const { signal } = this.#leaving;
    let run: ServerRun;
    try {
      run = await this.#client.getRun(kept.run_id, signal);
      this.#hasAnswered = true;
    } catch (error) {
      if (error instanceof MlflowError && error.isFinal) return undefined;
      throw error;
    }
    if (run.info.lifecycle_stage === "deleted") return undefined;
    await this.#client.setStatus(kept.run_id, "RUNNING", undefined, signal);
    // Epochs that are trained again gave the same before.
    const last = Math.max(
      0,
      ...(run.data?.metrics ?? []).flatMap(({ key, step }) => (key === "val_loss" ? [step] : [])),
    );
    this.#metrics = this.#metrics.filter(({ key, step }) => step > last || /^best_/.test(key));
    // A parameter cannot change; what it is from now on becomes a tag.
    const known = new Map((run.data?.params ?? []).map(({ key, value }) => [key, value]));
    // Where the run lies is in the tag `run_folder`, however it was named.
    const changed = this.#params.filter(
      ({ key, value }) => key !== "save_dir" && known.has(key) && known.get(key) !== value,
    );
    this.#tags.push(...changed.map(({ key, value }) => ({ key: `resumed.${key}`, value })));
    this.#params = this.#params.filter(({ key }) => !known.has(key));
    return run;
  }

  async #create(): Promise<ServerRun> {
    const { signal } = this.#leaving;
    const identity = { key: IDENTITY, value: this.#id };
    const experiment_id = await this.#client.experiment(signal);
    this.#hasAnswered = true;
    if (this.#isUncertain) {
      const found = await this.#client.findRun(experiment_id, identity, signal);
      if (found !== undefined) return found;
    }
    this.#isUncertain = true;
    return await this.#client.createRun(
      { experiment_id, run_name: this.#name, start_time: this.#begun, tags: [identity] },
      signal,
    );
  }

  /** Leaves word of the run for a training that goes on. */
  async #keep({ info }: ServerRun): Promise<void> {
    if (this.#runDir === null) return;
    const { address, experiment } = this.#server;
    const kept: KeptRun = { address, experiment, run_id: info.run_id };
    try {
      await writeFileAtomic(join(this.#runDir, MLFLOW_FILE), `${JSON.stringify(kept, null, 2)}\n`);
    } catch (error) {
      this.#warn(`${translateError(error).message}; --resume will begin another run of MLflow`);
    }
  }

  async #say({ info }: ServerRun): Promise<void> {
    const { run_id: id } = info;
    await this.#batches(this.#tags, PARAMS_AT_ONCE, (tags) => ({ tags }), id);
    await this.#batches(this.#params, PARAMS_AT_ONCE, (params) => ({ params }), id);
    await this.#batches(this.#metrics, METRICS_AT_ONCE, (metrics) => ({ metrics }), id);
  }

  /** Takes from the front of a list what the server has taken, or refuses for good. */
  async #batches<T>(
    list: T[],
    most: number,
    form: (some: T[]) => Parameters<MlflowClient["log"]>[1],
    id: string,
  ): Promise<void> {
    while (list.length > 0) {
      const some = list.slice(0, most);
      try {
        await this.#client.log(id, form(some), this.#leaving.signal);
      } catch (error) {
        if (!(error instanceof MlflowError) || !error.isFinal) throw error;
        this.#complain(error);
      }
      const taken = new Set(some);
      // Those before may have been dropped meanwhile.
      const left = list.findIndex((item) => !taken.has(item));
      list.splice(0, left < 0 ? list.length : left);
    }
  }

  async #uploadFiles(run: ServerRun): Promise<void> {
    const { signal } = this.#leaving;
    for (const name of this.#runDir === null ? [] : ARTIFACTS) {
      const path = join(this.#runDir as string, name);
      const found = await stat(path).catch(() => null);
      if (found === null || !found.isFile()) continue;
      if (!(await this.#client.upload(run, { path, name, bytes: found.size }, signal))) {
        this.#complain(
          new Error("it does not store files itself, so the run's stay where they are"),
        );
        return;
      }
    }
  }

  #complain(error: unknown): void {
    if (this.#warned) return;
    this.#warned = true;
    const { message, status = 0 } = error as Partial<MlflowError>;
    const remedy =
      status === 401 || status === 403
        ? "; set MLFLOW_TRACKING_USERNAME and MLFLOW_TRACKING_PASSWORD, or MLFLOW_TRACKING_TOKEN"
        : "";
    const outlook = this.#isEnding
      ? ""
      : "\nThe run goes on, and the server is tried again now and then.";
    this.#warn(
      `MLflow at ${this.#server.address} has not all of the run: ${message}${remedy}${outlook}`,
    );
  }
}
