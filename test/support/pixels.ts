/** Images as pixels, read by this program's own decoder. */
import { writeFileSync } from "node:fs";
import { loadAddon } from "../../ts/addon/loader.ts";

export interface Image {
  width: number;
  height: number;
  /** Red, green and blue. */
  at(x: number, y: number): [number, number, number];
}

/** Decodes an image file at its full size. */
export async function readImage(file: string): Promise<Image> {
  const load = { interpolation: "area", workers: 1, cache: "none", maxPixels: 1e8 } as const;
  const examined = await loadAddon().examineImages([file], { channels: 3 }, load);
  if (examined.reasons[0] !== null) throw new Error(`${file}: ${examined.reasons[0]}`);
  const [width, height] = [examined.widths[0] as number, examined.heights[0] as number];
  const pixels = await loadAddon().decodeImages([file], { width, height, channels: 3 }, load);
  const plane = (channel: number, x: number, y: number) =>
    pixels[(channel * height + y) * width + x] as number;
  return { width, height, at: (x, y) => [plane(0, x, y), plane(1, x, y), plane(2, x, y)] };
}

/** Writes a colour image (PPM); `color` gives red, green and blue. */
export function writeImage(
  file: string,
  width: number,
  height: number,
  color: (x: number, y: number) => readonly [number, number, number],
): void {
  const pixels: number[] = [];
  for (let y = 0; y < height; y++) for (let x = 0; x < width; x++) pixels.push(...color(x, y));
  const header = Buffer.from(`P6 ${width} ${height} 255\n`, "latin1");
  writeFileSync(file, Buffer.concat([header, Buffer.from(pixels)]));
}
