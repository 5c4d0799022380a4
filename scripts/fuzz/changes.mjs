// Draws and changes for the loops in this folder, the same for the same seed.

const SPECIAL = [0n, 1n, 0xffn, 0x7fffffffn, 0xffffffffn, 2n ** 63n - 1n, 2n ** 64n - 1n];

/** A seed of FLEXAE_FUZZ_SEED, or another one each time. */
export const fuzzSeed = () =>
  Number(process.env.FLEXAE_FUZZ_SEED ?? Math.floor(Math.random() * 2 ** 31));

/** What is drawn and changed by a seed. */
export function changesOf(seed) {
  let state = seed;

  /** An integer below `n`: Mulberry32. */
  function random(n) {
    state = (state + 0x6d2b79f5) | 0;
    let t = Math.imul(state ^ (state >>> 15), 1 | state);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return ((t ^ (t >>> 14)) >>> 0) % n;
  }
  const pick = (list) => list[random(list.length)];

  /** Changes bytes: one, several in a row, a number that is often special, or the end. */
  function changeBytes(bytes) {
    const changed = Uint8Array.from(bytes);
    if (changed.length === 0) return changed;
    for (let i = random(4); i >= 0; i--) {
      const at = random(changed.length);
      switch (random(5)) {
        case 0:
          changed[at] ^= 1 << random(8);
          break;
        case 1:
          changed[at] = random(256);
          break;
        case 2:
          changed.copyWithin(at, random(changed.length), random(changed.length));
          break;
        case 3: {
          const special = pick(SPECIAL);
          const view = new DataView(changed.buffer);
          if (at + 8 <= changed.length) view.setBigUint64(at, special, true);
          break;
        }
        case 4:
          if (random(8) === 0) return changed.subarray(0, at);
      }
    }
    return changed;
  }

  return { random, pick, changeBytes };
}
