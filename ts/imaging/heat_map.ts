/** Heat maps: where two images differ. */
import type { Pixels } from "./decode.js";
import { type Shape, sizeWithin } from "./mat.js";

/** A number for each pixel, row by row. */
export interface HeatMap {
  values: Float32Array;
  height: number;
  width: number;
}

/** Of all pixels, this share has its own colour; the rest, the very largest, has the last one. */
const SHARE_IN_SCALE = 0.995;

/** Every 15th of matplotlib's 256 colours "inferno", whose lightness rises evenly; black first. */
const INFERNO = [
  [0, 0, 4],
  [10, 7, 34],
  [30, 12, 69],
  [56, 9, 98],
  [81, 14, 108],
  [105, 22, 110],
  [128, 31, 108],
  [152, 39, 102],
  [176, 49, 91],
  [198, 61, 77],
  [217, 77, 61],
  [233, 97, 43],
  [244, 121, 24],
  [250, 148, 7],
  [252, 176, 20],
  [248, 205, 55],
  [242, 234, 105],
  [252, 255, 164],
] as const;

/** A map reduced to `height` × `width`: means of the pixels that each covers. */
function reduceMap(map: HeatMap, height: number, width: number): HeatMap {
  const values = new Float32Array(height * width);
  const from = (i: number, length: number, whole: number) => Math.floor((i * whole) / length);
  for (let y = 0; y < height; y++) {
    const [top, bottom] = [from(y, height, map.height), from(y + 1, height, map.height)];
    for (let x = 0; x < width; x++) {
      const [left, right] = [from(x, width, map.width), from(x + 1, width, map.width)];
      let sum = 0;
      for (let row = top; row < bottom; row++) {
        for (let i = left; i < right; i++) sum += map.values[row * map.width + i] as number;
      }
      values[y * width + x] = sum / ((bottom - top) * (right - left));
    }
  }
  return { values, height, width };
}

/**
 * The absolute error of each pixel of a reconstruction, a mean over channels, 0…1.
 *
 * @param image - C×H×W bytes.
 * @param reconstruction - C×H×W numbers, 0…1.
 * @param side - A larger map is reduced until its longer side has so many pixels.
 */
export function errorMap(
  image: Uint8Array,
  reconstruction: Float32Array,
  { channels, height, width }: Shape,
  side: number,
): HeatMap {
  const area = height * width;
  const values = new Float32Array(area);
  for (let i = 0; i < channels * area; i++) {
    const error = Math.abs((image[i] as number) / 255 - (reconstruction[i] as number));
    values[i % area] = (values[i % area] as number) + error / channels;
  }
  const map = { values, height, width };
  if (Math.max(height, width) <= side) return map;
  const size = sizeWithin(width, height, side);
  return reduceMap(map, size.height, size.width);
}

/** What the last colour stands for in maps that are to be compared: nearly their greatest number. */
export function commonScale(maps: readonly HeatMap[]): number {
  const all = new Float32Array(maps.reduce((length, { values }) => length + values.length, 0));
  let at = 0;
  for (const { values } of maps) {
    all.set(values, at);
    at += values.length;
  }
  all.sort();
  return all[Math.floor(SHARE_IN_SCALE * (all.length - 1))] ?? 0;
}

/** A map in colours, from black for 0 through red to light yellow for `scale` and more. */
export function paintHeat({ values, height, width }: HeatMap, scale: number): Pixels {
  const area = height * width;
  const pixels = new Uint8Array(3 * area);
  const last = INFERNO.length - 1;
  for (const [i, value] of values.entries()) {
    const place = scale > 0 ? Math.min(1, value / scale) * last : 0;
    const below = Math.min(Math.floor(place), last - 1);
    for (let channel = 0; channel < 3; channel++) {
      const [a, b] = [INFERNO[below]?.[channel] as number, INFERNO[below + 1]?.[channel] as number];
      pixels[channel * area + i] = Math.round(a + (place - below) * (b - a));
    }
  }
  return { pixels, shape: { channels: 3, height, width } };
}
