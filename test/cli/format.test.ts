import { describe, expect, it } from "vitest";
import { bytes, duration, grouped, rate, scaled, scoreText, table } from "../../ts/cli/format.ts";

describe("format", () => {
  it("groups and scales counts", () => {
    expect(grouped(10042901)).toBe("10,042,901");
    expect([0, 999, 1000, 12345, 1234567, 2.5e9].map((n) => scaled(n))).toEqual([
      "0",
      "999",
      "1.00 K",
      "12.3 K",
      "1.23 M",
      "2.50 G",
    ]);
    expect(bytes(1536)).toBe("1.50 KiB");
    expect(bytes(2 ** 30)).toBe("1.00 GiB");
  });

  it("shows times and rates", () => {
    expect([0.04, 9.96, 59.6, 61, 3725, Number.POSITIVE_INFINITY].map(duration)).toEqual([
      "0.0s",
      "10.0s",
      "1m00s",
      "1m01s",
      "1h02m05s",
      "?",
    ]);
    expect(rate(12.34)).toBe("12.3");
    expect(rate(1234.5)).toBe("1,235");
  });

  it("aligns tables", () => {
    expect(
      table(
        [
          ["a", "1"],
          ["long", "22"],
        ],
        [1],
      ),
    ).toEqual(["a      1", "long  22"]);
  });

  it("shows a perfect score", () => {
    const perfect = { loss: 0, accuracy: 1, mse: 0, psnr: Number.POSITIVE_INFINITY };
    expect(scoreText(perfect)).toBe("loss 0.00000  accuracy 1.0000  mse 0.00000  psnr Infinity dB");
  });
});
