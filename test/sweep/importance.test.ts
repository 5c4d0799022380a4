import { describe, expect, it } from "vitest";
import { importances } from "../../ts/sweep/importance.ts";
import { seededRandom } from "../support/random.ts";

/** A grid of a, b and c, of three values each, `repeats` times. */
function grid(score: (a: number, b: number, c: number) => number, repeats = 1) {
  const values = [0, 1, 2];
  return values.flatMap((a) =>
    values.flatMap((b) =>
      values.flatMap((c) =>
        Array.from({ length: repeats }, () => ({
          settings: { a: String(a), b: String(b), c: String(c) },
          score: score(a, b, c),
        })),
      ),
    ),
  );
}

const shares = (points: ReturnType<typeof grid>) =>
  Object.fromEntries(
    importances(["a", "b", "c"], points, false).map(({ name, share }) => [name, share]),
  );

describe("what mattered", () => {
  it("is what a variance is made of", () => {
    // Variances 6, 6/4 and 0 in units of a ninth: 80 and 20 percent.
    const found = shares(grid((a, b) => a + b / 2));
    expect(found.a).toBeCloseTo(0.8, 10);
    expect(found.b).toBeCloseTo(0.2, 10);
    expect(found.c).toBeCloseTo(0, 10);
    const all = importances(
      ["c", "b", "a"],
      grid((a, b) => a + b / 2),
      false,
    );
    expect(all.map(({ name }) => name)).toEqual(["a", "b", "c"]);
    expect(all[0]?.groups).toEqual([
      { name: "0", trials: 9, mean: 0.5, best: 0 },
      { name: "1", trials: 9, mean: 1.5, best: 1 },
      { name: "2", trials: 9, mean: 2.5, best: 2 },
    ]);
  });

  it("is the adjusted R² of a one-way analysis, worked out by hand", () => {
    const scores: Record<string, number[]> = { x: [1, 2, 3], y: [2, 3, 4], z: [6, 7, 8] };
    const points = Object.entries(scores).flatMap(([value, all]) =>
      all.map((score) => ({ settings: { a: value }, score })),
    );
    // SSt 48, SSb 42, SSw 6: R² 0.875, adjusted 1 − 0.125·8/6.
    const [only] = importances(["a"], points, true);
    expect(only?.share).toBeCloseTo(1 - (0.125 * 8) / 6, 12);
    expect(only?.groups.map(({ best }) => best)).toEqual([3, 4, 8]);
  });

  it("is about nothing for settings that change nothing, however many values they have", () => {
    const random = seededRandom(11);
    let sum = 0;
    const rounds = 200;
    for (let round = 0; round < rounds; round++) {
      const found = shares(grid(() => random()));
      for (const share of Object.values(found)) sum += (share as number) / 3 / rounds;
    }
    // Uncorrected it would be (3 − 1) / (27 − 1), 0.077.
    expect(sum).toBeLessThan(0.045);
  });

  it("takes numbers that were drawn by quarters, and leaves alike ones together", () => {
    const random = seededRandom(5);
    const points = Array.from({ length: 80 }, () => {
      const rate = random();
      return { settings: { rate: String(rate), other: String(random()) }, score: rate ** 2 };
    });
    const [rate, other] = importances(["other", "rate"], points, false);
    expect([rate?.name, rate?.groups.length]).toEqual(["rate", 4]);
    expect(rate?.groups.map(({ trials }) => trials)).toEqual([20, 20, 20, 20]);
    expect(rate?.share).toBeGreaterThan(0.8);
    expect(other?.share).toBeLessThan(0.2);
    const alike = [1, 2, 3, 4, 5, 6, 7, 7, 7, 7, 7, 7].map((value) => ({
      settings: { rate: String(value) },
      score: value,
    }));
    const [only] = importances(["rate"], alike, false);
    expect(only?.groups.map(({ name, trials }) => [name, trials])).toEqual([
      ["1 to 3", 3],
      ["4 to 6", 3],
      ["7", 6],
    ]);
  });

  it("is not told where there are too few trials, or none differ", () => {
    const four = [0, 1, 2, 3].map((i) => ({ settings: { a: String(i % 2) }, score: i }));
    expect(importances(["a"], four, false)[0]?.share).toBeNull();
    expect(Object.values(shares(grid(() => 1)))).toEqual([null, null, null]);
    expect(importances(["a"], [], false)[0]).toEqual({ name: "a", groups: [], share: null });
  });
});
