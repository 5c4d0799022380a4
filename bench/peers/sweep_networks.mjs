// The networks of --sweep: shapes that people use and the four networks have not, a property each,
// and some drawn at random, so that nobody's shape is left on a slow path unseen.

const sides = (side) => [side, side];

/** 64×64 gray, filters 32, 64, batch 32, Adam, no dropout, and this program's defaults. */
const base = { imageShape: sides(64), filters: [32, 64], optimizer: "adam", dropRate: 0 };
const plain = { pooling: ["no"], dims: [64] };

export const SHAPES = [
  ["gelu", "gelu", { activation: "gelu" }],
  ["tanh", "tanh", { activation: "tanh" }],
  ["silu", "silu", { activation: "silu" }],
  ["softplus", "softplus", { activation: "softplus" }],
  ["odd-filters", "filters 20, 50, 70", { filters: [20, 50, 70] }],
  [
    "odd-filters3",
    "filters 20, 40, 72, 3×3, stride 2, 96×96",
    { ...plain, imageShape: sides(96), filters: [20, 40, 72], kernel_size: [3] },
  ],
  ["stride1", "stride 1, no pooling", { ...plain, strides: [1] }],
  [
    "vgg",
    "3×3, stride 1, max pooling, filters 32, 64, 64, relu, RGB",
    {
      channels: 3,
      filters: [32, 64, 64],
      kernel_size: [3],
      strides: [1],
      pooling: ["max"],
      dims: [64],
      activation: "relu",
    },
  ],
  [
    "dcgan",
    "4×4, stride 2, filters 32, 64, 128, leaky_relu, RGB",
    { ...plain, channels: 3, filters: [32, 64, 128], kernel_size: [4], activation: "leaky_relu" },
  ],
  ["filters256", "filters 256, 256", { filters: [256, 256] }],
  [
    "filters512",
    "filters 512, 512, 3×3, stride 1, 16×16, batch 16",
    {
      ...plain,
      imageShape: sides(16),
      filters: [512, 512],
      kernel_size: [3],
      strides: [1],
      batch_size: 16,
    },
  ],
  [
    "wide",
    "filters 256, 512, 3×3, stride 2, 32×32 RGB, batch 16",
    {
      ...plain,
      imageShape: sides(32),
      channels: 3,
      filters: [256, 512],
      kernel_size: [3],
      dims: [128],
      batch_size: 16,
    },
  ],
  ["batch1", "batch 1", { batch_size: 1 }],
  ["batch512", "batch 512, 28×28", { imageShape: sides(28), batch_size: 512 }],
  ["rgb96", "96×96 RGB", { imageShape: sides(96), channels: 3 }],
  [
    "kernel15",
    "15×15, stride 1, 32×32, batch 8",
    { ...plain, imageShape: sides(32), kernel_size: [15], strides: [1], batch_size: 8 },
  ],
  [
    "kernel7",
    "7×7, stride 1, mean pooling, filters 16, 32, 128×128, batch 8",
    {
      imageShape: sides(128),
      filters: [16, 32],
      kernel_size: [7],
      strides: [1],
      pooling: ["avg"],
      dims: [64],
      batch_size: 8,
    },
  ],
  [
    "kernel7stride2",
    "7×7, stride 2, 128×128",
    { ...plain, imageShape: sides(128), kernel_size: [7] },
  ],
  ["kernel1", "1×1", { kernel_size: [1] }],
  ["stride34", "strides 3, 4", { ...plain, strides: [3, 4] }],
  [
    "stride3",
    "5×5, stride 3, 96×96",
    { ...plain, imageShape: sides(96), kernel_size: [5], strides: [3] },
  ],
  [
    "odd-pooling",
    "max pooling of odd sizes, 3×3, stride 1, filters 16, 32, relu, 99×75",
    {
      imageShape: [99, 75],
      filters: [16, 32],
      kernel_size: [3],
      strides: [1],
      pooling: ["max"],
      dims: [32],
      activation: "relu",
    },
  ],
  [
    "patches",
    "8×8, stride 8, filters 192, no dense layers, 128×128 RGB",
    {
      imageShape: sides(128),
      channels: 3,
      filters: [192],
      kernel_size: [8],
      strides: [8],
      pooling: ["no"],
      AutoencoderMLP_switch: false,
    },
  ],
  ["small", "8×8 images", { imageShape: sides(8), pooling: ["no"] }],
  ["no-mlp", "no dense layers", { AutoencoderMLP_switch: false }],
  ["dims", "dense layers 4096, 2048, 64", { dims: [4096, 2048, 64] }],
  [
    "dense",
    "dense layers 2048, 2048, 256 behind 8 filters, 28×28, batch 64",
    {
      imageShape: sides(28),
      filters: [8],
      kernel_size: [3],
      pooling: ["no"],
      dims: [2048, 2048, 256],
      batch_size: 64,
    },
  ],
].map(([name, title, settings]) => ({ name, title, settings: { ...base, ...settings } }));

/** Multiply-accumulates of a step of a drawn network: small enough to be measured in seconds. */
const STEP_MACS = [2e8, 1.5e10];

/** What PyTorch's network is written for, in bench/peers/pytorch_network.py. */
const ACTIVATIONS = ["relu", "elu", "selu", "gelu", "tanh", "silu", "leaky_relu"];

/**
 * Networks drawn from the settings' ranges.
 *
 * @param {number} count
 * @param {() => number} random Numbers from 0 to 1.
 * @param {(settings: object) => { macs: number }} summary Throws where settings do not go together.
 */
export function drawNetworks(count, random, summary) {
  const between = (low, high) => low + Math.floor(random() * (high - low + 1));
  const one = (list) => list[between(0, list.length - 1)];
  const networks = [];
  while (networks.length < count) {
    const layers = between(1, 4);
    const each = (draw) => Array.from({ length: layers }, draw);
    const settings = {
      ...base,
      imageShape: [between(16, 160), between(16, 160)],
      channels: one([1, 3]),
      filters: each(() => between(4, one([32, 96, 256]))),
      kernel_size: each(() => between(1, one([3, 5, 9]))),
      strides: each(() => one([1, 1, 2, 2, 3])),
      pooling: each(() => one(["no", "no", "avg", "max"])),
      dims: Array.from({ length: between(1, 3) }, () => between(8, 1500)),
      AutoencoderMLP_switch: random() < 0.8,
      activation: one(ACTIVATIONS),
      batch_size: one([4, 8, 16, 32, 64, 128]),
    };
    let macs = 0;
    try {
      macs = summary(settings).macs * settings.batch_size;
    } catch {
      // Images that are smaller than what is laid over them.
      continue;
    }
    if (macs < STEP_MACS[0] || macs > STEP_MACS[1]) continue;
    const { imageShape, channels, filters, kernel_size, strides, pooling } = settings;
    const title =
      `${imageShape.join("×")}×${channels}, filters ${filters.join(",")}, kernels ${kernel_size.join(",")}, ` +
      `strides ${strides.join(",")}, pooling ${pooling.join(",")}, ` +
      `${settings.AutoencoderMLP_switch ? `dense ${settings.dims.join(",")}` : "no dense layers"}, ` +
      `${settings.activation}, batch ${settings.batch_size}`;
    networks.push({ name: `drawn${networks.length + 1}`, title, settings });
  }
  return networks;
}
