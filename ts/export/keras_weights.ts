/** Weights in Keras's layout. */
import type { ModelWeight } from "../addon/types.js";

/** Columns that are turned at once: as many as a line of the cache holds. */
const TILE = 16;

/**
 * The shape in Keras: in × out of a dense layer, rows × columns × in × out of a convolution,
 * rows × columns × out × in of a transposed one.
 */
export function kerasShape(shape: readonly number[]): number[] {
  if (shape.length < 2) return [...shape];
  const [first, second, ...window] = shape as [number, number, ...number[]];
  return [...window, second, first];
}

/** How many rows a weight has in Keras's layout, of as many values as its last axis. */
export function kerasRows(shape: readonly number[]): number {
  return kerasShape(shape)
    .slice(0, -1)
    .reduce((a, b) => a * b, 1);
}

/** Puts rows `from` to before `to` of a weight in Keras's layout into `turned`; all unless told. */
export function turnWeight(
  { shape, values }: ModelWeight,
  turned: Float32Array,
  from = 0,
  to = kerasRows(shape),
): void {
  if (shape.length < 2) {
    turned.set(values);
    return;
  }
  const [first, second, ...window] = shape as [number, number, ...number[]];
  const taps = window.reduce((a, b) => a * b, 1);
  const run = second * taps;
  for (let tile = 0; tile < first; tile += TILE) {
    const end = Math.min(tile + TILE, first);
    for (let row = from; row < to; row++) {
      const source = (row % second) * taps + Math.floor(row / second);
      const target = (row - from) * first;
      for (let a = tile, at = tile * run + source; a < end; a++, at += run) {
        turned[target + a] = values[at] as number;
      }
    }
  }
}

/** The inverse of {@link turnWeight}: a weight of that shape here, of its values in Keras's layout. */
export function turnWeightBack(shape: readonly number[], values: Float32Array): Float32Array {
  if (shape.length < 2) return values;
  const [first, second, ...window] = shape as [number, number, ...number[]];
  const taps = window.reduce((a, b) => a * b, 1);
  const run = second * taps;
  const turned = new Float32Array(values.length);
  for (let tile = 0; tile < first; tile += TILE) {
    const end = Math.min(tile + TILE, first);
    for (let b = 0; b < second; b++) {
      for (let tap = 0; tap < taps; tap++) {
        const source = (tap * second + b) * first;
        for (let a = tile, at = tile * run + b * taps + tap; a < end; a++, at += run) {
          turned[at] = values[source + a] as number;
        }
      }
    }
  }
  return turned;
}
