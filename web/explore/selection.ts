/** Which images are selected. */

/** How rows join what is selected. */
export type Joining = "replace" | "add" | "remove";

/** Rows, in their order. */
export class Selection {
  readonly #isIn: Uint8Array;
  #rows: number[] = [];

  constructor(rows: number) {
    this.#isIn = new Uint8Array(rows);
  }

  /** In their order. */
  get rows(): number[] {
    return this.#rows;
  }

  /** Takes rows in, or out. */
  change(rows: Iterable<number>, how: Joining): void {
    if (how === "replace") this.#isIn.fill(0);
    for (const row of rows) this.#isIn[row] = how === "remove" ? 0 : 1;
    this.#gather();
  }

  has(row: number): boolean {
    return this.#isIn[row] === 1;
  }

  /** The others of those that a mask leaves; what it hides stays as it was. */
  invert(mask: Uint8Array | null): void {
    for (let row = 0; row < this.#isIn.length; row++) {
      if (mask === null || mask[row] === 1) this.#isIn[row] = this.#isIn[row] === 0 ? 1 : 0;
    }
    this.#gather();
  }

  #gather(): void {
    this.#rows = rowsOf(this.#isIn);
  }
}

/** Rows of which a mask has 1. */
export function rowsOf(mask: Uint8Array): number[] {
  const rows: number[] = [];
  for (let row = 0; row < mask.length; row++) if (mask[row] === 1) rows.push(row);
  return rows;
}
