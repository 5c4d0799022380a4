/** What can be wrong with a sweep's trials is found before any begins. */
import { configError, FlexaeError } from "../addon/errors.js";
import type { Settings } from "../config/resolve.js";
import { planRun, summarize } from "../runs/plan.js";
import type { SweepSpec } from "./spec.js";
import { trialRungs, trialSettings } from "./trials.js";

/** A trial that can be trained, or why it cannot. */
export type PlannedTrial =
  | {
      settings: Settings;
      /** Epochs at which it is compared with others; the last is its end. */
      rungs: number[];
      problem: null;
    }
  | { settings: null; rungs: null; problem: string };

/** The trials of a sweep, and what they take. */
export interface SweepPlan {
  trials: PlannedTrial[];
  /** Of the largest, about. */
  trainingBytes: number;
  /** What is allowed but worth saying. */
  warnings: string[];
}

/**
 * Checks every trial's settings and network, and the folders of images.
 *
 * @throws FlexaeError `FLEXAE_CONFIG` if no trial can be trained, `FLEXAE_DATA` if images are missing.
 */
export async function planSweep(spec: SweepSpec): Promise<SweepPlan> {
  let trainingBytes = 0;
  const trials = spec.points.map((point): PlannedTrial => {
    try {
      const settings = trialSettings(spec, point);
      trainingBytes = Math.max(trainingBytes, summarize(settings).trainingBytes);
      return { settings, rungs: trialRungs(spec, settings), problem: null };
    } catch (error) {
      if (!(error instanceof FlexaeError) || error.code !== "FLEXAE_CONFIG") throw error;
      return { settings: null, rungs: null, problem: error.message.replaceAll("\n", " ") };
    }
  });
  const first = trials.find(({ settings }) => settings !== null);
  if (first?.settings == null) {
    throw configError(`None of ${trials.length} trials can be trained: ${trials[0]?.problem}`);
  }
  const { warnings } = await planRun(first.settings, {}, false);
  return { trials, trainingBytes, warnings };
}
