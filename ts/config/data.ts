import { z } from "zod";
import type { LoadOptions } from "../addon/types.js";
import { CACHES, INTERPOLATIONS } from "./parameters.js";

// A path with a NUL byte cannot exist; the system calls would report it without its name.
const path = z
  .string()
  .min(1)
  .refine((text) => !text.includes("\0"));

export const dataSchema = z.strictObject({
  train_dir: path,
  valid_dir: path,
  horizontal_flip: z.boolean(),
  vertical_flip: z.boolean(),
  interpolation: z.enum(INTERPOLATIONS),
  workers: z.int().min(0).max(1024),
  cache: z.enum(CACHES),
  max_bad: z.number().min(0).max(1),
  // More are beyond what OpenCV decodes.
  max_pixels: z
    .int()
    .min(1)
    .max(2 ** 30),
});

export type DataSettings = z.infer<typeof dataSchema>;

/** How the addon is to load images. */
export function toLoadOptions(
  settings: Pick<DataSettings, "interpolation" | "workers" | "cache" | "max_pixels">,
): LoadOptions {
  const { interpolation, workers, cache, max_pixels: maxPixels } = settings;
  return { interpolation, workers, cache, maxPixels };
}
