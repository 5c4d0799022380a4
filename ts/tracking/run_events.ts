/**
 * A run as TensorBoard sees it: its own folder has what concerns all of it, `train` and
 * `validation` have the curves, under the names that Keras gives them, so that both lie in one
 * chart.
 */
import { dirname, join } from "node:path";
import type { Scores } from "../addon/types.js";
import { ownEventFiles } from "../runs/event_folder.js";
import type { RecordedSetting } from "../runs/record.js";
import type { EpochRow } from "./epoch_row.js";
import { EventFile, stepsIn } from "./event_file.js";
import {
  hparamsEnd,
  hparamsStart,
  picture,
  type SummaryValue,
  scalar,
  text,
} from "./event_schema.js";

/** The steps that count in one part of the folder of a run, in the order in which they came. */
async function stepsOf(folder: string, part: string, tag?: string): Promise<number[]> {
  const names = (await ownEventFiles(folder)).filter((name) => dirname(name) === part);
  return await stepsIn(
    names.sort().map((name) => join(folder, name)),
    tag,
  );
}

/** The last epoch of which the folder of a run has the curves of both sets; or 0. */
export async function lastEpochIn(folder: string): Promise<number> {
  return (await stepsOf(folder, "train")).at(-1) ?? 0;
}

/** Whether it has pictures under a tag, of an epoch up to that one. */
export async function hasPictures(folder: string, tag: string, upTo: number): Promise<boolean> {
  return (await stepsOf(folder, "validation", tag)).some((step) => step <= upTo);
}

/** A picture as a file. */
export interface Picture {
  tag: string;
  png: Uint8Array;
  width: number;
  height: number;
}

/** Where a session of a run begins. */
export interface SessionStart {
  /** Epochs completed before. */
  epochs: number;
  /** Batches trained before, of all epochs. */
  batches: number;
}

/** Numbers of an epoch under Keras's names. A chart has no place for what is not finite. */
function scalars(values: Readonly<Record<string, number>>): SummaryValue[] {
  return Object.entries(values).flatMap(([name, value]) =>
    Number.isFinite(value) ? [scalar(`epoch_${name}`, value)] : [],
  );
}

const scoresIn = ({ loss, accuracy, mse, psnr }: Scores) => ({ loss, accuracy, mse, psnr });

const cellText = (value: string) => value.replace(/[\\|`*_<>[\]]/g, "\\$&").replace(/\s+/g, " ");

function settingsTable(listed: readonly RecordedSetting[]): string {
  const rows = listed.map(({ name, value, usual, differs }) => {
    const [shown, other] = [cellText(value), cellText(usual)];
    return `| ${cellText(name)} | ${differs ? `**${shown}**` : shown} | ${other} |`;
  });
  return ["| setting | value | default |", "| --- | --- | --- |", ...rows].join("\n");
}

/** Settings as the tab that compares runs takes them: numbers as such, where they are. */
function hparamsOf(listed: readonly RecordedSetting[]): Record<string, string | number | boolean> {
  const typed = (value: string) => {
    if (value === "true" || value === "false") return value === "true";
    return value.trim() !== "" && Number.isFinite(Number(value)) ? Number(value) : value;
  };
  // Where a run lies is no parameter of it.
  const shown = listed.filter(({ name }) => name !== "save_dir");
  return Object.fromEntries(shown.map(({ name, value }) => [name, typed(value)]));
}

/** The event files of one session of a run. */
export class RunEvents {
  #run: EventFile;
  #train: EventFile;
  #validation: EventFile;
  #batches: EventFile;
  #epochs: Promise<void> = Promise.resolve();

  /**
   * @param onFailure - Called with what the system said; what comes after that may be lost.
   * @param ending - Of the files' names.
   */
  constructor(
    folder: string,
    { epochs, batches }: SessionStart,
    onFailure: (error: unknown) => void,
    ending?: string,
  ) {
    const file = (part: string, step: number) =>
      new EventFile(join(folder, part), step, onFailure, ending);
    this.#run = file(".", epochs);
    this.#train = file("train", epochs + 1);
    this.#validation = file("validation", epochs + 1);
    this.#batches = file("batches", batches + 1);
  }

  /** @param isFirst - Of a run that goes on, TensorBoard keeps the parameters that it has. */
  settings(listed: readonly RecordedSetting[], step: number, time: number, isFirst = true): void {
    const value = [text("settings", settingsTable(listed))];
    if (isFirst) value.push(hparamsStart(hparamsOf(listed), time / 1000));
    this.#run.append({ wallTime: time / 1000, step, summary: { value } });
  }

  epoch({ epoch: step, train, valid, imagesPerSecond, learningRate, time }: EpochRow): void {
    const wallTime = time / 1000;
    const pace = { images_per_second: imagesPerSecond, learning_rate: learningRate };
    const ofTrain = scalars({ ...scoresIn(train), ...pace });
    this.#validation.append({ wallTime, step, summary: { value: scalars(scoresIn(valid)) } });
    // After the other, so that by this one a run that is killed is known to have both.
    this.#epochs = this.#epochs
      .then(() => this.#validation.flush())
      .then(() => this.#train.append({ wallTime, step, summary: { value: ofTrain } }));
  }

  /** @param loss - The mean of the epoch's batches so far. */
  batch(step: number, loss: number, time: number): void {
    if (!Number.isFinite(loss)) return;
    this.#batches.append({
      wallTime: time / 1000,
      step,
      summary: { value: [scalar("batch_loss", loss)] },
    });
  }

  /** Pictures of validation images. */
  pictures(pictures: readonly Picture[], step: number, time: number): void {
    const value = pictures.map(({ tag, png, width, height }) => picture(tag, png, width, height));
    this.#validation.append({ wallTime: time / 1000, step, summary: { value } });
  }

  end(isSuccess: boolean, step: number, time: number): void {
    const value = [hparamsEnd(isSuccess, time / 1000)];
    this.#run.append({ wallTime: time / 1000, step, summary: { value } });
  }

  /** Waits until all is written, or cannot be. */
  async flush(): Promise<void> {
    await this.#epochs;
    await Promise.all(this.#files.map((file) => file.flush()));
  }

  /** The same, and takes no more. */
  async close(): Promise<void> {
    await this.#epochs;
    await Promise.all(this.#files.map((file) => file.close()));
  }

  get #files(): EventFile[] {
    return [this.#run, this.#train, this.#validation, this.#batches];
  }
}
