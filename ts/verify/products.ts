/** Products of matrices, which is what nearly all of the time goes to. */

/** Columns that are turned at once: as many as a line of the cache holds. */
const TILE = 16;

/** `rows` × `columns` numbers with rows and columns exchanged. */
export function turn(
  from: Float32Array,
  rows: number,
  columns: number,
  to: Float32Array | Float64Array,
): void {
  for (let tile = 0; tile < columns; tile += TILE) {
    const end = Math.min(tile + TILE, columns);
    for (let row = 0; row < rows; row++) {
      for (let column = tile, at = row * columns; column < end; column++) {
        to[column * rows + row] = from[at + column] as number;
      }
    }
  }
}

/** How far rows of so many doubles lie apart: an odd number of cache lines, so as not to collide. */
export const spread = (columns: number) => 8 * (Math.ceil(columns / 8) | 1);

/**
 * All products of `rows` rows of `a` and `columns` rows of `b`, each of `depth` numbers:
 * `out[r * spread(columns) + c]`. Two rows and four columns at once, so that what is read is used
 * often.
 */
export function products(
  a: Float32Array,
  rows: number,
  b: Float64Array,
  columns: number,
  depth: number,
  out: Float64Array,
): void {
  // An integer that was made by a division is a double to the engine, and so would each index be.
  smallProducts(a, rows | 0, b, columns | 0, depth | 0, out, spread(columns) | 0);
}

function smallProducts(
  a: Float32Array,
  rows: number,
  b: Float64Array,
  columns: number,
  depth: number,
  out: Float64Array,
  stride: number,
): void {
  const evenRows = rows & ~1;
  const fours = columns & ~3;
  for (let c = 0; c < fours; c += 4) {
    for (let r = 0; r < evenRows; r += 2) twoByFour(a, r, b, c, depth, out, stride);
    if (evenRows < rows) oneByFour(a, evenRows, b, c, depth, out, stride);
  }
  for (let c = fours; c < columns; c++) {
    for (let r = 0; r < rows; r++) out[r * stride + c] = dot(a, r, b, c, depth);
  }
}

function dot(a: Float32Array, row: number, b: Float64Array, column: number, depth: number): number {
  let sum = 0;
  for (let k = 0, i = row * depth, j = column * depth; k < depth; k++) {
    sum += (a[i++] as number) * (b[j++] as number);
  }
  return sum;
}

function twoByFour(
  a: Float32Array,
  row: number,
  b: Float64Array,
  column: number,
  depth: number,
  out: Float64Array,
  stride: number,
): void {
  let s00 = 0;
  let s01 = 0;
  let s02 = 0;
  let s03 = 0;
  let s10 = 0;
  let s11 = 0;
  let s12 = 0;
  let s13 = 0;
  const x0 = row * depth;
  const x1 = x0 + depth;
  const y0 = column * depth;
  const y1 = y0 + depth;
  const y2 = y1 + depth;
  const y3 = y2 + depth;
  for (let k = 0; k < depth; k++) {
    const first = a[x0 + k] as number;
    const second = a[x1 + k] as number;
    const b0 = b[y0 + k] as number;
    const b1 = b[y1 + k] as number;
    const b2 = b[y2 + k] as number;
    const b3 = b[y3 + k] as number;
    s00 += first * b0;
    s01 += first * b1;
    s02 += first * b2;
    s03 += first * b3;
    s10 += second * b0;
    s11 += second * b1;
    s12 += second * b2;
    s13 += second * b3;
  }
  const at = row * stride + column;
  out[at] = s00;
  out[at + 1] = s01;
  out[at + 2] = s02;
  out[at + 3] = s03;
  const next = at + stride;
  out[next] = s10;
  out[next + 1] = s11;
  out[next + 2] = s12;
  out[next + 3] = s13;
}

function oneByFour(
  a: Float32Array,
  row: number,
  b: Float64Array,
  column: number,
  depth: number,
  out: Float64Array,
  stride: number,
): void {
  let s0 = 0;
  let s1 = 0;
  let s2 = 0;
  let s3 = 0;
  const x = row * depth;
  const y0 = column * depth;
  const y1 = y0 + depth;
  const y2 = y1 + depth;
  const y3 = y2 + depth;
  for (let k = 0; k < depth; k++) {
    const value = a[x + k] as number;
    s0 += value * (b[y0 + k] as number);
    s1 += value * (b[y1 + k] as number);
    s2 += value * (b[y2 + k] as number);
    s3 += value * (b[y3 + k] as number);
  }
  const at = row * stride + column;
  out[at] = s0;
  out[at + 1] = s1;
  out[at + 2] = s2;
  out[at + 3] = s3;
}
