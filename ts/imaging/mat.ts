/** Pixels as OpenCV's matrices, and these at the size at which they are shown. */
import type { Mat, OpenCV } from "./opencv.js";
import type { Color } from "./text.js";

/** What an array of pixels is: `channels` planes (1 or 3) of `height` rows. */
export interface Shape {
  channels: number;
  height: number;
  width: number;
}

/** One image, channels first, as a BGR picture. */
export function toMat(cv: OpenCV, image: Uint8Array, { channels, height, width }: Shape): Mat {
  const area = height * width;
  const pixels = Buffer.alloc(area * 3);
  for (let i = 0; i < area; i++) {
    const red = image[i] as number;
    pixels[3 * i + 2] = red;
    pixels[3 * i + 1] = channels === 3 ? (image[area + i] as number) : red;
    pixels[3 * i] = channels === 3 ? (image[2 * area + i] as number) : red;
  }
  return new cv.Mat(pixels, height, width, cv.CV_8UC3);
}

/** A picture of one colour. */
export function plain(cv: OpenCV, width: number, height: number, [red, green, blue]: Color): Mat {
  // From bytes: to fill a matrix by a colour takes opencv4nodejs a hundred times as long.
  const pixels = Buffer.alloc(3 * width * height, Uint8Array.of(blue, green, red));
  return new cv.Mat(pixels, height, width, cv.CV_8UC3);
}

/** The size of a picture whose longer side becomes `side` pixels. */
export function sizeWithin(
  width: number,
  height: number,
  side: number,
): { width: number; height: number } {
  const scale = side / Math.max(width, height);
  const scaled = (length: number) => Math.max(1, Math.round(length * scale));
  return { width: scaled(width), height: scaled(height) };
}

/** The longer side becomes `side` pixels, which are means of those they cover. */
export function reduce(cv: OpenCV, picture: Mat, side: number): Mat {
  const { width, height } = sizeWithin(picture.cols, picture.rows, side);
  return picture.resize(height, width, 0, 0, cv.INTER_AREA);
}

/** Enlarges by a whole number, so that single pixels stay visible. */
export function enlarge(cv: OpenCV, picture: Mat, factor: number): Mat {
  return picture.resize(picture.rows * factor, picture.cols * factor, 0, 0, cv.INTER_NEAREST);
}
