/** The nearest rows of a table, by brute force. */
import type { EmbeddingTable } from "../../ts/index.ts";

/** The `n` rows nearest to one, itself left out, the nearest first. */
export function nearestRows(
  { embeddings, dims, paths }: EmbeddingTable,
  row: number,
  n: number,
): number[] {
  const distance = (other: number) => {
    let sum = 0;
    for (let d = 0; d < dims; d++) {
      const [a, b] = [embeddings[row * dims + d], embeddings[other * dims + d]];
      sum += ((a as number) - (b as number)) ** 2;
    }
    return sum;
  };
  const others = [...paths.keys()].filter((other) => other !== row);
  return others.sort((a, b) => distance(a) - distance(b)).slice(0, n);
}
