import { mkdir, open, readdir, rm, rmdir, stat } from "node:fs/promises";
import { dirname, join, resolve } from "node:path";
import { configError, ioError, systemReason } from "../addon/errors.js";

/** The folder of runs, below the current one. */
export const LOGS = "logs";

/** The file that claims a run folder, and describes the run. */
export const SETTING_FILE = "setting.yaml";

/** What earlier runs leave; replaced when a run may overwrite. Nothing else is ever removed. */
const ARTIFACT =
  /^(ae\.pt|en\.pt|metrics\.csv|bad_images\.csv|setting\.yaml|ep\d+-loss.*\.ckpt|(train|valid)_(comparison|eval_(orig|pred)_image_\d+)\.png)$/;

/** A folder this run alone writes to. */
export interface RunFolder {
  /** Absolute. */
  path: string;
  /** Undoes the claim: for a training that never began. */
  discard(): Promise<void>;
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

function folderOf(path: string, made: boolean): RunFolder {
  return {
    path,
    async discard() {
      await rm(join(path, SETTING_FILE), { force: true });
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

/** Whether a run may write to `saveDir`; checked before anything is made, and again by the claim. */
export async function checkSaveDir(saveDir: string | null, overwrite: boolean): Promise<void> {
  if (saveDir === null) return;
  const path = resolve(saveDir);
  let entries: string[];
  try {
    entries = await readdir(path);
  } catch (error) {
    if (code(error) === "ENOENT") return;
    if (code(error) === "ENOTDIR" && !(await stat(path).catch(() => undefined))?.isDirectory()) {
      throw configError(`save_dir ${saveDir} is not a folder: choose another one`, error);
    }
    throw ioError(`save_dir ${saveDir} cannot be read: ${systemReason(error)}`, error);
  }
  if (entries.length > 0 && !overwrite) throw taken(saveDir);
}

function taken(saveDir: string): Error {
  return configError(
    `save_dir ${saveDir} already holds files: choose another folder, or add --overwrite to replace an earlier run`,
  );
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
  const base = resolve(saveDir ?? join(LOGS, `ae_${timestamp(now)}`));
  try {
    await mkdir(dirname(base), { recursive: true });
    if (saveDir === null) {
      // Runs that begin within one second get _2, _3 and so on.
      for (let n = 1; ; n++) {
        const path = n === 1 ? base : `${base}_${n}`;
        if ((await makeNew(path)) && (await claim(path))) return folderOf(path, true);
      }
    }
    const made = await makeNew(base);
    if (overwrite) {
      const old = (await readdir(base)).filter((name) => ARTIFACT.test(name));
      for (const name of old) await rm(join(base, name), { force: true });
    }
    if (!(await claim(base))) throw taken(saveDir);
    return folderOf(base, made);
  } catch (error) {
    if (code(error) === "FLEXAE_CONFIG") throw error;
    throw ioError(`The run folder ${base} cannot be made: ${systemReason(error)}`, error);
  }
}

/**
 * The folder of a run that `name` means: a path, or `last` for the newest in `logs/`.
 *
 * @throws FlexaeError `FLEXAE_CONFIG` if there is none with a trained model.
 */
export async function findRun(name: string): Promise<string> {
  if (name !== "last" || (await hasModel(name))) {
    const path = resolve(name);
    if (await hasModel(path)) return path;
    const exists = (await stat(path).catch(() => undefined)) !== undefined;
    throw configError(
      exists
        ? `${name} is no run folder, or its run did not end: it holds no ae.pt`
        : `There is no run folder ${name}: give one that holds ae.pt, or \`last\` for the newest in ${LOGS}/`,
    );
  }
  let newest: { path: string; time: number } | undefined;
  for (const entry of await readdir(LOGS).catch(() => [])) {
    const model = await stat(join(LOGS, entry, "ae.pt")).catch(() => undefined);
    if (model?.isFile() && (newest === undefined || model.mtimeMs > newest.time)) {
      newest = { path: resolve(LOGS, entry), time: model.mtimeMs };
    }
  }
  if (newest === undefined) {
    throw configError(`There is no finished run in ${LOGS}/: train one with \`flexae run\``);
  }
  return newest.path;
}

async function hasModel(folder: string): Promise<boolean> {
  return (await stat(join(folder, "ae.pt")).catch(() => undefined))?.isFile() ?? false;
}
