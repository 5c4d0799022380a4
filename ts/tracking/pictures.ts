/** Images and what a model makes of them, as pictures. */
import { type StripShape, stripPng } from "../imaging/strip.js";
import type { Picture } from "./run_events.js";

/** Width and height in the header of a PNG file; null if it is none. */
function pngSize(png: Uint8Array): { width: number; height: number } | null {
  const bytes = Buffer.from(png.buffer, png.byteOffset, png.byteLength);
  if (bytes.length < 24 || bytes.readUInt32BE(0) !== 0x89504e47) return null;
  return { width: bytes.readUInt32BE(16), height: bytes.readUInt32BE(20) };
}

/** A PNG file under its tag; null if it is none. */
export function pictureOf(tag: string, png: Uint8Array): Picture | null {
  const size = pngSize(png);
  return size === null ? null : { tag, png, ...size };
}

/**
 * Each image of a batch as a picture, `TAG/1`, `TAG/2`, …
 *
 * @throws FlexaeError `FLEXAE_INTERNAL` with the remedy if opencv4nodejs does not load.
 */
export function picturesOf(
  tag: string,
  pixels: Uint8Array,
  [count, height, width, channels]: StripShape,
): Picture[] {
  const length = height * width * channels;
  return Array.from({ length: count }, (_, i) => {
    const image = pixels.subarray(i * length, (i + 1) * length);
    const png = stripPng(image, [1, height, width, channels]);
    return pictureOf(`${tag}/${i + 1}`, png) as Picture;
  });
}
