import { LEARNING_RATES } from "./choices.js";
import type { Settings } from "./settings.js";

/** The learning rate asked for, or else the optimizer's own. */
export function learningRate(settings: Pick<Settings, "optimizer" | "learning_rate">): number {
  return settings.learning_rate ?? LEARNING_RATES[settings.optimizer];
}
