/** The layers of a model as Python. */
import type { ModelLayer } from "../addon/types.js";
import { VERSION } from "../version.js";
import { inputContract } from "./contract.js";
import type { ExportSource } from "./format.js";

/** Expressions of `x`. */
const ACTIVATIONS: Record<string, string> = {
  relu: "F.relu(x)",
  elu: "F.elu(x)",
  selu: "F.selu(x)",
  gelu: "F.gelu(x)",
  tanh: "torch.tanh(x)",
  sigmoid: "torch.sigmoid(x)",
  hard_sigmoid: "F.hardsigmoid(x)",
  softplus: "F.softplus(x)",
  softsign: "F.softsign(x)",
  exponential: "torch.exp(x)",
  silu: "F.silu(x)",
  leaky_relu: "F.leaky_relu(x, 0.2)",
};

/** A layer as two pieces of Python. */
interface Pieces {
  /** What makes it; undefined if it has nothing to keep. */
  module?: string;
  /** Statements on `x`. */
  forward: string[];
}

const pair = ([a, b]: readonly [number, number]) => (a === b ? `${a}` : `(${a}, ${b})`);
const own = ({ name }: ModelLayer) => `self.${name.slice(name.indexOf(".") + 1)}`;
const call = (layer: ModelLayer) => `x = ${own(layer)}(x)`;

/** The statement that cuts images to the size of the layer's output, if they are larger. */
function crop({ crop, outputShape }: ModelLayer): string[] {
  if (crop.every((size) => size === 0)) return [];
  return [`x = x[:, :, :${outputShape[1]}, :${outputShape[2]}]`];
}

/** What each kind of layer is in PyTorch, by Keras's name. */
const LAYERS: Record<string, (layer: ModelLayer, momentum: number) => Pieces> = {
  Conv2D(layer) {
    const { inputShape, outputShape, kernel, stride, pads } = layer;
    const [top, left, bottom, right] = pads;
    const isEven = top === bottom && left === right;
    const padding = isEven && (top > 0 || left > 0) ? `, padding=${pair([top, left])}` : "";
    const sizes = `${inputShape[0]}, ${outputShape[0]}, ${pair(kernel)}, stride=${pair(stride)}`;
    return {
      module: `nn.Conv2d(${sizes}${padding})`,
      forward: [
        ...(isEven ? [] : [`x = F.pad(x, (${left}, ${right}, ${top}, ${bottom}))`]),
        call(layer),
      ],
    };
  },
  Conv2DTranspose(layer) {
    const { inputShape, outputShape, kernel, stride, pads, outputPadding } = layer;
    const options = [
      `${inputShape[0]}, ${outputShape[0]}, ${pair(kernel)}, stride=${pair(stride)}`,
      ...(pads[0] > 0 ? [`padding=${pair([pads[0], pads[1]])}`] : []),
      ...(outputPadding[0] > 0 ? [`output_padding=${pair(outputPadding)}`] : []),
    ];
    return {
      module: `nn.ConvTranspose2d(${options.join(", ")})`,
      forward: [call(layer), ...crop(layer)],
    };
  },
  Dense(layer) {
    const bias = layer.weights.length > 1 ? "" : ", bias=False";
    const sizes = `${layer.inputShape[0]}, ${layer.outputShape[0]}`;
    return { module: `nn.Linear(${sizes}${bias})`, forward: [call(layer)] };
  },
  BatchNormalization(layer, momentum) {
    const { outputShape, constants } = layer;
    const kind = outputShape.length === 3 ? "BatchNorm2d" : "BatchNorm1d";
    const options = `eps=${constants.eps}, momentum=${momentum}`;
    return { module: `nn.${kind}(${outputShape[0]}, ${options})`, forward: [call(layer)] };
  },
  AveragePooling2D: ({ kernel }) => ({
    forward: [`x = F.avg_pool2d(x, ${pair(kernel)}, ceil_mode=True, count_include_pad=False)`],
  }),
  MaxPooling2D: ({ kernel }) => ({
    forward: [`x = F.max_pool2d(x, ${pair(kernel)}, ceil_mode=True)`],
  }),
  UpSampling2D: (layer) => ({
    forward: [
      `x = F.interpolate(x, scale_factor=${pair(layer.stride)}, mode="nearest")`,
      ...crop(layer),
    ],
  }),
  Flatten: () => ({ forward: ["x = x.permute(0, 2, 3, 1).flatten(1)"] }),
  Reshape: ({ outputShape: [channels, height, width] }) => ({
    forward: [`x = x.reshape(-1, ${height}, ${width}, ${channels}).permute(0, 3, 1, 2)`],
  }),
  Dropout: (layer) => ({
    module: `nn.Dropout(${layer.dropRate})`,
    forward: [call(layer)],
  }),
};

const shape = (sizes: readonly number[]) => ["N", ...sizes].join("×");

function moduleClass(
  name: string,
  doc: string,
  layers: readonly ModelLayer[],
  momentum: number,
): string[] {
  const modules: string[] = [];
  const forward: string[] = [];
  for (const layer of layers) {
    const write = LAYERS[layer.type];
    if (write === undefined) throw new Error(`no module of PyTorch is known for ${layer.type}`);
    const pieces = write(layer, momentum);
    if (pieces.module !== undefined) modules.push(`${own(layer)} = ${pieces.module}`);
    forward.push(...pieces.forward);
    if (layer.activation === "linear") continue;
    const activation = ACTIVATIONS[layer.activation];
    if (activation === undefined) {
      throw new Error(`no function of PyTorch is known for ${layer.activation}`);
    }
    forward.push(`x = ${activation}`);
  }
  return [
    `class ${name}(nn.Module):`,
    `    """${doc}"""`,
    "",
    "    def __init__(self) -> None:",
    "        super().__init__()",
    ...modules.map((line) => `        ${line}`),
    "",
    "    def forward(self, x: Tensor) -> Tensor:",
    ...forward.map((line) => `        ${line}`),
    "        return x",
  ];
}

/** The text of `model.py`. Parameters have the names and shapes of the model's files. */
export function pytorchSource({ model, manifest, half }: ExportSource): string {
  const { inputShape, embeddingShape, layers } = model;
  // PyTorch counts the new statistics where Keras counts the old ones.
  const momentum = Number((1 - manifest.model.batchNormMomentum).toPrecision(12));
  const part = (part: "encoder" | "decoder") => layers.filter((layer) => layer.part === part);
  const last = layers.at(-1) as ModelLayer;
  const output = ACTIVATIONS[last.activation] ?? "x";
  // The last activation is the autoencoder's own, so that logits() gives what its loss takes.
  const decoder = part("decoder").map((layer) =>
    layer === last ? { ...layer, activation: "linear" } : layer,
  );
  const [images, embeddings] = [shape(inputShape), shape(embeddingShape)];
  const { channels } = inputContract(model, manifest);
  return `${[
    `"""A convolutional autoencoder, written by flexible-autoencoder ${VERSION}.`,
    "",
    "    from model import load",
    "",
    "    autoencoder = load()  # model.safetensors beside this file",
    "    embeddings = autoencoder.encode(images)",
    "    reconstructions = autoencoder(images)",
    "",
    `Images are ${images} floats in [0, 1], ${channels}. MODEL_CARD.md says how they are resized.`,
    ...(half === undefined
      ? []
      : [
          "Weights are stored in fp16 and computed with in fp32. load().half() computes in fp16,",
          "of images in fp16.",
        ]),
    '"""',
    "",
    "from __future__ import annotations",
    "",
    "from pathlib import Path",
    "",
    "import torch",
    "import torch.nn.functional as F",
    "from torch import Tensor, nn",
    "",
    "",
    ...moduleClass(
      "Encoder",
      `${images} images to ${embeddings} embeddings.`,
      part("encoder"),
      momentum,
    ),
    "",
    "",
    ...moduleClass("Decoder", `${embeddings} embeddings to ${images} logits.`, decoder, momentum),
    "",
    "",
    "class Autoencoder(nn.Module):",
    `    """${images} images to their reconstructions, in [0, 1]."""`,
    "",
    "    def __init__(self) -> None:",
    "        super().__init__()",
    "        self.encoder = Encoder()",
    "        self.decoder = Decoder()",
    "",
    "    def encode(self, x: Tensor) -> Tensor:",
    "        return self.encoder(x)",
    "",
    "    def logits(self, x: Tensor) -> Tensor:",
    "        return self.decoder(self.encoder(x))",
    "",
    "    def forward(self, x: Tensor) -> Tensor:",
    "        x = self.logits(x)",
    `        return ${output}`,
    "",
    "",
    "def load(path: str | Path | None = None) -> Autoencoder:",
    '    """The trained network in evaluation mode, from a .safetensors file."""',
    "    from safetensors.torch import load_file",
    "",
    "    model = Autoencoder()",
    '    model.load_state_dict(load_file(path or Path(__file__).with_name("model.safetensors")))',
    "    return model.eval()",
  ].join("\n")}\n`;
}
