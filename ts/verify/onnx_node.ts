/** A node of an ONNX graph, as an operator takes it. */
import type { AttributeProto, NodeProto } from "../export/onnx_schema.js";
import { type NumberType, product, type Tensor } from "./tensor.js";

/** What a node takes: its attributes and its inputs. Whatever is not asked for is an error. */
export class Node {
  #attributes: Map<string, AttributeProto>;

  /** @param inputs - Undefined where one is left out. */
  constructor(
    readonly proto: NodeProto,
    readonly inputs: readonly (Tensor | undefined)[],
  ) {
    this.#attributes = new Map(proto.attribute.map((entry) => [entry.name, entry]));
  }

  fail(why: string): Error {
    return new Error(`${this.proto.name} (${this.proto.opType}): ${why}`);
  }

  /** An input; its numbers must be of the type, unless it is `any`. */
  input(index: number, type: NumberType | "any" = "float"): Tensor {
    const found = this.inputs[index];
    if (found === undefined) throw this.fail(`it lacks its input ${index}`);
    if (type !== "any" && found.type !== type) {
      throw this.fail(`its input ${index} is of ${found.type}, not of ${type}`);
    }
    return found;
  }

  /** An input of fp32 numbers. */
  floats(index: number): Float32Array {
    return this.input(index).data as Float32Array;
  }

  /** An input of 64-bit integers. */
  integers(index: number): number[] {
    return [...this.input(index, "int64").data];
  }

  /** One image, [1, C, H, W], without the 1. */
  image(index: number): [channels: number, height: number, width: number] {
    const [images, ...sizes] = this.input(index).shape;
    if (images === 1 && sizes.length === 3) return sizes as [number, number, number];
    throw this.fail("it takes one image");
  }

  int(name: string, fallback: number): number {
    const found = this.#take(name);
    return found === undefined ? fallback : (found.i ?? 0);
  }

  float(name: string, fallback: number): number {
    const found = this.#take(name);
    return found === undefined ? fallback : (found.f ?? 0);
  }

  text(name: string, fallback: string): string {
    const found = this.#take(name);
    return found === undefined ? fallback : Buffer.from(found.s ?? []).toString();
  }

  ints(name: string, fallback?: readonly number[]): readonly number[] {
    const found = this.#take(name)?.ints ?? fallback;
    if (found === undefined) throw this.fail(`it has no ${name}`);
    return found;
  }

  /** Whether every attribute was asked for. */
  finish(): void {
    const [left] = this.#attributes.keys();
    if (left !== undefined) throw this.fail(`its ${left} is not known`);
  }

  #take(name: string): AttributeProto | undefined {
    const found = this.#attributes.get(name);
    this.#attributes.delete(name);
    return found;
  }
}

/** What an operator is: of a node, its output. */
export type Operator = (node: Node) => Tensor;

/** A window over rows and columns: sizes of two axes, padding above, left, below, right. */
export interface Window {
  kernel: readonly [number, number];
  strides: readonly [number, number];
  pads: readonly [number, number, number, number];
}

export function windowOf(node: Node, kernel?: readonly number[]): Window {
  return {
    kernel: node.ints("kernel_shape", kernel) as [number, number],
    strides: node.ints("strides", [1, 1]) as [number, number],
    pads: node.ints("pads", [0, 0, 0, 0]) as [number, number, number, number],
  };
}

/** How many windows there are along both axes: ⌊(n + pads − k) / s⌋ + 1. */
export function windowCounts(node: Node, { kernel, strides, pads }: Window): [number, number] {
  const [, height, width] = node.image(0);
  const counts = [height, width].map((size, axis) => {
    const padded = size + (pads[axis] as number) + (pads[2 + axis] as number);
    return Math.floor((padded - (kernel[axis] as number)) / (strides[axis] as number)) + 1;
  }) as [number, number];
  if (product(counts) < 1 || Math.min(...counts) < 1) throw node.fail("its window is too large");
  return counts;
}
