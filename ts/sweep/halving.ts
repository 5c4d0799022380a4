/**
 * Asynchronous successive halving: which trial is trained next, and for how long. Li, Jamieson,
 * Rostamizadeh, Gonina, Ben-Tzur, Hardt, Recht and Talwalkar, "A System for Massively Parallel
 * Hyperparameter Tuning" (MLSys 2020), algorithm 2: the best 1/eta of each rung goes on to the next
 * one, eta times as long, as soon as it is known to be among them, and else a new trial begins.
 *
 * What differs from there: the trials are a finite set. When all have begun and nothing is under
 * way, a rung of fewer than eta trials promotes its best, so that one at least is trained to the
 * end.
 */

/** How a sweep is halved. */
export interface Halving {
  /** Epochs of the first rung, at least. */
  minEpochs: number;
  /** Of each rung, one of so many trials goes on. */
  eta: number;
}

/** Rungs below the last, where nobody says how short the first may be. */
const USUAL_RUNGS = 3;
const SAME = 1e-9;

/** Epochs of the first rung unless given. */
export function usualMinEpochs(trainEpochs: number, eta: number): number {
  return Math.max(1, Math.round(trainEpochs / eta ** USUAL_RUNGS));
}

/** Epochs at the ends of the rungs: the last one's are all, and each has eta times those before. */
export function rungEpochs(trainEpochs: number, { minEpochs, eta }: Halving): number[] {
  const rungs: number[] = [trainEpochs];
  for (let epochs = trainEpochs / eta; Math.round(epochs) >= minEpochs - SAME; epochs /= eta) {
    const rounded = Math.round(epochs);
    if (rounded < 1 || rounded >= (rungs[0] as number)) break;
    rungs.unshift(rounded);
  }
  return rungs;
}

/** A trial, as far as the rule is concerned. */
export interface RungTrial {
  /** Of each rung that it has completed, the first one first; less is better, null is worst. */
  scores: readonly (number | null)[];
  /** It is being trained for the next rung. */
  isRunning: boolean;
  /** It cannot go on. */
  isFailed: boolean;
}

/** What is trained next. */
export interface RungJob {
  /** Index of the trial. */
  trial: number;
  /** From 0. */
  rung: number;
}

function byScore(trials: readonly RungTrial[], rung: number): (a: number, b: number) => number {
  const score = (i: number) => trials[i]?.scores[rung] ?? Number.POSITIVE_INFINITY;
  return (a, b) => {
    const [x, y] = [score(a), score(b)];
    // The difference of two infinities is no number.
    return x === y ? a - b : x - y;
  };
}

/** The trials of a rung that are still there, the best first. */
function completed(trials: readonly RungTrial[], rung: number): number[] {
  return [...trials.keys()]
    .filter((i) => !trials[i]?.isFailed && (trials[i] as RungTrial).scores.length > rung)
    .sort(byScore(trials, rung));
}

/** Whether a trial has gone on from a rung, or does at the moment. */
function isPromoted({ scores, isRunning }: RungTrial, rung: number): boolean {
  return scores.length > rung + 1 || (isRunning && scores.length === rung + 1);
}

/**
 * What is trained next; null if nothing is before something else ends, or ever.
 *
 * @param rungs - How many there are.
 */
export function nextJob(trials: readonly RungTrial[], rungs: number, eta: number): RungJob | null {
  const open = (order: readonly number[], rung: number) =>
    order.find((i) => !isPromoted(trials[i] as RungTrial, rung));
  for (let rung = rungs - 2; rung >= 0; rung--) {
    const order = completed(trials, rung);
    const best = open(order.slice(0, Math.floor(order.length / eta)), rung);
    if (best !== undefined) return { trial: best, rung: rung + 1 };
  }
  const fresh = trials.findIndex(
    ({ scores, isRunning, isFailed }) => scores.length === 0 && !isRunning && !isFailed,
  );
  if (fresh >= 0) return { trial: fresh, rung: 0 };
  if (trials.some(({ isRunning }) => isRunning)) return null;
  // A rung from which none went on, or none that is left.
  for (let rung = 0; rung < rungs - 1; rung++) {
    const order = completed(trials, rung);
    if (order.some((i) => isPromoted(trials[i] as RungTrial, rung))) continue;
    const best = open(order, rung);
    return best === undefined ? null : { trial: best, rung: rung + 1 };
  }
  return null;
}

/** Epochs that all trials together are about to be trained, if each rung is halved once it is full. */
export function expectedEpochs(trials: number, rungs: readonly number[], eta: number): number {
  let [left, before, sum] = [trials, 0, 0];
  for (const epochs of rungs) {
    sum += left * (epochs - before);
    before = epochs;
    left = Math.max(1, Math.floor(left / eta));
  }
  return sum;
}
