// Images that are the same everywhere, in memory and as files.

import { mkdirSync, writeFileSync } from "node:fs";
import path from "node:path";
import { encodeGrayPng } from "../setup/png.mjs";

/** `count` gray images of `side`² bytes, one after the other: bands and blocks with some noise. */
export function makeImages(count, side, seed) {
  const bytes = new Uint8Array(count * side * side);
  let state = seed;
  // Numerical Recipes' generator; integers alone, so that no machine rounds otherwise.
  const random = (below) => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return (state >>> 8) % below;
  };
  let at = 0;
  for (let i = 0; i < count; i++) {
    const [a, b, edge, shade] = [1 + random(9), 1 + random(9), random(side), random(120)];
    for (let y = 0; y < side; y++) {
      for (let x = 0; x < side; x++) {
        const block = x > edge && y > edge ? shade : 0;
        bytes[at++] = ((a * x + b * y) % 113) + block + random(16);
      }
    }
  }
  return bytes;
}

/** Writes them as PNG files below `folder`. */
export function writeImages(folder, count, side, seed) {
  mkdirSync(folder, { recursive: true });
  const bytes = makeImages(count, side, seed);
  for (let i = 0; i < count; i++) {
    const pixels = bytes.subarray(i * side * side, (i + 1) * side * side);
    const name = `${String(i).padStart(4, "0")}.png`;
    writeFileSync(path.join(folder, name), encodeGrayPng(pixels, side, side));
  }
}
