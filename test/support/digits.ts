import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { createRequire } from "node:module";
import { dirname, join } from "node:path";
import { encodeGrayPng } from "../../scripts/setup/png.mjs";

const SIDE = 28;
const folder = join(dirname(createRequire(import.meta.url).resolve("mnist")), "digits");

/** Writes real handwritten digits, `count` of each, below `target`/digit_N/. */
export function writeDigits(target: string, count: number, first: number): void {
  for (let digit = 0; digit < 10; digit++) {
    const { data } = JSON.parse(readFileSync(join(folder, `${digit}.json`), "utf8")) as {
      data: number[];
    };
    const into = join(target, `digit_${digit}`);
    mkdirSync(into, { recursive: true });
    for (let i = 0; i < count; i++) {
      const from = (first + i) * SIDE * SIDE;
      const pixels = Uint8Array.from(data.slice(from, from + SIDE * SIDE), (v) =>
        Math.round(v * 255),
      );
      writeFileSync(
        join(into, `${String(i).padStart(3, "0")}.png`),
        encodeGrayPng(pixels, SIDE, SIDE),
      );
    }
  }
}
