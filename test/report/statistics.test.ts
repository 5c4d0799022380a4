import { describe, expect, it } from "vitest";
import {
  correlationsOf,
  dimensionsOf,
  MOST_SHOWN,
  outputStatistics,
  shownDimensions,
} from "../../ts/report/statistics.ts";

describe("statistics of embeddings", () => {
  // Columns: 0…3, their negative, and one that does not vary.
  const rows = Float32Array.from([0, 0, 5, 1, -1, 5, 2, -2, 5, 3, -3, 5]);
  const all = dimensionsOf(rows, 3);

  it("are means, standard deviations and histograms", () => {
    expect(all[0]).toMatchObject({ index: 0, mean: 1.5, least: 0, greatest: 3 });
    // √(1.25), as NumPy's std has it.
    expect(all[0]?.deviation).toBeCloseTo(1.118033988749895, 12);
    const { counts = [] } = all[0] ?? {};
    expect(counts).toHaveLength(24);
    expect([0, 8, 16, 23].map((bin) => counts[bin])).toEqual([1, 1, 1, 1]);
    expect(all[2]).toMatchObject({ deviation: 0, counts: [4, ...Array(23).fill(0)] });
  });

  it("are correlations, 0 of what does not vary", () => {
    const found = [...correlationsOf(rows, 3, all)].map((value) => Number(value.toFixed(12)));
    expect(found).toEqual([1, -1, 0, -1, 1, 0, 0, 0, 0]);
  });

  it("show the most varied dimensions in their order", () => {
    const dims = MOST_SHOWN + 6;
    const wide = Float32Array.from({ length: 2 * dims }, (_, i) => (i < dims ? 0 : i - dims));
    const shown = shownDimensions(dimensionsOf(wide, dims));
    expect(shown.map(({ index }) => index)).toEqual(
      Array.from({ length: MOST_SHOWN }, (_, i) => i + 6),
    );
  });
});

describe("statistics of reconstructions", () => {
  it("count what is black or white and wrong, and the spread between images", () => {
    const originals = [Uint8Array.from([0, 255, 0, 128]), Uint8Array.from([0, 255, 255, 128])];
    // Wrong at the edge: the second pixel of the first image alone.
    const outputs = [Float32Array.from([0, 0, 0, 0.5]), Float32Array.from([0, 1, 0.9, 0.5])];
    const found = outputStatistics(originals, outputs);
    expect(found?.saturated).toBe(1 / 8);
    expect(found?.originalSpread).toBeCloseTo(0.5 / 4, 6);
    expect(found?.outputSpread).toBeCloseTo((0.5 + 0.45) / 4, 6);
    expect(found?.images).toBe(2);
    expect(outputStatistics(originals.slice(1), outputs.slice(1))).toBeNull();
  });

  it("find no spread at all in the same image several times", () => {
    // 7 × (26 / 255)² is no exact sum.
    const images = Array.from({ length: 7 }, () => Uint8Array.from([26, 77, 201]));
    const outputs = images.map(() => Float32Array.from([0.1, 0.3, 0.7]));
    expect(outputStatistics(images, outputs)).toMatchObject({ originalSpread: 0, outputSpread: 0 });
  });
});
