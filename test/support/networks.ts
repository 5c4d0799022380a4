/** Networks with drawn weights, in `ae.pt` files that nobody trained. */
import { mkdirSync } from "node:fs";
import { join } from "node:path";
import { loadAddon } from "../../ts/addon/loader.ts";
import type { TensorEntry } from "../../ts/addon/types.ts";
import { toNetwork } from "../../ts/config/network.ts";
import { resolveSettings } from "../../ts/config/resolve.ts";
import { modelManifest } from "../../ts/runs/setting.ts";

/** Settings of a network, by their names. */
export type NetworkSettings = Readonly<Record<string, unknown>>;

/** One of two that few things are special of; others are made of it. */
export const SMALL: NetworkSettings = {
  imageShape: [17, 14],
  filters: [5, 6],
  kernel_size: [3],
  strides: [2],
  pooling: ["no"],
  dims: [7],
};

/** Those that differ in what layers there are, and how their windows lie; by what is special. */
export const NETWORKS: Readonly<Record<string, NetworkSettings>> = {
  small: SMALL,
  RGB: { ...SMALL, channels: 3 },
  "average pooling": { ...SMALL, imageShape: [33, 30], pooling: ["avg"] },
  "max pooling": { ...SMALL, imageShape: [33, 30], pooling: ["max"], dropRate: 0.3 },
  "uneven pads": { ...SMALL, kernel_size: [4, 2] },
  "stride 1": { ...SMALL, strides: [1] },
  "stride above kernel": { ...SMALL, kernel_size: [2, 1], strides: [3, 2] },
  "large kernels": { ...SMALL, kernel_size: [7, 5] },
  "no MLP": { ...SMALL, AutoencoderMLP_switch: false },
  "three dims": { ...SMALL, dims: [12, 9, 4] },
  "no bias": { ...SMALL, use_bias: false, dims: [12, 9] },
  epsilon: { ...SMALL, batch_norm_epsilon: 0.2 },
};

/** Of as many numbers as a weight takes, those that keep outputs in bounds; variances above 0. */
function drawnValues(
  name: string,
  shape: readonly number[],
  isExponential: boolean,
  random: () => number,
): Float32Array {
  const length = shape.reduce((a, b) => a * b, 1);
  const [first = 1, second = 1, ...window] = shape;
  // Of a convolution out × in × …, of a transposed one in × out × …: either bounds the sum.
  const terms = Math.max(first, second) * window.reduce((a, b) => a * b, 1);
  // Layer behind layer, exponentials of sums that are drawn as usual are soon no numbers.
  const bounded = Math.sqrt((isExponential ? 0.2 : 6) / terms);
  const spread = shape.length > 1 ? bounded : 0.5;
  return Float32Array.from({ length }, () => {
    const value = (2 * random() - 1) * spread;
    if (name.endsWith("running_var")) return 0.3 + Math.abs(value);
    return name.endsWith("_bn.weight") ? 1 + value : value;
  });
}

/** Writes `ae.pt` and `en.pt` of a network into a new folder. Gives the path of `ae.pt`. */
export async function drawnModel(
  folder: string,
  given: NetworkSettings,
  random: () => number,
): Promise<string> {
  const settings = resolveSettings([{ values: given, spell: (name) => name }]);
  const network = toNetwork(settings);
  const addon = loadAddon();
  const isExponential = Object.values(given).includes("exponential");
  const weights: Record<string, TensorEntry> = {};
  for (const layer of addon.describeLayers(JSON.stringify(network))) {
    for (const { name, shape } of layer.weights) {
      weights[name] = { shape, values: drawnValues(name, shape, isExponential, random) };
    }
  }
  mkdirSync(folder, { recursive: true });
  await addon.writeModel(folder, JSON.stringify(modelManifest(settings, network)), weights);
  return join(folder, "ae.pt");
}
