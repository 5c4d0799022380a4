/** Pictures for a page: PNG files, by themselves or as addresses that hold them. */
import type { Pixels } from "./decode.js";
import { reduce, toMat } from "./mat.js";
import { loadOpenCV } from "./opencv.js";

/**
 * A picture as a PNG file.
 *
 * @param side - A larger one is reduced until its longer side has so many pixels.
 * @throws FlexaeError `FLEXAE_INTERNAL` with the remedy if opencv4nodejs does not load.
 */
export function pngFile({ pixels, shape }: Pixels, side: number): Buffer {
  const cv = loadOpenCV();
  const picture = toMat(cv, pixels, shape);
  const isLarge = Math.max(shape.height, shape.width) > side;
  return cv.imencode(".png", isLarge ? reduce(cv, picture, side) : picture);
}

/** A picture as `data:image/png;base64,…`, as {@link pngFile} makes it. */
export function pngDataUri(picture: Pixels, side: number): string {
  return `data:image/png;base64,${pngFile(picture, side).toString("base64")}`;
}
