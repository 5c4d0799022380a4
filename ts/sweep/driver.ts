/** Drives a sweep: starts trials where there is room, and keeps `sweep.csv` in step. */
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { LiveFile } from "../files/atomic.js";
import { expectedEpochs, nextJob } from "./halving.js";
import { LiveTrial } from "./live_trial.js";
import { ascending, type SweepMetric } from "./metric.js";
import type { SweepPlan } from "./plan.js";
import { beginLine, resumeLine } from "./run_line.js";
import type { Slot } from "./slots.js";
import type { SweepSpec } from "./spec.js";
import { tableText } from "./table.js";
import { type ProcessEnd, startProcess, type TrialProcess } from "./trial_process.js";
import type { SweepTrial } from "./trials.js";

/** The table in a sweep's folder. */
export const SWEEP_TABLE = "sweep.csv";

/** What a sweep tells while it is driven. */
export type SweepEvent =
  | {
      type: "start";
      /** Absolute path of the sweep's folder. */
      folder: string;
      /** By which trials are compared. */
      metric: SweepMetric;
      /** How many there are. */
      trials: number;
      /** How many of them cannot be trained. */
      invalid: number;
      /** How many are trained at once. */
      jobs: number;
      /** Compute threads of each. */
      threads: number;
      /** Epochs after which trials are compared; empty where all are trained to their ends. */
      rungs: readonly number[];
      /** How far it was already, from 0 to 1. */
      share: number;
    }
  | {
      /** A trial has come to its end or to that of a rung, or failed, or is invalid. */
      type: "trial";
      /** The trial as it is now. */
      trial: SweepTrial;
      /** Whether it is the best so far. */
      best: boolean;
      /** How far the sweep is, from 0 to 1. */
      share: number;
      /** Until the sweep's end, in seconds; null where it cannot be told yet. */
      left: number | null;
    }
  | {
      type: "progress";
      /** How far the sweep is, from 0 to 1. */
      share: number;
      /** Until the sweep's end, in seconds; null where it cannot be told yet. */
      left: number | null;
    }
  | {
      type: "warning";
      /** For a person, in one line. */
      message: string;
    };

/** What the driver is told. */
export interface DriveOptions {
  signal?: AbortSignal | undefined;
  /** Trials that failed earlier are tried once more. */
  retry: boolean;
  onEvent(event: SweepEvent): void;
}

/** What a trial warns of that goes on to its next rung. */
const PROMOTED = /^changed on resuming: train_epochs \d/;
/** How often it is looked whether a folder is free. */
const LOOKED_EVERY_MS = 300;
/** A sweep is never told to be at its end while something is left to do. */
const NEARLY = 0.999;

/** Of several trials the best; null if none has a score. */
export function bestTrial(trials: readonly SweepTrial[], { metric }: SweepSpec): SweepTrial | null {
  let best: SweepTrial | null = null;
  let least = Number.POSITIVE_INFINITY;
  for (const trial of trials) {
    const score = trial.comparedScore === null ? null : ascending(metric, trial.score);
    if (score === null || score >= least) continue;
    best = trial;
    least = score;
  }
  return best;
}

/** Trains what is left of a sweep. The folder is held by whoever calls. */
export class Driver {
  readonly trials: LiveTrial[];
  #folder: string;
  #spec: SweepSpec;
  #slots: readonly Slot[];
  #options: DriveOptions;
  #table: LiveFile;
  #processes = new Set<TrialProcess>();
  #began = performance.now();
  #epochsBefore = 0;
  #failure: unknown;
  /** What need not be said again. */
  #warned: Set<string>;

  constructor(
    folder: string,
    spec: SweepSpec,
    plan: SweepPlan,
    slots: readonly Slot[],
    options: DriveOptions,
  ) {
    this.#folder = folder;
    this.#spec = spec;
    this.#slots = slots;
    this.#options = options;
    this.#warned = new Set(plan.warnings.map((warning) => warning.replaceAll("\n", "; ")));
    this.trials = plan.trials.map(
      (planned, i) => new LiveTrial(folder, i + 1, spec.points[i] ?? {}, planned, spec.metric),
    );
    this.#table = new LiveFile(join(folder, SWEEP_TABLE), (error) => this.#stop(error));
  }

  /** Trials as others see them. */
  describe(): SweepTrial[] {
    return this.trials.map((trial) => trial.describe());
  }

  get #isStopping(): boolean {
    return this.#options.signal?.aborted === true || this.#failure !== undefined;
  }

  /** Trains until nothing is left or it is told to end; every process has ended by then. */
  async run(): Promise<void> {
    const interrupt = () => {
      for (const process of this.#processes) process.interrupt();
    };
    // However this process ends, none of its own is left behind.
    const kill = () => {
      for (const process of this.#processes) process.kill();
    };
    this.#options.signal?.addEventListener("abort", interrupt);
    process.on("exit", kill);
    try {
      for (const trial of this.trials) await trial.read(this.#options.retry);
      this.#begin();
      await this.#drive();
      this.#writeTable();
      await this.#table.flush();
    } finally {
      process.off("exit", kill);
      this.#options.signal?.removeEventListener("abort", interrupt);
    }
    if (this.#failure !== undefined) throw this.#failure;
  }

  #begin(): void {
    this.#began = performance.now();
    this.#epochsBefore = this.#epochs();
    const invalid = this.trials.filter(({ settings }) => settings === null);
    this.#options.onEvent({
      type: "start",
      folder: this.#folder,
      metric: this.#spec.metric,
      trials: this.trials.length,
      invalid: invalid.length,
      jobs: this.#slots.length,
      threads: this.#slots[0]?.threads ?? 1,
      rungs: this.#spec.halving === null ? [] : this.#rungs(),
      share: this.#share(),
    });
    for (const trial of invalid) this.#tell(trial);
    this.#writeTable();
  }

  #rungs(): readonly number[] {
    return this.trials.find(({ settings }) => settings !== null)?.rungs ?? [];
  }

  async #drive(): Promise<void> {
    const free = [...this.#slots];
    const running = new Set<Promise<void>>();
    for (;;) {
      for (;;) {
        const job = this.#isStopping || free.length === 0 ? null : this.#next();
        if (job === null) break;
        const { trial, rung } = job;
        if (trial.isEarly) {
          trial.pass();
          continue;
        }
        const slot = free.shift() as Slot;
        trial.isRunning = true;
        const work = this.#train(trial, rung, slot)
          .catch((error) => this.#stop(error))
          .finally(() => {
            free.push(slot);
            running.delete(work);
          });
        running.add(work);
      }
      if (running.size === 0) return;
      await Promise.race(running);
    }
  }

  /** What was begun comes first, so that a sweep that goes on decides by what it would have known. */
  #next(): { trial: LiveTrial; rung: number } | null {
    const begun = this.trials.find(
      ({ pending, isRunning, isFailed }) => pending !== null && !isRunning && !isFailed,
    );
    if (begun !== undefined) return { trial: begun, rung: begun.pending as number };
    const { halving } = this.#spec;
    const job = nextJob(this.trials, this.#rungs().length, halving?.eta ?? 1);
    return job === null ? null : { trial: this.trials[job.trial] as LiveTrial, rung: job.rung };
  }

  async #train(trial: LiveTrial, rung: number, slot: Slot): Promise<void> {
    await this.#untilFree(trial);
    let end: ProcessEnd | null = null;
    if (!this.#isStopping && trial.scores.length <= rung) {
      end = await this.#process(trial, trial.rungs[rung] as number, slot);
      await trial.read();
      this.#passOn(trial, end.warnings);
    }
    trial.isRunning = false;
    if (trial.scores.length <= rung && !trial.isFailed && !this.#isStopping) {
      trial.fail(end?.problem ?? "it ended without a result");
    }
    this.#tell(trial);
    this.#writeTable();
  }

  /** What a training warned of: once, as most of it is the same for all trials. */
  #passOn({ number }: LiveTrial, warnings: readonly string[]): void {
    for (const warning of warnings) {
      if (PROMOTED.test(warning) || this.#warned.has(warning)) continue;
      this.#warned.add(warning);
      this.#options.onEvent({ type: "warning", message: `trial ${number}: ${warning}` });
    }
  }

  /** A process of an earlier sweep may still be at work there. */
  async #untilFree(trial: LiveTrial): Promise<void> {
    if (!trial.isHeld) return;
    const message = `trial ${trial.number} is still trained by an earlier process: waiting for its end`;
    this.#options.onEvent({ type: "warning", message });
    while (trial.isHeld && !this.#isStopping) {
      await sleep(LOOKED_EVERY_MS);
      await trial.read(this.#options.retry);
    }
  }

  async #process(trial: LiveTrial, epochs: number, slot: Slot): Promise<ProcessEnd> {
    const spec = this.#spec;
    const args = trial.hasBegun
      ? resumeLine(spec, trial.folder, epochs)
      : beginLine(spec, trial.point, trial.folder, epochs);
    const process = startProcess(args, slot.gpu, (event) => {
      if (event.event !== "epoch" || typeof event.epoch !== "number") return;
      trial.epochsSeen = event.epoch;
      this.#options.onEvent({ type: "progress", ...this.#progress() });
    });
    this.#processes.add(process);
    // It may have been told to end while it was started.
    if (this.#isStopping) process.interrupt();
    return await process.ended.finally(() => this.#processes.delete(process));
  }

  #tell(trial: LiveTrial): void {
    const described = trial.describe();
    const best = bestTrial(this.describe(), this.#spec)?.trial === trial.number;
    this.#options.onEvent({ type: "trial", trial: described, best, ...this.#progress() });
  }

  #writeTable(): void {
    this.#table.update(tableText(this.describe(), this.#spec));
  }

  /** Ends all that is under way: what went wrong is no matter of one trial. */
  #stop(error: unknown): void {
    this.#failure ??= error;
    for (const process of this.#processes) process.interrupt();
  }

  #epochs(): number {
    return this.trials.reduce((sum, { epochs }) => sum + epochs, 0);
  }

  /** Epochs that are still to be trained, about. */
  #epochsLeft(): number {
    const { halving } = this.#spec;
    const valid = this.trials.filter(({ settings }) => settings !== null);
    if (halving === null) {
      const left = valid.filter(({ isDone }) => !isDone);
      return left.reduce((sum, { rungs, epochs }) => sum + (rungs.at(-1) as number) - epochs, 0);
    }
    const rungs = this.#rungs();
    const expected = expectedEpochs(valid.length, rungs, halving.eta) - this.#epochs();
    // Trials that are promoted among few go further than if each rung was full first.
    const certain = valid.map(({ scores, epochs, isRunning, isFailed, pending }) => {
      const isUnderWay = isRunning || pending !== null || scores.length === 0;
      return isUnderWay && !isFailed ? (rungs[scores.length] ?? 0) - epochs : 0;
    });
    return Math.max(
      expected,
      certain.reduce((sum, left) => sum + Math.max(left, 0), 0),
    );
  }

  #share(): number {
    const [done, left] = [this.#epochs(), Math.max(0, this.#epochsLeft())];
    return Math.min(done / Math.max(done + left, 1), NEARLY);
  }

  #progress(): { share: number; left: number | null } {
    const trained = this.#epochs() - this.#epochsBefore;
    const seconds = (performance.now() - this.#began) / 1000;
    const left = Math.max(0, this.#epochsLeft());
    return { share: this.#share(), left: trained > 0 ? (seconds / trained) * left : null };
  }
}
