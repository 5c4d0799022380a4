/** Follows a training in TensorBoard's event files. */
import { basename, join, resolve } from "node:path";
import { systemReason, translateError } from "../addon/errors.js";
import { TENSORBOARD_FOLDER } from "../runs/event_folder.js";
import { PicturePace } from "../runs/picture_pace.js";
import { readRunFiles } from "../runs/record.js";
import type { TrainingOutcome } from "../runs/training.js";
import type { TrainingEvent } from "../runs/training_event.js";
import { recordedRows, rowOf } from "./epoch_row.js";
import { picturesOf } from "./pictures.js";
import { hasPictures, lastEpochIn, RunEvents } from "./run_events.js";
import { type Recorder, within } from "./tracker.js";

type StartEvent = Extract<TrainingEvent, { type: "start" }>;
type ReconstructionsEvent = Extract<TrainingEvent, { type: "reconstructions" }>;

/** Between two points of the loss within an epoch. */
const BATCH_INTERVAL_MS = 5000;
/** A disk that does not answer is left alone after so long, at the end. */
const PATIENCE_MS = 5000;

/**
 * Where a run's event files go.
 *
 * @param dir - Given for runs to lie in side by side; null for the run's own folder.
 */
export function eventFolder(dir: string | null, runDir: string): string {
  return dir === null ? join(runDir, TENSORBOARD_FOLDER) : resolve(dir, basename(runDir));
}

/** One training. */
export class TensorBoardRecorder implements Recorder {
  #dir: string | null;
  #warn: (message: string) => void;
  #events: RunEvents | undefined;
  /** Also where nothing more is written. */
  #close: () => Promise<void> = async () => {};
  #batchesAnEpoch = 0;
  #epoch = 0;
  #lastBatch = 0;
  /** Whether earlier files have the images that are reconstructed. */
  #hasOriginals = false;
  #hasPictures = true;
  #pace = new PicturePace();
  /** The newest, if they were left out: the last ones are not. */
  #leftOut: ReconstructionsEvent | undefined;

  /**
   * @param dir - As in {@link eventFolder}.
   * @param warn - Called with what cannot be written, each once.
   */
  constructor(dir: string | null, warn: (message: string) => void) {
    this.#dir = dir;
    this.#warn = warn;
  }

  async record(event: TrainingEvent, time: number): Promise<void> {
    if (event.type === "start") await this.#start(event, time);
    const events = this.#events;
    if (events === undefined) return;
    if (event.type === "epoch") {
      this.#epoch = event.epoch;
      // As at the start.
      this.#lastBatch = time;
      events.epoch(rowOf(event, time));
    } else if (event.type === "batch" && event.phase === "train") {
      if (time - this.#lastBatch < BATCH_INTERVAL_MS) return;
      this.#lastBatch = time;
      events.batch((event.epoch - 1) * this.#batchesAnEpoch + event.batch, event.loss, time);
    } else if (event.type === "reconstructions") {
      const isTaken = this.#pace.takes(event.epoch);
      this.#leftOut = isTaken ? undefined : event;
      if (isTaken) this.#pictures(events, event, time);
    }
  }

  async end(outcome: TrainingOutcome, time: number): Promise<void> {
    if (this.#events !== undefined && this.#leftOut !== undefined) {
      this.#pictures(this.#events, this.#leftOut, time);
    }
    // A run that was interrupted may go on, and so has not ended.
    if ("error" in outcome) this.#events?.end(false, this.#epoch, time);
    else if (outcome.result.stopped !== "interrupted") this.#events?.end(true, this.#epoch, time);
    await within(PATIENCE_MS, this.#close());
  }

  async #start(event: StartEvent, time: number): Promise<void> {
    const { runDir, epochsDone, batchesDone, batches } = event;
    if (runDir === null && this.#dir === null) {
      this.#warn("TensorBoard has no folder to be written to: name one, as the run is not saved");
      return;
    }
    const folder = runDir === null ? resolve(this.#dir as string) : eventFolder(this.#dir, runDir);
    this.#batchesAnEpoch = batches;
    // Short epochs need no points between them.
    this.#lastBatch = time;
    this.#epoch = epochsDone;
    // A process that was killed may not have written down the last that it had trained.
    const known = epochsDone === 0 ? 0 : Math.min(epochsDone, await lastEpochIn(folder));
    // Nor the pictures of an epoch that it had; and those of a later one are void.
    this.#hasOriginals = known > 0 && (await hasPictures(folder, "originals/1", known));
    const start = { epochs: known, batches: epochsDone * batches + batchesDone };
    const events = new RunEvents(folder, start, (error) => {
      // Where one of the files cannot be written, the others end with it.
      if (this.#events !== events) return;
      this.#events = undefined;
      this.#warn(
        `The files for TensorBoard in ${folder} cannot be written: ${systemReason(error)}; ` +
          "the run goes on without them, and `flexae tensorboard` writes them later",
      );
    });
    this.#events = events;
    this.#close = () => events.close();
    if (runDir === null) return;
    const files = await readRunFiles(runDir, { network: false }).catch(() => null);
    if (files === null) return;
    events.settings(files.listed, known, time, known === 0);
    for (const row of recordedRows(files)) {
      if (row.epoch > known && row.epoch <= epochsDone) events.epoch(row);
    }
  }

  #pictures(
    events: RunEvents,
    { epoch, shape, originals, reconstructions }: ReconstructionsEvent,
    time: number,
  ): void {
    if (!this.#hasPictures) return;
    try {
      if (!this.#hasOriginals) {
        events.pictures(picturesOf("originals", originals, shape), epoch, time);
        this.#hasOriginals = true;
      }
      const pictures = picturesOf("reconstructions", reconstructions, shape);
      events.pictures(pictures, epoch, time);
      for (const { png } of pictures) this.#pace.add(png.length);
    } catch (error) {
      this.#hasPictures = false;
      this.#warn(`TensorBoard gets no pictures: ${translateError(error).message}`);
    }
  }
}
