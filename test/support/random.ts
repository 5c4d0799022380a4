/** Random numbers that can be had again: mulberry32. */
export function seededRandom(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let t = state;
    t = Math.imul(t ^ (t >>> 15), t | 1);
    t ^= t + Math.imul(t ^ (t >>> 7), t | 61);
    return ((t ^ (t >>> 14)) >>> 0) / 2 ** 32;
  };
}

/** A seed of FLEXAE_SEED, or of the clock; printed, so that a failure can be repeated. */
export function chosenSeed(test: string): number {
  const seed = Number(process.env.FLEXAE_SEED ?? Date.now() % 2 ** 31);
  process.stdout.write(`${test}: FLEXAE_SEED=${seed}\n`);
  return seed;
}

/** Whether the long form of a test is wanted. */
export const LONG_FORM = process.env.FLEXAE_LONG === "1";
