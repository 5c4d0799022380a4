/** A few images beside each other. */
import { loadOpenCV } from "./opencv.js";

/** Images, rows, columns, channels (1 or 3). */
export type StripShape = readonly [count: number, height: number, width: number, channels: number];

/**
 * A PNG file of images beside each other, grey if they are.
 *
 * @param images - Count × height × width × channels, 0 to 255.
 * @throws FlexaeError `FLEXAE_INTERNAL` with the remedy if opencv4nodejs does not load.
 */
export function stripPng(images: Uint8Array, [count, height, width, channels]: StripShape): Buffer {
  const cv = loadOpenCV();
  const row = width * channels;
  const pixels = Buffer.alloc(images.length);
  for (let image = 0; image < count; image++) {
    for (let y = 0; y < height; y++) {
      const from = (image * height + y) * row;
      pixels.set(images.subarray(from, from + row), (y * count + image) * row);
    }
  }
  // OpenCV has blue first.
  for (let i = 0; channels === 3 && i < pixels.length; i += 3) {
    const red = pixels[i] as number;
    pixels[i] = pixels[i + 2] as number;
    pixels[i + 2] = red;
  }
  const type = channels === 3 ? cv.CV_8UC3 : cv.CV_8UC1;
  return cv.imencode(".png", new cv.Mat(pixels, height, count * width, type));
}
