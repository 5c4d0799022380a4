/** The CSV files of a run, and the one row a run leaves in `logs/aescore.csv`. */

import { randomBytes } from "node:crypto";
import { link, mkdir, open, rm, writeFile } from "node:fs/promises";
import { dirname } from "node:path";
import { parse } from "csv-parse/sync";
import { stringify } from "csv-stringify/sync";
import { ioError, systemReason } from "../addon/errors.js";
import type { EpochScores, Scores, TrainEvent } from "../addon/types.js";
import { unicodePath } from "../files/paths.js";

type BadEvent = Extract<TrainEvent, { type: "bad" }>;

/** Numbers as JavaScript's shortest exact text; what is not finite or unknown as an empty cell. */
function cell(value: number | null | undefined): string {
  return value === null || value === undefined || !Number.isFinite(value) ? "" : String(value);
}

const METRICS = [
  "epoch",
  "loss",
  "accuracy",
  "mse",
  "psnr",
  "val_loss",
  "val_accuracy",
  "val_mse",
  "val_psnr",
  "images_per_second",
  "seconds",
  "best",
];

function scoreCells(scores: Scores): string[] {
  return [scores.loss, scores.accuracy, scores.mse, scores.psnr].map(cell);
}

/** `metrics.csv`: a row an epoch. */
export class MetricsTable {
  #text = stringify([METRICS]);

  /** The text with one more epoch. */
  add(epoch: EpochScores): string {
    this.#text += stringify([
      [
        epoch.epoch,
        ...scoreCells(epoch.train),
        ...scoreCells(epoch.valid),
        cell(epoch.imagesPerSecond),
        cell(epoch.seconds),
        epoch.best ? 1 : 0,
      ],
    ]);
    return this.#text;
  }

  get text(): string {
    return this.#text;
  }
}

/** `bad_images.csv`: each image that was skipped, once, and why. */
export class BadImagesTable {
  #text = stringify([["set", "file", "reason"]]);
  #known = new Set<string>();

  /** @param earlier - The text that an earlier session of the run left. */
  constructor(earlier = "") {
    let rows: string[][];
    try {
      rows = parse(earlier, { from: 2, relax_column_count: true });
    } catch {
      // Not as this program writes it; the images themselves are met again.
      return;
    }
    for (const [set, file, reason] of rows) {
      if (set === "train" || set === "valid") this.#add(set, file ?? "", reason ?? "");
    }
  }

  /** The text with one more image; null if it is there already. */
  add(event: BadEvent): string | null {
    return this.#add(event.set, unicodePath(event.file), event.reason) ? this.#text : null;
  }

  #add(set: string, file: string, reason: string): boolean {
    const key = `${set}\0${file}`;
    if (this.#known.has(key)) return false;
    this.#known.add(key);
    this.#text += stringify([[set, file, reason]]);
    return true;
  }
}

const SCORE_HEADER = "Time,FolderName,train_loss,valid_loss,train_accuracy,valid_accuracy\n";

export interface ScoreRow {
  time: Date;
  folder: string;
  train: Pick<Scores, "loss" | "accuracy"> | null;
  valid: Pick<Scores, "loss" | "accuracy"> | null;
}

/** `YYYY-MM-DD HH:MM:SS`, local time. */
export function clockTime(date: Date): string {
  const two = (n: number) => String(n).padStart(2, "0");
  return (
    `${date.getFullYear()}-${two(date.getMonth() + 1)}-${two(date.getDate())}` +
    ` ${two(date.getHours())}:${two(date.getMinutes())}:${two(date.getSeconds())}`
  );
}

/** Makes the file with its header unless it exists: linked into place whole, so only one wins. */
async function createWithHeader(path: string): Promise<void> {
  const temporary = `${path}.${randomBytes(6).toString("hex")}.tmp`;
  try {
    await writeFile(temporary, SCORE_HEADER, { flag: "wx" });
    await link(temporary, path);
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    // Where there are no hard links, an exclusive creation is the next best.
    if (code === "EPERM" || code === "ENOTSUP") {
      await writeFile(path, SCORE_HEADER, { flag: "wx" }).catch((other) => {
        if ((other as NodeJS.ErrnoException).code !== "EEXIST") throw other;
      });
    } else if (code !== "EEXIST") {
      throw error;
    }
  } finally {
    await rm(temporary, { force: true });
  }
}

/**
 * Appends a run's row to `aescore.csv`. Many processes may do so at once: a row is one append, and
 * the header is written once.
 */
export async function appendScore(path: string, row: ScoreRow): Promise<void> {
  const line = stringify([
    [
      clockTime(row.time),
      row.folder,
      cell(row.train?.loss),
      cell(row.valid?.loss),
      cell(row.train?.accuracy),
      cell(row.valid?.accuracy),
    ],
  ]);
  try {
    await mkdir(dirname(path), { recursive: true });
    await createWithHeader(path);
    const handle = await open(path, "a+");
    try {
      const { size } = await handle.stat();
      const last = Buffer.alloc(1);
      if (size > 0) await handle.read(last, 0, 1, size - 1);
      // Someone's editor, or a crash of another program, may have left the last line unended.
      const lead = size === 0 ? SCORE_HEADER : last[0] === 0x0a ? "" : "\n";
      const bytes = Buffer.from(lead + line);
      const { bytesWritten } = await handle.write(bytes);
      if (bytesWritten !== bytes.length) {
        throw Object.assign(new Error("write was cut short"), { code: "ENOSPC" });
      }
      await handle.sync();
    } finally {
      await handle.close();
    }
  } catch (error) {
    throw ioError(`${path} cannot be written: ${systemReason(error)}`, error);
  }
}
