/** Puts an exploration into the bytes in which it travels. */
import type { ArrayPlace, ArrayType } from "./wire.js";

type Numbers = Uint8Array | Uint16Array | Uint32Array | Float32Array | Float64Array;

const typeOf = (numbers: Numbers): ArrayType => {
  if (numbers instanceof Uint8Array) return "u8";
  if (numbers instanceof Uint16Array) return "u16";
  if (numbers instanceof Uint32Array) return "u32";
  return numbers instanceof Float32Array ? "f32" : "f64";
};

/** Gathers arrays. */
export class Packer {
  readonly #pieces: Uint8Array[] = [];
  #length = 0;

  /** Takes an array, and says where it will lie. */
  add(numbers: Numbers): ArrayPlace {
    const at = this.#length;
    const bytes = new Uint8Array(numbers.buffer, numbers.byteOffset, numbers.byteLength);
    const padding = -bytes.length & 7;
    this.#pieces.push(bytes, new Uint8Array(padding));
    this.#length += bytes.length + padding;
    return { type: typeOf(numbers), at, length: numbers.length };
  }

  /** Takes texts, a zero behind each. */
  addTexts(texts: readonly (string | null)[]): ArrayPlace {
    // In pieces: of many long texts, one string would be longer than strings may be.
    const pieces: Buffer[] = [];
    for (let from = 0; from < texts.length; from += 100_000) {
      const some = texts.slice(from, from + 100_000);
      pieces.push(
        Buffer.from(some.map((text) => `${(text ?? "").replaceAll("\0", "\ufffd")}\0`).join("")),
      );
    }
    return this.add(new Uint8Array(Buffer.concat(pieces)));
  }

  /**
   * All, in pieces: the length of the header in bytes, as a 32-bit number, four bytes that mean
   * nothing, the header, spaces up to a multiple of 8, and the arrays.
   */
  finish(header: unknown): Uint8Array[] {
    const text = Buffer.from(JSON.stringify(header));
    const padded = Buffer.alloc((text.length + 7) & ~7, " ");
    text.copy(padded);
    const length = Buffer.alloc(8);
    length.writeUInt32LE(padded.length);
    return [length, padded, ...this.#pieces];
  }
}
