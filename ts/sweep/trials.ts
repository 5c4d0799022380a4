/** What is known of the trials of a sweep: all of it follows from `sweep.yaml` and their folders. */
import { readFile } from "node:fs/promises";
import { basename, join } from "node:path";
import { isAddonError } from "../addon/errors.js";
import type { ParameterName } from "../config/parameters.js";
import { resolveSettings, type Settings } from "../config/resolve.js";
import { SETTING_FILE } from "../runs/folder.js";
import { isHeld } from "../runs/list.js";
import type { RecordedScores } from "../runs/record.js";
import { epochColumns, readRunFiles } from "../runs/record.js";
import { rungEpochs } from "./halving.js";
import type { SweepMetric } from "./metric.js";
import type { Point } from "./points.js";
import type { SweepSpec } from "./spec.js";

/** How far a trial is. */
export type SweepTrialState =
  | "waiting"
  | "running"
  | "interrupted"
  | "stopped"
  | "finished"
  | "early"
  | "failed"
  | "invalid";

/** An epoch of a trial. */
export interface TrialEpoch {
  epoch: number;
  seconds: number;
  best: boolean;
  /** The metric by which trials are compared; NaN where it is not known. */
  metric: number;
}

/** What a trial's folder says of it. */
export interface TrialRecord {
  /** `none`: nothing that it could go on with. */
  state: "none" | "running" | "interrupted" | "finished" | "early" | "failed";
  /** A process is at work there. */
  isHeld: boolean;
  /** Epochs that it was last asked for; NaN where that is not known. */
  asked: number;
  epochs: TrialEpoch[];
  train: RecordedScores | null;
  valid: RecordedScores | null;
  /** When its last session ended; "" where it did not. */
  ended: string;
  problem: string | null;
}

const NOTHING: TrialRecord = {
  state: "none",
  isHeld: false,
  asked: Number.NaN,
  epochs: [],
  train: null,
  valid: null,
  ended: "",
  problem: null,
};

/** The folder of a trial, by its number from 1. */
export function trialFolder(sweep: string, trial: number): string {
  return join(sweep, `trial_${String(trial).padStart(4, "0")}`);
}

/** The settings of a trial. */
export function trialSettings(spec: SweepSpec, point: Point): Settings {
  const spell = (name: string) => name;
  return resolveSettings([
    { values: spec.settings, spell },
    { values: point, spell },
  ]);
}

/** Epochs at which a trial is compared with others; the last is its end. */
export function trialRungs({ halving }: SweepSpec, settings: Settings): number[] {
  const { train_epochs } = settings;
  return halving === null ? [train_epochs] : rungEpochs(train_epochs, halving);
}

/** Reads the folder of a trial, which need not be there. */
export async function readTrial(folder: string, metric: SweepMetric): Promise<TrialRecord> {
  const setting = await readFile(join(folder, SETTING_FILE), "utf8").catch(() => "");
  if (setting.trim() === "") return NOTHING;
  const held = isHeld(folder);
  let files: Awaited<ReturnType<typeof readRunFiles>>;
  try {
    files = await readRunFiles(folder, { network: false });
  } catch (error) {
    if (!isAddonError(error)) throw error;
    return { ...NOTHING, isHeld: held };
  }
  if (files.settings === null) return { ...NOTHING, isHeld: held };
  const { state, settings, train, valid, error } = files;
  const known = ["running", "interrupted", "finished", "early", "failed"] as const;
  const ended = /^ended: (.+)$/m.exec(setting)?.[1] ?? "";
  return {
    state: known.find((name) => name === state) ?? "none",
    isHeld: held,
    asked: settings.train_epochs,
    // None was completed, or another program has had metrics.csv: then it is trained again.
    epochs: files.epochs.map((row) => ({
      epoch: row.epoch,
      seconds: row.seconds,
      best: row.best,
      metric: epochColumns(row)[metric] ?? Number.NaN,
    })),
    train,
    valid,
    ended: ended === "null" ? "" : ended,
    problem: error,
  };
}

/** The epoch whose weights are kept after so many epochs; undefined if none is. */
export function bestEpoch(
  epochs: readonly TrialEpoch[],
  upTo = Number.POSITIVE_INFINITY,
): TrialEpoch | undefined {
  return epochs.findLast(({ epoch, best }) => best && epoch <= upTo);
}

/** The metric after so many epochs, of the weights that are kept then; null where there is none. */
export function scoreAt(epochs: readonly TrialEpoch[], upTo?: number): number | null {
  const metric = bestEpoch(epochs, upTo)?.metric;
  return metric === undefined || !Number.isFinite(metric) ? null : metric;
}

/** Whether a trial that has ended stopped early, and would so again. */
export function isStoppedEarly({ state, epochs }: TrialRecord, { patience }: Settings): boolean {
  if (state === "early") return true;
  const best = bestEpoch(epochs)?.epoch ?? 0;
  return best > 0 && (epochs.at(-1)?.epoch ?? 0) - best >= patience;
}

/** A trial of a sweep. */
export interface SweepTrial {
  /** From 1. */
  trial: number;
  /** Absolute path of its run folder, which is there once it has begun. */
  folder: string;
  /**
   * `waiting`, `running`, `interrupted`, `finished`, `early` (no better validation loss for
   * `patience` epochs), `stopped` (by halving), `failed`, or `invalid` (its settings do not go
   * together).
   */
  state: SweepTrialState;
  /** Values of the settings that are swept, as their flags take them. */
  settings: Readonly<Partial<Record<ParameterName, string>>>;
  /** Epochs completed. */
  epochs: number;
  /** The epoch, from 1, whose weights are kept; null where there is none. */
  bestEpoch: number | null;
  /** The metric of the weights that are kept; null where there is none. */
  score: number | null;
  /** The same after as many epochs as all trials have at least; null where there is none. */
  comparedScore: number | null;
  /** What its epochs took. */
  seconds: number;
  /** Of the weights that are kept. */
  train: RecordedScores | null;
  /** Of the weights that are kept. */
  valid: RecordedScores | null;
  /** `YYYY-MM-DD HH:MM:SS`, local time; empty if it has not ended. */
  ended: string;
  /** Why it failed or is invalid; null where nothing is wrong. */
  problem: string | null;
}

/** The name of a trial, which is its folder's. */
export function trialName({ folder }: SweepTrial): string {
  return basename(folder);
}
