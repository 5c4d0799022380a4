import type { LoadOptions } from "../addon/types.js";
import type { Settings } from "./settings.js";

/** How the addon is to load images. */
export function toLoadOptions(
  settings: Pick<Settings, "interpolation" | "workers" | "cache" | "max_pixels">,
): LoadOptions {
  const { interpolation, workers, cache, max_pixels: maxPixels } = settings;
  return { interpolation, workers, cache, maxPixels };
}
