/** ONNX's functions of single numbers, by its operator specification. */
import type { Node, Operator } from "./onnx_node.js";
import { type NumberType, product, room, type Tensor } from "./tensor.js";

/** An operator that takes each fp32 number by itself. */
function each(functionOf: (node: Node) => (x: number) => number): Operator {
  return (node) => {
    const x = node.floats(0);
    const apply = functionOf(node);
    const data = new Float32Array(x.length);
    for (let i = 0; i < x.length; i++) data[i] = apply(x[i] as number);
    return { ...node.input(0), data };
  };
}

/** 2/√π · e^(−x²) · Σ 2ⁿ x^(2n+1) / (2n+1)!!, whose terms are all of one sign; beyond 4 it is 1. */
function erf(x: number): number {
  if (!(Math.abs(x) < 4)) return Number.isNaN(x) ? x : Math.sign(x);
  let [term, sum] = [x, x];
  for (let n = 1; Math.abs(term) > 1e-17 * Math.abs(sum); n++) {
    term *= (2 * x * x) / (2 * n + 1);
    sum += term;
  }
  return (2 / Math.sqrt(Math.PI)) * Math.exp(-x * x) * sum;
}

/** To the nearest whole number, halves to the even one. */
function round(x: number): number {
  const low = Math.floor(x);
  const rest = x - low;
  if (rest !== 0.5) return rest < 0.5 ? low : low + 1;
  return low % 2 === 0 ? low : low + 1;
}

const softplus = (x: number) => Math.max(x, 0) + Math.log1p(Math.exp(-Math.abs(x)));

export const ACTIVATIONS: Record<string, Operator> = {
  Relu: each(() => (x) => (x < 0 ? 0 : x)),
  Elu: each((node) => {
    const alpha = node.float("alpha", 1);
    return (x) => (x < 0 ? alpha * Math.expm1(x) : x);
  }),
  Selu: each((node) => {
    const alpha = node.float("alpha", Math.fround(1.6732632));
    const gamma = node.float("gamma", Math.fround(1.050701));
    return (x) => gamma * (x > 0 ? x : alpha * Math.expm1(x));
  }),
  LeakyRelu: each((node) => {
    const alpha = node.float("alpha", 0.01);
    return (x) => (x < 0 ? alpha * x : x);
  }),
  HardSigmoid: each((node) => {
    const [alpha, beta] = [node.float("alpha", 0.2), node.float("beta", 0.5)];
    return (x) => Math.max(0, Math.min(1, alpha * x + beta));
  }),
  Sigmoid: each(() => (x) => 1 / (1 + Math.exp(-x))),
  Tanh: each(() => Math.tanh),
  Softplus: each(() => softplus),
  Softsign: each(() => (x) => x / (1 + Math.abs(x))),
  Exp: each(() => Math.exp),
  Erf: each(() => erf),
  Round: each(() => round),
};

/** The shape that both take when axes of 1 are repeated. */
export function broadcastShape(node: Node, a: readonly number[], b: readonly number[]): number[] {
  const rank = Math.max(a.length, b.length);
  return Array.from({ length: rank }, (_, axis) => {
    const [x, y] = [a, b].map((shape) => shape[axis - rank + shape.length] ?? 1) as [
      number,
      number,
    ];
    if (x !== y && x !== 1 && y !== 1)
      throw node.fail(`${a.join("×")} does not go with ${b.join("×")}`);
    return x === 1 ? y : x;
  });
}

/** Of each number of `shape`, where it is in a tensor whose axes of 1 are repeated. */
export function broadcastPlaces(shape: readonly number[], of: readonly number[]): Int32Array {
  const places = new Int32Array(product(shape));
  // From the last axis to the first: what lies behind it is repeated, moved on by its steps.
  let [length, step] = [1, 1];
  for (let axis = shape.length - 1; axis >= 0; axis--) {
    const own = of[axis - shape.length + of.length] ?? 1;
    const count = shape[axis] as number;
    for (let i = 1; i < count; i++) {
      const shift = own === 1 ? 0 : i * step;
      for (let j = 0; j < length; j++) places[i * length + j] = (places[j] as number) + shift;
    }
    length *= count;
    step *= own;
  }
  return places;
}

/** An operator of two tensors of one type. `apply` is told whether they are of integers. */
function both(
  apply: (node: Node, type: NumberType) => (a: number, b: number) => number,
  type?: NumberType,
): Operator {
  return (node): Tensor => {
    if (node.inputs.length !== 2) throw node.fail("it takes two tensors");
    const a = node.input(0, "any");
    const b = node.input(1, a.type);
    const compute = apply(node, a.type);
    const shape = broadcastShape(node, a.shape, b.shape);
    const data = room(type ?? a.type, product(shape));
    if (a.data.length === data.length && b.data.length === 1) {
      const second = b.data[0] as number;
      for (let i = 0; i < data.length; i++) data[i] = compute(a.data[i] as number, second);
    } else {
      const [first, second] = [a, b].map((given) => broadcastPlaces(shape, given.shape)) as [
        Int32Array,
        Int32Array,
      ];
      for (let i = 0; i < data.length; i++) {
        data[i] = compute(
          a.data[first[i] as number] as number,
          b.data[second[i] as number] as number,
        );
      }
    }
    return { type: type ?? a.type, shape, data };
  };
}

export const ARITHMETIC: Record<string, Operator> = {
  Add: both(() => (a, b) => a + b),
  Sub: both(() => (a, b) => a - b),
  Mul: both((_, type) => (type === "int32" ? Math.imul : (a, b) => a * b)),
  // Integers are cut off towards 0.
  Div: both((_, type) => (type === "float" ? (a, b) => a / b : (a, b) => Math.trunc(a / b))),
  Min: both(() => Math.min),
  Max: both(() => Math.max),
  Equal: both(() => (a, b) => Number(a === b), "bool"),
  And: both((node, type) => {
    if (type !== "bool") throw node.fail("it takes booleans");
    return (a, b) => a & b;
  }, "bool"),
};
