/** What the files of a run folder tell, without its model. */
import { constants } from "node:fs";
import { open } from "node:fs/promises";
import { basename, join } from "node:path";
import { parse } from "csv-parse/sync";
import { configError } from "../addon/errors.js";
import type { Summary } from "../addon/types.js";
import { defaultText, PARAMETERS } from "../config/parameters.js";
import { plainSettings, resolveSettings, type Settings } from "../config/resolve.js";
import { learningRate } from "../config/training.js";
import { readYamlFile } from "../config/yaml.js";
import { unicodePath } from "../files/paths.js";
import { SETTING_FILE } from "./folder.js";
import { summarize } from "./plan.js";

/** Scores as `setting.yaml` has them; NaN where it has none. */
export interface RecordedScores {
  /** Keras's binary cross-entropy, a mean over pixels in nats, plus the penalties, if any. */
  loss: number;
  /** Keras's binary accuracy, 0 to 1: of pixels whose rounded output equals the original. */
  accuracy: number;
  /** Mean squared error of pixels in [0, 1]. */
  mse: number;
  /** Peak signal-to-noise ratio in dB, of all images together. */
  psnr: number;
}

/** A row of `metrics.csv`; NaN where a cell is empty. */
export interface RecordedEpoch {
  epoch: number;
  loss: number;
  accuracy: number;
  mse: number;
  psnr: number;
  validLoss: number;
  validAccuracy: number;
  validMse: number;
  validPsnr: number;
  imagesPerSecond: number;
  seconds: number;
  best: boolean;
  /** At its end; NaN in files of an earlier version. */
  learningRate: number;
}

/** A setting of the run. */
export interface RecordedSetting {
  name: string;
  value: string;
  /** What it would have been. */
  usual: string;
  differs: boolean;
}

/** A run as its folder has it. What is missing there is null, NaN or empty. */
export interface RunFiles {
  /** Absolute path of the folder. */
  folder: string;
  /** The folder's name. */
  title: string;
  state: string;
  error: string | null;
  started: string;
  seconds: number;
  bestEpoch: number;
  train: RecordedScores | null;
  valid: RecordedScores | null;
  trainImages: number;
  validImages: number;
  epochs: RecordedEpoch[];
  bad: { set: string; file: string; reason: string }[];
  settings: Settings | null;
  listed: RecordedSetting[];
  /** Of the last epoch; only a run that goes on may have had another before. */
  learningRate: number;
  /** How often the run went on after an end. */
  resumed: number;
  /** Null where it is not wanted, too. */
  summary: Summary | null;
  /** Numbers of the network, those that are not trained included. */
  parameters: number;
  /** File, checksum and format of a model that was imported. */
  imported: [name: string, value: string][];
  versions: [name: string, version: string][];
  device: [name: string, value: string][];
  /** What could not be read, and so is not shown. */
  problems: string[];
}

type Fields = Record<string, unknown>;

const fieldsOf = (value: unknown): Fields =>
  typeof value === "object" && value !== null ? (value as Fields) : {};
const numberOf = (value: unknown): number => (typeof value === "number" ? value : Number.NaN);
const cellOf = (text: string | undefined) => (text ? Number(text) : Number.NaN);

function scoresOf(value: unknown): RecordedScores | null {
  if (typeof value !== "object" || value === null) return null;
  const { loss, accuracy, mse, psnr } = value as Fields;
  return {
    loss: numberOf(loss),
    accuracy: numberOf(accuracy),
    mse: numberOf(mse),
    psnr: numberOf(psnr),
  };
}

/** Names and plain values, in their order. */
function pairsOf(value: unknown): [string, string][] {
  return Object.entries(fieldsOf(value)).flatMap(([name, held]) =>
    typeof held === "string" || typeof held === "number" ? [[name, String(held)]] : [],
  );
}

/** No table of a run is larger; what only goes by its name may be anything. */
const LARGEST_TABLE = 64 << 20;

async function readTableRows(path: string): Promise<Record<string, string>[]> {
  let text: string;
  try {
    // A pipe would keep whoever opens it waiting.
    const handle = await open(path, constants.O_RDONLY | constants.O_NONBLOCK);
    try {
      const found = await handle.stat();
      if (!found.isFile() || found.size > LARGEST_TABLE) throw configError(`${path} is no table`);
      text = await handle.readFile("utf8");
    } finally {
      await handle.close();
    }
  } catch (error) {
    // No image was bad, or no epoch was completed.
    if ((error as NodeJS.ErrnoException).code === "ENOENT") return [];
    throw error;
  }
  return parse(text, { columns: true, relax_column_count: true });
}

function epochOf(row: Record<string, string>): RecordedEpoch {
  return {
    epoch: cellOf(row.epoch),
    loss: cellOf(row.loss),
    accuracy: cellOf(row.accuracy),
    mse: cellOf(row.mse),
    psnr: cellOf(row.psnr),
    validLoss: cellOf(row.val_loss),
    validAccuracy: cellOf(row.val_accuracy),
    validMse: cellOf(row.val_mse),
    validPsnr: cellOf(row.val_psnr),
    imagesPerSecond: cellOf(row.images_per_second),
    seconds: cellOf(row.seconds),
    best: row.best === "1",
    learningRate: cellOf(row.learning_rate),
  };
}

/** An epoch's numbers by the names of `metrics.csv`; NaN where a cell is empty. */
export function epochColumns(row: RecordedEpoch): Readonly<Record<string, number>> {
  return {
    loss: row.loss,
    accuracy: row.accuracy,
    mse: row.mse,
    psnr: row.psnr,
    val_loss: row.validLoss,
    val_accuracy: row.validAccuracy,
    val_mse: row.validMse,
    val_psnr: row.validPsnr,
    images_per_second: row.imagesPerSecond,
    seconds: row.seconds,
    learning_rate: row.learningRate,
  };
}

function shownValue(value: unknown): string {
  return Array.isArray(value) ? value.join(", ") : String(value ?? "none");
}

/** Settings in the order of their table; of an imported model those of the network alone. */
function listSettings(settings: Settings, state: unknown): RecordedSetting[] {
  const values = plainSettings(settings);
  // A list of an entry a layer has as many by default, and so is compared at the run's length.
  const usual = plainSettings(
    resolveSettings([{ values: { filters: settings.filters }, spell: (name) => name }]),
  );
  const used = PARAMETERS.filter(({ part }) => state !== "imported" || part === "network");
  return used.map((parameter) => {
    const { name } = parameter;
    const standard = name === "filters" ? parameter.default : usual[name];
    const [value, other] = [shownValue(values[name]), shownValue(standard)];
    const differs = value !== other;
    return {
      name,
      value: values[name] === null ? defaultText(parameter) : value,
      usual: standard === null ? defaultText(parameter) : other,
      differs,
    };
  });
}

/**
 * Reads a run folder. What cannot be read is named in `problems`.
 *
 * @param options - `network: false` leaves the summary out, which the addon makes.
 * @throws FlexaeError `FLEXAE_CONFIG` if `setting.yaml` cannot be read.
 */
export async function readRunFiles(
  folder: string,
  { network = true }: { network?: boolean } = {},
): Promise<RunFiles> {
  const path = join(folder, SETTING_FILE);
  const record = fieldsOf(readYamlFile(path, "The record"));
  const problems: string[] = [];
  const attempt = async <T>(what: string, read: () => Promise<T> | T, without: T): Promise<T> => {
    try {
      return await read();
    } catch (error) {
      problems.push(`${what}: ${(error as Error).message}`);
      return without;
    }
  };
  const settings = await attempt<Settings | null>(
    "The settings cannot be read",
    () => {
      // What a run that begins, or another program, has left is not all defaults.
      if (Object.keys(fieldsOf(record.config)).length === 0) {
        throw configError(`${path} has no config`);
      }
      return resolveSettings([
        { values: fieldsOf(record.config), spell: (name) => `${name} in ${path}` },
      ]);
    },
    null,
  );
  const epochs = await attempt(
    "metrics.csv cannot be read",
    async () => (await readTableRows(join(folder, "metrics.csv"))).map(epochOf),
    [],
  );
  const bad = await attempt(
    "bad_images.csv cannot be read",
    () => readTableRows(join(folder, "bad_images.csv")),
    [],
  );
  const summary =
    settings === null || !network
      ? null
      : await attempt<Summary | null>(
          "The network cannot be drawn",
          // What a device has no fast path for is not shown, so any will do.
          () => summarize({ ...settings, device: "cpu" }),
          null,
        );
  const data = fieldsOf(record.data);
  const scores = fieldsOf(record.scores);
  return {
    folder,
    title: unicodePath(basename(folder)),
    state: String(record.state ?? "unknown"),
    error: typeof record.error === "string" ? record.error : null,
    started: String(record.started ?? ""),
    seconds: numberOf(record.seconds),
    bestEpoch: numberOf(record.best_epoch),
    train: scoresOf(scores.train),
    valid: scoresOf(scores.valid),
    trainImages: numberOf(data.train_images),
    validImages: numberOf(data.valid_images),
    epochs,
    bad: bad.map(({ set = "", file = "", reason = "" }) => ({ set, file, reason })),
    settings,
    listed: settings === null ? [] : listSettings(settings, record.state),
    resumed: Array.isArray(record.resumed) ? record.resumed.length : 0,
    learningRate: settings === null ? Number.NaN : learningRate(settings),
    summary,
    parameters: numberOf(fieldsOf(record.parameters).total),
    imported: pairsOf(record.imported),
    versions: pairsOf(record.versions),
    device: pairsOf(record.device),
    problems,
  };
}
