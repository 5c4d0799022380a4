import type { Metric } from "../addon/types.js";

/** The distance of two embeddings, in double precision. */
export function distanceBetween(x: Float32Array, y: Float32Array, metric: Metric): number {
  let [squares, xx, yy, xy] = [0, 0, 0, 0];
  for (const [d, a] of x.entries()) {
    const b = y[d] as number;
    squares += (a - b) ** 2;
    xx += a * a;
    yy += b * b;
    xy += a * b;
  }
  if (metric === "euclidean") return Math.sqrt(squares);
  // As scikit-learn: a vector of zeros has no direction, and is like none.
  return xx === 0 || yy === 0 ? 1 : Math.max(0, 1 - xy / Math.sqrt(xx * yy));
}
