/** The layers of a model as an ONNX graph. */
import type { ModelLayer, ModelLayers } from "../addon/types.js";
import { bytesOf } from "./bits.js";
import type { InputType } from "./contract.js";
import { type Attributes, border, float, GraphBuilder, int, ints, text } from "./onnx_builder.js";
import { addResize } from "./onnx_resize.js";
import { DATA_TYPES, type ModelProto } from "./onnx_schema.js";

/** PyTorch's constants of selu (Klambauer et al., 2017). */
const SELU = { alpha: float(1.6732632423543772), gamma: float(1.0507009873554805) };

/** What one operation computes of one tensor: its name, its attributes. */
const SIMPLE: Record<string, [opType: string, attributes?: Attributes]> = {
  relu: ["Relu"],
  elu: ["Elu", { alpha: float(1) }],
  selu: ["Selu", SELU],
  tanh: ["Tanh"],
  sigmoid: ["Sigmoid"],
  hard_sigmoid: ["HardSigmoid", { alpha: float(1 / 6), beta: float(0.5) }],
  softplus: ["Softplus"],
  softsign: ["Softsign"],
  exponential: ["Exp"],
  leaky_relu: ["LeakyRelu", { alpha: float(0.2) }],
};

function activate(graph: GraphBuilder, name: string, activation: string): void {
  const simple = SIMPLE[activation];
  if (simple !== undefined) {
    graph.add(`${name}.${activation}`, ...simple);
  } else if (activation === "silu") {
    const x = graph.current;
    graph.add(`${name}.silu.sigmoid`, "Sigmoid");
    graph.add(`${name}.silu`, "Mul", {}, [x]);
  } else if (activation === "gelu") {
    // Gelu is an operation from opset 20 on.
    const x = graph.current;
    graph.add(`${name}.gelu.scaled`, "Mul", {}, [graph.scalar(Math.SQRT1_2)]);
    graph.add(`${name}.gelu.erf`, "Erf");
    graph.add(`${name}.gelu.shifted`, "Add", {}, [graph.scalar(1)]);
    graph.add(`${name}.gelu.product`, "Mul", {}, [x]);
    graph.add(`${name}.gelu`, "Mul", {}, [graph.scalar(0.5)]);
  } else if (activation !== "linear") {
    throw new Error(`no ONNX operation is known for the activation ${activation}`);
  }
}

/** The window of a convolution. */
const windowOf = ({ kernel, stride }: ModelLayer): Attributes => ({
  kernel_shape: ints(kernel),
  strides: ints(stride),
});

/** What each kind of layer is in ONNX, by Keras's name. */
const LAYERS: Record<string, (graph: GraphBuilder, layer: ModelLayer) => void> = {
  Conv2D(graph, layer) {
    const attributes = { ...windowOf(layer), pads: ints(layer.pads) };
    graph.add(layer.name, "Conv", attributes, graph.weights(layer));
  },
  Conv2DTranspose(graph, layer) {
    // What is cut off behind is taken from what is added there, and the rest from the full result.
    const [top, left, bottom, right] = layer.pads;
    const behind = [bottom, right].map(
      (pad, axis) => pad - (layer.outputPadding[axis] as number) + (layer.crop[axis] as number),
    ) as [number, number];
    const attributes = {
      ...windowOf(layer),
      pads: ints([top, left, ...behind.map((pad) => Math.max(pad, 0))]),
      output_padding: ints(behind.map((pad) => Math.max(-pad, 0))),
    };
    graph.add(layer.name, "ConvTranspose", attributes, graph.weights(layer));
  },
  Dense(graph, layer) {
    graph.add(layer.name, "Gemm", { transB: int(1) }, graph.weights(layer));
  },
  BatchNormalization(graph, layer) {
    const attributes = { epsilon: float(layer.constants.eps as number) };
    graph.add(layer.name, "BatchNormalization", attributes, graph.weights(layer));
  },
  AveragePooling2D(graph, layer) {
    const attributes = { ...windowOf(layer), pads: ints(layer.pads), count_include_pad: int(0) };
    graph.add(layer.name, "AveragePool", attributes);
  },
  MaxPooling2D(graph, layer) {
    graph.add(layer.name, "MaxPool", { ...windowOf(layer), pads: ints(layer.pads) });
  },
  UpSampling2D(graph, layer) {
    const scales = `${layer.name}.scales`;
    graph.constants.set(scales, {
      name: scales,
      dims: [4],
      dataType: DATA_TYPES.float,
      rawData: bytesOf(Float32Array.of(1, 1, ...layer.stride)),
    });
    const attributes = {
      mode: text("nearest"),
      coordinate_transformation_mode: text("asymmetric"),
      nearest_mode: text("floor"),
    };
    graph.add(layer.name, "Resize", attributes, ["", scales]);
    if (layer.crop.every((size) => size === 0)) return;
    graph.add(`${layer.name}.crop`, "Slice", {}, [
      graph.vector(`${layer.name}.crop.starts`, [0, 0]),
      graph.vector(`${layer.name}.crop.ends`, layer.outputShape.slice(1)),
      graph.vector(`${layer.name}.crop.axes`, [2, 3]),
    ]);
  },
  Flatten(graph, layer) {
    graph.add(`${layer.name}.channels_last`, "Transpose", { perm: ints([0, 2, 3, 1]) });
    graph.add(layer.name, "Flatten", { axis: int(1) });
  },
  Reshape(graph, layer) {
    const [channels, height, width] = layer.outputShape as [number, number, number];
    // 0 takes the number of images as it is.
    const shape = graph.vector(`${layer.name}.shape`, [0, height, width, channels]);
    graph.add(`${layer.name}.channels_last`, "Reshape", {}, [shape]);
    graph.add(layer.name, "Transpose", { perm: ints([0, 3, 1, 2]) });
  },
  Dropout() {
    // In evaluation it does nothing.
  },
};

function addLayer(graph: GraphBuilder, layer: ModelLayer): void {
  const write = LAYERS[layer.type];
  if (write === undefined) throw new Error(`no ONNX operation is known for ${layer.type}`);
  write(graph, layer);
  activate(graph, layer.name, layer.activation);
}

/** What graphs take. */
export interface GraphInput {
  type: InputType;
  /** How they resize bytes of any size, which are then N×H×W×C; null if they do not. */
  resize: string | null;
  /** Whether weights are kept in fp16; they are computed with in fp32. */
  half?: boolean;
}

/**
 * The graph of a whole autoencoder, N×C×H×W `images` to `embedding` and `reconstruction`, or of its
 * encoder alone.
 */
export function onnxGraph(
  model: ModelLayers,
  kind: "autoencoder" | "encoder",
  { type, resize, half = false }: GraphInput,
): ModelProto["graph"] {
  const graph = new GraphBuilder(half);
  const [channels, height, width] = model.inputShape as [number, number, number];
  if (resize !== null) {
    addResize(graph, resize, [height, width]);
  } else if (type === "uint8") {
    graph.add("images.float", "Cast", { to: int(DATA_TYPES.float) });
  }
  if (type === "uint8") graph.add("images.scaled", "Div", {}, [graph.scalar(255)]);
  const outputs = [border("embedding", DATA_TYPES.float, model.embeddingShape)];
  for (const layer of model.layers.filter(({ part }) => part === "encoder")) addLayer(graph, layer);
  graph.rename("embedding");
  if (kind === "autoencoder") {
    for (const layer of model.layers.filter(({ part }) => part === "decoder")) {
      addLayer(graph, layer);
    }
    graph.rename("reconstruction");
    outputs.push(border("reconstruction", DATA_TYPES.float, model.inputShape));
  }
  const shape = resize === null ? model.inputShape : ["H", "W", channels];
  return {
    name: kind,
    node: graph.nodes,
    initializer: [...graph.constants.values()],
    input: [border("images", DATA_TYPES[type === "uint8" ? "uint8" : "float"], shape)],
    output: outputs,
  };
}
