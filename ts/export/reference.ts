/** What the native pass makes of a few images, with which exported files are compared. */
import { FlexaeError } from "../addon/errors.js";
import { awaitAddon } from "../addon/loader.js";
import type { Interpolation, ModelHandle } from "../addon/types.js";
import { MAX_PIXELS } from "../config/parameters.js";
import { readManifest } from "../runs/setting.js";
import {
  asFloats,
  type NativeOutputs,
  type OutputDifference,
  outputDifference,
  outputsOf,
  syntheticLevels,
  withModel,
} from "./native_outputs.js";

/** An image as it is before it is resized. */
export interface Picture {
  height: number;
  width: number;
  /** H×W×C bytes. */
  bytes: Uint8Array;
}

/** Images, and what goes into the network. */
export interface ReferenceImages {
  /** N. */
  count: number;
  /** N×C×H×W, from 0 to 255. */
  levels: Uint8Array;
  /** Of what those are made; only where graphs resize. */
  pictures: Picture[];
}

/** Images, and what the native pass gives of them: N of each. */
export interface Reference extends ReferenceImages, NativeOutputs {
  /** How far other outputs may be away. */
  tolerance: OutputDifference;
}

const IMAGES = 2;

type Shape = readonly [channels: number, height: number, width: number];

/** C×H×W bytes as H×W×C. */
function channelsLast(levels: Uint8Array, [channels, height, width]: Shape): Picture {
  const pixels = height * width;
  const bytes = new Uint8Array(levels.length);
  for (let i = 0; i < levels.length; i++) {
    bytes[(i % pixels) * channels + Math.floor(i / pixels)] = levels[i] as number;
  }
  return { height, width, bytes };
}

/** A picture as a file of PNM, gray or RGB: what decoders read that needs no encoder. */
function pnmFile({ height, width, bytes }: Picture): Uint8Array {
  const kind = bytes.length === height * width ? "P5" : "P6";
  return Buffer.concat([Buffer.from(`${kind} ${width} ${height} 255\n`, "latin1"), bytes]);
}

/**
 * Synthetic images, the same ones each time, of which each level is halved `darkened` times. Where
 * graphs resize, the second one is larger in one direction and smaller in the other, and is resized
 * as in training.
 */
async function referenceImages(
  { inputShape, configJson }: ModelHandle,
  withResize: boolean,
  darkened: number,
): Promise<ReferenceImages> {
  const shape = inputShape as unknown as Shape;
  const [channels, height, width] = shape;
  const draw = (count: number, of: Shape) => {
    return syntheticLevels(count, of).map((level) => level >> darkened);
  };
  const levels = draw(IMAGES, shape);
  if (!withResize) return { count: IMAGES, levels, pictures: [] };
  const size = channels * height * width;
  const other: Shape = [channels, 2 * height + 3, Math.max(1, width - 5)];
  const pictures = [
    channelsLast(levels.subarray(0, size), shape),
    channelsLast(draw(1, other), other),
  ];
  const settings = readManifest(configJson)?.settings;
  const interpolation = (settings?.interpolation ?? "area") as Interpolation;
  const load = { interpolation, workers: 1, cache: "none", maxPixels: MAX_PIXELS } as const;
  const resized = await awaitAddon((addon) =>
    addon.decodeImages([pnmFile(pictures[1] as Picture)], { height, width, channels }, load),
  );
  levels.set(resized, size);
  return { count: IMAGES, levels, pictures };
}

/** Where rounding moves nothing more than usual. */
const TOLERANCE = 1e-5;
/** Networks that make more of the last bit cannot be told from others. */
const MOST_TOLERANCE = 1e-3;
/** How many roundings of the input those of all layers are worth. */
const ROUNDINGS = 16;
/** The next but one fp32 number. */
const MOVED = 1 + 2 ** -22;

/** Half the distance from 1 to the next fp32 number. */
const HALF_STEP = 2 ** -24;

/**
 * What the order of a sum is worth: of K products, rounded one after another, the square root of K
 * roundings (Higham, Accuracy and Stability of Numerical Algorithms, 2002, section 4.2). Of the
 * layer that sums most.
 */
async function roundingOfSums({ configJson }: ModelHandle): Promise<number> {
  const manifest = readManifest(configJson);
  if (manifest === null) return 0;
  const network = JSON.stringify(manifest.model);
  const { layers } = await awaitAddon(async (addon) => addon.summarize(network, 1, "sgd", "cpu"));
  const sums = layers.map(({ macs, outputShape }) => macs / outputShape.reduce((a, b) => a * b, 1));
  return Math.sqrt(Math.max(...sums)) * HALF_STEP;
}

/**
 * How far what computes the same may be away. Layers that are exponential, or subtract what is large,
 * make much of the last bits: as much as of those of the images, which are moved to see it.
 */
async function toleranceOf(
  model: ModelHandle,
  levels: Uint8Array,
  outputs: NativeOutputs,
): Promise<OutputDifference> {
  // The first one alone, which is the finest.
  const first = <T extends Float32Array | Uint8Array>(all: T) =>
    all.subarray(0, all.length / IMAGES) as T;
  const moved = asFloats(first(levels)).map((value) => value * MOVED);
  const { embedding, reconstruction } = outputDifference(await outputsOf(model, moved), {
    embedding: first(outputs.embedding),
    reconstruction: outputs.reconstruction && first(outputs.reconstruction),
  });
  const ofSums = await roundingOfSums(model);
  const bounded = (difference: number) =>
    Math.min(MOST_TOLERANCE, Math.max(TOLERANCE, ofSums, ROUNDINGS * difference));
  return { embedding: bounded(embedding), reconstruction: bounded(reconstruction) };
}

const areFinite = ({ embedding, reconstruction }: NativeOutputs) =>
  embedding.every(Number.isFinite) && (reconstruction?.every(Number.isFinite) ?? true);

/**
 * Runs a model on the images: dark ones if it gives numbers that are not finite of light ones, as
 * networks do that are exponential.
 *
 * @param withResize - Whether one of them is to be resized.
 * @throws FlexaeError `FLEXAE_MODEL` if it is none of this program, or gives no finite numbers;
 *   `FLEXAE_IO`.
 */
export async function readReference(path: string, withResize: boolean): Promise<Reference> {
  return await withModel(path, async (model) => {
    for (const darkened of [0, 2, 4, 8]) {
      const images = await referenceImages(model, withResize, darkened);
      const outputs = await outputsOf(model, images.levels);
      if (!areFinite(outputs)) continue;
      const tolerance = await toleranceOf(model, images.levels, outputs);
      return { ...images, ...outputs, tolerance };
    }
    throw new FlexaeError(
      "FLEXAE_MODEL",
      `${path} gives numbers that are not finite, even of black images: train it anew`,
    );
  });
}
