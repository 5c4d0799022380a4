import { describe, expect, it } from "vitest";
import { compare, fastest, quantile, spread } from "../../bench/peers/statistics.mjs";

describe("the statistics of a comparison", () => {
  it("takes quantiles between the entries", () => {
    expect(quantile([4, 1, 3, 2], 0.5)).toBe(2.5);
    expect(quantile([10, 20, 30], 0.1)).toBeCloseTo(12);
    expect(quantile([7], 0.9)).toBe(7);
    expect(spread([3, 1, 2])).toEqual({ median: 2, min: 1, max: 3 });
  });

  it("makes ratios within a round, not of medians", () => {
    // The machine was four times slower in the second round, for both.
    const lines = compare(
      [
        { name: "ours", samples: [40, 10, 60] },
        { name: "peer", samples: [20, 5, 20] },
        { name: "other", samples: [40, 8, 30] },
        { name: "lost", samples: [] },
      ],
      "ours",
    );
    expect(lines.map(({ name }) => name)).toEqual(["ours", "peer", "other"]);
    expect(lines[0]?.ratio).toBeNull();
    expect(lines[1]?.ratio).toEqual({ median: 2, min: 2, max: 3 });
    expect(lines[1]?.imagesPerSecond).toEqual({ median: 20, min: 5, max: 20 });
    expect(fastest(lines)?.name).toBe("other");
    expect(fastest(lines.slice(0, 1))).toBeUndefined();
  });
});
