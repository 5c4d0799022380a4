/** Numbers as bytes, and whether they are the same. */
import { FlexaeError } from "../addon/errors.js";

/** The memory of an array, little-endian. */
export function bytesOf(
  values: Float32Array | Int32Array | Uint16Array | BigInt64Array,
): Uint8Array {
  return new Uint8Array(values.buffer, values.byteOffset, values.byteLength);
}

/** Whether both hold the same bits; of NaNs, too. */
export function sameBits(a: Uint8Array, b: Uint8Array): boolean {
  return Buffer.compare(a, b) === 0;
}

/** What was read back from a file is not what was written. */
export function differs(file: string, what: string): FlexaeError {
  return new FlexaeError(
    "FLEXAE_INTERNAL",
    `${file} does not hold what was exported: ${what} differs. Nothing was kept of the export`,
  );
}
