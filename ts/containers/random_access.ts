/** Bytes of a file, wherever they lie. */
import { closeSync, fstatSync, openSync, readSync } from "node:fs";
import { dataError } from "../addon/errors.js";

/** What a reader of a format asks for. */
export interface RandomAccess {
  /** In bytes. */
  readonly size: number;
  /**
   * Bytes from a position on; they may be overwritten by the next call.
   *
   * @throws FlexaeError `FLEXAE_DATA` if there are not so many.
   */
  read(position: number, length: number): Buffer;
}

/** So much is read at once: lists of small members are walked through without a call for each. */
const WINDOW = 1 << 18;

/** Through a window that moves along, since formats are mostly read from front to back. */
export class WindowedFile implements RandomAccess {
  readonly size: number;
  #shown: string;
  #fill: (target: Buffer, position: number) => number;
  #window = Buffer.allocUnsafe(WINDOW);
  #from = 0;
  #filled = 0;

  /** @param fill - Reads up to as much as the target holds, and says how much it was. */
  constructor(size: number, shown: string, fill: (target: Buffer, position: number) => number) {
    this.size = size;
    this.#shown = shown;
    this.#fill = fill;
  }

  read(position: number, length: number): Buffer {
    if (position + length > this.size) throw dataError(`${this.#shown} is truncated`);
    if (length > WINDOW) {
      const own = Buffer.allocUnsafe(length);
      if (this.#fill(own, position) < length) throw dataError(`${this.#shown} is truncated`);
      return own;
    }
    if (position < this.#from || position + length > this.#from + this.#filled) {
      this.#from = position;
      this.#filled = this.#fill(this.#window, position);
      if (this.#filled < length) throw dataError(`${this.#shown} is truncated`);
    }
    const at = position - this.#from;
    return this.#window.subarray(at, at + length);
  }
}

/** Reads as much as there is, up to the target's length. */
function readAll(descriptor: number, target: Buffer, position: number): number {
  let filled = 0;
  while (filled < target.length) {
    const got = readSync(descriptor, target, filled, target.length - filled, position + filled);
    if (got === 0) break;
    filled += got;
  }
  return filled;
}

/** Opens a file for as long as `work` takes. */
export async function withFile<T>(
  path: string,
  shown: string,
  work: (bytes: RandomAccess) => T | Promise<T>,
): Promise<T> {
  const descriptor = openSync(path, "r");
  try {
    const { size } = fstatSync(descriptor);
    const fill = (target: Buffer, position: number) => readAll(descriptor, target, position);
    return await work(new WindowedFile(size, shown, fill));
  } finally {
    closeSync(descriptor);
  }
}
