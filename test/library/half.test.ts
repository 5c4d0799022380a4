import { describe, expect, it } from "vitest";
import { fromHalf, halfDifference, toHalf } from "../../ts/export/half.ts";

const half = (value: number) => toHalf(Float32Array.of(value))[0] as number;

describe("fp16", () => {
  it("has the numbers of binary16", () => {
    for (const [value, bits] of [
      [0, 0],
      [-0, 0x8000],
      [1, 0x3c00],
      [-2, 0xc000],
      [65504, 0x7bff],
      [2 ** -14, 0x0400],
      [2 ** -24, 0x0001],
      [0.333251953125, 0x3555],
      [Number.POSITIVE_INFINITY, 0x7c00],
      [Number.NaN, 0x7e00],
    ] as const) {
      expect(half(value)).toBe(bits);
      expect(fromHalf(bits)).toBe(value);
    }
  });

  it("is the nearest number, and of two the even one", () => {
    const scratch = new Float32Array(1);
    const bits = new Int32Array(scratch.buffer);
    // The fp32 number beside one.
    const beside = (value: number, step: 1 | -1) => {
      scratch[0] = value;
      bits[0] = (bits[0] as number) + step;
      return scratch[0] as number;
    };
    // All of them; 65536 would follow the largest.
    for (let low = 0; low < 0x7c00; low++) {
      const [value, next] = [fromHalf(low), low === 0x7bff ? 65536 : fromHalf(low + 1)];
      const middle = (value + next) / 2;
      const even = low % 2 === 0 ? low : low + 1;
      const found = [value, middle, beside(middle, -1), beside(middle, 1), -value, -middle].map(
        half,
      );
      const expected = [low, even, low, low + 1, 0x8000 | low, 0x8000 | even];
      if (found.join() !== expected.join()) expect(found, `${value}`).toEqual(expected);
    }
  });
});

describe("what fp16 does to weights", () => {
  const model = (...weights: [name: string, shape: number[], values: number[]][]) => ({
    layers: [
      {
        weights: weights.map(([name, shape, values]) => {
          return { name, trained: true, shape, values: Float32Array.from(values) };
        }),
      },
    ] as never,
  });

  it("is measured by number and by weight", () => {
    const found = halfDifference(
      model(
        ["large", [1, 2], [2049, 0]],
        ["small", [2, 1], [1 + 2 ** -11, 1]],
        ["bias", [1], [1e9]],
      ),
    );
    // 2049 lies in the middle of 2048 and 2050.
    expect(found).toMatchObject({ absolute: 1, absoluteOf: "large", relativeOf: "large" });
    expect(found.relative).toBeCloseTo(1 / 2049, 12);
    expect(halfDifference(model(["zeros", [1, 1], [0]]))).toEqual({
      absolute: 0,
      absoluteOf: "zeros",
      relative: 0,
      relativeOf: "zeros",
    });
  });

  it("is an error where fp16 cannot hold a number", () => {
    expect(() => halfDifference(model(["w", [1, 1], [65519]]))).not.toThrow();
    for (const value of [65520, -1e6, Number.NaN]) {
      expect(() => halfDifference(model(["encoder.w", [1, 1], [value]]))).toThrow(
        /encoder\.w holds .*, and fp16 no more than 65504: export without half/,
      );
    }
  });
});
