/** The folder of a sweep. */
import { mkdir, readdir, stat } from "node:fs/promises";
import { dirname, join, resolve } from "node:path";
import { configError, FlexaeError, ioError, systemReason } from "../addon/errors.js";
import { callAddon } from "../addon/loader.js";
import type { FolderLock } from "../addon/types.js";
import { makeFolders } from "../files/folders.js";
import { holdsFiles, LOGS, timestamp } from "../runs/folder.js";
import { SWEEP_FILE, type SweepSpec, writeSpec } from "./spec.js";

/** A folder that this process alone drives. */
export interface SweepFolder {
  /** Absolute. */
  path: string;
  lock: FolderLock;
}

async function isFile(path: string): Promise<boolean> {
  return (await stat(path).catch(() => undefined))?.isFile() ?? false;
}

/**
 * Whether a folder may become a sweep's: it is not there, or empty.
 *
 * @throws FlexaeError `FLEXAE_CONFIG` if it is taken, `FLEXAE_IO` if it cannot be read.
 */
export async function checkSweepDir(folder: string | null): Promise<void> {
  if (folder === null || !(await holdsFiles(folder, `save_dir ${folder}`))) return;
  // Killed before it began, a sweep leaves its file half written.
  const names = await readdir(folder);
  if (names.every((name) => name.startsWith(`.${SWEEP_FILE}.`))) return;
  if (names.includes(SWEEP_FILE)) {
    throw configError(
      `save_dir ${folder} holds a sweep: go on with it, flexae sweep --resume ${folder}, or choose another folder`,
    );
  }
  throw configError(`save_dir ${folder} already holds files: choose another folder`);
}

async function makeNew(path: string): Promise<boolean> {
  try {
    await mkdir(path);
    return true;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "EEXIST") return false;
    throw error;
  }
}

/**
 * Makes the folder of a new sweep, `saveDir` or `logs/sweep_<time>`, and writes what the sweep is.
 *
 * @throws FlexaeError `FLEXAE_CONFIG` if it is taken, `FLEXAE_IO`.
 */
export async function createSweepFolder(
  saveDir: string | null,
  spec: SweepSpec,
): Promise<SweepFolder> {
  let path = resolve(saveDir ?? join(LOGS, `sweep_${timestamp(new Date())}`));
  try {
    await makeFolders(dirname(path));
    if (saveDir !== null) await makeFolders(path);
    else {
      const first = path;
      for (let n = 2; !(await makeNew(path)); n++) path = `${first}_${n}`;
    }
  } catch (error) {
    if (error instanceof FlexaeError) throw error;
    throw ioError(
      `The sweep's folder ${path} cannot be made: ${systemReason(error)}; name another place with --save-dir`,
      error,
    );
  }
  const lock = callAddon((addon) => addon.lockFolder(path));
  try {
    // Another one may have had it in between.
    await checkSweepDir(path);
    await writeSpec(path, spec);
    return { path, lock };
  } catch (error) {
    lock.release();
    throw error;
  }
}

/**
 * The folder of an earlier sweep: its path, or `last` for the newest in `logs/`.
 *
 * @throws FlexaeError `FLEXAE_CONFIG` if there is none, or another process drives it.
 */
export async function openSweepFolder(name: string): Promise<SweepFolder> {
  let path = resolve(name);
  if (!(await isFile(join(path, SWEEP_FILE)))) {
    if (name !== "last") {
      throw configError(
        `There is no sweep in ${name}: give a folder that holds ${SWEEP_FILE}, or \`last\` for the newest in ${LOGS}/`,
      );
    }
    let newest = Number.NEGATIVE_INFINITY;
    for (const entry of await readdir(LOGS).catch(() => [])) {
      const file = join(LOGS, entry, SWEEP_FILE);
      const time = (await stat(file).catch(() => undefined))?.mtimeMs ?? Number.NEGATIVE_INFINITY;
      if (time > newest) [newest, path] = [time, resolve(LOGS, entry)];
    }
    if (newest === Number.NEGATIVE_INFINITY) {
      throw configError(`There is no sweep in ${LOGS}/: begin one with \`flexae sweep --over …\``);
    }
  }
  return { path, lock: callAddon((addon) => addon.lockFolder(path)) };
}
