import { gzipSync } from "node:zlib";
import { describe, expect, it } from "vitest";
import {
  containersIn,
  paxMember,
  png,
  tarHeader,
  tarMember,
  tarOf,
  withTarSums,
} from "../support/containers.ts";

const { opened, refused, bytesOf } = containersIn();
const END = Buffer.alloc(1024);

describe("a tar file", () => {
  it("has its images by their names, the bytes as they are, whatever the file is called", async () => {
    const shard = tarOf([
      ["./cats/1.png", png(1)],
      ["dogs/2.JPG", png(2)],
      ["notes.txt", Buffer.from("hello")],
      ["dogs/", Buffer.alloc(0)],
    ]);
    for (const [name, content] of [
      ["a.tar", shard],
      ["b", shard],
      ["c.tar.gz", gzipSync(shard)],
      ["d.tgz", gzipSync(shard)],
    ] as const) {
      const { names, files, others } = await opened(name, content);
      expect([names, others], name).toEqual([["cats/1.png", "dogs/2.JPG"], 1]);
      expect(await bytesOf(...files)).toEqual([png(1), png(2)]);
      // From the list in the cache.
      expect((await opened(name)).names).toEqual(names);
    }
  });

  it("has classes by what lies beside an image under its key", async () => {
    const { named } = await opened(
      "a.tar",
      tarOf([
        ["x/1.png", png(1)],
        ["x/1.cls", Buffer.from("3\n")],
        ["x/2.right.png", png(2)],
        ["x/2.json", Buffer.from('{"label": "seven", "other": 1}')],
        ["x/3.json", Buffer.from('{"class": 5}')],
        ["x/3.cls", Buffer.from("word")],
        ["x/3.png", png(3)],
        ["x/4.png", png(4)],
        ["x/4.json", Buffer.from("{broken")],
        ["x/5.png", png(5)],
        ["x/5.cls", Buffer.from("")],
      ]),
    );
    expect(named).toEqual(["3", "seven", "word", null, null]);
  });

  it("takes long names of GNU and of PAX, and the later of two of a name, as tar does", async () => {
    const long = `${"deep/".repeat(40)}image.png`;
    const other = `${"tief/".repeat(40)}bild_é.png`;
    const shard = Buffer.concat([
      tarMember({ name: "././@LongLink", type: "L" }, Buffer.from(`${long}\0`)),
      tarMember({ name: long.slice(0, 100) }, png(1)),
      paxMember({ path: other, mtime: "1.5" }),
      tarMember({ name: "cut" }, png(2)),
      paxMember({ comment: "for all that follow" }, "g"),
      tarMember({ name: "twice.png" }, png(3)),
      tarMember({ name: "./twice.png" }, png(4)),
      END,
    ]);
    const { names, files } = await opened("a.tar", shard);
    expect(names).toEqual([long, other, "twice.png"]);
    expect(await bytesOf(...files)).toEqual([png(1), png(2), png(4)]);
  });

  it("keeps apart names of other encodings, and odd ones", async () => {
    const latin = (text: string) => Buffer.from(text, "latin1");
    const { names, files } = await opened(
      "a.tar",
      tarOf([
        [latin("\xe4.png"), png(1)],
        [latin("\xf6.png"), png(2)],
        ["a//b.png", png(3)],
        ["a/./c.png", png(4)],
        ["new\nline.png", png(5)],
        [" space .png", png(6)],
        ["do..ts.png", png(7)],
        [".hidden.png", png(8)],
      ]),
    );
    expect(names).toEqual([
      "\udce4.png",
      "\udcf6.png",
      "a/b.png",
      "a/c.png",
      "new\nline.png",
      " space .png",
      "do..ts.png",
    ]);
    expect(await bytesOf(...files)).toEqual([1, 2, 3, 4, 5, 6, 7].map((i) => png(i)));
  });

  it("has an image once more where a link says so", async () => {
    const shard = Buffer.concat([
      tarMember({ name: "a.png" }, png(1)),
      tarMember({ name: "b.png", type: "1", link: "a.png" }),
      tarMember({ name: "c.png", type: "2", link: "a.png" }),
      tarMember({ name: "d.png", type: "1", link: "gone.png" }),
      END,
    ]);
    const { names, files, others } = await opened("a.tar", shard);
    expect([names, others]).toEqual([["a.png", "b.png"], 2]);
    expect(await bytesOf(...files)).toEqual([png(1), png(1)]);
  });

  it("is read behind an end that others were appended to", async () => {
    const { names } = await opened(
      "a.tar",
      Buffer.concat([tarOf([["1.png", png(1)]]), tarOf([["2.png", png(2)]])]),
    );
    expect(names).toEqual(["1.png", "2.png"]);
  });

  it("is refused by name where it leads out of itself", async () => {
    for (const name of ["../a.png", "a/../../b.png", "/etc/a.png", "..", "a/.."]) {
      expect(await refused("evil.tar", tarOf([[name, png(1)]])), name).toMatch(
        /^evil\.tar names a member outside of itself, .*: it is not to be trusted$/,
      );
    }
    const pax = Buffer.concat([paxMember({ path: "../../a.png" }), tarMember({ name: "b.png" })]);
    expect(await refused("evil.tar", Buffer.concat([pax, END]))).toMatch(/outside of itself/);
  });

  it("is refused by name where it is cut off, at each place", async () => {
    const whole = tarOf([
      ["1.png", png(1)],
      ["2.png", png(2)],
    ]);
    const end = whole.length - 1024;
    for (const length of [513, 600, 1023, 1025, 1500, end - 1]) {
      const why = await refused("cut.tar", whole.subarray(0, length));
      expect(why, `${length}`).toMatch(/^cut\.tar is truncated/);
    }
    // Without its end, all members are there.
    expect((await opened("short.tar", whole.subarray(0, end))).names).toHaveLength(2);
  });

  it("is refused where sizes or headers are not so", async () => {
    const lies = Buffer.concat([tarHeader({ name: "1.png", size: 10 ** 9 }), png(1), END]);
    expect(await refused("lies.tar", lies)).toBe("lies.tar is truncated: its 1.png is not whole");
    const huge = Buffer.concat([tarHeader({ name: "1.png", size: 2 ** 32 }), png(1), END]);
    expect(await refused("lies.tar", huge)).toMatch(/truncated/);
    const noise = Buffer.concat([tarMember({ name: "1.png" }, png(1)), Buffer.alloc(512, 7)]);
    expect(await refused("noise.tar", noise)).toBe(
      "noise.tar is damaged: no header of a member is at 1024",
    );
    // A number of base 256 that is none.
    const wide = tarHeader({ name: "1.png", size: 0 });
    wide.fill(0xff, 124, 136);
    expect(await refused("wide.tar", withTarSums(Buffer.concat([wide, END])))).toMatch(
      /^wide\.tar is damaged/,
    );
    const pax = Buffer.concat([paxMember({ size: "abc" }), tarMember({ name: "1.png" }, png(1))]);
    expect(await refused("pax.tar", Buffer.concat([pax, END]))).toMatch(/^pax\.tar is damaged/);
  });

  it("is refused where it holds nothing", async () => {
    expect(await refused("a.tar", tarOf([["a.txt", Buffer.from("x")]]))).toBe(
      "a.tar holds no images, but 1 other files",
    );
    expect(await refused("empty.tar", Buffer.alloc(10240))).toMatch(/^empty\.tar holds no images/);
  });

  it("takes many thousands of members", async () => {
    const members = Array.from({ length: 20_000 }, (_, i) => [`${i}.png`, png(i, 1)] as const);
    const shard = tarOf(members.map(([name, content]) => [name, content]));
    const { files } = await opened("many.tar", shard);
    expect(files).toHaveLength(20_000);
    expect(await bytesOf(files[19_999] as string)).toEqual([png(19_999, 1)]);
  });
});
