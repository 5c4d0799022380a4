/** What a model gives with weights in fp16, beside what it gives with its own. */
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { awaitAddon } from "../addon/loader.js";
import type { ModelHandle, TensorEntry } from "../addon/types.js";
import type { ExportSource } from "./format.js";
import { fromHalf, isHalved, toHalf } from "./half.js";

/** What fp16 weights do to outputs, on 16 synthetic images. */
export interface OutputDifference {
  /** The largest difference of an embedding's number, divided by the largest of those numbers. */
  embedding: number;
  /** The largest difference of a reconstructed pixel, which is from 0 to 1. */
  reconstruction: number;
}

const IMAGES = 16;

/**
 * Images of squares, from 1 pixel to 16, each of one value drawn at random: fine and coarse, dark
 * and light. The same ones each time.
 */
function syntheticImages([channels, height, width]: [number, number, number]): Float32Array {
  const images = new Float32Array(IMAGES * channels * height * width);
  let at = 0;
  for (let image = 0; image < IMAGES; image++) {
    const side = 1 << (image % 5);
    for (let channel = 0; channel < channels; channel++) {
      for (let y = 0; y < height; y++) {
        for (let x = 0; x < width; x++) {
          const square = (Math.floor(y / side) * 4099 + Math.floor(x / side)) * 31 + channel;
          // Knuth's multiplicative hash.
          images[at++] = (Math.imul(square * 17 + image, 0x9e3779b1) >>> 8) / 2 ** 24;
        }
      }
    }
  }
  return images;
}

function largestDifference(a: Float32Array, b: Float32Array): number {
  return a.reduce((most, value, i) => Math.max(most, Math.abs(value - (b[i] as number))), 0);
}

async function outputsOf(path: string, images: Float32Array) {
  const model: ModelHandle = await awaitAddon((addon) =>
    addon.loadModel(path, "cpu", { trust: false, precision: "fp32" }),
  );
  try {
    return [await model.encode(images), await model.reconstruct(images)] as const;
  } finally {
    model.dispose();
  }
}

/**
 * Runs the model with both weights.
 *
 * @throws FlexaeError `FLEXAE_IO` if there is no room for a model in the folder of temporary files.
 */
export async function outputDifference({ path, model }: ExportSource): Promise<OutputDifference> {
  const rounded = model.layers.flatMap(({ weights }) =>
    weights.map(({ name, shape, values }): [string, TensorEntry] => {
      const kept = isHalved({ shape }) ? Float32Array.from(toHalf(values), fromHalf) : values;
      return [name, { shape, values: kept }];
    }),
  );
  const folder = await mkdtemp(join(tmpdir(), "flexae-half-"));
  try {
    await awaitAddon((addon) =>
      addon.writeModel(folder, model.configJson, Object.fromEntries(rounded)),
    );
    const images = syntheticImages(model.inputShape as [number, number, number]);
    const [embedding, reconstruction] = await outputsOf(path, images);
    const [half, restored] = await outputsOf(join(folder, "ae.pt"), images);
    const largest = embedding.reduce((most, value) => Math.max(most, Math.abs(value)), 0);
    return {
      embedding: largest > 0 ? largestDifference(embedding, half) / largest : 0,
      reconstruction: largestDifference(reconstruction, restored),
    };
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}
