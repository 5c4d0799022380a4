/** The points of a sweep: which settings are tried. */
import { configError } from "../addon/errors.js";
import type { ParameterName } from "../config/parameters.js";
import { seededRandom, shuffledIndices } from "../random.js";
import { type Dimension, isRange, type ValueRange } from "./dimensions.js";

/** Values of the settings that are swept, as their flags take them. */
export type Point = Readonly<Partial<Record<ParameterName, string>>>;

/** More are no sweep that anybody waits for, and their file would not be read back. */
export const MOST_TRIALS = 2000;
/**
 * Draws in a row of points that are there already, before no new one is expected: of the most that
 * there may be, the last one is missed once in 20,000 times.
 */
const DRAWS = 10 * MOST_TRIALS;
/** Digits of a number that is drawn. */
const DIGITS = 5;

/**
 * All combinations, the last setting changing fastest.
 *
 * @throws FlexaeError `FLEXAE_CONFIG` if there are too many, or a range among them.
 */
export function gridPoints(dimensions: readonly Dimension[]): Point[] {
  let points: Point[] = [{}];
  const count = dimensions.reduce(
    (product, { values }) => product * (isRange(values) ? 1 : values.length),
    1,
  );
  if (count > MOST_TRIALS) {
    throw configError(
      `The grid has ${count} points and may have ${MOST_TRIALS}: leave values out, or draw some with --search random --trials 50`,
    );
  }
  for (const { name, values } of dimensions) {
    if (isRange(values)) {
      throw configError(`A range of ${name} is for --search random: a grid wants its values`);
    }
    points = points.flatMap((point) => values.map((value) => ({ ...point, [name]: value })));
  }
  return points;
}

function drawNumber({ low, high, integer, log }: ValueRange, random: () => number): string {
  // Every integer is as likely as its neighbours, those at the ends included.
  const margin = integer ? 0.5 : 0;
  const [from, to] = [low - margin, high + margin];
  const drawn = log
    ? Math.exp(Math.log(from) + random() * (Math.log(to) - Math.log(from)))
    : from + random() * (to - from);
  const rounded = integer ? Math.round(drawn) : Number(drawn.toPrecision(DIGITS));
  return String(Math.min(Math.max(rounded, low), high));
}

/** Different points, drawn from values and ranges; fewer where there are no more. */
export function randomPoints(
  dimensions: readonly Dimension[],
  count: number,
  seed: number,
): Point[] {
  if (count > MOST_TRIALS) {
    throw configError(`Expected at most ${MOST_TRIALS} for trials but received ${count}`);
  }
  const random = seededRandom(seed);
  const points = new Map<string, Point>();
  let misses = 0;
  while (points.size < count && misses < DRAWS) {
    const drawn = dimensions.map(({ name, values }) => {
      const value = isRange(values)
        ? drawNumber(values, random)
        : (values[Math.floor(random() * values.length)] as string);
      return [name, value] as const;
    });
    const key = JSON.stringify(drawn);
    if (points.has(key)) misses++;
    else {
      points.set(key, Object.fromEntries(drawn));
      misses = 0;
    }
  }
  return [...points.values()];
}

/** The points in an order that follows from the seed. */
export function shuffled(points: readonly Point[], seed: number): Point[] {
  return [...shuffledIndices(points.length, seed)].map((i) => points[i] as Point);
}
