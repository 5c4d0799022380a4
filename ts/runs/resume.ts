/** Where an earlier run left off, and what may differ when it goes on. */
import { readdir, rename, rm, stat } from "node:fs/promises";
import { basename, join } from "node:path";
import { configError, FlexaeError, ioError, systemReason } from "../addon/errors.js";
import { awaitAddon, callAddon } from "../addon/loader.js";
import type { CheckpointInfo, FolderLock } from "../addon/types.js";
import { nameKey } from "../config/names.js";
import { PARAMETERS } from "../config/parameters.js";
import {
  type GivenSettings,
  plainSettings,
  resolveSettings,
  type Settings,
} from "../config/resolve.js";
import { isMapping, showValue } from "../config/values.js";
import { readYamlFile } from "../config/yaml.js";
import { findRun, isLeftover, SETTING_FILE } from "./folder.js";
import { type InitialWeights, placeIn } from "./setting.js";

/** A run that goes on. */
export interface ResumePoint {
  /** Absolute. */
  folder: string;
  /** Held until the run ends. */
  lock: FolderLock;
  settings: Settings;
  /** Absolute path of the checkpoint; null where the run had none yet and starts anew. */
  file: string | null;
  checkpoint: CheckpointInfo | null;
  /** What its `setting.yaml` says of its earlier sessions. */
  started: string | null;
  resumed: unknown[];
  /** What it began with; null for new weights. */
  weights: InitialWeights | null;
  warnings: string[];
}

interface EarlierSetting {
  state?: unknown;
  started?: unknown;
  resumed?: unknown;
  weights?: unknown;
  config?: unknown;
  data?: { train_dir?: unknown; valid_dir?: unknown };
}

function readSetting(folder: string): EarlierSetting {
  try {
    const value = readYamlFile(join(folder, SETTING_FILE), "The record");
    return isMapping(value) ? (value as EarlierSetting) : {};
  } catch {
    // The checkpoint says all that is needed; without one this is reported below.
    return {};
  }
}

interface Found {
  file: string;
  info: CheckpointInfo;
}

/** The newest checkpoint that is whole. What is damaged is named in `warnings`. */
async function newestCheckpoint(folder: string, warnings: string[]): Promise<Found | undefined> {
  const read = async (name: string): Promise<Found | undefined> => {
    const file = join(folder, name);
    if ((await stat(file).catch(() => undefined)) === undefined) return undefined;
    try {
      return { file, info: await awaitAddon((addon) => addon.readCheckpoint(file)) };
    } catch (error) {
      if (!(error instanceof FlexaeError) || error.code !== "FLEXAE_MODEL") throw error;
      warnings.push(`${error.message.split("\n", 1)[0]}; an earlier checkpoint is used`);
      // Out of the way, so that it takes no good one's place; whoever wants to can look into it.
      await rename(file, `${file}.damaged`);
      return undefined;
    }
  };
  for (const name of ["last.ckpt", "previous.ckpt"]) {
    const found = await read(name);
    if (found !== undefined) return found;
  }
  let newest: Found | undefined;
  for (const name of (await readdir(folder)).filter((n) => /^(best|ep\d+-.*)\.ckpt$/.test(n))) {
    const found = await read(name);
    if (found !== undefined && found.info.epoch > (newest?.info.epoch ?? -1)) newest = found;
  }
  return newest;
}

/** The settings a run was started with, its folders absolute. */
function startedSettings(
  folder: string,
  setting: EarlierSetting,
  found: Found | undefined,
): Settings {
  let values: unknown;
  let source: string;
  if (found === undefined) {
    const { train_dir, valid_dir } = setting.data ?? {};
    values = setting.config;
    if (typeof values === "object" && values !== null) {
      values = {
        ...values,
        ...(typeof train_dir === "string" ? { train_dir } : {}),
        // Of a set that was split, both are lists.
        ...(typeof valid_dir === "string" ? { valid_dir, valid_split: 0 } : {}),
      };
    }
    source = join(folder, SETTING_FILE);
  } else {
    source = found.file;
    try {
      values = JSON.parse(found.info.settingsJson);
    } catch {
      values = undefined;
    }
  }
  if (typeof values !== "object" || values === null || Array.isArray(values)) {
    throw configError(
      `${folder} cannot go on: it holds neither a checkpoint nor the settings of its run; start a new one`,
    );
  }
  const settings = resolveSettings([
    { values: values as Record<string, unknown>, spell: (name) => `${name} in ${source}` },
  ]);
  settings.train_dir = placeIn(folder, settings.train_dir);
  settings.valid_dir = placeIn(folder, settings.valid_dir);
  return settings;
}

/**
 * Settings of the run with what was given over them, as far as the rows of the parameters allow.
 *
 * @throws FlexaeError `FLEXAE_CONFIG` naming what may not change.
 */
export function withChanges(
  before: Settings,
  all: readonly GivenSettings[],
  folder: string,
  warnings: string[],
): Settings {
  const base = plainSettings(before);
  for (const given of all) {
    for (const { name } of PARAMETERS.filter(({ resume }) => resume === "none")) {
      const key = Object.keys(given.values).find(
        (key) => nameKey(key) === nameKey(name) && given.values[key] !== undefined,
      );
      if (key === undefined) continue;
      throw configError(`${given.spell(key)} means nothing to a run that goes on in its folder`);
    }
  }
  const after = resolveSettings([{ values: base, spell: (name) => name }, ...all]);
  const plain = plainSettings(after);
  const differences: string[] = [];
  for (const { name, resume } of PARAMETERS) {
    if (JSON.stringify(plain[name]) === JSON.stringify(base[name])) continue;
    const difference = `${name} ${showValue(base[name])} → ${showValue(plain[name])}`;
    if (resume === "fixed" || resume === "none") differences.push(difference);
    else if (resume !== "unsaid") {
      const consequence =
        resume === "telling"
          ? ": from here on the numbers are not those of an uninterrupted run"
          : "";
      warnings.push(`changed on resuming: ${difference}${consequence}`);
    }
  }
  if (differences.length > 0) {
    throw configError(
      `${folder} cannot go on with another ${differences.join(", ")}\nLeave that out, or start a new run.`,
    );
  }
  return after;
}

async function isFile(path: string): Promise<boolean> {
  return (await stat(path).catch(() => undefined))?.isFile() ?? false;
}

/** Refuses a run that has nothing left to do. */
async function requireUnfinished(
  folder: string,
  setting: EarlierSetting,
  settings: Settings,
  info: CheckpointInfo | undefined,
): Promise<void> {
  if (info === undefined || (setting.state !== "finished" && setting.state !== "early")) return;
  // A model that was lost or set aside is made again.
  if (!(await isFile(join(folder, "ae.pt"))) || !(await isFile(join(folder, "en.pt")))) return;
  if (info.epoch >= settings.train_epochs) {
    throw configError(
      `${folder} is finished: its ${info.epoch} epochs are trained; ask for more with --train-epochs`,
    );
  }
  const wait = info.epoch - info.bestEpoch;
  if (wait > 0 && wait >= settings.patience) {
    throw configError(
      `${folder} is finished: it stopped early after ${wait} epochs without a better validation loss; ask for more with --patience`,
    );
  }
}

/** Removes what a process that died was writing. */
async function sweep(folder: string): Promise<void> {
  for (const name of await readdir(folder)) {
    if (isLeftover(name)) await rm(join(folder, name), { force: true });
  }
}

/**
 * Finds the run that `name` means (a folder, or `last` for the newest in `logs/`), holds it, and
 * says where and with which settings it goes on: at its newest whole checkpoint.
 *
 * @param evenFinished - Whether a run that has nothing left to train only ends once more.
 * @throws FlexaeError `FLEXAE_CONFIG` if there is no such run, it is in use or finished, or what was
 *   given would change what cannot be changed; `FLEXAE_IO`.
 */
export async function resumeRun(
  name: string,
  given: readonly GivenSettings[],
  evenFinished = false,
): Promise<ResumePoint> {
  const folder = await findRun(name, SETTING_FILE);
  const lock = callAddon((addon) => addon.lockFolder(folder));
  try {
    await sweep(folder);
    const warnings: string[] = [];
    const setting = readSetting(folder);
    if (setting.state === "imported") {
      throw configError(
        `${folder} was imported, not trained: begin a new run with its weights, --weights ${folder}`,
      );
    }
    const found = await newestCheckpoint(folder, warnings);
    const settings = withChanges(startedSettings(folder, setting, found), given, folder, warnings);
    if (!evenFinished) await requireUnfinished(folder, setting, settings, found?.info);
    if (found === undefined) warnings.push(`${basename(folder)} had no checkpoint: it starts anew`);
    return {
      folder,
      lock,
      settings,
      file: found?.file ?? null,
      checkpoint: found?.info ?? null,
      started: typeof setting.started === "string" ? setting.started : null,
      resumed: Array.isArray(setting.resumed) ? setting.resumed : [],
      weights: isMapping(setting.weights) ? (setting.weights as unknown as InitialWeights) : null,
      warnings,
    };
  } catch (error) {
    lock.release();
    if (error instanceof FlexaeError) throw error;
    throw ioError(`${folder} cannot be read: ${systemReason(error)}`, error);
  }
}
