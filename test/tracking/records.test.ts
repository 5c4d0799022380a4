/** Event files byte by byte, and names as cells. */
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { crc32c } from "../../ts/tracking/crc32c.ts";
import { shownRows, spriteLayout, tsvCell } from "../../ts/tracking/projector.ts";
import { frame, maskedCrc } from "../../ts/tracking/tf_record.ts";

describe("crc32c", () => {
  it("is that of RFC 3720 (appendix B.4)", () => {
    expect(crc32c(Buffer.from("123456789"))).toBe(0xe3069283);
    expect(crc32c(new Uint8Array(32))).toBe(0x8a9136aa);
    expect(crc32c(new Uint8Array(32).fill(0xff))).toBe(0x62a8ab43);
    expect(crc32c(Uint8Array.from({ length: 32 }, (_, i) => i))).toBe(0x46dd794e);
    expect(crc32c(new Uint8Array(0))).toBe(0);
  });
});

describe("a record", () => {
  it("is length, checksum, data, checksum", () => {
    const data = Buffer.from("event");
    const record = frame(data);
    expect(record.length).toBe(12 + data.length + 4);
    expect(record.readBigUInt64LE(0)).toBe(5n);
    expect(record.readUInt32LE(8)).toBe(maskedCrc(record.subarray(0, 8)));
    expect(record.subarray(12, 17)).toEqual(data);
    expect(record.readUInt32LE(17)).toBe(maskedCrc(data));
    // The first record of a file that TensorFlow wrote begins so: a length of 24.
    expect(frame(new Uint8Array(24)).subarray(0, 12).toString("hex")).toBe(
      "1800000000000000a37f4b22",
    );
  });
});

describe("a cell of a file of tabs", () => {
  it("has no tab and no end of a line, whatever the name", () => {
    expect(tsvCell("a\tb\nc\rd")).toBe("a\\tb\\nc\\rd");
    expect(tsvCell("a\u0085b\u2028c\u0000d")).toBe("a\\u0085b\\u2028c\\u0000d");
    expect(tsvCell("caf\u00e9 \ud83d\ude00.png")).toBe("caf\u00e9 \ud83d\ude00.png");
    // A byte of a path that is no UTF-8.
    expect(tsvCell("a\udcffb")).toBe("a\\xffb");
    fc.assert(
      fc.property(fc.string({ unit: "binary" }), (name) => {
        expect(tsvCell(name)).not.toMatch(/[\p{Control}\u2028\u2029\p{Surrogate}]/u);
      }),
    );
  });
});

describe("what the projector can take", () => {
  it("is all rows, or as many as it loads, evenly spaced", () => {
    expect(shownRows(3)).toEqual([0, 1, 2]);
    expect(shownRows(10, 4)).toEqual([0, 2, 5, 7]);
    expect(shownRows(1_000_003)).toHaveLength(100_000);
    expect(new Set(shownRows(150_001)).size).toBe(100_000);
  });

  it("and thumbnails in a picture of at most 8192 pixels a side", () => {
    for (const rows of [1, 2, 50, 128 ** 2, 128 ** 2 + 1, 100_000]) {
      const { side, columns } = spriteLayout(rows);
      expect(side).toBeGreaterThanOrEqual(25);
      expect(side * columns).toBeLessThanOrEqual(8192);
      expect(columns * columns).toBeGreaterThanOrEqual(rows);
    }
    expect(spriteLayout(50)).toEqual({ side: 64, columns: 8 });
    expect(spriteLayout(50, 28)).toEqual({ side: 28, columns: 8 });
  });
});
