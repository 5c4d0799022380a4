/** A small, fast generator (mulberry32) of numbers from 0 to 1, so that a sample depends on the seed alone. */
export function seededRandom(seed: number): () => number {
  // Seeds reach 2^53; both halves count.
  let state = ((seed >>> 0) ^ Math.imul(Math.floor(seed / 2 ** 32), 0x9e3779b1)) >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let t = state;
    t = Math.imul(t ^ (t >>> 15), t | 1);
    t ^= t + Math.imul(t ^ (t >>> 7), t | 61);
    return ((t ^ (t >>> 14)) >>> 0) / 2 ** 32;
  };
}

/**
 * The indices 0 … `length` − 1 in a random order that follows from `seed`, made as they are drawn:
 * a sample of ten from a million costs ten steps.
 */
export function* shuffledIndices(length: number, seed: number): Generator<number> {
  const random = seededRandom(seed);
  const moved = new Map<number, number>();
  for (let i = 0; i < length; i++) {
    const j = i + Math.floor(random() * (length - i));
    yield moved.get(j) ?? j;
    moved.set(j, moved.get(i) ?? i);
    moved.delete(i);
  }
}
