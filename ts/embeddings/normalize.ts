/** Divides each row by its length, in place; rows of zeros stay. */
export function normalizeRows(values: Float32Array, dims: number): void {
  for (let from = 0; from < values.length; from += dims) {
    let sum = 0;
    for (let i = from; i < from + dims; i++) sum += (values[i] as number) ** 2;
    const scale = sum > 0 ? 1 / Math.sqrt(sum) : 0;
    for (let i = from; i < from + dims; i++) values[i] = (values[i] as number) * scale;
  }
}
