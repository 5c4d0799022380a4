// The networks compared, as settings of this program; what is not said has its default.

export const NETWORKS = [
  {
    name: "default",
    title: "default network, 256×256 gray, batch 32, Adadelta",
    settings: {},
  },
  {
    name: "mnist",
    title: "small filters, 28×28 gray, batch 64, Adam",
    settings: {
      imageShape: [28, 28],
      filters: [16, 32],
      kernel_size: [3],
      strides: [2],
      pooling: ["no"],
      dims: [32],
      activation: "relu",
      last_activation: "linear",
      dropRate: 0,
      optimizer: "adam",
      batch_size: 64,
    },
  },
  {
    name: "rgb",
    title: "default filters, 128×128 RGB, batch 64, Adam",
    settings: { imageShape: [128, 128], channels: 3, optimizer: "adam", batch_size: 64 },
  },
  {
    name: "deep",
    title: "six layers, 512×512 gray, batch 16, Adadelta",
    settings: {
      imageShape: [512, 512],
      filters: [16, 32, 64, 128, 128, 256],
      kernel_size: [5, 5, 3],
      strides: [2],
      pooling: ["avg", "no"],
      dims: [500, 100],
      batch_size: 16,
    },
  },
];

const sides = (side) => [side, side];

/**
 * Odd networks for --sweep, a property each: what the networks above do not have, so that nobody's
 * shape is left on a slow path unseen.
 */
export const SWEEP = [
  {
    name: "gelu",
    title: "gelu, else the default layers, 128×128 gray",
    settings: { imageShape: sides(128), activation: "gelu" },
  },
  {
    name: "tanh",
    title: "tanh, else the default layers, 128×128 gray",
    settings: { imageShape: sides(128), activation: "tanh" },
  },
  {
    name: "silu",
    title: "silu (swish), else the default layers, 128×128 gray",
    settings: { imageShape: sides(128), activation: "silu" },
  },
  {
    name: "kernel15",
    title: "15×15 kernels, stride 1, filters 32, 64, 32×32 gray, batch 8",
    settings: {
      batch_size: 8,
      imageShape: sides(32),
      filters: [32, 64],
      kernel_size: [15],
      strides: [1],
      pooling: ["no"],
      dims: [64],
    },
  },
  {
    name: "kernel7",
    title: "7×7 kernels, stride 1, filters 16, 32, mean pooling, 128×128 gray, batch 8",
    settings: {
      batch_size: 8,
      imageShape: sides(128),
      filters: [16, 32],
      kernel_size: [7],
      strides: [1],
      pooling: ["avg"],
      dims: [64],
    },
  },
  {
    name: "kernel7stride2",
    title: "7×7 kernels, stride 2, filters 32, 64, 128×128 gray",
    settings: {
      imageShape: sides(128),
      filters: [32, 64],
      kernel_size: [7],
      strides: [2],
      pooling: ["no"],
      dims: [64],
    },
  },
  {
    name: "wide",
    title: "filters 256, 512, 3×3, stride 2, 32×32 RGB, batch 16",
    settings: {
      imageShape: sides(32),
      channels: 3,
      filters: [256, 512],
      batch_size: 16,
      kernel_size: [3],
      strides: [2],
      pooling: ["no"],
      dims: [128],
    },
  },
  {
    name: "kernel3",
    title: "3×3 kernels, stride 1, filters 32, 64, 64, max pooling, 64×64 RGB",
    settings: {
      imageShape: sides(64),
      channels: 3,
      filters: [32, 64, 64],
      kernel_size: [3],
      strides: [1],
      pooling: ["max"],
      dims: [64],
      activation: "relu",
    },
  },
  {
    name: "kernel4",
    title: "4×4 kernels, stride 2, filters 32, 64, 128, leaky_relu, 64×64 RGB",
    settings: {
      imageShape: sides(64),
      channels: 3,
      filters: [32, 64, 128],
      kernel_size: [4],
      strides: [2],
      pooling: ["no"],
      dims: [64],
      activation: "leaky_relu",
    },
  },
  {
    name: "odd-filters",
    title: "filters 20, 40, 72, 3×3, stride 2, 96×96 gray",
    settings: {
      imageShape: sides(96),
      filters: [20, 40, 72],
      kernel_size: [3],
      strides: [2],
      pooling: ["no"],
      dims: [50],
    },
  },
  {
    name: "dense",
    title: "dense layers 2048, 2048, 256 behind 8 filters, 28×28 gray, batch 64",
    settings: {
      imageShape: sides(28),
      filters: [8],
      kernel_size: [3],
      strides: [2],
      pooling: ["no"],
      dims: [2048, 2048, 256],
      batch_size: 64,
    },
  },
  {
    name: "odd-pooling",
    title: "max pooling of odd sizes, 3×3, stride 1, filters 16, 32, 99×75 gray",
    settings: {
      imageShape: [99, 75],
      filters: [16, 32],
      kernel_size: [3],
      strides: [1],
      pooling: ["max"],
      dims: [32],
      activation: "relu",
    },
  },
  {
    name: "stride3",
    title: "5×5 kernels, stride 3, filters 32, 64, 96×96 gray",
    settings: {
      imageShape: sides(96),
      filters: [32, 64],
      kernel_size: [5],
      strides: [3],
      pooling: ["no"],
      dims: [64],
    },
  },
  {
    name: "patches",
    title: "8×8 kernels, stride 8, filters 192, no dense layers, 128×128 RGB",
    settings: {
      imageShape: sides(128),
      channels: 3,
      filters: [192],
      kernel_size: [8],
      strides: [8],
      pooling: ["no"],
      AutoencoderMLP_switch: false,
    },
  },
].map(({ settings, ...network }) => ({
  ...network,
  settings: { optimizer: "adam", dropRate: 0, ...settings },
}));
