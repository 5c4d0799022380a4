/** The runs below a folder, and how they differ. */
import { readdir, realpath } from "node:fs/promises";
import { join, relative, resolve } from "node:path";
import { configError, ioError, isAddonError, systemReason } from "../addon/errors.js";
import { callAddon } from "../addon/loader.js";
import { unicodePath } from "../files/paths.js";
import { findRun, LOGS, SETTING_FILE } from "./folder.js";
import { type RecordedScores, type RunFiles, readRunFiles } from "./record.js";

/** A run, as its folder has it. */
export interface ListedRun {
  /** Absolute path of its folder. */
  folder: string;
  /** The folder, from where runs were looked for. */
  name: string;
  /**
   * `running`, `finished`, `early` (stopped early), `interrupted`, `failed`, `imported`; `killed` if
   * it says that it is running and no process holds its folder; `unreadable` if its `setting.yaml`
   * is.
   */
  state: string;
  /** `YYYY-MM-DD HH:MM:SS`, local time; empty where it does not say. */
  started: string;
  /** How long it took; NaN where it does not say. */
  seconds: number;
  /** Epochs completed. */
  epochs: number;
  /** From 1; NaN where there is none. */
  bestEpoch: number;
  /** Of the model that was kept; of a run that has not ended, of its best epoch so far. */
  train: RecordedScores | null;
  /** Of the model that was kept; of a run that has not ended, of its best epoch so far. */
  valid: RecordedScores | null;
  /** NaN where it does not say. */
  trainImages: number;
  /** NaN where it does not say. */
  validImages: number;
  /** Numbers of the network; NaN where it does not say. */
  parameters: number;
  /** All settings by name, as text; empty where they cannot be read. */
  settings: Readonly<Record<string, string>>;
}

/** How deep runs are looked for: `logs/SWEEP/RUN` and one more. */
export const DEPTH = 3;
const NONE: RecordedScores = { loss: NaN, accuracy: NaN, mse: NaN, psnr: NaN };

/**
 * Folders below one that hold a run, by name. What is inside a run is none.
 *
 * @param linked - How deep it was looked below folders that links lead to: many links in a circle
 *   would take very long.
 */
export async function findFolders(
  folder: string,
  depth: number,
  linked = new Map<string, number>(),
): Promise<string[]> {
  const entries = await readdir(folder, { withFileTypes: true });
  if (entries.some((entry) => entry.name === SETTING_FILE && !entry.isDirectory())) return [folder];
  if (depth === 0) return [];
  // Also where a link leads: the depth is bounded, and so are circles.
  const folders = entries
    .filter(
      (entry) => (entry.isDirectory() || entry.isSymbolicLink()) && !entry.name.startsWith("."),
    )
    .sort((a, b) => a.name.localeCompare(b.name, "en", { numeric: true }));
  const below: string[] = [];
  for (const entry of folders) {
    const path = join(folder, entry.name);
    if (entry.isSymbolicLink()) {
      const place = await realpath(path).catch(() => path);
      if ((linked.get(place) ?? 0) >= depth) continue;
      linked.set(place, depth);
    }
    // One that may not be read is no reason to see none of the others.
    below.push(...(await findFolders(path, depth - 1, linked).catch(() => [])));
  }
  return below;
}

/** Whether a process on this machine holds the folder. Of one that cannot be opened, it may. */
export const isHeld = (folder: string): boolean => callAddon((addon) => addon.isFolderHeld(folder));

/** The record of a run that says it is running, and whether it was killed. */
async function readSettled(folder: string): Promise<{ files: RunFiles; isKilled: boolean }> {
  const files = await readRunFiles(folder, { network: false });
  if (files.state !== "running" || isHeld(folder)) return { files, isKilled: false };
  // It may have ended between the two looks.
  const again = await readRunFiles(folder, { network: false });
  return { files: again, isKilled: again.state === "running" };
}

/** Scores of the best epoch so far, of a run that has not written its own. */
function scoresSoFar({ epochs }: RunFiles): Pick<ListedRun, "bestEpoch" | "train" | "valid"> {
  const best = epochs.findLast((epoch) => epoch.best);
  if (best === undefined) return { bestEpoch: NaN, train: null, valid: null };
  return {
    bestEpoch: best.epoch,
    train: { ...NONE, loss: best.loss, accuracy: best.accuracy },
    valid: { ...NONE, loss: best.validLoss, accuracy: best.validAccuracy },
  };
}

export async function describeRun(folder: string, root: string): Promise<ListedRun> {
  const name = unicodePath(relative(root, folder) || folder);
  let files: RunFiles;
  let isKilled: boolean;
  try {
    ({ files, isKilled } = await readSettled(folder));
  } catch (error) {
    if (!isAddonError(error) || error.code !== "FLEXAE_CONFIG") throw error;
    return {
      folder,
      name,
      state: "unreadable",
      started: "",
      seconds: NaN,
      epochs: 0,
      bestEpoch: NaN,
      train: null,
      valid: null,
      trainImages: NaN,
      validImages: NaN,
      parameters: NaN,
      settings: {},
    };
  }
  const { state, started, seconds, epochs, trainImages, validImages, parameters } = files;
  const scored = files.valid === null ? scoresSoFar(files) : files;
  return {
    folder,
    name,
    state: isKilled ? "killed" : state,
    started,
    // Of a run that has not ended, what its epochs took.
    seconds:
      Number.isFinite(seconds) || epochs.length === 0
        ? seconds
        : epochs.reduce((sum, epoch) => sum + epoch.seconds, 0),
    epochs: epochs.length,
    bestEpoch: scored.bestEpoch,
    train: scored.train,
    valid: scored.valid,
    trainImages,
    validImages,
    parameters,
    settings: Object.fromEntries(files.listed.map(({ name, value }) => [name, value])),
  };
}

/** What `listRuns` of `ts/index.ts` does. */
export async function listRuns(folder: string = LOGS): Promise<ListedRun[]> {
  const root = resolve(folder);
  let found: string[];
  try {
    found = await findFolders(root, DEPTH);
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if (code === "ENOENT" || code === "ENOTDIR") {
      throw configError(`There is no folder ${folder}: name one that runs are in`, error);
    }
    throw ioError(`${folder} cannot be read: ${systemReason(error)}`, error);
  }
  const runs: ListedRun[] = [];
  // A link may lead to one that is here already.
  const seen = new Set<string>();
  for (const path of found) {
    const place = await realpath(path).catch(() => path);
    if (seen.has(place)) continue;
    seen.add(place);
    runs.push(await describeRun(path, root));
  }
  // The newest last, where the eye is.
  return runs.sort((a, b) => a.started.localeCompare(b.started) || (a.name < b.name ? -1 : 1));
}

/** Of a run's folder, and nothing to what came of it. */
const OWN: readonly string[] = ["save_dir", "overwrite"];

/** Settings that are not alike in all runs that have any, in the order of their table. */
export function differingSettings(runs: readonly ListedRun[]): string[] {
  const names = [...new Set(runs.flatMap(({ settings }) => Object.keys(settings)))];
  // Of imported models nobody knows how they were trained: that is no difference.
  const values = (name: string) =>
    runs.flatMap(({ settings }) => (name in settings ? [settings[name]] : []));
  return names.filter((name) => !OWN.includes(name) && new Set(values(name)).size > 1);
}

/** What runs can be sorted and filtered by besides their settings. */
export const RUN_COLUMNS: Readonly<Record<string, (run: ListedRun) => string | number>> = {
  run: ({ name }) => name,
  state: ({ state }) => state,
  started: ({ started }) => started,
  seconds: ({ seconds }) => seconds,
  epochs: ({ epochs }) => epochs,
  best_epoch: ({ bestEpoch }) => bestEpoch,
  loss: ({ train }) => train?.loss ?? NaN,
  accuracy: ({ train }) => train?.accuracy ?? NaN,
  mse: ({ train }) => train?.mse ?? NaN,
  psnr: ({ train }) => train?.psnr ?? NaN,
  val_loss: ({ valid }) => valid?.loss ?? NaN,
  val_accuracy: ({ valid }) => valid?.accuracy ?? NaN,
  val_mse: ({ valid }) => valid?.mse ?? NaN,
  val_psnr: ({ valid }) => valid?.psnr ?? NaN,
  train_images: ({ trainImages }) => trainImages,
  valid_images: ({ validImages }) => validImages,
  parameters: ({ parameters }) => parameters,
};

/** A value of a run by a column's or a setting's name; null where it has none. */
export function runValue(run: ListedRun, name: string): string | number | null {
  const value = Object.hasOwn(RUN_COLUMNS, name)
    ? (RUN_COLUMNS[name] as (run: ListedRun) => string | number)(run)
    : (run.settings[name] ?? null);
  return typeof value === "number" && Number.isNaN(value) ? null : value;
}

/** Runs beside each other. */
export interface Comparison {
  /** As they were named. */
  runs: ListedRun[];
  /** Settings that differ: of each run the value, as text; null where a run does not say. */
  settings: Record<string, (string | null)[]>;
  /** Scores, epochs, time and size, also where they are alike; null where a run has none. */
  scores: Record<string, (string | number | null)[]>;
}

/** What is compared whether it differs or not. */
const COMPARED = [
  "state",
  "epochs",
  "best_epoch",
  "seconds",
  "parameters",
  "loss",
  "val_loss",
  "val_accuracy",
  "val_mse",
  "val_psnr",
];

/** What `compareRuns` of `ts/index.ts` does. */
export async function compareRuns(names: readonly string[]): Promise<Comparison> {
  const runs: ListedRun[] = [];
  for (const name of names) {
    const folder = await findRun(name, SETTING_FILE);
    const run = await describeRun(folder, folder);
    if (Object.keys(run.settings).length === 0) {
      throw configError(
        `${name} cannot be compared: the settings in its ${SETTING_FILE} cannot be read`,
      );
    }
    runs.push({ ...run, name });
  }
  const settings = differingSettings(runs).map(
    (name) => [name, runs.map((run) => run.settings[name] ?? null)] as const,
  );
  const scores = COMPARED.map((name) => [name, runs.map((run) => runValue(run, name))] as const);
  return { runs, settings: Object.fromEntries(settings), scores: Object.fromEntries(scores) };
}
