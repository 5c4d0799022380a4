import { mkdir, open, readdir, readFile, rm, rmdir, stat } from "node:fs/promises";
import { dirname, join, resolve } from "node:path";
import { configError, ioError, systemReason } from "../addon/errors.js";
import { callAddon } from "../addon/loader.js";
import type { FolderLock } from "../addon/types.js";
import { makeFolders } from "../files/folders.js";
import { clearEventFolder, TENSORBOARD_FOLDER } from "./event_folder.js";

/** The folder of runs, below the current one. */
export const LOGS = "logs";

/** The file that claims a run folder, and describes the run. */
export const SETTING_FILE = "setting.yaml";

/** What happened, line by line, as it happened. */
export const EVENTS_FILE = "events.jsonl";

/** What became of a few validation images, epoch by epoch. */
export const RECONSTRUCTIONS_FILE = "reconstructions.jsonl";

/** Somebody wishes the training to end: it removes the file, and ends as if interrupted. */
export const STOP_FILE = "stop";

/** Which images of a set that was split a run trains on, and which validate. */
export const SPLIT_FILES = { train: "train_images.csv", valid: "valid_images.csv" } as const;

/** The page about the run. */
export const REPORT_FILE = "report.html";

/** Which run of an MLflow server it is; see `ts/tracking`. */
export const MLFLOW_FILE = "mlflow.json";

/** What earlier runs leave; replaced when a run may overwrite. Nothing else is ever removed. */
const ARTIFACT =
  /^(ae\.pt|en\.pt|metrics\.csv|bad_images\.csv|(train|valid)_images\.csv|(events|reconstructions)\.jsonl|stop|setting\.yaml|report\.html|mlflow\.json|(last|previous|best|ep\d+-loss.*)\.ckpt(\.damaged)?|(train|valid)_(comparison|eval_(orig|pred)_image_\d+)\.png)$/;

/** Whether `name` is what a process that was killed left of one of these while it wrote it. */
export function isLeftover(name: string): boolean {
  const target = /^\.(.+)\.[0-9a-f]+(?:-[0-9]+)?\.tmp$/.exec(name)?.[1];
  return target !== undefined && ARTIFACT.test(target);
}

/** A folder this run alone writes to. */
export interface RunFolder {
  /** Absolute. */
  path: string;
  /** Undoes the claim: for a training that never began. */
  discard(): Promise<void>;
  /** Lets other processes have it. Idempotent. */
  release(): void;
}

/** `YYYYMMDD_HHMMSS`, local time. */
export function timestamp(date: Date): string {
  const two = (n: number) => String(n).padStart(2, "0");
  return (
    `${date.getFullYear()}${two(date.getMonth() + 1)}${two(date.getDate())}` +
    `_${two(date.getHours())}${two(date.getMinutes())}${two(date.getSeconds())}`
  );
}

function code(error: unknown): string | undefined {
  return (error as NodeJS.ErrnoException).code;
}

/** The n-th place for a new run, from 1, absolute: those that begin within a second get _2, _3 … */
export function newRunPath(now: Date, n: number): string {
  return resolve(LOGS, `ae_${timestamp(now)}${n === 1 ? "" : `_${n}`}`);
}

/** Whether this process won the folder: of several that try at once, exactly one does. */
async function claim(folder: string): Promise<boolean> {
  try {
    const handle = await open(join(folder, SETTING_FILE), "wx");
    await handle.close();
    return true;
  } catch (error) {
    if (code(error) === "EEXIST") return false;
    throw error;
  }
}

function folderOf(path: string, made: boolean, lock: FolderLock): RunFolder {
  return {
    path,
    release: () => lock.release(),
    async discard() {
      for (const name of [SETTING_FILE, ...Object.values(SPLIT_FILES)]) {
        await rm(join(path, name), { force: true });
      }
      // Only what this run made, and only while it is empty.
      if (made) await rmdir(path).catch(() => {});
    },
  };
}

async function makeNew(path: string): Promise<boolean> {
  try {
    await mkdir(path);
    return true;
  } catch (error) {
    if (code(error) === "EEXIST") return false;
    throw error;
  }
}

/**
 * Whether a folder is there and holds files.
 *
 * @param name - What the user calls it, for messages.
 * @throws FlexaeError `FLEXAE_CONFIG` if something else has its name, `FLEXAE_IO` if it cannot be read.
 */
export async function holdsFiles(folder: string, name: string): Promise<boolean> {
  const path = resolve(folder);
  try {
    return (await readdir(path)).length > 0;
  } catch (error) {
    if (code(error) === "ENOENT") return false;
    if (code(error) === "ENOTDIR" && !(await stat(path).catch(() => undefined))?.isDirectory()) {
      throw configError(`${name} is not a folder: choose another one`, error);
    }
    throw ioError(`${name} cannot be read: ${systemReason(error)}`, error);
  }
}

/** Whether a run may write to `saveDir`; checked before anything is made, and again by the claim. */
export async function checkSaveDir(saveDir: string | null, overwrite: boolean): Promise<void> {
  if (saveDir === null) return;
  const isTaken = await holdsFiles(saveDir, `save_dir ${saveDir}`);
  if (isTaken && !overwrite) throw taken(saveDir);
}

function taken(saveDir: string): Error {
  return configError(
    `save_dir ${saveDir} already holds files: choose another folder, or add --overwrite to replace an earlier run`,
  );
}

/** Removes an earlier run's files, and nothing that only has the name of one. */
async function clear(folder: string): Promise<void> {
  const names = (await readdir(folder)).filter((name) => ARTIFACT.test(name) || isLeftover(name));
  if (names.length === 0) return;
  // What a run of this program leaves at the least; empty if it was killed as it began.
  const setting = await readFile(join(folder, SETTING_FILE), "utf8").catch(() => undefined);
  if (setting === undefined || (setting !== "" && !setting.includes("flexible_autoencoder:"))) {
    throw configError(
      `save_dir ${folder} holds ${names[0]} but no ${SETTING_FILE} of a run: choose another folder, or remove it yourself`,
    );
  }
  for (const name of names) {
    if (name !== SETTING_FILE) await rm(join(folder, name), { force: true });
  }
  await clearEventFolder(join(folder, TENSORBOARD_FOLDER));
  // Last: killed before, it is still known for a run's.
  await rm(join(folder, SETTING_FILE), { force: true });
}

/**
 * Makes the run folder: `saveDir`, or `logs/ae_<time>` below the current folder. Never one that
 * holds files, unless `overwrite`; of several processes asking for one folder, exactly one gets it.
 *
 * @throws FlexaeError `FLEXAE_CONFIG` when it is taken, `FLEXAE_IO` when it cannot be made.
 */
export async function createRunFolder(
  saveDir: string | null,
  overwrite: boolean,
  now: Date = new Date(),
): Promise<RunFolder> {
  await checkSaveDir(saveDir, overwrite);
  const base = saveDir === null ? newRunPath(now, 1) : resolve(saveDir);
  try {
    await makeFolders(dirname(base));
    if (saveDir === null) {
      for (let n = 1; ; n++) {
        const path = newRunPath(now, n);
        if (!(await makeNew(path))) continue;
        const lock = callAddon((addon) => addon.lockFolder(path));
        if (await claim(path)) return folderOf(path, true, lock);
        lock.release();
      }
    }
    const made = await makeNew(base);
    const lock = callAddon((addon) => addon.lockFolder(base));
    try {
      if (overwrite) await clear(base);
      if (!(await claim(base))) throw taken(saveDir);
    } catch (error) {
      lock.release();
      throw error;
    }
    return folderOf(base, made, lock);
  } catch (error) {
    if (code(error) === "FLEXAE_CONFIG") throw error;
    throw ioError(
      `The run folder ${base} cannot be made: ${systemReason(error)}; name another place with --save-dir`,
      error,
    );
  }
}

/**
 * The file of a model that `name` means: one that ends in `.pt` itself, or of a run, as `findRun`
 * takes it, its autoencoder or its encoder.
 *
 * @throws FlexaeError `FLEXAE_CONFIG` if there is no such run.
 */
export async function modelFile(name: string, part: "ae.pt" | "en.pt"): Promise<string> {
  return /\.pt$/i.test(name) ? name : join(await findRun(name), part);
}

/**
 * The folder of a run that `name` means: a path, or `last` for the newest in `logs/`. It must hold
 * `file`: `ae.pt` for a run that has ended, `setting.yaml` for any.
 *
 * @throws FlexaeError `FLEXAE_CONFIG` if there is none.
 */
export async function findRun(
  name: string,
  file: "ae.pt" | typeof SETTING_FILE = "ae.pt",
): Promise<string> {
  const trained = file === "ae.pt";
  if (name !== "last" || (await holds(name, file)) !== undefined) {
    const path = resolve(name);
    if ((await holds(path, file)) !== undefined) return path;
    const exists = (await stat(path).catch(() => undefined)) !== undefined;
    throw configError(
      exists
        ? `${name} is no run folder${trained ? ", or its run did not end" : ""}: it holds no ${file}`
        : `There is no run folder ${name}: give one that holds ${file}, or \`last\` for the newest in ${LOGS}/`,
    );
  }
  let newest: { path: string; time: number } | undefined;
  for (const entry of await readdir(LOGS).catch(() => [])) {
    const time = await holds(join(LOGS, entry), file);
    if (time !== undefined && time > (newest?.time ?? -1)) {
      newest = { path: resolve(LOGS, entry), time };
    }
  }
  if (newest === undefined) {
    throw configError(
      `There is no ${trained ? "finished " : ""}run in ${LOGS}/: train one with \`flexae run\``,
    );
  }
  return newest.path;
}

/** When the file in the folder was last written; undefined if there is none. */
async function holds(folder: string, file: string): Promise<number | undefined> {
  const found = await stat(join(folder, file)).catch(() => undefined);
  return found?.isFile() ? found.mtimeMs : undefined;
}
