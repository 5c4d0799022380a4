import { readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { root } from "../support/cli.ts";
import { containersIn, parquetOf, png } from "../support/containers.ts";

const { opened, refused, bytesOf } = containersIn();
const pictures = (count: number) => Array.from({ length: count }, (_, i) => png(i));

describe("a Parquet file", () => {
  it("has its images by their names, or by their rows, and their classes", async () => {
    const file = parquetOf(
      [
        { name: "image", data: pictures(12), type: "BYTE_ARRAY" },
        { name: "label", data: pictures(12).map((_, i) => i % 2), type: "INT32" },
      ],
      { rowGroupSize: 5 },
    );
    const { names, named, files } = await opened("a.parquet", file);
    expect([names[0], names[11], names.length]).toEqual(["00.png", "11.png", 12]);
    expect(named.slice(0, 3)).toEqual(["0", "1", "0"]);
    expect(await bytesOf(...files)).toEqual(pictures(12));
    const other = await opened(
      "b",
      parquetOf([
        { name: "img", data: pictures(4), type: "BYTE_ARRAY" },
        { name: "file_name", data: ["x/1.png", "../2.png", "x/1.png", ""], type: "STRING" },
        { name: "category", data: ["cat", "dog", "cat", "cat"], type: "STRING" },
      ]),
    );
    expect(other.names).toEqual(["x/1.png", "1.png", "2.png-x/1.png", "3.png"]);
    expect(other.named).toEqual(["cat", "dog", "cat", "cat"]);
    expect(await bytesOf(...other.files)).toEqual(pictures(4));
  });

  it("names the classes that Hugging Face's metadata has, and leaves -1 without one", async () => {
    const features = { label: { names: ["cat", "dog"], _type: "ClassLabel" } };
    const { named } = await opened(
      "a.parquet",
      parquetOf(
        [
          { name: "image", data: pictures(3), type: "BYTE_ARRAY" },
          { name: "label", data: [1, 0, -1], type: "INT32" },
        ],
        { kvMetadata: [{ key: "huggingface", value: JSON.stringify({ info: { features } }) }] },
      ),
    );
    expect(named).toEqual(["dog", "cat", null]);
  });

  it("passes over rows without an image, and loses none of the same name", async () => {
    const { names, others } = await opened(
      "a.parquet",
      parquetOf([
        {
          name: "image",
          data: [png(0), null, png(2), Buffer.alloc(0)],
          type: "BYTE_ARRAY",
          nullable: true,
        },
        { name: "path", data: ["2-a.png", "a.png", "a.png", "a.png"], type: "STRING" },
      ]),
    );
    expect([names, others]).toEqual([["2-a.png", "a.png"], 2]);
  });

  it("is refused with its columns named where none has images", async () => {
    const file = parquetOf([
      { name: "x", data: [1, 2], type: "INT32" },
      { name: "text", data: ["a", "b"], type: "STRING" },
    ]);
    expect(await refused("a.parquet", file)).toBe(
      "a.parquet has no column of images (image{bytes, path}, or bytes in image or img) but x, text",
    );
    const empty = parquetOf([{ name: "image", data: [], type: "BYTE_ARRAY" }]);
    expect(await refused("a.parquet", empty)).toBe("a.parquet holds no images");
  });

  it("is refused where reading it comes to no end, or fills the memory", async () => {
    const endless = readFileSync(join(root, "native/fuzz/seeds/containers/found-parquet-endless"));
    expect(await refused("a.parquet", endless)).toBe(
      "a.parquet is damaged: reading it comes to no end",
    );
    // Two rows whose levels say that they are of a billion.
    const whole = parquetOf(
      [{ name: "image", data: [png(1), null], type: "BYTE_ARRAY", nullable: true }],
      { codec: "UNCOMPRESSED" },
    );
    const at = whole.indexOf(png(1)) - 4;
    const many = Buffer.concat([
      whole.subarray(0, at - 4),
      Buffer.from([0xfe, 0xff, 0xff, 0x7f]),
      whole.subarray(at),
    ]);
    expect(await refused("b.parquet", many)).toMatch(/^b\.parquet is (no Parquet file|damaged)/);
  });

  it("is refused where it is cut off or damaged, at each place", async () => {
    const whole = parquetOf([{ name: "image", data: pictures(4), type: "BYTE_ARRAY" }]);
    for (let length = 4; length < whole.length; length += 41) {
      expect(await refused("a.parquet", whole.subarray(0, length)), `${length}`).toMatch(
        /^a\.parquet is (no Parquet file that can be read|truncated)/,
      );
    }
    const footer = whole.length - 8;
    for (const size of [0, 1, footer + 1, 2 ** 31, 2 ** 32 - 1]) {
      const damaged = Buffer.from(whole);
      damaged.writeUInt32LE(size, footer);
      expect(await refused("a.parquet", damaged), `${size}`).toMatch(/^a\.parquet is /);
    }
  });
});
