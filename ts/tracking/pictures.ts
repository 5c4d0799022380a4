/** Images and what a model makes of them, as pictures. */
import { pngFile } from "../imaging/page_picture.js";
import type { TrainingEvent } from "../runs/training_event.js";
import type { Picture } from "./run_events.js";

type ReconstructionsEvent = Extract<TrainingEvent, { type: "reconstructions" }>;

/** Larger ones are reduced: they are looked at side by side, and kept once an epoch. */
const SIDE = 512;

/** From one image's pixels, channel by channel, as OpenCV's side of this program takes them. */
function planes(pixels: Uint8Array, channels: number): Uint8Array {
  if (channels === 1) return pixels;
  const area = pixels.length / channels;
  const made = new Uint8Array(pixels.length);
  for (let i = 0, from = 0; i < area; i++) {
    for (let channel = 0; channel < channels; channel++) {
      made[channel * area + i] = pixels[from++] as number;
    }
  }
  return made;
}

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
  [count, height, width, channels]: ReconstructionsEvent["shape"],
): Picture[] {
  const length = height * width * channels;
  return Array.from({ length: count }, (_, i) => {
    const image = planes(pixels.subarray(i * length, (i + 1) * length), channels);
    const png = pngFile({ pixels: image, shape: { channels, height, width } }, SIDE);
    return pictureOf(`${tag}/${i + 1}`, png) as Picture;
  });
}
