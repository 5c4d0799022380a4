/** Tensors as an ONNX graph has them, one at a time. */
import { fromHalf } from "../export/half.js";
import { DATA_TYPES } from "../export/onnx_schema.js";

/** What a tensor is of. fp16 numbers are kept as the fp32 ones that they are. */
export type NumberType = keyof typeof DATA_TYPES | "bool";

/** Numbers, row-major: 64-bit integers as doubles, booleans as 0 and 1. */
export type Numbers = Float32Array | Float64Array | Int32Array | Uint8Array;

export interface Tensor {
  readonly type: NumberType;
  /** None of a scalar. */
  readonly shape: readonly number[];
  readonly data: Numbers;
}

export const product = (sizes: readonly number[]) => sizes.reduce((a, b) => a * b, 1);

/** Room for `length` numbers of a type. */
export function room(type: NumberType, length: number): Numbers {
  if (type === "float" || type === "float16") return new Float32Array(length);
  if (type === "int64") return new Float64Array(length);
  return type === "int32" ? new Int32Array(length) : new Uint8Array(length);
}

export const floats = (shape: readonly number[], data: Float32Array): Tensor => {
  return { type: "float", shape, data };
};

/** A name of ONNX's number of a type. */
export function typeOf(dataType: number): NumberType {
  for (const [name, number] of Object.entries(DATA_TYPES)) {
    if (number === dataType) return name as NumberType;
  }
  throw new Error(`numbers of the type ${dataType} are not known`);
}

/** How many bytes a number takes in a file. */
const WIDTHS: Partial<Record<NumberType, number>> = {
  float: 4,
  float16: 2,
  int32: 4,
  int64: 8,
  uint8: 1,
};

/** A constant from its bytes, little-endian. They must begin where their width asks for. */
export function fromBytes(type: NumberType, shape: readonly number[], bytes: Uint8Array): Tensor {
  const length = product(shape);
  if (bytes.length !== length * (WIDTHS[type] as number)) {
    throw new Error(`${bytes.length} bytes are not ${shape.join("×")} numbers`);
  }
  const { buffer, byteOffset } = bytes;
  if (type === "float16") {
    const halves = new Uint16Array(buffer, byteOffset, length);
    return { type, shape, data: Float32Array.from(halves, fromHalf) };
  }
  if (type === "int64") {
    const data = Float64Array.from(new BigInt64Array(buffer, byteOffset, length), Number);
    return { type, shape, data };
  }
  if (type === "float") return { type, shape, data: new Float32Array(buffer, byteOffset, length) };
  if (type === "int32") return { type, shape, data: new Int32Array(buffer, byteOffset, length) };
  return { type, shape, data: bytes };
}
