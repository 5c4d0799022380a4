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
/** Fewer trials beyond one a value tell nothing of chance. */
const LEAST_SPARE = 3;

const sumOf = (values: readonly number[]) => values.reduce((sum, value) => sum + value, 0);
const meanOf = (values: readonly number[]) => sumOf(values) / values.length;

function squares(values: readonly number[], around: number): number {
  return sumOf(values.map((value) => (value - around) ** 2));
}

/**
 * The share of the variance of scores that a grouping accounts for, corrected for the number of
 * groups, which alone would account for some: ε² = (SSb − (k − 1) MSw) / SSt, not less than 0. Kelley,
 * "An unbiased correlation ratio measure", PNAS 21 (1935); the adjusted R² of a one-way analysis of
 * variance is the same.
 *
 * @returns Null where there are too few scores to tell, or none differ.
 */
export function epsilonSquared(groups: readonly (readonly number[])[]): number | null {
  const filled = groups.filter(({ length }) => length > 0);
  const all = filled.flat();
  const spare = all.length - filled.length;
  if (spare < LEAST_SPARE || filled.length < 2) return null;
  const total = squares(all, meanOf(all));
  if (!(total > 0)) return null;
  const within = sumOf(filled.map((group) => squares(group, meanOf(group))));
  const between = total - within;
  const share = (between - ((filled.length - 1) * within) / spare) / total;
  return Math.min(Math.max(share, 0), 1);
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
function quarters(values: readonly number[]): { of: number[]; names: string[] } {
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
    return `${shown(Math.min(...members))} to ${shown(Math.max(...members))}`;
  });
  return { of, names };
}

function groupsOf(texts: readonly string[]): { of: number[]; names: string[] } {
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
  const all = names.map((name): Importance => {
    const { of, names: groupNames } = groupsOf(points.map(({ settings }) => settings[name] ?? ""));
    const scores = groupNames.map((_, group) =>
      points.filter((_, i) => of[i] === group).map(({ score }) => score),
    );
    const groups = groupNames.flatMap((name, i): ValueGroup[] => {
      const own = scores[i] as number[];
      if (own.length === 0) return [];
      return [{ name, trials: own.length, mean: meanOf(own), best: best(...own) }];
    });
    return { name, groups, share: epsilonSquared(scores) };
  });
  return all.sort((a, b) => (b.share ?? -1) - (a.share ?? -1));
}
