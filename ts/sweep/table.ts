/** `sweep.csv`: a row a trial. */
import { stringify } from "csv-stringify/sync";
import { SCORE_HEADER } from "../runs/tables.js";
import type { SweepSpec } from "./spec.js";
import { type SweepTrial, trialName } from "./trials.js";

/** Those of `aescore.csv`, as people have them in their scripts. */
const SCORES = SCORE_HEADER.trimEnd().split(",");

function cell(value: number | null | undefined): string {
  return value === null || value === undefined || !Number.isFinite(value) ? "" : String(value);
}

/** The text of the table, trials in their order. */
export function tableText(trials: readonly SweepTrial[], spec: SweepSpec): string {
  const names = spec.dimensions.map(({ name }) => name);
  const own = ["trial", "state", "epochs", "best_epoch", spec.metric, "seconds"];
  const head = [...SCORES, ...own, ...names, "problem"];
  const rows = trials.map((trial) => [
    trial.ended,
    trialName(trial),
    cell(trial.train?.loss),
    cell(trial.valid?.loss),
    cell(trial.train?.accuracy),
    cell(trial.valid?.accuracy),
    String(trial.trial),
    trial.state,
    String(trial.epochs),
    cell(trial.bestEpoch),
    cell(trial.score),
    cell(trial.seconds === 0 ? null : trial.seconds),
    ...names.map((name) => trial.settings[name] ?? ""),
    trial.problem ?? "",
  ]);
  return stringify([head, ...rows]);
}
