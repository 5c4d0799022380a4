/** The operators of ONNX that graphs of this program have, by its specification of opset 18. */
import { averagePool, conv, convTranspose, maxPool } from "./onnx_convolutions.js";
import { ACTIVATIONS, ARITHMETIC, broadcastPlaces, broadcastShape } from "./onnx_functions.js";
import { MOVING } from "./onnx_moving.js";
import type { Node, Operator } from "./onnx_node.js";
import { products, spread, turn } from "./products.js";
import { floats, product, type Tensor } from "./tensor.js";

/** Y = α · A · Bᵀ + β · C; A is not turned, B is. */
const gemm: Operator = (node) => {
  const [a, b] = [node.input(0), node.input(1)];
  const [alpha, beta] = [node.float("alpha", 1), node.float("beta", 1)];
  if (node.int("transA", 0) !== 0 || node.int("transB", 0) !== 1) {
    throw node.fail("only B may be turned, and must be");
  }
  const [rows, depth] = a.shape as [number, number];
  const [units, inputs] = b.shape as [number, number];
  if (a.shape.length !== 2 || b.shape.length !== 2 || inputs !== depth) {
    throw node.fail(`${a.shape.join("×")} does not go with ${b.shape.join("×")}`);
  }
  const sums = new Float64Array(units * spread(rows));
  products(node.floats(1), units, Float64Array.from(node.floats(0)), rows, depth, sums);
  const shape = [rows, units];
  const shift = node.inputs[2] === undefined ? null : node.input(2);
  if (shift !== null && broadcastShape(node, shape, shift.shape).join() !== shape.join()) {
    throw node.fail("its C is of another size");
  }
  const places = shift === null ? null : broadcastPlaces(shape, shift.shape);
  const data = new Float32Array(rows * units);
  for (let i = 0; i < data.length; i++) {
    const sum = sums[(i % units) * spread(rows) + Math.floor(i / units)] as number;
    const added = places === null ? 0 : (shift?.data[places[i] as number] as number);
    data[i] = alpha * sum + beta * added;
  }
  return floats(shape, data);
};

/** Products of the last two axes, of which one side may have no others. */
const matMul: Operator = (node) => {
  const [a, b] = [node.input(0), node.input(1)];
  const [rows, depth] = a.shape.slice(-2) as [number, number];
  const [inputs, columns] = b.shape.slice(-2) as [number, number];
  const [x, y] = [a.shape.slice(0, -2), b.shape.slice(0, -2)];
  const isOne = x.length === 0 || y.length === 0;
  if (a.shape.length < 2 || b.shape.length < 2 || inputs !== depth || !isOne) {
    throw node.fail(`${a.shape.join("×")} does not go with ${b.shape.join("×")}`);
  }
  const outer = [...x, ...y];
  const data = new Float32Array(product(outer) * rows * columns);
  const sums = new Float64Array(rows * spread(columns));
  const right = new Float64Array(depth * columns);
  for (let i = 0; i < product(outer); i++) {
    const from = x.length === 0 ? 0 : i * rows * depth;
    const left = node.floats(0).subarray(from, from + rows * depth);
    const at = y.length === 0 ? 0 : i * depth * columns;
    turn(node.floats(1).subarray(at, at + depth * columns), depth, columns, right);
    products(left, rows, right, columns, depth, sums);
    for (let row = 0; row < rows; row++) {
      const line = sums.subarray(row * spread(columns), row * spread(columns) + columns);
      data.set(line, (i * rows + row) * columns);
    }
  }
  return floats([...outer, rows, columns], data);
};

/** (x − mean) / √(variance + ε) · scale + B, channel by channel. */
const batchNormalization: Operator = (node) => {
  const x = node.input(0);
  const epsilon = node.float("epsilon", 1e-5);
  node.float("momentum", 0.9);
  if (node.int("training_mode", 0) !== 0) throw node.fail("it is for training");
  const [scale, shift, mean, variance] = [1, 2, 3, 4].map((i) => node.floats(i)) as [
    Float32Array,
    Float32Array,
    Float32Array,
    Float32Array,
  ];
  const channels = x.shape[1] as number;
  if ([scale, shift, mean, variance].some(({ length }) => length !== channels)) {
    throw node.fail(`its weights are not those of ${channels} channels`);
  }
  const values = node.floats(0);
  const size = product(x.shape.slice(2));
  const data = new Float32Array(values.length);
  for (let at = 0, channel = 0; at < data.length; channel = (channel + 1) % channels) {
    const factor = (scale[channel] as number) / Math.sqrt((variance[channel] as number) + epsilon);
    const [centre, added] = [mean[channel] as number, shift[channel] as number];
    for (const end = at + size; at < end; at++) {
      data[at] = ((values[at] as number) - centre) * factor + added;
    }
  }
  return floats(x.shape, data);
};

export const OPERATORS: Readonly<Record<string, Operator>> = {
  ...ACTIVATIONS,
  ...ARITHMETIC,
  ...MOVING,
  AveragePool: averagePool,
  BatchNormalization: batchNormalization,
  Conv: conv,
  ConvTranspose: convTranspose,
  Gemm: gemm,
  MatMul: matMul,
  MaxPool: maxPool,
};

/** How many multiplications of weights a node made; of those that have none, none. */
export function multiplications({ proto, inputs }: Node, output: Tensor): number {
  const [x, w] = inputs;
  if (x === undefined || w === undefined) return 0;
  switch (proto.opType) {
    case "Conv":
      return output.data.length * (w.data.length / (w.shape[0] as number));
    case "ConvTranspose":
      return x.data.length * (w.data.length / (w.shape[0] as number));
    case "Gemm":
      return output.data.length * (w.shape[1] as number);
    case "MatMul":
      return output.data.length * (w.shape.at(-2) as number);
    default:
      return 0;
  }
}
