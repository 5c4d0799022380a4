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
