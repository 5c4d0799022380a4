/** The contact sheet of outliers: each image, its reconstruction, and where that fails. */
import { join } from "node:path";
import { dataError } from "../addon/errors.js";
import { awaitAddon } from "../addon/loader.js";
import type { Interpolation } from "../addon/types.js";
import { toLoadOptions } from "../config/data.js";
import { MAX_PIXELS } from "../config/parameters.js";
import { beside } from "../files/paths.js";
import { writeContactSheet } from "../imaging/contact_sheet.js";
import type { Pixels } from "../imaging/decode.js";
import { commonScale, errorMap, type HeatMap, paintHeat } from "../imaging/heat_map.js";
import { loadOpenCV } from "../imaging/opencv.js";
import { readManifest } from "../runs/setting.js";
import type { EmbedOptions } from "./embed.js";
import type { Outliers } from "./outliers.js";

/** How the sheet is drawn. */
export interface OutlierSheetOptions
  extends Pick<EmbedOptions, "device" | "precision" | "maxPixels" | "trust" | "signal"> {
  /** Images it shows at the most; 50 unless given. */
  images?: number | undefined;
  /** Called before each image with the share that is done, from 0 to 1. */
  onProgress?: ((share: number) => void) | undefined;
}

/** What was drawn. */
export interface OutlierSheet {
  /** The file. */
  path: string;
  /** Images on it. */
  images: number;
  /** How many of them could not be read: their places are grey. */
  unreadable: number;
}

/** Pixels a side of each picture. */
const SIDE = 96;
/** Tiles a row, of three pictures each. */
const COLUMNS = 5;

/** An image as the model takes it, what it gives back, and how far that is off. */
interface Compared {
  image: Pixels;
  reconstruction: Pixels;
  errors: HeatMap;
}

/** The most unusual images through the model; null of those that cannot be read. */
async function compare(
  files: readonly string[],
  path: string,
  options: OutlierSheetOptions,
): Promise<(Compared | null)[]> {
  const { device = "auto", precision = "auto", trust = false, signal, onProgress } = options;
  const model = await awaitAddon((addon) => addon.loadModel(path, device, { trust, precision }));
  try {
    const [channels, height, width] = model.inputShape as [number, number, number];
    const shape = { channels, height, width };
    const trained = readManifest(model.configJson)?.settings.interpolation;
    const load = toLoadOptions({
      interpolation: (trained as Interpolation | undefined) ?? "area",
      workers: 1,
      cache: "none",
      max_pixels: options.maxPixels ?? MAX_PIXELS,
    });
    const compared: (Compared | null)[] = [];
    for (const [i, file] of files.entries()) {
      signal?.throwIfAborted();
      onProgress?.(i / files.length);
      let pixels: Uint8Array;
      try {
        pixels = await awaitAddon((addon) => addon.decodeImages([file], shape, load));
      } catch {
        // It is gone by now: null says so.
        compared.push(null);
        continue;
      }
      const given = await awaitAddon(() => model.reconstruct(pixels));
      compared.push({
        image: { pixels, shape },
        reconstruction: {
          pixels: Uint8Array.from(given, (value) => Math.round(255 * value)),
          shape,
        },
        errors: errorMap(pixels, given, shape, SIDE),
      });
    }
    return compared;
  } finally {
    model.dispose();
  }
}

/** A few digits, for a caption. */
function shortNumber(value: number): string {
  return Math.abs(value) < 100 ? value.toFixed(1) : value.toPrecision(3);
}

/**
 * Draws the most unusual images into `STEM.png` beside the table `out`, in one step. Errors have
 * one scale, so that they can be compared between images.
 *
 * @throws FlexaeError `FLEXAE_INTERNAL` with the remedy if opencv4nodejs does not load,
 *   `FLEXAE_DATA` if none of the images can be read, `FLEXAE_IO` if the sheet cannot be written.
 */
export async function writeOutlierSheet(
  out: string,
  found: Outliers,
  options: OutlierSheetOptions = {},
): Promise<OutlierSheet> {
  // Before anything is computed.
  loadOpenCV();
  const { images: most = 50, signal } = options;
  const { paths, sets, scores, threshold, model } = found;
  const count = Math.min(most, paths.length);
  const files = Array.from({ length: count }, (_, i) =>
    join(sets[i] as string, paths[i] as string),
  );
  const compared = await compare(files, model, options);
  const maps = compared.flatMap((pictures) => pictures?.errors ?? []);
  if (maps.length === 0) {
    throw dataError(`none of the images can be read any more, such as ${files[0]}`);
  }
  const scale = commonScale(maps);
  const tiles = compared.map((pictures, i) => ({
    pictures:
      pictures === null
        ? [{ file: files[i] as string }]
        : [pictures.image, pictures.reconstruction, paintHeat(pictures.errors, scale)],
    caption: `${paths[i]}  ${shortNumber(scores[i] as number)}`,
  }));
  const sheet = beside(out, ".png");
  await writeContactSheet(
    sheet,
    {
      title: `the ${count} most unusual of ${paths.length.toLocaleString("en-US")} images`,
      note: `image, reconstruction, absolute error (black 0, yellow ${scale.toPrecision(2)}); score (outliers above ${threshold})`,
      tiles,
    },
    { size: SIDE, columns: COLUMNS, maxPixels: options.maxPixels ?? MAX_PIXELS, signal },
  );
  return { path: sheet, images: count, unreadable: count - maps.length };
}
