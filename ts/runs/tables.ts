/** The CSV files of a run, and the one row a run leaves in `logs/aescore.csv`. */

import { type FileHandle, open } from "node:fs/promises";
import { dirname } from "node:path";
import { setTimeout } from "node:timers/promises";
import { parse } from "csv-parse/sync";
import { stringify } from "csv-stringify/sync";
import { FlexaeError, ioError, systemReason } from "../addon/errors.js";
import { callAddon } from "../addon/loader.js";
import type { EpochScores, FolderLock, Scores, TrainEvent } from "../addon/types.js";
import { makeFolders } from "../files/folders.js";
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
  // Last, so that those before it stay where they were.
  "learning_rate",
];

function scoreCells(scores: Scores): string[] {
  return [scores.loss, scores.accuracy, scores.mse, scores.psnr].map(cell);
}

/** `metrics.csv`: a row an epoch. */
export class MetricsTable {
  // In one place that grows by doubling: a text made anew each epoch would leave memory in pieces over a long training.
  #bytes = Buffer.alloc(4096);
  #length = this.#bytes.write(stringify([METRICS]));

  /** Adds one more epoch. */
  add(epoch: EpochScores): void {
    const row = stringify([
      [
        epoch.epoch,
        ...scoreCells(epoch.train),
        ...scoreCells(epoch.valid),
        cell(epoch.imagesPerSecond),
        cell(epoch.seconds),
        epoch.best ? 1 : 0,
        cell(epoch.learningRate),
      ],
    ]);
    if (this.#length + row.length > this.#bytes.length) {
      this.#bytes = Buffer.concat([this.#bytes], 2 * this.#bytes.length);
    }
    this.#length += this.#bytes.write(row, this.#length);
  }

  /** The file so far. What it holds stays as it is when epochs are added. */
  get content(): Uint8Array {
    return this.#bytes.subarray(0, this.#length);
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

/** The first line of `aescore.csv`. */
export const SCORE_HEADER = "Time,FolderName,train_loss,valid_loss,train_accuracy,valid_accuracy\n";

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

/** The first line of an open file, without what editors put around it. */
async function firstLine(handle: FileHandle): Promise<string> {
  const bytes = Buffer.alloc(2 * SCORE_HEADER.length);
  const { bytesRead } = await handle.read(bytes, 0, bytes.length, 0);
  const [line = ""] = bytes.toString("utf8", 0, bytesRead).split("\n", 1);
  return line.replace(/^\ufeff/, "").trimEnd();
}

/** A process that is stopped while it holds the folder must not stop all others; one among many waits for seconds. */
const PATIENCE_MS = 30_000;

/**
 * Does `work` while no other process does the same in the folder. A single write is not enough by itself: a reader may
 * see, and a kill may leave, the part of it that lies in the first of two pages.
 */
async function alone(folder: string, work: () => Promise<void>): Promise<void> {
  let end: number | undefined;
  let lock: FolderLock | undefined;
  while (lock === undefined) {
    try {
      lock = callAddon((addon) => addon.lockFolder(folder));
    } catch (error) {
      if (!(error instanceof FlexaeError) || error.code !== "FLEXAE_CONFIG") throw error;
      // Another one has it, or a run has made it its run folder. What is left then is that a write is one append.
      // Counted from here, as loading the addon for the first attempt may take longer than all patience.
      end ??= performance.now() + PATIENCE_MS;
      if (performance.now() > end) break;
      await setTimeout(1 + 9 * Math.random());
    }
  }
  try {
    await work();
  } finally {
    lock?.release();
  }
}

/** Appends to the open table, after its header and whole lines. */
async function appendLine(path: string, handle: FileHandle, line: string): Promise<void> {
  const { size } = await handle.stat();
  let lead = "";
  if (size === 0) {
    lead = SCORE_HEADER;
  } else {
    if ((await firstLine(handle)) !== SCORE_HEADER.trimEnd()) {
      throw ioError(
        `${path} is not this program's table of scores, so this run is not added: move it away and the next run begins a new one`,
      );
    }
    const last = Buffer.alloc(1);
    await handle.read(last, 0, 1, size - 1);
    // Someone's editor, or a crash, may have left the last line unended.
    if (last[0] !== 0x0a) lead = "\n";
  }
  const bytes = Buffer.from(lead + line);
  const { bytesWritten } = await handle.write(bytes);
  if (bytesWritten !== bytes.length) {
    throw Object.assign(new Error("write was cut short"), { code: "ENOSPC" });
  }
}

/**
 * Appends a run's row to `aescore.csv`, unless that is another program's file. Many processes may do so at once.
 *
 * @throws FlexaeError `FLEXAE_IO` naming the file and the remedy.
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
    await makeFolders(dirname(path));
    const handle = await open(path, "a+");
    try {
      await alone(dirname(path), () => appendLine(path, handle, line));
      await handle.sync();
    } finally {
      await handle.close();
    }
  } catch (error) {
    if (error instanceof FlexaeError) throw error;
    throw ioError(
      `${path} cannot be written, so this run is not added to it: ${systemReason(error)}`,
      error,
    );
  }
}
