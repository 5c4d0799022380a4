/** Epochs, from a training under way or from a run's files, in one form. */
import type { EpochScores, Scores } from "../addon/types.js";
import type { RecordedEpoch, RunFiles } from "../runs/record.js";

/** What an epoch gave. Numbers that are not known are NaN. */
export interface EpochRow {
  /** From 1. */
  epoch: number;
  train: Scores;
  valid: Scores;
  imagesPerSecond: number;
  learningRate: number;
  /** When it ended, in milliseconds since 1970. */
  time: number;
}

export function rowOf(event: EpochScores, time: number): EpochRow {
  const { epoch, train, valid, imagesPerSecond, learningRate } = event;
  return { epoch, train, valid, imagesPerSecond, learningRate, time };
}

/** Milliseconds since 1970 of a time as `setting.yaml` has it; NaN if it is none. */
export const recordedTime = (text: string) => new Date(text.replace(" ", "T")).getTime();

function recordedRow(epoch: RecordedEpoch, time: number): EpochRow {
  const { loss, accuracy, mse, psnr } = epoch;
  return {
    epoch: epoch.epoch,
    train: { loss, accuracy, mse, psnr },
    valid: {
      loss: epoch.validLoss,
      accuracy: epoch.validAccuracy,
      mse: epoch.validMse,
      psnr: epoch.validPsnr,
    },
    imagesPerSecond: epoch.imagesPerSecond,
    learningRate: epoch.learningRate,
    time,
  };
}

/**
 * The epochs of a run's files. Their times follow from the run's beginning and from how long each
 * took: a pause between two sessions is not known.
 */
export function recordedRows({ epochs, started }: RunFiles): EpochRow[] {
  const took = epochs.map(({ seconds }) => 1000 * (Number.isFinite(seconds) ? seconds : 0));
  const known = recordedTime(started);
  let time = Number.isFinite(known) ? known : Date.now() - took.reduce((a, b) => a + b, 0);
  return epochs
    .map((epoch, i) => {
      time += took[i] as number;
      return recordedRow(epoch, time);
    })
    .filter(({ epoch }) => Number.isInteger(epoch));
}
