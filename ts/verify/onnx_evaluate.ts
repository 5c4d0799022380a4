/**
 * Computes an ONNX graph as it is in its file: plainly, in doubles that are rounded to fp32 behind
 * each operation. Of this program's layers it knows nothing.
 */

import { setImmediate } from "node:timers/promises";
import type { NodeProto } from "../export/onnx_schema.js";
import type { OnnxFile } from "./onnx_file.js";
import { Node } from "./onnx_node.js";
import { multiplications, OPERATORS } from "./onnx_operators.js";
import { product, room, type Tensor, typeOf } from "./tensor.js";

/** The opset whose specification the operators follow. */
const OPSET = 18;

/** What a graph gives. */
export interface Evaluated {
  /** By name: the graph's outputs, and what was asked for besides. */
  tensors: ReadonlyMap<string, Tensor>;
  /** Multiplications that it took. */
  multiplications: number;
}

/** What is otherwise in an evaluation. */
export interface EvaluateOptions {
  /** Names of tensors that are wanted besides the outputs. */
  also?: readonly string[];
  /** Tensors that take the place of what nodes give. */
  given?: ReadonlyMap<string, Tensor>;
  /** More multiplications are not made. */
  most?: number | undefined;
  /** Ends it between two nodes. */
  signal?: AbortSignal | undefined;
}

/** A graph that would take more multiplications than were allowed. */
export class TooManyMultiplications extends Error {}

/** Operators that are written for one image: of several each is by itself. */
const BY_IMAGE: readonly string[] = ["AveragePool", "Conv", "ConvTranspose", "MaxPool"];

interface Computed {
  output: Tensor;
  multiplications: number;
}

function computeOnce(proto: NodeProto, inputs: readonly (Tensor | undefined)[]): Computed {
  const operator = OPERATORS[proto.opType];
  if (operator === undefined) throw new Error(`${proto.name} is an unknown ${proto.opType}`);
  const node = new Node(proto, inputs);
  const output = operator(node);
  node.finish();
  return { output, multiplications: multiplications(node, output) };
}

function compute(proto: NodeProto, inputs: readonly (Tensor | undefined)[]): Computed {
  const [images, ...rest] = inputs;
  const count = images?.shape[0] ?? 1;
  if (images === undefined || count === 1 || !BY_IMAGE.includes(proto.opType)) {
    return computeOnce(proto, inputs);
  }
  const shape = [1, ...images.shape.slice(1)];
  const size = product(shape);
  let made = 0;
  const parts = Array.from({ length: count }, (_, i) => {
    const data = images.data.subarray(i * size, (i + 1) * size);
    const { output, multiplications } = computeOnce(proto, [{ ...images, shape, data }, ...rest]);
    made += multiplications;
    return output;
  });
  const [first] = parts as [Tensor];
  const data = room(first.type, count * first.data.length);
  for (const [i, part] of parts.entries()) data.set(part.data, i * first.data.length);
  return {
    output: { ...first, shape: [count, ...first.shape.slice(1)], data },
    multiplications: made,
  };
}

/** What a graph says of its outputs must be what they are. */
function checkOutputs({ model }: OnnxFile, tensors: ReadonlyMap<string, Tensor>): void {
  for (const { name, type } of model.graph.output) {
    const { elemType, shape } = type.tensorType;
    const found = tensors.get(name);
    const fits =
      found !== undefined &&
      typeOf(elemType) === found.type &&
      shape.dim.length === found.shape.length &&
      shape.dim.every((dim, i) => !("dimValue" in dim) || dim.dimValue === found.shape[i]);
    if (!fits) {
      const what = found === undefined ? "missing" : `${found.shape.join("×")} of ${found.type}`;
      throw new Error(`its output ${name} is ${what}, which is not what it says`);
    }
  }
}

/** The name of what a graph takes, if an image is that; sizes that have names are free. */
function checkInput({ input }: OnnxFile, image: Tensor): string {
  const { elemType, shape } = input.type.tensorType;
  const fits =
    typeOf(elemType) === image.type &&
    shape.dim.length === image.shape.length &&
    shape.dim.every((dim, i) => !("dimValue" in dim) || dim.dimValue === image.shape[i]);
  if (fits) return input.name;
  throw new Error(`it does not take ${image.shape.join("×")} of ${image.type}`);
}

/**
 * Runs a graph on images.
 *
 * @param image - With their number in front.
 * @throws Error saying what of the graph cannot be computed, {@link TooManyMultiplications}. Rejects
 *   with the reason of an aborted signal.
 */
export async function evaluate(
  file: OnnxFile,
  image: Tensor,
  { also = [], given = new Map(), most = Infinity, signal }: EvaluateOptions = {},
): Promise<Evaluated> {
  const { graph, opsetImport } = file.model;
  if (opsetImport.some(({ domain = "", version }) => domain !== "" || version !== OPSET)) {
    throw new Error(`it is not of opset ${OPSET} alone`);
  }
  const tensors = new Map([[checkInput(file, image), image]]);
  const wanted = new Set([...graph.output.map(({ name }) => name), ...also]);
  // A tensor is let go behind the last node that takes it.
  const last = new Map<string, number>();
  for (const [i, { input }] of graph.node.entries()) for (const name of input) last.set(name, i);
  let count = 0;
  for (const [i, proto] of graph.node.entries()) {
    // Each may take a while: signals are looked at between.
    await setImmediate();
    signal?.throwIfAborted();
    const inputs: (Tensor | undefined)[] = [];
    for (const name of proto.input) {
      const found = name === "" ? undefined : (tensors.get(name) ?? (await file.constant(name)));
      if (found === undefined && name !== "") {
        throw new Error(`${proto.name} takes ${name}, which nothing gives`);
      }
      inputs.push(found);
    }
    const { output, multiplications } = compute(proto, inputs);
    count += multiplications;
    if (count > most) throw new TooManyMultiplications();
    const name = proto.output[0] as string;
    tensors.set(name, given.get(name) ?? output);
    for (const name of proto.input) {
      if (last.get(name) === i && !wanted.has(name)) tensors.delete(name);
    }
  }
  const missing = [...wanted].find((name) => !tensors.has(name));
  if (missing !== undefined) throw new Error(`nothing gives ${missing}`);
  checkOutputs(file, tensors);
  return { tensors, multiplications: count };
}
