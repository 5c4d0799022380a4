/** The lines of `flexae run` by which trials are trained. */
import { findParameter, flagName, type Parameter } from "../config/parameters.js";
import type { Point } from "./points.js";
import type { SweepSpec } from "./spec.js";

function flags(texts: Readonly<Record<string, string>>): string[] {
  return Object.entries(texts).map(
    ([name, text]) => `--${flagName(findParameter(name) as Parameter)}=${text}`,
  );
}

/** The settings of a trial, as flags: each once. */
function settingFlags(
  spec: SweepSpec,
  point: Point,
  more: Readonly<Record<string, string>> = {},
): string[] {
  return flags({ ...spec.settings, ...more, ...point });
}

function runFlags({ runOptions }: SweepSpec): string[] {
  return [
    ...(runOptions.tensorboard ? ["--tensorboard"] : []),
    ...(runOptions.mlflow === null ? [] : ["--mlflow", runOptions.mlflow]),
  ];
}

/** Begins a trial. What a process that was killed has left in its folder is replaced. */
export function beginLine(spec: SweepSpec, point: Point, folder: string, epochs: number): string[] {
  const more = {
    train_epochs: String(epochs),
    save_dir: folder,
    overwrite: "true",
  };
  return ["run", "--json", "--no-report", ...runFlags(spec), ...settingFlags(spec, point, more)];
}

/** Goes on with a trial, up to so many epochs. */
export function resumeLine(spec: SweepSpec, folder: string, epochs: number): string[] {
  return [
    "run",
    "--json",
    "--no-report",
    ...runFlags(spec),
    `--resume=${folder}`,
    `--train-epochs=${epochs}`,
  ];
}

/** What a shell takes as one word. */
function quoted(word: string): string {
  return /^[\w@%+=:,./-]+$/.test(word) ? word : `'${word.replaceAll("'", "'\\''")}'`;
}

/** The line that repeats a trial from its beginning to its end, for a shell. */
export function repeatLine(spec: SweepSpec, point: Point): string {
  return ["flexae", "run", ...settingFlags(spec, point).map(quoted)].join(" ");
}
