import { describe, expect, it } from "vitest";
import { containersIn, png, zipOf } from "../support/containers.ts";

const { opened, refused, bytesOf } = containersIn();

describe("a zip file", () => {
  it("has its images, stored or deflated, and their classes", async () => {
    const { names, named, files, others } = await opened(
      "a.zip",
      zipOf([
        { name: "cats/", content: Buffer.alloc(0) },
        { name: "cats/1.png", content: png(1) },
        { name: "cats/2.png", content: png(2), method: 8 },
        { name: "cats/1.cls", content: Buffer.from("one") },
        { name: "cats/2.cls", content: Buffer.from("two"), method: 8 },
        { name: "readme", content: Buffer.from("x"), method: 14 },
      ]),
    );
    expect([names, others]).toEqual([["cats/1.png", "cats/2.png"], 1]);
    expect(named).toEqual(["one", "two"]);
    expect(await bytesOf(...files)).toEqual([png(1), png(2)]);
  });

  it("passes over what is hidden, and what macOS packs beside each file", async () => {
    const { names, others } = await opened(
      "a.zip",
      zipOf([
        { name: "cats/1.png", content: png(1) },
        { name: "__MACOSX/cats/._1.png", content: Buffer.from("resources") },
        { name: "cats/._1.png", content: Buffer.from("resources") },
        { name: ".thumbs/1.png", content: png(1) },
        { name: "dogs/lost.cls", content: Buffer.from("of no image") },
      ]),
    );
    expect([names, others]).toEqual([["cats/1.png"], 4]);
  });

  it("takes names as Windows writes them, and a comment at its end", async () => {
    const { names } = await opened(
      "a.zip",
      zipOf([{ name: "cats\\1.png", content: png(1) }], "made by hand"),
    );
    expect(names).toEqual(["cats/1.png"]);
  });

  it("is refused by name where it leads out of itself", async () => {
    for (const name of ["../a.png", "a/../../b.png", "/etc/a.png", "..\\a.png", "C:/a.png"]) {
      const why = await refused("evil.zip", zipOf([{ name, content: png(1) }]));
      expect(why, name).toMatch(/^evil\.zip /);
      expect(why, name).toMatch(/outside of itself|absolute path|invalid relative path/);
    }
  });

  it("is refused where it is cut off or damaged", async () => {
    const whole = zipOf([{ name: "1.png", content: png(1) }]);
    for (const length of [10, 60, whole.length - 30, whole.length - 1]) {
      expect(await refused("cut.zip", whole.subarray(0, length)), `${length}`).toMatch(
        /^cut\.zip is (no zip file that can be read|truncated)/,
      );
    }
    const lies = zipOf([{ name: "1.png", content: png(1), stored: 10 ** 6, length: 10 ** 6 }]);
    expect(await refused("lies.zip", lies)).toMatch(/^lies\.zip /);
    const sizes = zipOf([{ name: "1.png", content: png(1), length: 10 ** 6 }]);
    expect(await refused("sizes.zip", sizes)).toMatch(/^sizes\.zip /);
  });

  it("says by which member an archive cannot be read", async () => {
    const encrypted = zipOf([{ name: "1.png", content: png(1), flags: 0x801 }]);
    expect(await refused("a.zip", encrypted)).toBe(
      "a.zip is encrypted, such as its 1.png: pack it without a password",
    );
    const lzma = zipOf([{ name: "1.png", content: png(1), method: 14 }]);
    expect(await refused("a.zip", lzma)).toBe(
      "a.zip has its 1.png compressed by method 14: pack it with deflate, or without compression",
    );
    expect(await refused("a.zip", zipOf([]))).toBe("a.zip holds no images");
  });

  it("refuses members that overlap, and those that become far too much", async () => {
    const content = png(1, 64);
    const bomb = zipOf([
      { name: "a.png", content },
      ...Array.from({ length: 50 }, (_, i) => ({
        name: `${i}.png`,
        content: Buffer.alloc(0),
        stored: content.length,
        length: content.length,
        at: 0,
      })),
    ]);
    expect(await refused("overlap.zip", bomb)).toBe("overlap.zip is damaged: its members overlap");
    const blank = zipOf([{ name: "blank.bmp", content: Buffer.alloc(1 << 27), method: 8 }]);
    expect(blank.length).toBeLessThan(200_000);
    expect(await refused("bomb.zip", blank)).toMatch(
      /^bomb\.zip is damaged: its blank\.bmp says that \d+ bytes become 134217728$/,
    );
    const impossible = zipOf([{ name: "a.png", content, method: 8, length: 2 ** 30 }]);
    expect(await refused("bomb.zip", impossible)).toMatch(/^bomb\.zip is damaged: its a\.png says/);
  });

  it("finds out when an image is read that its bytes are others", async () => {
    const content = png(1);
    const { files } = await opened(
      "a.zip",
      zipOf([
        { name: "sum.png", content, crc: 12345 },
        { name: "short.png", content, method: 8, length: content.length + 1 },
        { name: "long.png", content, method: 8, length: content.length - 1 },
        { name: "good.png", content, method: 8 },
      ]),
    );
    await expect(bytesOf(files[0] as string)).rejects.toThrow(
      /a\.zip\/sum\.png cannot be read: corrupt in its container: its checksum differs$/,
    );
    for (const file of files.slice(1, 3)) {
      await expect(bytesOf(file)).rejects.toThrow(/cannot be read: corrupt in its zip file$/);
    }
    expect(await bytesOf(files[3] as string)).toEqual([content]);
  });
});
