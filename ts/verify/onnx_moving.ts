/** ONNX's operators that move numbers about, or look at sizes, by its operator specification. */
import type { Node, Operator } from "./onnx_node.js";
import { product, room, type Tensor, typeOf } from "./tensor.js";

/** How far numbers lie apart along each axis. */
function stepsOf(shape: readonly number[]): number[] {
  const steps = shape.map(() => 1);
  for (let axis = shape.length - 2; axis >= 0; axis--) {
    steps[axis] = (steps[axis + 1] as number) * (shape[axis + 1] as number);
  }
  return steps;
}

/** A tensor of `shape` whose numbers are taken from `x`, `steps` apart along each axis. */
function strided(
  x: Tensor,
  shape: readonly number[],
  steps: readonly number[],
  offset = 0,
): Tensor {
  const data = room(x.type, product(shape));
  const index = shape.map(() => 0);
  for (let i = 0, from = offset; i < data.length; i++) {
    data[i] = x.data[from] as number;
    for (let axis = shape.length - 1; axis >= 0; axis--) {
      from += steps[axis] as number;
      index[axis] = (index[axis] as number) + 1;
      if ((index[axis] as number) < (shape[axis] as number)) break;
      from -= (shape[axis] as number) * (steps[axis] as number);
      index[axis] = 0;
    }
  }
  return { type: x.type, shape, data };
}

const transpose: Operator = (node) => {
  const x = node.input(0, "any");
  const perm = node.ints("perm");
  const steps = stepsOf(x.shape);
  const of = (values: readonly number[]) => perm.map((axis) => values[axis] as number);
  if ([...perm].sort((a, b) => a - b).join() !== x.shape.map((_, i) => i).join()) {
    throw node.fail(`its axes are not ${perm.join(", ")}`);
  }
  return strided(x, of(x.shape), of(steps));
};

const slice: Operator = (node) => {
  const x = node.input(0, "any");
  const [starts, ends] = [node.integers(1), node.integers(2)];
  const axes = node.inputs[3] === undefined ? starts.map((_, i) => i) : node.integers(3);
  if (node.inputs[4] !== undefined) throw node.fail("it has steps");
  const shape = [...x.shape];
  const steps = stepsOf(shape);
  let offset = 0;
  for (const [i, given] of axes.entries()) {
    const axis = given < 0 ? given + shape.length : given;
    const size = x.shape[axis];
    if (size === undefined) throw node.fail(`it has no axis ${given}`);
    const within = (end: number) => Math.min(Math.max(end < 0 ? end + size : end, 0), size);
    const [from, to] = [within(starts[i] as number), within(ends[i] as number)];
    shape[axis] = Math.max(0, to - from);
    offset += from * (steps[axis] as number);
  }
  return strided(x, shape, steps, offset);
};

/** The same numbers in another shape. */
function reshaped(node: Node, shape: readonly number[]): Tensor {
  const x = node.input(0, "any");
  if (product(shape) !== x.data.length) {
    throw node.fail(`${x.shape.join("×")} numbers are not ${shape.join("×")}`);
  }
  return { ...x, shape };
}

const reshape: Operator = (node) => {
  const x = node.input(0, "any");
  const keepsZero = node.int("allowzero", 0) !== 0;
  const wanted = node
    .integers(1)
    .map((size, axis) => (size === 0 && !keepsZero ? (x.shape[axis] as number) : size));
  const known = product(wanted.filter((size) => size !== -1));
  return reshaped(
    node,
    wanted.map((size) => (size === -1 ? x.data.length / known : size)),
  );
};

const flatten: Operator = (node) => {
  const { shape } = node.input(0, "any");
  const given = node.int("axis", 1);
  const axis = given < 0 ? given + shape.length : given;
  return reshaped(node, [product(shape.slice(0, axis)), product(shape.slice(axis))]);
};

const unsqueeze: Operator = (node) => {
  const shape = [...node.input(0, "any").shape];
  const axes = node.integers(1);
  const rank = shape.length + axes.length;
  const places = axes.map((axis) => (axis < 0 ? axis + rank : axis)).sort((a, b) => a - b);
  for (const axis of places) shape.splice(axis, 0, 1);
  return reshaped(node, shape);
};

const cast: Operator = (node) => {
  const x = node.input(0, "any");
  const type = typeOf(node.int("to", 0));
  if (type === "float16") throw node.fail("nothing is computed in fp16");
  const data = room(type, x.data.length);
  const isCut = type !== "float" && (x.type === "float" || x.type === "float16");
  for (let i = 0; i < data.length; i++) {
    const value = x.data[i] as number;
    data[i] = isCut ? Math.trunc(value) : value;
  }
  return { type, shape: x.shape, data };
};

const shapeOf: Operator = (node) => {
  const { shape } = node.input(0, "any");
  return { type: "int64", shape: [shape.length], data: Float64Array.from(shape) };
};

const range: Operator = (node) => {
  const [start, limit, delta] = [0, 1, 2].map((i) => node.integers(i)[0]) as [
    number,
    number,
    number,
  ];
  const length = Math.max(Math.ceil((limit - start) / delta), 0);
  const data = Float64Array.from({ length }, (_, i) => start + i * delta);
  return { type: "int64", shape: [length], data };
};

const gather: Operator = (node) => {
  const x = node.input(0, "any");
  const indices = node.input(1, "int64");
  const given = node.int("axis", 0);
  const axis = given < 0 ? given + x.shape.length : given;
  const size = x.shape[axis];
  if (size === undefined) throw node.fail(`it has no axis ${given}`);
  const outer = product(x.shape.slice(0, axis));
  const inner = product(x.shape.slice(axis + 1));
  const shape = [...x.shape.slice(0, axis), ...indices.shape, ...x.shape.slice(axis + 1)];
  const data = room(x.type, product(shape));
  let at = 0;
  for (let o = 0; o < outer; o++) {
    for (const index of indices.data) {
      const row = index < 0 ? index + size : index;
      if (!(row >= 0 && row < size)) throw node.fail(`there is no ${index} along its axis ${axis}`);
      const from = (o * size + row) * inner;
      data.set(x.data.subarray(from, from + inner), at);
      at += inner;
    }
  }
  return { type: x.type, shape, data };
};

/** Each number repeated by whole factors, of which other kinds of resizing know nothing. */
const resize: Operator = (node) => {
  const x = node.input(0);
  const scales = node.floats(2);
  const way = [
    node.text("mode", "nearest"),
    node.text("coordinate_transformation_mode", "half_pixel"),
    node.text("nearest_mode", "round_prefer_floor"),
  ].join(" ");
  if (way !== "nearest asymmetric floor") throw node.fail(`it resizes by ${way}`);
  if (node.inputs[3] !== undefined || scales.length !== x.shape.length) {
    throw node.fail("it is not told the factor of each axis");
  }
  const shape = x.shape.map((size, axis) => Math.floor(size * (scales[axis] as number)));
  const steps = stepsOf(x.shape);
  // Of each axis, where the number is that each one is taken from.
  const places = shape.map((size, axis) =>
    Int32Array.from({ length: size }, (_, i) => {
      return Math.floor(i / (scales[axis] as number)) * (steps[axis] as number);
    }),
  );
  const data = new Float32Array(product(shape));
  const fill = (axis: number, from: number, at: number): number => {
    const own = places[axis];
    if (own === undefined) {
      data[at] = x.data[from] as number;
      return at + 1;
    }
    let next = at;
    for (const place of own) next = fill(axis + 1, from + place, next);
    return next;
  };
  fill(0, 0, 0);
  return { type: "float", shape, data };
};

export const MOVING: Record<string, Operator> = {
  Transpose: transpose,
  Slice: slice,
  Reshape: reshape,
  Flatten: flatten,
  Unsqueeze: unsqueeze,
  Cast: cast,
  Shape: shapeOf,
  Range: range,
  Gather: gather,
  Resize: resize,
};
