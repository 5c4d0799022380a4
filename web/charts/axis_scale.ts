/** Where values lie on an upright axis of a parallel-coordinates plot. */

/** What an axis shows of a line; null where a line has none. */
export type AxisValue = number | string | null;

/** A mark beside an axis. */
export interface Tick {
  /** From 0, the bottom, to 1. */
  at: number;
  text: string;
}

/** An axis: from values to places. */
export interface AxisScale {
  /** From 0, the bottom, to 1; null for what has no place among the values. */
  place(value: AxisValue): number | null;
  /** Places of the values there are, each once, from the bottom. */
  stops: number[];
  ticks: Tick[];
  /** The value nearest to a place, as text. */
  textAt(place: number): string;
  isNumeric: boolean;
}

/** With a greatest value so many times the least, the axis is logarithmic. */
const LOGARITHMIC_FROM = 100;
/** So many different numbers get a mark each. */
const FEW = 8;
/** Marks of an axis of more. */
const MARKS = 5;
/** No two marks are nearer to each other, as a share of the axis. */
const APART = 0.05;

/** Four digits that count. */
export function shortNumber(value: number): string {
  const size = Math.abs(value);
  if (size >= 1e6 || (size > 0 && size < 1e-3)) {
    return String(Number(value.toPrecision(3)).toExponential()).replace("e+", "e");
  }
  return String(Number(value.toPrecision(4)));
}

/** Round numbers from `low` to `high`. */
function roundNumbers(low: number, high: number): number[] {
  const raw = (high - low) / MARKS;
  const power = 10 ** Math.floor(Math.log10(raw));
  const step = power * ([1, 2, 5, 10].find((n) => n * power >= raw) as number);
  const first = Math.ceil(low / step);
  const count = Math.floor(high / step) - first + 1;
  return Array.from({ length: count }, (_, i) => Number(((first + i) * step).toPrecision(12)));
}

/** Powers of ten from `low` to `high`, and the ends. */
function roundPowers(low: number, high: number): number[] {
  const [first, last] = [Math.ceil(Math.log10(low)), Math.floor(Math.log10(high))];
  const step = Math.max(1, Math.ceil((last - first + 1) / MARKS));
  const powers: number[] = [];
  for (let n = first; n <= last; n += step) powers.push(10 ** n);
  return powers.length > 1 ? powers : [low, high];
}

/** Marks that leave room for one another; the ends win. */
function spaced(ticks: readonly Tick[]): Tick[] {
  const kept: Tick[] = [];
  for (const [i, tick] of ticks.entries()) {
    const last = kept.at(-1);
    if (last === undefined || tick.at - last.at >= APART) kept.push(tick);
    else if (i === ticks.length - 1 && kept.length > 1) kept.splice(-1, 1, tick);
  }
  return kept;
}

function nearest(places: readonly number[], place: number): number {
  let found = 0;
  for (const [i, at] of places.entries()) {
    if (Math.abs(at - place) < Math.abs((places[found] as number) - place)) found = i;
  }
  return found;
}

function numericScale(values: readonly number[]): AxisScale {
  const distinct = [...new Set(values)].sort((a, b) => a - b);
  const [low, high] = [distinct[0] ?? 0, distinct.at(-1) ?? 0];
  const isLogarithmic = low > 0 && high / low >= LOGARITHMIC_FROM;
  const bend = isLogarithmic ? Math.log : (value: number) => value;
  const [from, to] = [bend(low), bend(high)];
  // A single value lies in the middle.
  const at = (value: number) => (to > from ? (bend(value) - from) / (to - from) : 0.5);
  const marked =
    distinct.length <= FEW
      ? distinct
      : isLogarithmic
        ? roundPowers(low, high)
        : roundNumbers(low, high);
  const stops = distinct.map(at);
  return {
    place: (value) => (typeof value === "number" && Number.isFinite(value) ? at(value) : null),
    stops,
    ticks: spaced(marked.map((value) => ({ at: at(value), text: shortNumber(value) }))),
    textAt: (place) => shortNumber(distinct[nearest(stops, place)] ?? Number.NaN),
    isNumeric: true,
  };
}

function namedScale(values: readonly string[]): AxisScale {
  const names = [...new Set(values)].sort((a, b) => a.localeCompare(b, "en", { numeric: true }));
  const at = (i: number) => (names.length > 1 ? i / (names.length - 1) : 0.5);
  const places = new Map(names.map((name, i) => [name, at(i)]));
  const stops = names.map((_, i) => at(i));
  return {
    place: (value) => (value === null ? null : (places.get(String(value)) ?? null)),
    stops,
    ticks: spaced(names.map((text, i) => ({ at: at(i), text }))),
    textAt: (place) => names[nearest(stops, place)] ?? "",
    isNumeric: false,
  };
}

/** The axis of some values: numbers by size, else texts by the alphabet. */
export function axisScale(values: readonly AxisValue[]): AxisScale {
  const known = values.filter(
    (value): value is number | string =>
      value !== null && (typeof value !== "number" || Number.isFinite(value)),
  );
  return known.every((value) => typeof value === "number")
    ? numericScale(known as number[])
    : namedScale(known.map(String));
}
