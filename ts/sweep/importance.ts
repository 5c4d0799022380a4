/** What mattered: how much of the differences between scores each setting accounts for. */

/** Trials that share a value of a setting, or a quarter of its range. */
export interface ValueGroup {
  /** The value, or the least and the greatest of a range. */
  name: string;
  trials: number;
  mean: number;
  /** The least of the scores if less is better, else the greatest. */
  best: number;
}

/** A setting that was swept. */
export interface Importance {
  name: string;
  /** In the order of their values. */
  groups: ValueGroup[];
  /** From 0 to 1; null where there are too few trials to tell. */
  share: number | null;
}

/** Numbers of more values than these are taken by quarters. */
const MOST_VALUES = 6;
const QUARTERS = 4;
/** With fewer trials beyond those that the means take, nobody can tell a setting from chance. */
const LEAST_SPARE = 3;
/** Of the fit, which is exact after one for a whole grid. */
const ROUNDS = 200;
const SMALL = 1e-12;

const sumOf = (values: readonly number[]) => values.reduce((sum, value) => sum + value, 0);
const meanOf = (values: readonly number[]) => sumOf(values) / values.length;
const squares = (values: readonly number[]) => sumOf(values.map((value) => value ** 2));

/** A setting's groups: of each trial the index of its own. */
interface Grouping {
  of: readonly number[];
  names: readonly string[];
}

/** The mean of each group; 0 of an empty one. */
function groupMeans({ of, names }: Grouping, values: readonly number[]): number[] {
  const sums = names.map(() => 0);
  const counts = names.map(() => 0);
  for (const [i, group] of of.entries()) {
    sums[group] = (sums[group] as number) + (values[i] as number);
    counts[group] = (counts[group] as number) + 1;
  }
  return sums.map((sum, group) => sum / Math.max(counts[group] as number, 1));
}

const levels = ({ of }: Grouping) => new Set(of).size;

/** What is left of centred scores when the sum of one term a setting is fitted to them. */
function residuals(groupings: readonly Grouping[], centred: readonly number[]): number[] {
  let left = [...centred];
  let before = squares(left);
  for (let round = 0; round < ROUNDS; round++) {
    for (const grouping of groupings) {
      const means = groupMeans(grouping, left);
      left = left.map((value, i) => value - (means[grouping.of[i] as number] as number));
    }
    const now = squares(left);
    if (before - now <= SMALL * before) break;
    before = now;
  }
  return left;
}

/**
 * The share of the variance of scores that each grouping accounts for by itself, corrected for the
 * number of its groups, which alone would account for some: ε² = (SSj − (kj − 1) MSe) / SSt, and not
 * less than 0. MSe is what a sum of one term a setting leaves, a degree of freedom. Kelley, "An
 * unbiased correlation ratio measure" (PNAS 21, 1935), for one grouping; Carroll and Nordholm,
 * "Sampling characteristics of Kelley's ε and Hays' ω" (Educational and Psychological Measurement 35,
 * 1975), who compare it with others.
 *
 * @returns Null for each where there are too few scores to tell, or none differ.
 */
export function epsilonSquared(
  groupings: readonly Grouping[],
  scores: readonly number[],
): (number | null)[] {
  const none = groupings.map(() => null);
  if (scores.length === 0) return none;
  const mean = meanOf(scores);
  const centred = scores.map((score) => score - mean);
  const total = squares(centred);
  const taken = sumOf(groupings.map((grouping) => levels(grouping) - 1));
  const spare = scores.length - 1 - taken;
  if (spare < LEAST_SPARE || !(total > 0)) return none;
  const error = squares(residuals(groupings, centred)) / spare;
  return groupings.map((grouping) => {
    const means = groupMeans(grouping, centred);
    const between = squares(grouping.of.map((group) => means[group] as number));
    const share = (between - (levels(grouping) - 1) * error) / total;
    return Math.min(Math.max(share, 0), 1);
  });
}

/** A trial, as far as this is concerned. */
export interface ScoredPoint {
  /** Values by the names of settings. */
  settings: Readonly<Record<string, string | undefined>>;
  score: number;
}

/** A number with as many digits as tell. */
const shown = (value: number) => String(Number(value.toPrecision(4)));

/** Which group each of several numbers falls into: quarters of as many trials each. */
function quarters(values: readonly number[]): Grouping {
  const order = [...values.keys()].sort((a, b) => (values[a] as number) - (values[b] as number));
  const of = new Array<number>(values.length);
  let before = Number.NaN;
  let group = 0;
  for (const [place, i] of order.entries()) {
    // What is alike is in one.
    if (values[i] !== before) group = Math.floor((QUARTERS * place) / values.length);
    before = values[i] as number;
    of[i] = group;
  }
  const names = Array.from({ length: QUARTERS }, (_, quarter) => {
    const members = values.filter((_, i) => of[i] === quarter);
    const [least, most] = [shown(Math.min(...members)), shown(Math.max(...members))];
    return least === most ? least : `${least} to ${most}`;
  });
  return { of, names };
}

function groupsOf(texts: readonly string[]): Grouping {
  const names = [...new Set(texts)].sort((a, b) => a.localeCompare(b, "en", { numeric: true }));
  const numbers = names.map(Number);
  const areNumbers = names.every((name) => name !== "") && numbers.every(Number.isFinite);
  if (areNumbers) {
    if (names.length > MOST_VALUES) return quarters(texts.map(Number));
    names.sort((a, b) => Number(a) - Number(b));
  }
  return { of: texts.map((text) => names.indexOf(text)), names };
}

/**
 * What each setting accounts for, the most first; those of which it cannot be told last.
 *
 * @param isGreaterBetter - Of scores.
 */
export function importances(
  names: readonly string[],
  points: readonly ScoredPoint[],
  isGreaterBetter: boolean,
): Importance[] {
  const best = isGreaterBetter ? Math.max : Math.min;
  const scores = points.map(({ score }) => score);
  const groupings = names.map((name) =>
    groupsOf(points.map(({ settings }) => settings[name] ?? "")),
  );
  const shares = epsilonSquared(groupings, scores);
  const all = names.map((name, i): Importance => {
    const { of, names: groupNames } = groupings[i] as Grouping;
    const groups = groupNames.flatMap((name, group): ValueGroup[] => {
      const own = scores.filter((_, i) => of[i] === group);
      if (own.length === 0) return [];
      return [{ name, trials: own.length, mean: meanOf(own), best: best(...own) }];
    });
    return { name, groups, share: shares[i] ?? null };
  });
  return all.sort((a, b) => (b.share ?? -1) - (a.share ?? -1));
}
