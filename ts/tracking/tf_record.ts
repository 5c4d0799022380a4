/** TFRecord, the framing of TensorBoard's event files: length, checksum, data, checksum. */
import { crc32c } from "./crc32c.js";

/** As TensorFlow stores checksums: a CRC of data that holds CRCs would be weak. */
export function maskedCrc(bytes: Uint8Array): number {
  const crc = crc32c(bytes);
  return (((crc >>> 15) | (crc << 17)) + 0xa282ead8) >>> 0;
}

/** The data of the records of a file, up to the first that is cut short. */
export function* unframe(file: Buffer): Generator<Buffer> {
  let at = 0;
  while (at + 12 <= file.length) {
    const length = Number(file.readBigUInt64LE(at));
    if (at + 12 + length + 4 > file.length) return;
    yield file.subarray(at + 12, at + 12 + length);
    at += 12 + length + 4;
  }
}

/** One record around `data`. */
export function frame(data: Uint8Array): Buffer {
  const record = Buffer.alloc(12 + data.length + 4);
  record.writeBigUInt64LE(BigInt(data.length), 0);
  record.writeUInt32LE(maskedCrc(record.subarray(0, 8)), 8);
  record.set(data, 12);
  record.writeUInt32LE(maskedCrc(data), 12 + data.length);
  return record;
}
