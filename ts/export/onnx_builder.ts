/** Puts an ONNX graph together: operations, and the constants that they take. */
import type { ModelLayer } from "../addon/types.js";
import { bytesOf } from "./bits.js";
import { isHalved, toHalf } from "./half.js";
import {
  ATTRIBUTE_TYPES,
  type AttributeProto,
  DATA_TYPES,
  type NodeProto,
  type TensorProto,
  type ValueInfoProto,
} from "./onnx_schema.js";

export type Attributes = Record<string, Omit<AttributeProto, "name">>;

export const int = (i: number) => ({ type: ATTRIBUTE_TYPES.int, i });
export const ints = (values: readonly number[]) => ({
  type: ATTRIBUTE_TYPES.ints,
  ints: [...values],
});
export const float = (f: number) => ({ type: ATTRIBUTE_TYPES.float, f: Math.fround(f) });
export const text = (s: string) => ({ type: ATTRIBUTE_TYPES.string, s: Buffer.from(s) });

/** A tensor of the graph's border; the number of images is free, and so is a size with a name. */
export function border(
  name: string,
  elemType: number,
  shape: readonly (number | string)[],
): ValueInfoProto {
  const dim = ["N", ...shape].map((size) =>
    typeof size === "string" ? { dimParam: size } : { dimValue: size },
  );
  return { name, type: { tensorType: { elemType, shape: { dim } } } };
}

export class GraphBuilder {
  readonly nodes: NodeProto[] = [];
  readonly constants = new Map<string, TensorProto>();
  /** The name of what was computed last. */
  current = "images";

  /** @param half - Whether weights are kept in fp16. */
  constructor(readonly half: boolean) {}

  /** Adds an operation on tensors, by their names. Returns the name of what it computes. */
  node(name: string, opType: string, input: string[], attributes: Attributes = {}): string {
    const given = Object.entries(attributes).map(([name, value]) => ({ name, ...value }));
    const output = `${name}.output`;
    this.nodes.push({ name, opType, input, output: [output], attribute: given });
    return output;
  }

  /** Adds an operation on what was computed last and `more`. */
  add(name: string, opType: string, attributes: Attributes = {}, more: string[] = []): string {
    this.current = this.node(name, opType, [this.current, ...more], attributes);
    return this.current;
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

  integer(value: number, dataType: number = DATA_TYPES.int64): string {
    const isShort = dataType === DATA_TYPES.int32;
    const rawData = bytesOf(isShort ? Int32Array.of(value) : BigInt64Array.of(BigInt(value)));
    const name = `${isShort ? "int32" : "integer"}.${value}`;
    this.constants.set(name, { name, dims: [], dataType, rawData });
    return name;
  }

  /** A vector of integers, such as a shape. */
  vector(name: string, values: readonly number[]): string {
    const rawData = bytesOf(BigInt64Array.from(values, BigInt));
    const dims = [values.length];
    this.constants.set(name, { name, dims, dataType: DATA_TYPES.int64, rawData });
    return name;
  }
}
