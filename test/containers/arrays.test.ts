import { gzipSync } from "node:zlib";
import { describe, expect, it } from "vitest";
import { containersIn, idxOf, npyOf } from "../support/containers.ts";

const { opened, refused, bytesOf, write } = containersIn();
const numbers = (length: number) => Buffer.from(Uint8Array.from({ length }, (_, i) => i % 251));

describe("a NumPy array", () => {
  it("has an image a row, named by its number", async () => {
    const { names, files, classes } = await opened("a.npy", npyOf([11, 2, 3], numbers(66)));
    expect([names[0], names[10], names.length, classes]).toEqual(["00", "10", 11, []]);
    const [last] = await bytesOf(files[10] as string);
    expect(last).toEqual(Buffer.concat([Buffer.from("P5 3 2 255\n"), numbers(66).subarray(60)]));
    const colour = await opened("b", npyOf([2, 2, 3, 3], numbers(36)));
    const [first] = await bytesOf(colour.files[0] as string);
    expect(first).toEqual(
      Buffer.concat([Buffer.from("P6 3 2 255\n"), numbers(36).subarray(0, 18)]),
    );
    const packed = await opened("c.npy.gz", gzipSync(npyOf([2, 2, 3, 1], numbers(12))));
    expect(await bytesOf(packed.files[1] as string)).toEqual([
      Buffer.concat([Buffer.from("P5 3 2 255\n"), numbers(12).subarray(6)]),
    ]);
  });

  it("is refused with what to do where it holds no such images", async () => {
    const data = numbers(66);
    expect(await refused("a.npy", npyOf([11, 2, 3], data, { type: "<f4" }))).toBe(
      'a.npy holds numbers of type <f4: images are uint8, as after .astype("uint8")',
    );
    expect(await refused("a.npy", npyOf([11, 2, 3], data, { fortran: true }))).toBe(
      "a.npy is in Fortran's order: save it from numpy.ascontiguousarray(…)",
    );
    for (const shape of [
      [66],
      [11, 6],
      [1, 3, 2, 11],
      [11, 1, 2, 3, 1],
      [11, 0, 3],
      [3, 3, 2, 2],
    ]) {
      expect(await refused("a.npy", npyOf(shape, data)), `${shape}`).toMatch(
        /^a\.npy has the shape .*: images are N×H×W, or N×H×W×C with one or three channels$/,
      );
    }
    expect(await refused("a.npy", npyOf([0, 2, 3], data))).toBe("a.npy holds no images");
  });

  it("is refused where it is cut off or damaged", async () => {
    const whole = npyOf([11, 2, 3], numbers(66));
    for (const length of [7, 9, 40, 100, whole.length - 1]) {
      expect(await refused("a.npy", whole.subarray(0, length)), `${length}`).toMatch(
        /^a\.npy is (truncated|damaged)/,
      );
    }
    for (const dims of ["1 1, 2, 3", `${"9".repeat(400)}, 2, 3`, "11, 99999999999999999, 3"]) {
      const other = Buffer.from(whole);
      const long = Buffer.from(`${other.toString("latin1").replace("11, 2, 3", dims)}`, "latin1");
      long.writeUInt16LE(whole.readUInt16LE(8) + dims.length - 8, 8);
      expect(await refused("a.npy", long), dims).toMatch(/^a\.npy (has the shape|is truncated)/);
    }
    const deep = Buffer.from(whole);
    deep[6] = 2;
    deep.writeUInt32LE(2 ** 31, 8);
    expect(await refused("a.npy", deep)).toBe("a.npy is damaged: its header is too long");
  });
});

describe("an IDX file", () => {
  const images = idxOf([12, 2, 3], numbers(72));
  const labels = idxOf(
    [12],
    numbers(12).map((i) => i % 4),
  );

  it("has its images, and their classes from the file beside it, compressed or not", async () => {
    const alone = await opened("t10k-images-idx3-ubyte", images);
    expect([alone.names[11], alone.classes]).toEqual(["11", []]);
    // Once the labels are there, the list is another.
    write("t10k-labels-idx1-ubyte.gz", gzipSync(labels));
    const { named, files } = await opened("t10k-images-idx3-ubyte");
    expect(named.slice(0, 5)).toEqual(["0", "1", "2", "3", "0"]);
    expect(await bytesOf(files[11] as string)).toEqual([
      Buffer.concat([Buffer.from("P5 3 2 255\n"), numbers(72).subarray(66)]),
    ]);
    write("train-labels.idx1-ubyte", labels);
    const packed = await opened("train-images.idx3-ubyte", gzipSync(images));
    expect(packed.named).toEqual(named);
  });

  it("is refused where its labels are others', or it has nothing else", async () => {
    for (const wrong of [
      labels.subarray(0, 19),
      Buffer.concat([labels, Buffer.alloc(1)]),
      idxOf([11], Buffer.alloc(11)),
      gzipSync(Buffer.alloc(1 << 24)),
      gzipSync(labels).subarray(0, 12),
      Buffer.alloc(0),
    ]) {
      write("a-labels-idx1-ubyte", wrong);
      expect(await refused("a-images-idx3-ubyte", images), `${wrong.length}`).toMatch(
        /a-labels-idx1-ubyte does not have the labels of 12 images$/,
      );
    }
    expect(await refused("b-labels-idx1-ubyte", labels)).toBe(
      "b-labels-idx1-ubyte has labels, no images: name the file of images beside it",
    );
  });

  it("is refused where it is cut off or says other sizes", async () => {
    for (const length of [9, 15, 16, images.length - 1]) {
      expect(await refused("a", images.subarray(0, length)), `${length}`).toMatch(
        /^a is truncated/,
      );
    }
    expect(await refused("a", idxOf([2 ** 32 - 1, 2 ** 32 - 1, 2 ** 32 - 1], numbers(9)))).toMatch(
      /^a is truncated/,
    );
    expect(await refused("a", idxOf([0, 2, 3], Buffer.alloc(0)))).toBe("a holds no images");
    expect(await refused("a", idxOf([2, 2, 3, 2], numbers(24)))).toMatch(
      /^a has the shape 2×2×3×2/,
    );
  });
});
