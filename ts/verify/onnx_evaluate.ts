/**
 * Computes an ONNX graph as it is in its file, one image at a time: plainly, in doubles that are
 * rounded to fp32 behind each operation. Of this program's layers it knows nothing.
 */

import type { OnnxFile } from "./onnx_file.js";
import { Node } from "./onnx_node.js";
import { multiplications, OPERATORS } from "./onnx_operators.js";
import { type Tensor, typeOf } from "./tensor.js";

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
 * Runs a graph on an image.
 *
 * @param image - With an axis of one image in front.
 * @throws Error saying what of the graph cannot be computed.
 */
export async function evaluate(
  file: OnnxFile,
  image: Tensor,
  { also = [], given = new Map() }: EvaluateOptions = {},
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
    const operator = OPERATORS[proto.opType];
    if (operator === undefined) throw new Error(`${proto.name} is an unknown ${proto.opType}`);
    const inputs: (Tensor | undefined)[] = [];
    for (const name of proto.input) {
      const found = name === "" ? undefined : (tensors.get(name) ?? (await file.constant(name)));
      if (found === undefined && name !== "") {
        throw new Error(`${proto.name} takes ${name}, which nothing gives`);
      }
      inputs.push(found);
    }
    const node = new Node(proto, inputs);
    const output = operator(node);
    node.finish();
    count += multiplications(node, output);
    const name = proto.output[0] as string;
    tensors.set(name, given.get(name) ?? output);
    for (const name of proto.input) {
      if (last.get(name) === i && !wanted.has(name)) tensors.delete(name);
    }
  }
  const missing = [...wanted].find((name) => !tensors.has(name));
  if (missing !== undefined) throw new Error(`nothing gives ${missing}`);
  return { tensors, multiplications: count };
}
