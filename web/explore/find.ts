/** Finds images by a part of their path. */
import type { Data } from "./data.ts";

/** Finds rows. */
export class PathSearch {
  readonly #data: Data;
  #text: string | undefined;
  /** Where each path begins in the text. */
  #begins: Uint32Array | undefined;

  constructor(data: Data) {
    this.#data = data;
  }

  /**
   * Rows whose paths have a text in them, whatever its case.
   *
   * @param most - So many rows are given; `count` goes on.
   */
  find(part: string, most: number): { rows: number[]; count: number } {
    const wanted = part.toLowerCase();
    if (wanted === "" || wanted.includes("\0")) return { rows: [], count: 0 };
    const text = this.#prepared();
    const begins = this.#begins as Uint32Array;
    const rows: number[] = [];
    let count = 0;
    let row = 0;
    for (let at = text.indexOf(wanted); at >= 0; ) {
      while (row + 1 < begins.length && (begins[row + 1] as number) <= at) row++;
      if (rows.length < most) rows.push(row);
      count++;
      // A path counts once.
      if (row + 1 >= begins.length) break;
      at = text.indexOf(wanted, begins[row + 1] as number);
    }
    return { rows, count };
  }

  #prepared(): string {
    if (this.#text !== undefined) return this.#text;
    // Letters that grow in lower case would move what is behind them: rows are counted in this text.
    const text = this.#data.allPaths().toLowerCase();
    const begins = new Uint32Array(this.#data.rows);
    for (let row = 0, at = 0; row < begins.length; row++) {
      begins[row] = at;
      at = text.indexOf("\0", at) + 1;
    }
    this.#text = text;
    this.#begins = begins;
    return text;
  }
}
