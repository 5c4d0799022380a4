import { z } from "zod";
import { LEARNING_RATES, OPTIMIZERS } from "./parameters.js";

const count = z
  .int()
  .min(1)
  .max(2 ** 31 - 1);

export const trainingSchema = z.strictObject({
  train_epochs: count,
  batch_size: count,
  optimizer: z.enum(OPTIMIZERS),
  learning_rate: z.number().positive().nullable(),
  patience: count,
  period: count,
  checkpoint_epochs: z
    .int()
    .min(0)
    .max(2 ** 31 - 1),
  checkpoint_minutes: z.number().min(0).max(1e6),
  keep: z
    .int()
    .min(0)
    .max(2 ** 31 - 1),
  on_nan: z.enum(["stop", "skip"]),
  seed: z.int().min(0),
  device: z.string().regex(/^(auto|cpu|cuda(:\d{1,3})?)$/),
  precision: z.enum(["auto", "fp32", "bf16"]),
  threads: z.int().min(0).max(1024),
});

export type TrainingSettings = z.infer<typeof trainingSchema>;

/** The learning rate asked for, or else the optimizer's own. */
export function learningRate(
  settings: Pick<TrainingSettings, "optimizer" | "learning_rate">,
): number {
  return settings.learning_rate ?? LEARNING_RATES[settings.optimizer];
}
