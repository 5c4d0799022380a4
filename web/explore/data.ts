/** What is explored, as `ts/explore/pack.ts` packed it. */
import type { ArrayPlace, WireColumn, WireHeader } from "../../ts/explore/wire.ts";

type Numbers = Uint8Array | Uint16Array | Uint32Array | Float32Array | Float64Array;

const ARRAYS = {
  u8: Uint8Array,
  u16: Uint16Array,
  u32: Uint32Array,
  f32: Float32Array,
  f64: Float64Array,
} as const;

/** Texts, a row each, read when they are asked for. */
class Texts {
  readonly #bytes: Uint8Array;
  readonly #rows: number;
  readonly #decoder = new TextDecoder();
  /** Where each row begins, and the end. */
  #begins: Uint32Array | undefined;

  constructor(bytes: Uint8Array, rows: number) {
    this.#bytes = bytes;
    this.#rows = rows;
  }

  at(row: number): string {
    if (this.#begins === undefined) {
      this.#begins = new Uint32Array(this.#rows + 1);
      for (let i = 0, at = 0; i < this.#rows; i++) {
        this.#begins[i] = at;
        at = this.#bytes.indexOf(0, at) + 1;
        this.#begins[i + 1] = at;
      }
    }
    const [begin, end] = [this.#begins[row] as number, this.#begins[row + 1] as number];
    return this.#decoder.decode(this.#bytes.subarray(begin, end - 1));
  }

  /** All of them, a zero behind each. */
  whole(): string {
    return this.#decoder.decode(this.#bytes);
  }
}

/** A column of numbers. */
export interface NumberColumn {
  kind: "number";
  name: string;
  /** NaN where there is none. */
  values: Float32Array | Float64Array;
}

/** A column of groups. */
export interface CategoryColumn {
  kind: "category";
  name: string;
  names: string[];
  /** From 1; 0 where there is none. */
  codes: Uint16Array;
}

/** A column of texts of which each is of its own. */
export interface TextColumn {
  kind: "text";
  name: string;
  texts: Texts;
}

/** Of each image one value. */
export type Column = NumberColumn | CategoryColumn | TextColumn;

/** Images and what is known of them. */
export class Data {
  readonly header: WireHeader;
  readonly rows: number;
  readonly x: Float32Array;
  readonly y: Float32Array;
  readonly columns: Column[];
  readonly #arrays: ArrayBuffer;
  readonly #paths: Texts;

  constructor(packed: ArrayBuffer) {
    const length = new DataView(packed).getUint32(0, true);
    const header = new TextDecoder().decode(new Uint8Array(packed, 8, length));
    this.header = JSON.parse(header) as WireHeader;
    // Aligned, as arrays of larger numbers want it: 8 and the header's length are multiples of 8.
    this.#arrays = packed;
    const { rows, x, y, paths, columns } = this.header;
    this.rows = rows;
    this.x = this.array(x) as Float32Array;
    this.y = this.array(y) as Float32Array;
    this.#paths = new Texts(this.array(paths) as Uint8Array, rows);
    this.columns = columns.map((column) => this.#columnOf(column));
  }

  /** An array that the header names, as a view. */
  array({ type, at, length }: ArrayPlace): Numbers {
    const begin = 8 + new DataView(this.#arrays).getUint32(0, true);
    return new ARRAYS[type](this.#arrays, begin + at, length);
  }

  path(row: number): string {
    return this.#paths.at(row);
  }

  /** All paths, a zero behind each. */
  allPaths(): string {
    return this.#paths.whole();
  }

  #columnOf(column: WireColumn): Column {
    const { name } = column;
    switch (column.kind) {
      case "number":
        return { kind: "number", name, values: this.array(column.values) as Float32Array };
      case "category":
        return {
          kind: "category",
          name,
          names: column.names,
          codes: this.array(column.codes) as Uint16Array,
        };
      case "text":
        return {
          kind: "text",
          name,
          texts: new Texts(this.array(column.text) as Uint8Array, this.rows),
        };
    }
  }
}

/** A value for a file: exact, and of single precision without the digits it does not have. */
export function valueText(column: Column, row: number): string {
  switch (column.kind) {
    case "number": {
      const value = column.values[row] as number;
      if (Number.isNaN(value)) return "";
      const isSingle = column.values instanceof Float32Array && !Number.isInteger(value);
      return String(isSingle ? Number(value.toPrecision(7)) : value);
    }
    case "category":
      return column.names[(column.codes[row] as number) - 1] ?? "";
    case "text":
      return column.texts.at(row);
  }
}

/** A number for people. */
export function figure(value: number): string {
  if (!Number.isFinite(value)) return "–";
  if (Number.isInteger(value)) return value.toLocaleString("en");
  return String(Number(value.toPrecision(4)));
}

/** A value for people. */
export function shownValue(column: Column, row: number): string {
  if (column.kind === "number") return figure(column.values[row] as number);
  return valueText(column, row) || "–";
}
