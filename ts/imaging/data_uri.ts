/** Pictures inside a page: PNG files as addresses that hold them. */
import type { Pixels } from "./decode.js";
import { reduce, toMat } from "./mat.js";
import { loadOpenCV } from "./opencv.js";

/**
 * A picture as `data:image/png;base64,…`.
 *
 * @param side - A larger one is reduced until its longer side has so many pixels.
 * @throws FlexaeError `FLEXAE_INTERNAL` with the remedy if opencv4nodejs does not load.
 */
export function pngDataUri({ pixels, shape }: Pixels, side: number): string {
  const cv = loadOpenCV();
  const picture = toMat(cv, pixels, shape);
  const isLarge = Math.max(shape.height, shape.width) > side;
  const png = cv.imencode(".png", isLarge ? reduce(cv, picture, side) : picture);
  return `data:image/png;base64,${png.toString("base64")}`;
}
