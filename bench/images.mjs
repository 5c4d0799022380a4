// Images that benchmarks read from files.

import { mkdir, writeFile } from "node:fs/promises";
import path from "node:path";
import { encodeGrayPng } from "../scripts/setup/png.mjs";

/**
 * Writes soft shapes with some noise, in ten folders: gray, `side` pixels a side.
 * @param {(pixels: Uint8Array, width: number, height: number) => Uint8Array} encode PNG unless given
 * @param {string} extension of the encoder's format
 */
export async function writeImages(folder, count, side, encode = encodeGrayPng, extension = "png") {
  let state = 1;
  const random = () => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return state / 2 ** 32;
  };
  for (let i = 0; i < count; i++) {
    const into = path.join(folder, `class_${i % 10}`);
    if (i < 10) await mkdir(into, { recursive: true });
    const [x, y, r] = [random() * side, random() * side, (0.1 + random() / 3) * side];
    const pixels = new Uint8Array(side * side);
    for (let at = 0; at < pixels.length; at++) {
      const far = Math.hypot((at % side) - x, Math.floor(at / side) - y) / r;
      pixels[at] = Math.max(0, 220 * (1 - far * far)) + 24 * random();
    }
    await writeFile(path.join(into, `${i}.${extension}`), encode(pixels, side, side));
  }
}
