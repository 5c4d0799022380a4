/** Runs as a page is made of, without their files. */
import { resolveSettings, type Settings } from "../../ts/config/resolve.ts";
import type { Sample } from "../../ts/report/sample.ts";
import { correlationsOf, dimensionsOf } from "../../ts/report/statistics.ts";
import type { RecordedEpoch, RunFiles } from "../../ts/runs/record.ts";

export const SCORES = { loss: 0.2, accuracy: 0.9, mse: 0.01, psnr: 20 };

/** The defaults but for some. */
export function settingsWith(values: Partial<Settings>): Settings {
  return resolveSettings([{ values, spell: (name) => name }]);
}

/** Epochs of which the first is the best. */
export function epochs(n: number): RecordedEpoch[] {
  return Array.from({ length: n }, (_, i) => ({
    epoch: i + 1,
    loss: 0.123456789,
    accuracy: 0.9,
    mse: 0.01,
    psnr: 20,
    validLoss: 0.2,
    validAccuracy: 0.9,
    validMse: 0.01,
    validPsnr: 20,
    imagesPerSecond: 100,
    seconds: 1,
    best: i === 0,
    learningRate: 0.001,
  }));
}

/** A run of which its files tell all, and its model nothing. */
export function runWith(changed: Partial<RunFiles>): RunFiles {
  return {
    folder: "/logs/run",
    title: "run",
    state: "finished",
    error: null,
    started: "2026-01-01 00:00:00",
    seconds: 10,
    bestEpoch: 1,
    train: SCORES,
    valid: SCORES,
    trainImages: 32_000,
    validImages: 100,
    epochs: epochs(10),
    bad: [],
    settings: settingsWith({}),
    listed: [],
    learningRate: 0.001,
    resumed: 0,
    summary: null,
    parameters: 1000,
    imported: [],
    versions: [],
    device: [],
    problems: [],
    ...changed,
  };
}

/** A sample without pictures, of rows of numbers. */
export function sampleOf(rows: number[], dims: number): Sample {
  const all = dimensionsOf(Float32Array.from(rows), dims);
  return {
    set: "validation",
    images: rows.length / dims,
    of: rows.length / dims,
    inputShape: [1, 8, 8],
    examples: [],
    outputs: { images: 10, saturated: 0, originalSpread: 0.2, outputSpread: 0.2 },
    dims,
    deviations: all.map(({ deviation }) => deviation),
    shown: all,
    correlations: correlationsOf(Float32Array.from(rows), dims, all),
    map: null,
  };
}
