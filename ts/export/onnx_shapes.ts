/** Sizes that follow from an ONNX graph alone, held against those of the layers. */
import type { ModelLayer } from "../addon/types.js";
import { differs } from "./bits.js";
import { RESIZE, RESIZED } from "./onnx_resize.js";
import type { ModelProto, NodeProto, TensorProto } from "./onnx_schema.js";

/** Sizes without the batch. */
type Shape = readonly number[];

interface Known {
  shape: Shape;
  constants: ReadonlyMap<string, TensorProto>;
}

function attribute(node: NodeProto, name: string): number[] {
  const found = node.attribute.find((entry) => entry.name === name);
  if (found === undefined) throw new Error(`${node.name} has no ${name}`);
  return found.ints ?? [];
}

function constant(node: NodeProto, index: number, { constants }: Known): TensorProto {
  const found = constants.get(node.input[index] as string);
  if (found === undefined) throw new Error(`${node.name} lacks its input ${index}`);
  return found;
}

function integers({ rawData, dims }: TensorProto): number[] {
  const view = new DataView(rawData.buffer, rawData.byteOffset, rawData.byteLength);
  return Array.from({ length: dims[0] as number }, (_, i) => Number(view.getBigInt64(8 * i, true)));
}

/** Windows over rows and columns: ⌊(n + pads − k) / s⌋ + 1. */
function windows(node: NodeProto, shape: Shape): number[] {
  const [kernel, strides, pads] = [
    attribute(node, "kernel_shape"),
    attribute(node, "strides"),
    attribute(node, "pads"),
  ];
  return [0, 1].map((axis) => {
    const size = shape[1 + axis] as number;
    const padded = size + (pads[axis] as number) + (pads[2 + axis] as number);
    return Math.floor((padded - (kernel[axis] as number)) / (strides[axis] as number)) + 1;
  });
}

const product = (shape: Shape) => shape.reduce((a, b) => a * b, 1);

/** Sizes that each operation gives; what is not listed gives those that it takes. */
const OPERATIONS: Record<string, (node: NodeProto, known: Known) => Shape> = {
  Conv: (node, known) => [
    constant(node, 1, known).dims[0] as number,
    ...windows(node, known.shape),
  ],
  ConvTranspose(node, known) {
    const [kernel, strides, pads, added] = [
      attribute(node, "kernel_shape"),
      attribute(node, "strides"),
      attribute(node, "pads"),
      attribute(node, "output_padding"),
    ];
    const sizes = [0, 1].map((axis) => {
      const last = ((known.shape[1 + axis] as number) - 1) * (strides[axis] as number);
      const cut = (pads[axis] as number) + (pads[2 + axis] as number);
      return last + (added[axis] as number) + (kernel[axis] as number) - cut;
    });
    return [constant(node, 1, known).dims[1] as number, ...sizes];
  },
  Gemm(node, known) {
    const [units, inputs] = constant(node, 1, known).dims as [number, number];
    // Of another number of inputs no output is right.
    return inputs === product(known.shape) ? [units] : [];
  },
  AveragePool: (node, { shape }) => [shape[0] as number, ...windows(node, shape)],
  MaxPool: (node, { shape }) => [shape[0] as number, ...windows(node, shape)],
  Resize(node, known) {
    const { rawData } = constant(node, 2, known);
    const view = new DataView(rawData.buffer, rawData.byteOffset, rawData.byteLength);
    return known.shape.map((size, axis) => size * view.getFloat32(4 * (1 + axis), true));
  },
  Slice(node, known) {
    const ends = integers(constant(node, 2, known));
    return [known.shape[0] as number, ...ends];
  },
  Flatten: (_, { shape }) => [product(shape)],
  Reshape: (node, known) => integers(constant(node, 1, known)).slice(1),
  Transpose: (node, { shape }) =>
    attribute(node, "perm")
      .slice(1)
      .map((axis) => shape[axis - 1] as number),
};

/**
 * Follows the sizes through a graph, and holds them against the layers' and the outputs'.
 *
 * @throws FlexaeError `FLEXAE_INTERNAL` naming what differs.
 */
export function checkShapes(
  path: string,
  graph: ModelProto["graph"],
  layers: readonly ModelLayer[],
): void {
  const constants = new Map(graph.initializer.map((tensor) => [tensor.name, tensor]));
  const borderOf = ({ type }: ModelProto["graph"]["input"][number]) =>
    type.tensorType.shape.dim.slice(1).map((dim) => Number((dim as { dimValue: number }).dimValue));
  const nodes = new Set(graph.node.map(({ name }) => name));
  // By the node that gives them. A dropout has none.
  const expected = new Map(
    layers.map(({ name, outputShape }) => {
      const crop = `${name}.crop`;
      return [nodes.has(crop) ? crop : name, outputShape];
    }),
  );
  const known = new Map<string, Shape>();
  for (const input of graph.input) known.set(input.name, borderOf(input));
  for (const node of graph.node) {
    if (node.name.startsWith(`${RESIZE}.`)) {
      // What is resized has any size; to what, the new centres say, one a pixel.
      const sizes = ["rows", "columns"].map(
        (axis) => constants.get(`${RESIZE}.${axis}.centres`)?.dims[0] ?? 0,
      );
      const shape = [...(known.get("images") ?? []).slice(-1), ...sizes];
      if (node.name === RESIZED) known.set(node.output[0] as string, shape);
      continue;
    }
    const cast = node.opType === "Cast" ? constants.get(node.input[0] as string) : undefined;
    if (cast !== undefined) {
      constants.set(node.output[0] as string, cast);
      continue;
    }
    const shape = known.get(node.input[0] as string);
    const missing = node.input.find((name) => name && !known.has(name) && !constants.has(name));
    if (shape === undefined || missing !== undefined) throw differs(path, `${node.name}'s input`);
    const follow = OPERATIONS[node.opType];
    const result = follow === undefined ? shape : follow(node, { shape, constants });
    known.set(node.output[0] as string, result);
    const meant = expected.get(node.name);
    if (meant !== undefined && meant.join() !== result.join()) {
      throw differs(path, `the size of ${node.name}`);
    }
  }
  for (const output of graph.output) {
    if (known.get(output.name)?.join() !== borderOf(output).join()) {
      throw differs(path, `the size of ${output.name}`);
    }
  }
}
