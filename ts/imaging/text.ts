/** Lines of text in pictures. */
import type { Mat, OpenCV } from "./opencv.js";

/** Red, green and blue, 0…255 each. */
export type Color = readonly [red: number, green: number, blue: number];

/** A colour as OpenCV orders it. */
export function toVec(cv: OpenCV, [red, green, blue]: Color): unknown {
  return new cv.Vec3(blue, green, red);
}

/** The only characters that OpenCV's fonts have; others become a question mark. */
function drawable(text: string): string {
  return text.replace(/[^\x20-\x7e]/gu, "?");
}

/** Pixels that a line takes. */
export function textWidth(cv: OpenCV, text: string, scale: number): number {
  return cv.getTextSize(drawable(text), cv.FONT_HERSHEY_SIMPLEX, scale, 1).size.width;
}

/**
 * What of a text fits into `width` pixels. Something in the middle gives way; more of the end is
 * kept, for that is where paths differ.
 */
export function cutText(cv: OpenCV, text: string, scale: number, width: number): string {
  const whole = drawable(text);
  if (textWidth(cv, whole, scale) <= width) return whole;
  // More characters are hardly ever narrower, so their number is found by halving.
  const cut = (kept: number) =>
    `${whole.slice(0, kept >> 2)}..${whole.slice(whole.length - (kept - (kept >> 2)))}`;
  let [fits, tooMany] = [0, whole.length];
  while (tooMany - fits > 1) {
    const middle = (fits + tooMany) >> 1;
    if (textWidth(cv, cut(middle), scale) <= width) fits = middle;
    else tooMany = middle;
  }
  return fits === 0 ? "" : cut(fits);
}

/** Draws a line of text whose letters stand on `baseline`, `x` to the left. */
export function drawText(
  cv: OpenCV,
  picture: Mat,
  text: string,
  { x, baseline, scale, color }: { x: number; baseline: number; scale: number; color: Color },
): void {
  picture.putText(
    drawable(text),
    new cv.Point2(x, baseline),
    cv.FONT_HERSHEY_SIMPLEX,
    scale,
    toVec(cv, color),
    1,
    cv.LINE_AA,
  );
}
