/** `setting.yaml`, which describes a run, and `config.json`, which travels inside its models. */
import { existsSync } from "node:fs";
import { basename, join } from "node:path";
import { stringify } from "yaml";
import { callAddon } from "../addon/loader.js";
import type { Scores, Summary, TrainEvent, TrainResult } from "../addon/types.js";
import type { Network } from "../config/network.js";
import { PARAMETERS } from "../config/parameters.js";
import { plainSettings, type Settings } from "../config/resolve.js";
import { readYamlFile } from "../config/yaml.js";
import { VERSION } from "../version.js";
import { SETTING_FILE, SPLIT_FILES } from "./folder.js";
import type { Plan } from "./plan.js";
import { clockTime } from "./tables.js";

type StartEvent = Extract<TrainEvent, { type: "start" }>;

/** How far a run has come. `failed` runs say why in `error`. */
export type RunState = "running" | "finished" | "early" | "interrupted" | "failed";

/** The weights that a training begins with. */
export interface InitialWeights {
  /** Absolute path of an `ae.pt` or `en.pt`. */
  file: string;
  /** Of that file. */
  sha256: string;
  /** Whether layers that it does not have begin new. */
  partial: boolean;
}

export interface RunRecord {
  plan: Plan;
  runDir: string;
  /** As `setting.yaml` has it. */
  started: string;
  /** What it began with; null for new weights. */
  weights: InitialWeights | null;
  /** When, and after how many epochs, the run went on after an end. */
  resumed: unknown[];
  state: RunState;
  start?: StartEvent;
  result?: TrainResult;
  /** Scores of the kept weights. */
  train?: Scores | null;
  valid?: Scores | null;
  ended?: Date;
  error?: string;
}

/** What computed. */
function versionsPart(): Record<string, string> {
  const { torch, torchBuild, opencv } = callAddon((addon) => addon.versions());
  return {
    flexible_autoencoder: VERSION,
    node: process.versions.node,
    torch,
    torch_build: torchBuild,
    opencv,
  };
}

function parametersPart({ parameters, encoder }: Summary): Record<string, number> {
  return {
    total: parameters.total,
    trainable: parameters.trainable,
    encoder: encoder.parameters,
  };
}

const STYLE = { flowCollectionPadding: false, lineWidth: 0 };

/** A model that was made elsewhere. */
export interface ImportRecord {
  settings: Settings;
  summary: Summary;
  /** Absolute. */
  runDir: string;
  /** What it was made from. */
  source: { file: string; sha256: string; format: string };
}

/** The text of `setting.yaml` for a model that was not trained here. */
export function importedText({ settings, summary, runDir, source }: ImportRecord): string {
  return stringify(
    {
      name: settings.save_prefix,
      state: "imported",
      run_dir: runDir,
      started: clockTime(new Date()),
      imported: source,
      scores: { train: null, valid: null },
      versions: versionsPart(),
      parameters: parametersPart(summary),
      config: plainSettings(settings),
    },
    STYLE,
  );
}

/** The text of `setting.yaml`; `flexae run --config setting.yaml` repeats the run. */
export function settingText(record: RunRecord): string {
  const { plan, result, start } = record;
  const { settings, summary } = plan;
  const hardware = callAddon((addon) => addon.hardware());
  return stringify(
    {
      name: settings.save_prefix,
      state: record.state,
      ...(record.error === undefined ? {} : { error: record.error }),
      run_dir: record.runDir,
      started: record.started,
      ...(record.weights === null ? {} : { weights: record.weights }),
      ...(record.resumed.length === 0 ? {} : { resumed: record.resumed }),
      ended: record.ended === undefined ? null : clockTime(record.ended),
      seconds: result?.seconds ?? null,
      epochs: result?.epochs ?? null,
      best_epoch: result?.bestEpoch ?? null,
      bad_images: result?.badImages ?? null,
      scores: { train: record.train ?? null, valid: record.valid ?? null },
      versions: versionsPart(),
      device: {
        used: start?.device ?? settings.device,
        name: start?.deviceName ?? null,
        precision: start?.precision ?? null,
        threads: start?.threads ?? null,
        cpu: hardware.cpu.name,
        cpu_capability: hardware.cpu.capability,
      },
      parameters: parametersPart(summary),
      data: {
        train_dir: plan.train.place,
        train_images: plan.train.images,
        valid_dir: plan.valid.place,
        valid_images: plan.valid.images,
        classes: plan.train.classes,
        cache: start?.cache ?? null,
      },
      config: plainSettings(settings),
    },
    STYLE,
  );
}

/** What a model carries in its extra file `config.json`: each setting once. */
export interface ModelManifest {
  /** In files of format 1, `settings` had those of the network, and `save_prefix`, once more. */
  format: 1 | 2;
  /** `save_prefix` of its run. */
  name: string;
  /** Of the package that trained it, or imported it. */
  version: string;
  /** What it was made from, if it was trained elsewhere. */
  imported?: {
    /** As `flexae import` names it. */
    format: string;
    /** Of the file, in hexadecimal digits. */
    sha256: string;
  };
  /** What the layers follow from. */
  model: Network;
  /** How it was trained, by the names of `setting.yaml`. */
  settings: Record<string, unknown>;
}

/** What a model carries, from the text of its `config.json`; null if it carries nothing. */
export function readManifest(configJson: string): ModelManifest | null {
  try {
    return JSON.parse(configJson) as ModelManifest;
  } catch {
    return null;
  }
}

export function modelManifest(settings: Settings, network: Network): ModelManifest {
  const plain = plainSettings(settings);
  const carried = PARAMETERS.filter(({ part, local }) => part !== "network" && !local);
  return {
    format: 2,
    name: settings.save_prefix,
    version: VERSION,
    model: network,
    settings: Object.fromEntries(carried.map(({ name }) => [name, plain[name]])),
  };
}

/** What a checkpoint carries for whoever resumes its run: every setting but where it is saved. */
export function resumableSettings(plan: Plan): Record<string, unknown> {
  const plain = plainSettings(plan.settings);
  const kept = PARAMETERS.filter(({ resume }) => resume !== "none");
  return {
    ...Object.fromEntries(kept.map(({ name }) => [name, plain[name]])),
    // Absolute, since it may be resumed from elsewhere.
    train_dir: plan.train.place ?? plain.train_dir,
    valid_dir: plan.valid.place ?? plain.valid_dir,
    // The two are lists by now.
    valid_split: 0,
  };
}

/** What `setting.yaml` tells of a run; of what it does not tell, nothing. */
export interface RecordedRun {
  /** When it began, as the record has it. */
  started?: unknown;
  /** Epochs completed. */
  epochs?: unknown;
  /** Whose weights were kept, from 1. */
  best_epoch?: unknown;
  /** Of the kept weights. */
  scores?: { train?: Partial<Scores> | null; valid?: Partial<Scores> | null } | null;
  /** Counts of images, and the classes. */
  data?: { train_images?: unknown; valid_images?: unknown; classes?: unknown } | null;
}

/** The record of a run; empty if it is not readable. */
export function recordedRun(runDir: string): RecordedRun {
  try {
    const record = readYamlFile(join(runDir, SETTING_FILE), "The record");
    return typeof record === "object" && record !== null ? record : {};
  } catch {
    return {};
  }
}

/** Where a set is: a list that the run itself has left moves with it. */
export function placeIn(runDir: string, place: string): string {
  const own = join(runDir, basename(place));
  const isList = (Object.values(SPLIT_FILES) as string[]).includes(basename(place));
  return isList && existsSync(own) ? own : place;
}

/** The folders a run took its images from, as its `setting.yaml` has them; empty if it is not readable. */
export function recordedFolders(runDir: string): { train_dir?: string; valid_dir?: string } {
  try {
    const record = readYamlFile(join(runDir, SETTING_FILE), "The record");
    const { train_dir, valid_dir } =
      (record as { data?: Record<string, unknown> | null }).data ?? {};
    return {
      ...(typeof train_dir === "string" ? { train_dir: placeIn(runDir, train_dir) } : {}),
      ...(typeof valid_dir === "string" ? { valid_dir: placeIn(runDir, valid_dir) } : {}),
    };
  } catch {
    return {};
  }
}
