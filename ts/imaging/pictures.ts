/** The before-and-after pictures of a run. */
import { readdir, rm } from "node:fs/promises";
import { join } from "node:path";
import { loadAddon } from "../addon/loader.js";
import type { ImageSource, LoadOptions, ModelHandle } from "../addon/types.js";
import { writeFileAtomic } from "../files/atomic.js";
import { shuffledIndices } from "../random.js";
import { enlarge, plain, reduce, type Shape, toMat } from "./mat.js";
import { loadOpenCV, type Mat, type OpenCV } from "./opencv.js";
import type { Color } from "./text.js";

/** Pairs shown of each set. */
export const SAMPLE_SIZE = 10;

const PAIRS_A_ROW = 5;
/** Smaller images are enlarged in the sheet to at least this many pixels a side. */
const LEAST_TILE = 96;
/** Larger ones are reduced to at most this many. */
const LARGEST_TILE = 384;
const PAIR_GAP = 2;
const MARGIN = 12;
const BACKGROUND: Color = [255, 255, 255];

export type SetName = "train" | "valid";

export interface PictureRequest {
  /** An autoencoder. */
  model: ModelHandle;
  set: SetName;
  source: ImageSource;
  load: LoadOptions;
  seed: number;
  /** The folder they go to. */
  folder: string;
}

/** Draws images of the source in a seeded order, passing over what cannot be decoded. */
async function drawSample(request: PictureRequest, shape: Shape): Promise<Uint8Array[]> {
  const { source, seed, load } = request;
  const { channels, height, width } = shape;
  const size = channels * height * width;
  if ("images" in source) {
    const sample: Uint8Array[] = [];
    for (const index of shuffledIndices(source.images.length / size, seed)) {
      if (sample.length === SAMPLE_SIZE) break;
      sample.push(source.images.subarray(index * size, (index + 1) * size));
    }
    return sample;
  }
  const sample: Uint8Array[] = [];
  // A set of nothing but bad files must not be walked to its end.
  let attempts = SAMPLE_SIZE * 10;
  for (const index of shuffledIndices(source.files.length, seed)) {
    if (sample.length === SAMPLE_SIZE || attempts-- === 0) break;
    try {
      const file = source.files[index] as string;
      sample.push(await loadAddon().decodeImages([file], { height, width, channels }, load));
    } catch {
      // Named in bad_images.csv already.
    }
  }
  return sample;
}

/** Fits a tile to the sheet. */
function fitTile(cv: OpenCV, tile: Mat): Mat {
  const short = Math.min(tile.rows, tile.cols);
  const long = Math.max(tile.rows, tile.cols);
  if (long > LARGEST_TILE) return reduce(cv, tile, LARGEST_TILE);
  const factor = Math.min(Math.ceil(LEAST_TILE / short), Math.floor(LARGEST_TILE / long));
  return enlarge(cv, tile, Math.max(1, factor));
}

/** Lays out the pairs, original left and reconstruction right, five pairs a row. */
function composeSheet(cv: OpenCV, pairs: readonly (readonly [Mat, Mat])[]): Mat {
  const tiles = pairs.map(([before, after]) => [fitTile(cv, before), fitTile(cv, after)] as const);
  const first = tiles[0] as readonly [Mat, Mat];
  const { rows: height, cols: width } = first[0];
  const columns = Math.min(PAIRS_A_ROW, tiles.length);
  const lines = Math.ceil(tiles.length / columns);
  const pairWidth = 2 * width + PAIR_GAP;
  const sheet = plain(
    cv,
    columns * (pairWidth + MARGIN) + MARGIN,
    lines * (height + MARGIN) + MARGIN,
    BACKGROUND,
  );
  for (const [index, [before, after]] of tiles.entries()) {
    const x = MARGIN + (index % columns) * (pairWidth + MARGIN);
    const y = MARGIN + Math.floor(index / columns) * (height + MARGIN);
    before.copyTo(sheet.getRegion(new cv.Rect(x, y, width, height)));
    after.copyTo(sheet.getRegion(new cv.Rect(x + width + PAIR_GAP, y, width, height)));
  }
  return sheet;
}

/**
 * Writes `{set}_eval_{orig,pred}_image_{0…9}.png` at the model's size, and `{set}_comparison.png`.
 * A set of fewer than ten images gives as many pairs as it has.
 *
 * @returns The names of the files written; none when no image could be read.
 */
export async function writePictures(request: PictureRequest): Promise<string[]> {
  const cv = loadOpenCV();
  const { model, set, folder } = request;
  const [channels, height, width] = model.inputShape as [number, number, number];
  const shape: Shape = { channels, height, width };
  const size = channels * height * width;
  const originals = await drawSample(request, shape);
  // An earlier, larger sample must not be mixed with this one.
  const stale = new RegExp(`^${set}_(comparison|eval_(orig|pred)_image_\\d+)\\.png$`);
  for (const name of await readdir(folder)) {
    if (stale.test(name)) await rm(join(folder, name), { force: true });
  }
  const names: string[] = [];
  const save = async (name: string, picture: Mat) => {
    await writeFileAtomic(join(folder, name), cv.imencode(".png", picture));
    names.push(name);
  };
  const pairs: [Mat, Mat][] = [];
  for (const [index, original] of originals.entries()) {
    const output = await model.reconstruct(original);
    const reconstruction = new Uint8Array(size);
    for (let i = 0; i < size; i++) reconstruction[i] = Math.round((output[i] as number) * 255);
    const pair: [Mat, Mat] = [toMat(cv, original, shape), toMat(cv, reconstruction, shape)];
    await save(`${set}_eval_orig_image_${index}.png`, pair[0]);
    await save(`${set}_eval_pred_image_${index}.png`, pair[1]);
    pairs.push(pair);
  }
  if (pairs.length > 0) await save(`${set}_comparison.png`, composeSheet(cv, pairs));
  return names;
}
