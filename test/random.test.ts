import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { shuffledIndices } from "../ts/random.ts";

describe("shuffledIndices", () => {
  it("is a permutation that follows from the seed", () => {
    fc.assert(
      fc.property(fc.nat(300), fc.maxSafeNat(), (length, seed) => {
        const order = [...shuffledIndices(length, seed)];
        expect([...order].sort((a, b) => a - b)).toEqual(Array.from({ length }, (_, i) => i));
        expect([...shuffledIndices(length, seed)]).toEqual(order);
      }),
    );
  });

  it("differs between seeds, also above 32 bits", () => {
    const of = (seed: number) => [...shuffledIndices(1000, seed)].join();
    expect(new Set([of(0), of(1), of(2), of(2 ** 40), of(2 ** 40 + 1)]).size).toBe(5);
  });

  it("draws every index about equally often", () => {
    const counts = new Array<number>(20).fill(0);
    for (let seed = 0; seed < 4000; seed++) {
      const first = shuffledIndices(20, seed).next().value as number;
      counts[first] = (counts[first] as number) + 1;
    }
    // 200 expected each, standard deviation 14: six of them either way.
    for (const count of counts) expect(Math.abs(count - 200)).toBeLessThan(84);
  });
});
