/** Event files of a run that has ended, or was killed, from what it left. */
import { type FileHandle, open } from "node:fs/promises";
import { join } from "node:path";
import { configError, ioError, isAddonError, systemReason } from "../addon/errors.js";
import { callAddon } from "../addon/loader.js";
import type { FolderLock } from "../addon/types.js";
import { ownEventFiles, PAST_ENDING, removeEventFiles } from "../runs/event_folder.js";
import { RECONSTRUCTIONS_FILE, SETTING_FILE } from "../runs/folder.js";
import { readRunFiles } from "../runs/record.js";
import { recordedRows, recordedTime } from "./epoch_row.js";
import { pictureOf } from "./pictures.js";
import { RunEvents } from "./run_events.js";

/** What a line tells; null where it tells nothing, as half a line of a killed run does. */
function pictureIn(line: string): { epoch: number; png: string } | null {
  try {
    const { epoch, png } = (JSON.parse(line) ?? {}) as { epoch?: unknown; png?: unknown };
    return typeof epoch === "number" && typeof png === "string" ? { epoch, png } : null;
  } catch {
    return null;
  }
}

async function* lines(path: string): AsyncGenerator<{ line: string; number: number }> {
  let file: FileHandle;
  try {
    file = await open(path);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "ENOENT") return;
    throw ioError(`${path} cannot be read: ${systemReason(error)}`, error);
  }
  let number = 0;
  for await (const line of file.readLines()) yield { line, number: number++ };
}

/** The picture of each epoch that has one; epoch 0 is the originals. */
async function* recordedPictures(folder: string): AsyncGenerator<{ epoch: number; png: Buffer }> {
  const path = join(folder, RECONSTRUCTIONS_FILE);
  // A run that went on may have an epoch twice, of which the later counts.
  const last = new Map<number, number>();
  for await (const { line, number } of lines(path)) {
    const found = pictureIn(line);
    if (found !== null) last.set(found.epoch, number);
  }
  for await (const { line, number } of lines(path)) {
    const found = pictureIn(line);
    if (found === null || last.get(found.epoch) !== number) continue;
    yield { epoch: found.epoch, png: Buffer.from(found.png, "base64") };
  }
}

/** Holds the run, whose training may be writing the same files; null if that is under way. */
function hold(folder: string): FolderLock | null | undefined {
  try {
    return callAddon((addon) => addon.lockFolder(folder));
  } catch (error) {
    if (isAddonError(error) && error.code === "FLEXAE_CONFIG") return null;
    // Of a folder that cannot be written, nobody writes the files that go elsewhere.
    if (isAddonError(error) && error.code === "FLEXAE_IO") return undefined;
    throw error;
  }
}

/** What was written. */
export interface PastRun {
  epochs: number;
  /** Epochs that have a picture. */
  pictures: number;
  /** What could not be read, and so is not there. */
  problems: string[];
}

/**
 * Writes event files of a run, in place of those that are there.
 *
 * @param run - Its folder.
 * @param out - Where its event files go.
 * @param signal - Ends it soon, and what was there before stays.
 * @throws FlexaeError `FLEXAE_CONFIG` if it is being trained and writes there itself, or its
 *   `setting.yaml` cannot be read, `FLEXAE_IO`.
 */
export async function writePastRun(
  run: string,
  out: string,
  signal: AbortSignal | undefined,
): Promise<PastRun> {
  const lock = hold(run);
  try {
    const before = await ownEventFiles(out);
    const files = await readRunFiles(run, { network: false });
    const isFollowed = before.some((name) => !name.endsWith(PAST_ENDING));
    if (lock === null && files.state === "running" && isFollowed) {
      throw configError(
        `${run} is in use, and its training may be writing these files itself: ` +
          "name another folder with -o",
      );
    }
    let failure: unknown;
    const note = (error: unknown) => {
      failure ??= error;
    };
    const events = new RunEvents(out, { epochs: 0, batches: 0 }, note, PAST_ENDING);
    const rows = recordedRows(files);
    const started = recordedTime(files.started);
    const first = Number.isFinite(started) ? started : (rows[0]?.time ?? Date.now());
    const times = new Map(rows.map(({ epoch, time }) => [epoch, time]));
    const last = rows.at(-1);
    events.settings(files.listed, 0, first);
    for (const row of rows) {
      if (signal?.aborted) break;
      events.epoch(row);
      await events.flush();
    }
    let pictures = 0;
    for await (const { epoch, png } of recordedPictures(run)) {
      if (signal?.aborted) break;
      const isOriginals = epoch === 0;
      const time = isOriginals ? first : times.get(epoch);
      const picture = pictureOf(isOriginals ? "originals" : "reconstructions", png);
      if (time === undefined || picture === null) continue;
      events.pictures([picture], epoch, time);
      // As fast as the disk, so that few wait.
      await events.flush();
      if (!isOriginals) pictures++;
    }
    if (files.state !== "running" && files.state !== "interrupted") {
      events.end(files.state !== "failed", last?.epoch ?? 0, last?.time ?? first);
    }
    await events.close();
    if (failure !== undefined || signal?.aborted) {
      const after = await ownEventFiles(out);
      await removeEventFiles(
        out,
        after.filter((name) => !before.includes(name)),
      );
      signal?.throwIfAborted();
      throw ioError(`${out} cannot be written: ${systemReason(failure)}`, failure);
    }
    await removeEventFiles(out, before);
    const problems = files.problems.map((problem) => `${join(run, SETTING_FILE)}: ${problem}`);
    return { epochs: rows.length, pictures, problems };
  } finally {
    lock?.release();
  }
}
