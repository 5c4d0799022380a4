/** By what trials are compared. */
import { configError } from "../addon/errors.js";
import { nameKey, nearestName, showName } from "../config/names.js";

/** A column of `metrics.csv` by which trials are compared. */
export type SweepMetric =
  | "val_loss"
  | "val_accuracy"
  | "val_mse"
  | "val_psnr"
  | "loss"
  | "accuracy"
  | "mse"
  | "psnr"
  | "images_per_second";

/** Whether a greater number is the better one. */
const GREATER_IS_BETTER: Readonly<Record<SweepMetric, boolean>> = {
  val_loss: false,
  val_accuracy: true,
  val_mse: false,
  val_psnr: true,
  loss: false,
  accuracy: true,
  mse: false,
  psnr: true,
  images_per_second: true,
};

/**
 * The metric that is meant, in any spelling.
 *
 * @throws FlexaeError `FLEXAE_CONFIG` for an unknown one.
 */
export function metricOf(name: string): SweepMetric {
  const known = Object.keys(GREATER_IS_BETTER) as SweepMetric[];
  const found = known.find((metric) => nameKey(metric) === nameKey(name));
  if (found !== undefined) return found;
  const nearest = nearestName(name, known);
  const hint = nearest === undefined ? "" : ` (did you mean ${nearest}?)`;
  throw configError(
    `Expected one of ${known.join(", ")} for metric but received ${showName(name)}${hint}`,
  );
}

/** Whether a greater number is the better one. */
export function isGreaterBetter(metric: SweepMetric): boolean {
  return GREATER_IS_BETTER[metric];
}

/** A score of which less is better; null where there is none. */
export function ascending(metric: SweepMetric, score: number | null): number | null {
  if (score === null || !Number.isFinite(score)) return null;
  return GREATER_IS_BETTER[metric] ? -score : score;
}
