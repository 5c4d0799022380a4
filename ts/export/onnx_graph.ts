/** The layers of a model as an ONNX graph. */
import type { ModelLayer, ModelLayers } from "../addon/types.js";
import { bytesOf } from "./bits.js";
import type { InputType } from "./contract.js";
import { isHalved, toHalf } from "./half.js";
import {
  ATTRIBUTE_TYPES,
  type AttributeProto,
  DATA_TYPES,
  type ModelProto,
  type NodeProto,
  type TensorProto,
  type ValueInfoProto,
} from "./onnx_schema.js";

type Attributes = Record<string, Omit<AttributeProto, "name">>;

const int = (i: number) => ({ type: ATTRIBUTE_TYPES.int, i });
const ints = (values: readonly number[]) => ({ type: ATTRIBUTE_TYPES.ints, ints: [...values] });
const float = (f: number) => ({ type: ATTRIBUTE_TYPES.float, f: Math.fround(f) });
const text = (s: string) => ({ type: ATTRIBUTE_TYPES.string, s: Buffer.from(s) });

/** A tensor of the graph's border; the number of images is free. */
function border(name: string, elemType: number, shape: readonly number[]): ValueInfoProto {
  const dim = [{ dimParam: "N" }, ...shape.map((dimValue) => ({ dimValue }))];
  return { name, type: { tensorType: { elemType, shape: { dim } } } };
}

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

class GraphBuilder {
  readonly nodes: NodeProto[] = [];
  readonly constants = new Map<string, TensorProto>();
  /** The name of what was computed last. */
  current = "images";

  /** @param half - Whether weights are kept in fp16. */
  constructor(readonly half: boolean) {}

  /** Adds an operation on what was computed last and `more`. */
  add(name: string, opType: string, attributes: Attributes = {}, more: string[] = []): string {
    const given = Object.entries(attributes).map(([name, value]) => ({ name, ...value }));
    const output = `${name}.output`;
    const input = [this.current, ...more];
    this.nodes.push({ name, opType, input, output: [output], attribute: given });
    this.current = output;
    return output;
  }

  /** Gives what was computed last the name of an output. */
  rename(name: string): void {
    const node = this.nodes.at(-1);
    if (node !== undefined) node.output = [name];
    this.current = name;
  }

  weights(layer: ModelLayer): string[] {
    return layer.weights.map(({ name, shape, values }) => {
      if (!this.half || !isHalved({ shape })) {
        const rawData = bytesOf(values);
        this.constants.set(name, { name, dims: shape, dataType: DATA_TYPES.float, rawData });
        return name;
      }
      const rawData = bytesOf(toHalf(values));
      this.constants.set(name, { name, dims: shape, dataType: DATA_TYPES.float16, rawData });
      // Runtimes do it once, when they load the graph. Few compute in fp16 on a CPU.
      const output = `${name}.float`;
      const attribute = [{ name: "to", ...int(DATA_TYPES.float) }];
      this.nodes.push({ name: output, opType: "Cast", input: [name], output: [output], attribute });
      return output;
    });
  }

  scalar(value: number): string {
    const rawData = bytesOf(Float32Array.of(value));
    const name = `constant.${value}`;
    this.constants.set(name, { name, dims: [], dataType: DATA_TYPES.float, rawData });
    return name;
  }

  /** A vector of integers, such as a shape. */
  vector(name: string, values: readonly number[]): string {
    const rawData = bytesOf(BigInt64Array.from(values, BigInt));
    const dims = [values.length];
    this.constants.set(name, { name, dims, dataType: DATA_TYPES.int64, rawData });
    return name;
  }

  activate(name: string, activation: string): void {
    const simple = SIMPLE[activation];
    if (simple !== undefined) {
      this.add(`${name}.${activation}`, ...simple);
    } else if (activation === "silu") {
      const x = this.current;
      this.add(`${name}.silu.sigmoid`, "Sigmoid");
      this.add(`${name}.silu`, "Mul", {}, [x]);
    } else if (activation === "gelu") {
      // Gelu is an operation from opset 20 on.
      const x = this.current;
      this.add(`${name}.gelu.scaled`, "Mul", {}, [this.scalar(Math.SQRT1_2)]);
      this.add(`${name}.gelu.erf`, "Erf");
      this.add(`${name}.gelu.shifted`, "Add", {}, [this.scalar(1)]);
      this.add(`${name}.gelu.product`, "Mul", {}, [x]);
      this.add(`${name}.gelu`, "Mul", {}, [this.scalar(0.5)]);
    } else if (activation !== "linear") {
      throw new Error(`no ONNX operation is known for the activation ${activation}`);
    }
  }

  layer(layer: ModelLayer): void {
    const write = LAYERS[layer.type];
    if (write === undefined) throw new Error(`no ONNX operation is known for ${layer.type}`);
    write(this, layer);
    this.activate(layer.name, layer.activation);
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

/**
 * The graph of a whole autoencoder, N×C×H×W `images` to `embedding` and `reconstruction`, or of its
 * encoder alone.
 *
 * @param half - Whether weights are kept in fp16; they are computed with in fp32.
 */
export function onnxGraph(
  model: ModelLayers,
  kind: "autoencoder" | "encoder",
  input: InputType,
  half = false,
): ModelProto["graph"] {
  const graph = new GraphBuilder(half);
  if (input === "uint8") {
    graph.add("images.float", "Cast", { to: int(DATA_TYPES.float) });
    graph.add("images.scaled", "Div", {}, [graph.scalar(255)]);
  }
  const outputs = [border("embedding", DATA_TYPES.float, model.embeddingShape)];
  for (const layer of model.layers.filter(({ part }) => part === "encoder")) graph.layer(layer);
  graph.rename("embedding");
  if (kind === "autoencoder") {
    for (const layer of model.layers.filter(({ part }) => part === "decoder")) graph.layer(layer);
    graph.rename("reconstruction");
    outputs.push(border("reconstruction", DATA_TYPES.float, model.inputShape));
  }
  const type = input === "uint8" ? DATA_TYPES.uint8 : DATA_TYPES.float;
  return {
    name: kind,
    node: graph.nodes,
    initializer: [...graph.constants.values()],
    input: [border("images", type, model.inputShape)],
    output: outputs,
  };
}
