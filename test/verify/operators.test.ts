/** Operators of ONNX on numbers worked out by hand, from its operator specification. */
import { open, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import {
  type AttributeProto,
  DATA_TYPES,
  encodeModel,
  type NodeProto,
  type TensorProto,
} from "../../ts/export/onnx_schema.ts";
import { evaluate } from "../../ts/verify/onnx_evaluate.ts";
import { OnnxFile } from "../../ts/verify/onnx_file.ts";
import { Node } from "../../ts/verify/onnx_node.ts";
import { OPERATORS } from "../../ts/verify/onnx_operators.ts";
import { type NumberType, room, type Tensor } from "../../ts/verify/tensor.ts";
import { temporaryFolder } from "../support/cli.ts";

function tensor(shape: number[], values: readonly number[], type: NumberType = "float"): Tensor {
  const data = room(type, values.length);
  data.set(values);
  return { type, shape, data };
}

const upTo = (length: number) => Array.from({ length }, (_, i) => i + 1);
const vector = (values: readonly number[]) => tensor([values.length], values);
const sizes = (...values: number[]) => tensor([values.length], values, "int64");

type Attributes = Record<string, number | readonly number[] | string>;

/** Numbers with a point in their name are floats of the specification. */
const FLOATS = ["alpha", "beta", "gamma", "epsilon"];

function compute(
  opType: string,
  inputs: (Tensor | undefined)[],
  attributes: Attributes = {},
): Tensor {
  const attribute = Object.entries(attributes).map(([name, value]): AttributeProto => {
    if (typeof value === "string") return { name, type: 3, s: Buffer.from(value) };
    if (typeof value !== "number") return { name, type: 7, ints: [...value] };
    return FLOATS.includes(name) ? { name, type: 1, f: value } : { name, type: 2, i: value };
  });
  const proto: NodeProto = { name: "x", opType, input: [], output: ["y"], attribute };
  const node = new Node(proto, inputs);
  const output = OPERATORS[opType]?.(node) as Tensor;
  node.finish();
  return output;
}

const rounded = (values: Iterable<number>) => [...values].map((x) => Number(x.toFixed(6)));

function expectNumbers(found: Tensor, shape: number[], values: readonly number[]): void {
  expect(found.shape).toEqual(shape);
  expect(rounded(found.data)).toEqual(rounded(values));
}

describe("an operator", () => {
  it("Conv sums windows, of zeros beyond the image", () => {
    const x = tensor([1, 1, 3, 3], upTo(9));
    const w = tensor([1, 1, 2, 2], [1, 10, 100, 1000]);
    expectNumbers(compute("Conv", [x, w]), [1, 1, 2, 2], [5421, 6532, 8754, 9865]);
    const one = { strides: [2, 2], pads: [1, 0, 0, 1] };
    const padded = compute("Conv", [x, w, vector([0.5])], one);
    expectNumbers(padded, [1, 1, 2, 2], [2100.5, 300.5, 8754.5, 906.5]);
  });

  it("ConvTranspose spreads each number by its window, and cuts by pads", () => {
    const x = tensor([1, 1, 2, 2], [1, 2, 3, 4]);
    const w = tensor([1, 1, 2, 2], [1, 10, 100, 1000]);
    const whole = [1, 12, 20, 103, 1234, 2040, 300, 3400, 4000];
    expectNumbers(compute("ConvTranspose", [x, w]), [1, 1, 3, 3], whole);
    const cut = compute("ConvTranspose", [x, w], { pads: [0, 1, 1, 0] });
    expectNumbers(cut, [1, 1, 2, 2], [12, 20, 1234, 2040]);
    const apart = compute("ConvTranspose", [x, w, vector([1])], {
      strides: [2, 2],
      output_padding: [1, 0],
    });
    expectNumbers(
      apart,
      [1, 1, 5, 4],
      [
        ...[2, 11, 3, 21, 101, 1001, 201, 2001],
        ...[4, 31, 5, 41, 301, 3001, 401, 4001, 1, 1, 1, 1],
      ],
    );
  });

  it("pools what of a window lies in the image", () => {
    const x = tensor([1, 1, 3, 3], upTo(9));
    const window = { kernel_shape: [2, 2], strides: [2, 2], pads: [0, 0, 1, 1] };
    expectNumbers(compute("MaxPool", [x], window), [1, 1, 2, 2], [5, 6, 8, 9]);
    expectNumbers(compute("AveragePool", [x], window), [1, 1, 2, 2], [3, 4.5, 7.5, 9]);
    const all = compute("AveragePool", [x], { ...window, count_include_pad: 1 });
    expectNumbers(all, [1, 1, 2, 2], [3, 2.25, 3.75, 2.25]);
  });

  it("Gemm and MatMul multiply matrices", () => {
    const [a, b] = [tensor([1, 3], [1, 2, 3]), tensor([2, 3], [1, 1, 1, 0, 1, 2])];
    const product = compute("Gemm", [a, b, vector([10, 20])], { transB: 1, alpha: 2, beta: 0.5 });
    expectNumbers(product, [1, 2], [17, 26]);
    const left = tensor([1, 2], [1, 2]);
    const right = tensor([2, 2, 1], [1, 2, 3, 4]);
    expectNumbers(compute("MatMul", [left, right]), [2, 1, 1], [5, 11]);
    expectNumbers(compute("MatMul", [right, left]), [2, 2, 2], [1, 2, 2, 4, 3, 6, 4, 8]);
  });

  it("BatchNormalization takes its statistics by channel", () => {
    const x = tensor([1, 2, 1, 2], [1, 3, 5, 7]);
    const weights = [
      [2, 1],
      [0, 10],
      [1, 5],
      [3, 0],
    ].map(vector);
    const found = compute("BatchNormalization", [x, ...weights], { epsilon: 1 });
    expectNumbers(found, [1, 2, 1, 2], [0, 2, 10, 12]);
  });

  it("functions have the definitions and the defaults of the specification", () => {
    const at = [-5, -1, 0, 0.5, 7];
    const of = (opType: string, attributes: Attributes = {}) =>
      rounded(compute(opType, [vector(at)], attributes).data);
    const meant = (apply: (x: number) => number) => rounded(Float32Array.from(at, apply));
    expect(of("Relu")).toEqual([0, 0, 0, 0.5, 7]);
    expect(of("LeakyRelu")).toEqual([-0.05, -0.01, 0, 0.5, 7]);
    expect(of("Elu", { alpha: 2 })).toEqual(meant((x) => (x < 0 ? 2 * (Math.exp(x) - 1) : x)));
    const [alpha, gamma] = [1.6732632, 1.0507009873554805];
    expect(of("Selu", { gamma: 1.0507009873554805 })).toEqual(
      meant((x) => (x > 0 ? gamma * x : gamma * alpha * (Math.exp(x) - 1))),
    );
    expect(of("HardSigmoid")).toEqual([0, 0.3, 0.5, 0.6, 1]);
    expect(of("Sigmoid")).toEqual(meant((x) => 1 / (1 + Math.exp(-x))));
    expect(of("Softplus")).toEqual(meant((x) => Math.log(1 + Math.exp(x))));
    expect(of("Softsign")).toEqual(meant((x) => x / (1 + Math.abs(x))));
    // Abramowitz and Stegun, table 7.1.
    const erf = compute("Erf", [vector([-1, 0, 0.5, 2, 5])]);
    expect(rounded(erf.data)).toEqual([-0.842701, 0, 0.5205, 0.995322, 1]);
    expect([...compute("Round", [vector([0.5, 1.5, -2.5, 2.4])]).data]).toEqual([0, 2, -2, 2]);
    expect([...compute("Softplus", [vector([1000, -1000])]).data]).toEqual([1000, 0]);
  });

  it("goes over axes of 1, and cuts quotients of integers off", () => {
    const column = tensor([2, 1], [10, 20]);
    expectNumbers(compute("Add", [column, vector([1, 2])]), [2, 2], [11, 12, 21, 22]);
    const [a, b] = [tensor([2], [-7, 7], "int32"), tensor([], [2], "int32")];
    expect([...compute("Div", [a, b]).data]).toEqual([-3, 3]);
    const [large, other] = [tensor([1], [65536], "int32"), tensor([1], [65537], "int32")];
    // As 32 bits overflow.
    expect([...compute("Mul", [large, other]).data]).toEqual([65536]);
    expect(compute("Equal", [a, tensor([], [7], "int32")])).toMatchObject({ type: "bool" });
    expect(() => compute("Add", [a, column])).toThrow(/its input 1 is of float, not of int32/);
    expect(() => compute("Add", [vector([1, 2]), vector([1, 2, 3])])).toThrow(/2 does not go/);
  });

  it("moves numbers", () => {
    const x = tensor([1, 2, 2, 2], upTo(8));
    const last = compute("Transpose", [x], { perm: [0, 2, 3, 1] });
    expectNumbers(last, [1, 2, 2, 2], [1, 5, 2, 6, 3, 7, 4, 8]);
    const cut = compute("Slice", [x, sizes(0, 1), sizes(1, 99), sizes(2, -1)]);
    expectNumbers(cut, [1, 2, 1, 1], [2, 6]);
    expect(compute("Reshape", [x, sizes(0, -1, 4)]).shape).toEqual([1, 2, 4]);
    expect(compute("Flatten", [x]).shape).toEqual([1, 8]);
    expect(compute("Unsqueeze", [vector([1, 2]), sizes(1)]).shape).toEqual([2, 1]);
    expect([...compute("Shape", [x]).data]).toEqual([1, 2, 2, 2]);
    const taken = compute("Gather", [x, sizes(1, -2)], { axis: 3 });
    expectNumbers(taken, [1, 2, 2, 2], [2, 1, 4, 3, 6, 5, 8, 7]);
    const scalar = (value: number) => tensor([], [value], "int64");
    expect([...compute("Range", [scalar(1), scalar(6), scalar(2)]).data]).toEqual([1, 3, 5]);
    expect([...compute("Cast", [vector([-1.7, 2.9])], { to: DATA_TYPES.int32 }).data]).toEqual([
      -1, 2,
    ]);
    const grown = compute(
      "Resize",
      [tensor([1, 1, 1, 2], [1, 2]), undefined, vector([1, 1, 2, 2])],
      {
        mode: "nearest",
        coordinate_transformation_mode: "asymmetric",
        nearest_mode: "floor",
      },
    );
    expectNumbers(grown, [1, 1, 2, 4], [1, 1, 2, 2, 1, 1, 2, 2]);
    expect(() => compute("Resize", [x, undefined, vector([1, 1, 2, 2])])).toThrow(/half_pixel/);
  });
});

describe("a graph in a file", () => {
  const bytesOf = (values: readonly number[]) => new Uint8Array(Float32Array.from(values).buffer);
  const constant = (name: string, dims: number[], values: readonly number[]): TensorProto => {
    return { name, dims, dataType: DATA_TYPES.float, rawData: bytesOf(values) };
  };
  const border = (name: string, dims: number[]) => {
    const dim = dims.map((dimValue) => ({ dimValue }));
    return { name, type: { tensorType: { elemType: DATA_TYPES.float, shape: { dim } } } };
  };

  async function run(
    version: number,
    node: NodeProto[],
    initializer: TensorProto[],
    width: number,
  ) {
    const path = join(temporaryFolder(), "a.onnx");
    const [input, output] = [[border("x", [1, width])], [border("y", [1, 2])]];
    const bytes = encodeModel({
      irVersion: 8,
      producerName: "a test",
      producerVersion: "1",
      docString: "",
      opsetImport: [{ domain: "", version }],
      metadataProps: [{ key: "k", value: "v" }],
      graph: { name: "g", node, initializer, input, output },
    });
    await writeFile(path, bytes);
    const handle = await open(path);
    try {
      const file = await OnnxFile.read(handle);
      return await evaluate(file, tensor([1, width], upTo(width)));
    } finally {
      await handle.close();
    }
  }

  const gemm: NodeProto = {
    name: "product",
    opType: "Gemm",
    input: ["x", "w"],
    output: ["y"],
    attribute: [{ name: "transB", type: 2, i: 1 }],
  };

  it("gives its outputs, with constants small and large", async () => {
    for (const width of [2, 5000]) {
      const values = [
        ...upTo(width).map(() => 1),
        ...upTo(width).map((i) => (i === width ? 1 : 0)),
      ];
      const { tensors, multiplications } = await run(
        18,
        [gemm],
        [constant("w", [2, width], values)],
        width,
      );
      const found = tensors.get("y") as Tensor;
      expect([...found.data]).toEqual([(width * (width + 1)) / 2, width]);
      expect([...tensors.keys()]).toEqual(["y"]);
      expect(multiplications).toBe(2 * width);
    }
  });

  it("is refused where it is not understood", async () => {
    const w = constant("w", [2, 2], [1, 2, 3, 4]);
    await expect(run(17, [gemm], [w], 2)).rejects.toThrow(/not of opset 18/);
    await expect(run(18, [gemm], [], 2)).rejects.toThrow(/product takes w, which nothing gives/);
    await expect(run(18, [], [w], 2)).rejects.toThrow(/nothing gives y/);
    const short = { ...w, rawData: w.rawData.subarray(4) };
    await expect(run(18, [gemm], [short], 2)).rejects.toThrow(/12 bytes are not 2×2 numbers/);
  });
});
