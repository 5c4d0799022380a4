// What is made of the samples.

/** Linear between the entries of the sorted list. */
export function quantile(values, q) {
  const sorted = [...values].sort((a, b) => a - b);
  const place = q * (sorted.length - 1);
  const low = sorted[Math.floor(place)];
  return low + (sorted[Math.ceil(place)] - low) * (place - Math.floor(place));
}

/** Median and spread. */
export function spread(values) {
  return {
    median: quantile(values, 0.5),
    min: Math.min(...values),
    max: Math.max(...values),
  };
}

/** Whether an entry is a measured speed, not a peer that was lost. */
export const measured = (line) => line.samples.length > 0;

/**
 * Each line's speed and how many times faster `ours` is. A ratio is of two blocks of the same round:
 * between rounds the machine itself changes.
 * @param {{ name: string, samples: number[] }[]} lines images a second, one a round
 * @param {string} ours
 */
export function compare(lines, ours) {
  const own = lines.find(({ name }) => name === ours)?.samples ?? [];
  return lines.filter(measured).map((line) => ({
    ...line,
    imagesPerSecond: spread(line.samples),
    ratio: line.name === ours ? null : spread(own.map((value, i) => value / line.samples[i])),
  }));
}

/** The peer that ours is least ahead of. */
export function fastest(lines) {
  const peers = lines.filter(({ ratio }) => ratio !== null);
  if (peers.length === 0) return undefined;
  return peers.reduce((a, b) => (b.ratio.median < a.ratio.median ? b : a));
}
