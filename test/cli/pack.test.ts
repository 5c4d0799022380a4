/** `flexae pack`, and what its shards are good for. */
import {
  cpSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { join } from "node:path";
import { beforeEach, describe, expect, inject, it } from "vitest";
import { openSet } from "../../ts/dataset/open_set.ts";
import { type PackOptions, pack } from "../../ts/index.ts";
import { flexae, jsonLines, main, smallRun, start, temporaryFolder } from "../support/cli.ts";
import { idxOf, png, tarOf } from "../support/containers.ts";
import { scoresOf } from "../support/runs.ts";

let cwd: string;
beforeEach(() => {
  cwd = temporaryFolder();
  process.env.FLEXAE_CACHE = join(cwd, "cache");
});

async function run(...args: string[]) {
  const ended = await flexae(args, { cwd });
  expect(ended.code, ended.stderr).toBe(0);
  return ended;
}

const place = (name: string) => join(cwd, name);
const write = (name: string, content: Uint8Array | string) => {
  mkdirSync(join(place(name), ".."), { recursive: true });
  writeFileSync(place(name), content);
};
const shards = (folder: string) => readdirSync(place(folder)).filter((name) => /tar$/.test(name));
const contents = (folder: string) =>
  readdirSync(place(folder)).map((name) => [name, readFileSync(join(place(folder), name))]);

/** The names in a packed folder's shards, and their classes. */
async function packed(folder: string) {
  const set = await openSet(place(folder), { name: "The set" });
  const { files } = set.source as { files: string[] };
  const names = files.map((file) =>
    file.slice(place(folder).length + 1).replace(/^.*?\.tar\//, ""),
  );
  return { names, each: [...set.labels].map((label) => set.classes[label]), set };
}

describe("flexae pack", () => {
  it("writes shards that train to the numbers of the folder", async () => {
    const digits = inject("digits");
    const { stdout } = await run("pack", join(digits, "train"), "-o", "train");
    expect(stdout).toMatch(/^train: 200 images in 10 classes, 1 shard, .*\nNext: flexae run/);
    await run("pack", join(digits, "valid"), "-o", "deep/valid");
    expect(readFileSync(place("train/classes.txt"), "utf8").split("\n")).toHaveLength(11);
    await run(...smallRun("--save-dir=folders", "--no-report"));
    const sets = ["--train-dir=train", "--valid-dir=deep/valid/*.tar"];
    await run(...smallRun("--save-dir=shards", "--no-report", ...sets));
    expect(scoresOf(place("shards"))).toEqual(scoresOf(place("folders")));
    // And again: shards of shards are the same bytes.
    await run("pack", "train", "-o", "again");
    expect(contents("again")).toEqual(contents("train"));
  });

  it("mixes by the seed alone", async () => {
    const set = join(inject("digits"), "valid");
    await run("pack", set, "-o", "a", "--shuffle", "--seed", "3");
    await run("pack", set, "-o", "b", "--shuffle", "--seed", "3");
    await run("pack", set, "-o", "c", "--shuffle", "--seed", "4");
    await run("pack", set, "-o", "d");
    expect(contents("a")).toEqual(contents("b"));
    expect(contents("a")).not.toEqual(contents("c"));
    const [a, d] = [await packed("a"), await packed("d")];
    expect(a.names).not.toEqual(d.names);
    expect([...a.names].sort()).toEqual(d.names);
  });

  it("leaves out what cannot be read, and names it", async () => {
    cpSync(join(inject("digits"), "valid"), place("set"), { recursive: true });
    write("set/digit_0/000.png", "");
    symlinkSync("gone", place("set/digit_1/x.png"));
    const { stderr } = await run("pack", "set", "-o", "out");
    expect(stderr).toMatch(/left out .*set\/digit_0\/000\.png: empty file/);
    expect(stderr).toMatch(/left out .*set\/digit_1\/x\.png: broken link/);
    const lines = jsonLines((await run("pack", "set", "-o", "more", "--json")).stdout);
    expect(lines.map(({ event }) => event)).toEqual(["bad", "bad", "end"]);
    expect(lines.at(-1)).toMatchObject({ images: 49, bad: 2, shards: 1 });
    write("list.txt", "set/digit_0/000.png\nnone.png\n");
    const none = await flexae(["pack", "list.txt", "-o", "none"], { cwd });
    expect([none.code, existsSync(place("none"))]).toEqual([3, false]);
    expect(none.stderr).toMatch(/\nflexae: None of the files of list\.txt can be read\n$/);
  });

  it("keeps its hands off what is in a folder", async () => {
    const set = join(inject("digits"), "valid");
    write("mine/notes.txt", "mine");
    const mine = await flexae(["pack", set, "-o", "mine", "--overwrite"], { cwd });
    expect([mine.code, mine.stderr]).toEqual([
      2,
      "flexae: mine holds other files, such as notes.txt: name a new folder\n",
    ]);
    await run("pack", set, "-o", "out");
    const before = contents("out");
    const again = await flexae(["pack", set, "-o", "out"], { cwd });
    expect([again.code, again.stderr]).toEqual([
      2,
      "flexae: out holds shards already: name another folder, or use --overwrite\n",
    ]);
    expect(contents("out")).toEqual(before);
    await run("pack", set, "-o", "out", "--overwrite");
    expect(contents("out")).toEqual(before);
    write("file", "x");
    for (const args of [
      ["pack", set],
      ["pack", set, "-o", "file"],
      ["pack", "a:1,b:2", "-o", "x"],
    ]) {
      const ended = await flexae(args, { cwd });
      expect([ended.code, ended.stderr.trim().split("\n").length], `${args}`).toEqual([2, 1]);
    }
    for (const size of ["0", "-1", "x", "1e400", ""]) {
      const ended = await flexae(["pack", set, "-o", "x", `--shard-size=${size}`], { cwd });
      expect(ended.code, size).toBe(2);
      expect(ended.stderr).toMatch(/^flexae: Expected a size of at least 1 MB for --shard-size/);
    }
    expect(readdirSync(cwd).sort()).toEqual(["file", "mine", "out"]);
  });

  it("leaves nothing when it is interrupted", async () => {
    const members = Array.from({ length: 30_000 }, (_, i): [string, Buffer] => [
      `${i}.png`,
      png(i, 4),
    ]);
    (members[0] as [string, Buffer])[1] = Buffer.alloc(0);
    write("many.tar", tarOf(members));
    const { child, ended, seen } = start([main, "pack", "many.tar", "-o", "new/out", "--json"], {
      cwd,
    });
    await seen(/"event":"bad"/);
    child.kill("SIGINT");
    const { code, stderr } = await ended;
    expect([code, stderr]).toEqual([130, expect.stringMatching(/interrupted; nothing was left/)]);
    expect(readdirSync(cwd).sort()).toEqual(["cache", "many.tar"]);
  });
});

describe("pack", () => {
  const packing = (set: string, options: Partial<PackOptions> = {}) =>
    pack(place(set), { out: place("out"), ...options });

  it("gives each image a name of its own, whatever files and classes are called", async () => {
    const files: [file: string, label: string][] = [
      ["a/1.png", "cats"],
      ["b/1.png", "cats"],
      ["b_1.png", "cats"],
      ["a/v1.2.final.png", "cats"],
      ["c/1.png", "cats/old"],
      ["d/1.png", "cats_old"],
      ["e/1.png", ".."],
      ["e/2.png", "."],
      ["e/3.png", "ümlaut"],
      [`e/${"long".repeat(50)}.png`, "cats"],
      ["e/noend", "cats"],
    ];
    for (const [i, [file]] of files.entries()) write(file, png(i));
    const rows = files.map(([path, label]) => `${JSON.stringify({ path, label })}\n`);
    write("list.jsonl", rows.join(""));
    const { images, classes } = await packing("list.jsonl");
    expect([images, classes.length]).toEqual([11, 6]);
    const { names, each, set } = await packed("out");
    expect(names.slice(0, 9)).toEqual([
      "cats/1.png",
      "cats/b_1.png",
      "cats/b_1-2.png",
      "cats/v1_2_final.png",
      "cats_old/1.png",
      "cats_old/d_1.png",
      "__/1.png",
      "_/2.png",
      "ümlaut/3.png",
    ]);
    expect(names).toHaveLength(11);
    expect(names[10]).toBe("cats/noend.png");
    expect(set.labels).toEqual((await openSet(place("list.jsonl"), { name: "x" })).labels);
    expect(new Set(each).size).toBe(6);
  });

  it("of a set without classes gives one without", async () => {
    write("a/1.png", png(1));
    write("b/1.png", png(2));
    write("list.txt", "a/1.png\nb/1.png\n");
    expect((await packing("list.txt")).classes).toEqual([]);
    const { names, set } = await packed("out");
    expect([names, set.classes]).toEqual([["1.png", "b_1.png"], []]);
  });

  it("writes pixels as pictures, and leaves out what is no image at all", async () => {
    write("x-images-idx3-ubyte", idxOf([3, 2, 2], Buffer.from("abcdefghijkl")));
    await packing("x-images-idx3-ubyte");
    expect((await packed("out")).names).toEqual(["0.pgm", "1.pgm", "2.pgm"]);
    write("odd", "no image");
    write("b.png", png(1));
    write("list.txt", "odd\nb.png\n");
    const bad: string[] = [];
    const onBad = (file: string, reason: string) =>
      bad.push(`${file.slice(cwd.length)}: ${reason}`);
    const { images } = await packing("list.txt", { overwrite: true, onBad });
    expect([images, bad]).toEqual([1, ["/odd: not an image of a known format"]]);
  });

  it("ends a shard at its size, with an image and its class together", async () => {
    const rows = Array.from({ length: 300 }, (_, i) => `${i}.png\t${i % 7}\n`);
    for (let i = 0; i < 300; i++) write(`${i}.png`, png(i, 24));
    write("list.txt", rows.join(""));
    const result = await packing("list.txt", { shardBytes: 2 ** 16 });
    expect(result.shards).toBe(shards("out").length);
    expect(result.shards).toBeGreaterThan(5);
    const { names, each } = await packed("out");
    expect(names).toHaveLength(300);
    expect(each.every((label) => label !== undefined)).toBe(true);
    await expect(packing("list.txt", { shardBytes: 1000, out: place("o") })).rejects.toThrow(
      "Expected at least 65536 bytes for shardBytes but received 1000",
    );
  });

  it("ends with the signal's reason, and leaves nothing", async () => {
    const members = Array.from({ length: 2000 }, (_, i): [string, Buffer] => [
      `${i}.png`,
      png(i, 4),
    ]);
    write("many.tar", tarOf(members));
    const ended = new AbortController();
    const reason = new Error("enough");
    const onProgress = (done: number) => {
      if (done >= 1000) ended.abort(reason);
    };
    const options = { signal: ended.signal, onProgress, out: place("new/out") };
    await expect(packing("many.tar", options)).rejects.toBe(reason);
    expect(readdirSync(cwd).sort()).toEqual(["cache", "many.tar"]);
  });
});
