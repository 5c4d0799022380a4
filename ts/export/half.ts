/** Weights in half precision, IEEE 754's binary16. */
import { FlexaeError } from "../addon/errors.js";
import type { ModelLayers, ModelWeight } from "../addon/types.js";

/** What rounding to fp16 does to a model's weights. */
export interface HalfDifference {
  /** The largest difference of a number. */
  absolute: number;
  /** The weight that number belongs to. */
  absoluteOf: string;
  /**
   * The largest difference of a weight as a whole: the norm of the differences of its numbers,
   * divided by the norm of the numbers.
   */
  relative: number;
  /** That weight. */
  relativeOf: string;
}

/** The largest number of fp16. */
const LARGEST = 65504;

/**
 * Whether a weight becomes fp16. Biases and batch normalizations stay fp32: they are few, and
 * moving variances may be too small or too large for fp16.
 */
export const isHalved = ({ shape }: Pick<ModelWeight, "shape">) => shape.length > 1;

/** The fp16 number nearest to an fp32 number, both as bits; the even one of two. */
function halfBits(bits: number): number {
  const sign = (bits >>> 16) & 0x8000;
  const magnitude = bits & 0x7fffffff;
  if (magnitude > 0x7f800000) return sign | 0x7e00;
  if (magnitude >= 0x47800000) return sign | 0x7c00;
  // Below 2^-14 numbers are multiples of 2^-24; half of that and less is 0.
  const isSubnormal = magnitude < 0x38800000;
  if (isSubnormal && magnitude <= 0x33000000) return sign;
  const shift = isSubnormal ? 126 - (magnitude >>> 23) : 13;
  const mantissa = isSubnormal ? (magnitude & 0x7fffff) | 0x800000 : magnitude - 0x38000000;
  const half = mantissa >>> shift;
  const rest = mantissa & ((1 << shift) - 1);
  const middle = 1 << (shift - 1);
  // What is carried goes on into the exponent, as it should.
  return sign | (half + (rest > middle || (rest === middle && (half & 1) === 1) ? 1 : 0));
}

/** Numbers as fp16, by its bits. */
export function toHalf(values: Float32Array): Uint16Array {
  const bits = new Uint32Array(values.buffer, values.byteOffset, values.length);
  const halves = new Uint16Array(values.length);
  for (let i = 0; i < bits.length; i++) halves[i] = halfBits(bits[i] as number);
  return halves;
}

/** By the exponent of an fp16 number, what its mantissa is multiplied by; the last is infinity's. */
const SCALES = Float64Array.from({ length: 32 }, (_, exponent) =>
  exponent === 31 ? Number.POSITIVE_INFINITY : 2 ** (Math.max(exponent, 1) - 25),
);

/** An fp16 number, from its bits. */
export function fromHalf(half: number): number {
  const exponent = (half >>> 10) & 31;
  if (exponent === 31 && (half & 1023) !== 0) return Number.NaN;
  const mantissa = (half & 1023) + (exponent > 0 ? 1024 : 0);
  return (half & 0x8000 ? -mantissa : mantissa) * (SCALES[exponent] as number);
}

/**
 * What fp16 does to the weights.
 *
 * @throws FlexaeError `FLEXAE_MODEL` naming a weight that fp16 cannot hold.
 */
export function halfDifference({ layers }: Pick<ModelLayers, "layers">): HalfDifference {
  const found = { absolute: 0, absoluteOf: "", relative: 0, relativeOf: "" };
  for (const { name, shape, values } of layers.flatMap(({ weights }) => weights)) {
    if (!isHalved({ shape })) continue;
    const halves = toHalf(values);
    let [largest, differences, squares] = [0, 0, 0];
    for (let i = 0; i < halves.length; i++) {
      const value = values[i] as number;
      const half = halves[i] as number;
      if ((half & 0x7c00) === 0x7c00) {
        throw new FlexaeError(
          "FLEXAE_MODEL",
          `${name} holds ${value}, and fp16 no more than ${LARGEST}: export without half`,
        );
      }
      const difference = Math.abs(value - fromHalf(half));
      if (difference > largest) largest = difference;
      differences += difference * difference;
      squares += value * value;
    }
    const relative = squares > 0 ? Math.sqrt(differences / squares) : 0;
    if (largest > found.absolute || found.absoluteOf === "") {
      found.absolute = largest;
      found.absoluteOf = name;
    }
    if (relative > found.relative || found.relativeOf === "") {
      found.relative = relative;
      found.relativeOf = name;
    }
  }
  return found;
}
