/** Modified z-scores: how unusual a number is among others, some of which may be unusual too. */

function median(values: readonly number[] | Float64Array): number {
  const sorted = Float64Array.from(values).sort();
  const middle = sorted.length >> 1;
  const upper = sorted[middle] as number;
  return sorted.length % 2 === 1 ? upper : ((sorted[middle - 1] as number) + upper) / 2;
}

/**
 * The modified z-score 0.6745·(x − median)/MAD of Iglewicz and Hoaglin (How to Detect and Handle
 * Outliers, 1993), MAD being the median of the absolute deviations from the median: for normally
 * distributed numbers, how many standard deviations x lies above the mean. Where more than half of
 * the numbers are the same, so that MAD is 0, (x − median)/(1.2533·mean absolute deviation); where
 * all are, ±Infinity for any other x.
 *
 * @param reference - What x is compared with: N numbers, at least one.
 */
export function modifiedZ(reference: ArrayLike<number>): (x: number) => number {
  const values = Float64Array.from(reference);
  const centre = median(values);
  const deviations = values.map((value) => Math.abs(value - centre));
  const mad = median(deviations);
  const mean = deviations.reduce((sum, deviation) => sum + deviation, 0) / deviations.length;
  // Both are the standard deviation of numbers that are normally distributed.
  const scale = mad > 0 ? mad / 0.6745 : Math.sqrt(Math.PI / 2) * mean;
  return (x) => (x === centre ? 0 : (x - centre) / scale);
}
