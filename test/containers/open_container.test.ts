import {
  createWriteStream,
  readdirSync,
  readFileSync,
  rmSync,
  symlinkSync,
  utimesSync,
  writeFileSync,
} from "node:fs";
import { join } from "node:path";
import { Readable } from "node:stream";
import { pipeline } from "node:stream/promises";
import { createGzip, gzipSync } from "node:zlib";
import { describe, expect, it } from "vitest";
import { openContainer } from "../../ts/containers/open_container.ts";
import { containersIn, npyOf, parquetOf, png, tarOf, zipOf } from "../support/containers.ts";

const { opened, refused, bytesOf, place, write } = containersIn();
const shard = (...numbers: number[]) => tarOf(numbers.map((i) => [`${i}.png`, png(i)]));
const cached = () => readdirSync(place("cache/containers"));

describe("what is no container that can be read", () => {
  it("is left to others where it is something else", async () => {
    for (const [name, content] of [
      ["a.png", png(1)],
      ["list.txt", "a.png\nb.png\n"],
      ["list.tar", "path,class\na.png,b\n"],
      ["empty.tar", ""],
      ["short.zip", "PK"],
    ] as const) {
      write(name, content);
      expect(await openContainer(place(name), name), name).toBeNull();
    }
  });

  it("is refused with the packer's name", async () => {
    const bytes = (text: string) => Buffer.concat([Buffer.from(text, "latin1"), Buffer.alloc(600)]);
    for (const [name, begin] of [
      ["zstd", "\x28\xb5\x2f\xfd"],
      ["xz", "\xfd7zXZ\0"],
      ["bzip2", "BZh9"],
      ["7-Zip", "7z\xbc\xaf\x27\x1c"],
      ["RAR", "Rar!\x1a\x07"],
    ] as const) {
      expect(await refused("a.tar", bytes(begin))).toBe(
        `a.tar is packed by ${name}, which is not read here: unpack it first`,
      );
    }
  });
});

describe("what gzip has packed", () => {
  it("is refused where it is damaged, cut off, or something else", async () => {
    const packed = gzipSync(shard(1, 2));
    for (const length of [5, 20, packed.length - 9, packed.length - 1]) {
      expect(await refused("a.tar.gz", packed.subarray(0, length)), `${length}`).toMatch(
        /^a\.tar\.gz cannot be unpacked: unexpected end of file$/,
      );
    }
    const damaged = Buffer.from(packed);
    damaged[40] = (damaged[40] as number) ^ 255;
    expect(await refused("a.tar.gz", damaged)).toMatch(/^a\.tar\.gz cannot be unpacked: /);
    const parquet = parquetOf([{ name: "image", data: [png(1)], type: "BYTE_ARRAY" }]);
    for (const content of [Buffer.from("text"), Buffer.alloc(0), parquet, gzipSync(shard(1))]) {
      expect(await refused("a.gz", gzipSync(content))).toBe(
        "a.gz is compressed, and what is in it is no tar, IDX or .npy file: unpack it first",
      );
    }
    const zip = await opened(
      "a.zip.gz",
      gzipSync(zipOf([{ name: "1.png", content: png(1), method: 8 }])),
    );
    expect(await bytesOf(...zip.files)).toEqual([png(1)]);
    expect(cached().filter((name) => name.endsWith(".tmp"))).toEqual([]);
  });

  it("is refused where it is a bomb, and nothing is left of it", async () => {
    function* zeros() {
      for (let i = 0; i < 1100; i++) yield Buffer.alloc(1 << 20);
    }
    await pipeline(
      Readable.from(zeros()),
      createGzip({ level: 1 }),
      createWriteStream(place("a.gz")),
    );
    await expect(openContainer(place("a.gz"), "a.gz")).rejects.toThrow(
      "a.gz becomes more than 100 times as large: unpack it yourself if you trust it",
    );
    expect(cached()).toEqual([]);
  });
});

describe("the list of a container", () => {
  it("is made anew where the file is another", async () => {
    const { files } = await opened("a.tar", shard(1, 2));
    expect(cached()).toHaveLength(1);
    const changed = await opened("a.tar", shard(3, 4, 5));
    expect(changed.names).toEqual(["3.png", "4.png", "5.png"]);
    expect(await bytesOf(...changed.files)).toEqual([png(3), png(4), png(5)]);
    await expect(bytesOf(files[0] as string)).rejects.toThrow(/1\.png cannot be read/);
    // The same length at another time.
    write("a.tar", shard(7, 8, 9));
    utimesSync(place("a.tar"), 1, 1);
    expect((await opened("a.tar")).names).toEqual(["7.png", "8.png", "9.png"]);
  });

  it("is made anew where the cache has another, damaged in any place", async () => {
    await opened("a.tar", shard(1, 2));
    const [name] = cached() as [string];
    const path = join(place("cache/containers"), name);
    const whole = readFileSync(path);
    for (let at = 0; at < whole.length; at += at < 140 || at >= 4096 ? 3 : 997) {
      const damaged = Buffer.from(whole);
      damaged[at] = (damaged[at] as number) ^ 0x41;
      writeFileSync(path, damaged);
      const { names, files } = await opened("a.tar");
      expect(names).toEqual(["1.png", "2.png"]);
      expect(await bytesOf(...files)).toEqual([png(1), png(2)]);
    }
    for (const length of [0, 1, 136, 4096, whole.length - 1]) {
      writeFileSync(path, whole.subarray(0, length));
      expect((await opened("a.tar")).names).toEqual(["1.png", "2.png"]);
      expect(readFileSync(path)).toEqual(whole);
    }
  });

  it("is made anew, with the images, where those are kept and damaged", async () => {
    const data = [png(1), png(2)];
    const file = parquetOf([{ name: "image", data, type: "BYTE_ARRAY" }]);
    await opened("a.parquet", file);
    const path = join(place("cache/containers"), cached()[0] as string);
    rmSync(path);
    const { files } = await opened("a.parquet");
    expect(await bytesOf(...files)).toEqual(data);
  });

  it("stays in memory without a cache; what has to be unpacked says what it lacks", async () => {
    write("file", "x");
    process.env.FLEXAE_CACHE = place("file");
    const { files } = await opened("a.tar", shard(1, 2));
    expect(await bytesOf(...files)).toEqual([png(1), png(2)]);
    const file = parquetOf([{ name: "image", data: [png(1)], type: "BYTE_ARRAY" }]);
    const why = [
      await refused("a.parquet", file),
      await refused("a.npy.gz", gzipSync(npyOf([1, 1, 1], Buffer.alloc(1)))),
    ];
    for (const text of why) {
      expect(text).toMatch(/ has to be unpacked once, but its images cannot be kept in .*file/);
      expect(text.split("\n")[1]).toBe("Set FLEXAE_CACHE to a folder with room for them.");
    }
  });

  it("is of a link as of the file it leads to", async () => {
    write("a.tar", shard(1));
    symlinkSync(place("a.tar"), place("link"));
    const { files } = await opened("link");
    expect(await bytesOf(...files)).toEqual([png(1)]);
    expect(files).toEqual([`${place("link")}/1.png`]);
  });

  it("is of a file that may be read", async () => {
    write("a.tar", shard(1));
    rmSync(place("a.tar"));
    await expect(openContainer(place("a.tar"), "a.tar")).rejects.toThrow(
      /^a\.tar cannot be read: /,
    );
  });

  it("does not serve bytes of a file that was changed in the meantime", async () => {
    const { files } = await opened("a.tar", shard(1, 2));
    write("a.tar", shard(5, 6, 7));
    utimesSync(place("a.tar"), 1, 1);
    await expect(bytesOf(...files)).rejects.toThrow(/1\.png cannot be read: .*changed/);
  });
});
