/**
 * Headers of tar files: POSIX 1003.1's ustar and pax, and GNU's. Names are taken as the bytes they
 * are: many archives have some that are no UTF-8, and two of them must not become one.
 */
import { pathFromBytes } from "../files/paths.js";

export const BLOCK = 512;
const CHECKSUM = 148;
const NUL = 0;
const SPACE = 0x20;
const ZERO = 0x30;

/** A header of a member; what longer headers before it say is not yet in it. */
export interface TarHeader {
  name: string;
  /** NaN where the field holds no number. */
  size: number;
  /** "0" of a file; see POSIX. */
  type: string;
  /** Of a link: what it leads to. */
  link: string;
}

export const isZero = (block: Buffer) => block[0] === 0 && block.every((byte) => byte === 0);

function textOf(field: Buffer): string {
  const end = field.indexOf(NUL);
  return pathFromBytes(end < 0 ? field : field.subarray(0, end));
}

/** Octal digits, or GNU's big-endian bytes behind a first one with its highest bit set. */
function numberOf(field: Buffer): number {
  if (field[0] === 0x80) {
    return field.subarray(1).reduce((value, byte) => 256 * value + byte, 0);
  }
  let value = 0;
  let digits = 0;
  for (const byte of field) {
    const isBlank = byte === SPACE || byte === NUL;
    if (isBlank && digits > 0) break;
    if (isBlank) continue;
    if (byte < ZERO || byte >= ZERO + 8) return Number.NaN;
    value = 8 * value + byte - ZERO;
    digits++;
  }
  return value;
}

/** The sum of a header's bytes, its own field taken as spaces; some programs took bytes as signed. */
export function hasChecksum(block: Buffer): boolean {
  const stored = numberOf(block.subarray(CHECKSUM, CHECKSUM + 8));
  let sum = 8 * 32;
  let negative = 0;
  for (let i = 0; i < BLOCK; i++) {
    if (i === CHECKSUM) i += 8;
    const byte = block[i] as number;
    sum += byte;
    if (byte >= 0x80) negative += 0x100;
  }
  return stored === sum || stored === sum - negative;
}

export function readHeader(block: Buffer): TarHeader {
  // GNU's "ustar  " has other fields where the prefix is.
  const hasPrefix = block[345] !== NUL && block.toString("latin1", 257, 263) === "ustar\0";
  const prefix = hasPrefix ? textOf(block.subarray(345, 500)) : "";
  const name = textOf(block.subarray(0, 100));
  return {
    name: prefix === "" ? name : `${prefix}/${name}`,
    size: numberOf(block.subarray(124, 136)),
    type: String.fromCharCode(block[156] || ZERO),
    link: block[157] === NUL ? "" : textOf(block.subarray(157, 257)),
  };
}

/** A pax header's records, `LENGTH KEY=VALUE\n`; null if they are none. */
export function readRecords(bytes: Buffer): Map<string, Buffer> | null {
  const records = new Map<string, Buffer>();
  let rest = bytes;
  while (rest.length > 0 && rest[0] !== NUL) {
    const space = rest.indexOf(" ");
    const digits = rest.toString("latin1", 0, Math.max(0, space));
    const length = /^\d{1,9}$/.test(digits) ? Number(digits) : 0;
    const equals = rest.indexOf("=", space);
    if (length <= equals || equals < 0 || length > rest.length || rest[length - 1] !== 0x0a) {
      return null;
    }
    records.set(rest.toString("utf8", space + 1, equals), rest.subarray(equals + 1, length - 1));
    rest = rest.subarray(length);
  }
  return records;
}
