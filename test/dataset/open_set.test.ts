import { mkdirSync, symlinkSync } from "node:fs";
import { relative } from "node:path";
import { afterEach, describe, expect, it } from "vitest";
import type { FileSource, SetArgument } from "../../ts/dataset/image_set.ts";
import { openSet } from "../../ts/dataset/open_set.ts";
import { splitSet } from "../../ts/dataset/split.ts";
import { writeList } from "../../ts/dataset/write_list.ts";
import { containersIn, npyOf, png, tarOf, zipOf } from "../support/containers.ts";

const { place, write } = containersIn();
const ARGUMENT: SetArgument = { name: "train_dir", flag: "--train-dir" };
const here = process.cwd();
afterEach(() => process.chdir(here));

const shard = (...names: string[]) => tarOf(names.map((name, i) => [name, png(i)]));
const withNumbers = (...images: [name: string, number: string][]) =>
  tarOf(
    images.flatMap(([name, number], i): [string, Buffer][] => [
      [name, png(i)],
      [name.replace(".png", ".cls"), Buffer.from(number)],
    ]),
  );

/** A set by its text, seen from the test's folder. */
async function set(text: string, argument = ARGUMENT) {
  process.chdir(place("."));
  const opened = await openSet(text, argument);
  const { files, parts } = opened.source as FileSource;
  return {
    ...opened,
    names: files.map((file) => relative(process.cwd(), file)),
    each: [...opened.labels].map((label) => opened.classes[label]),
    parts: parts?.map(({ images, weight }) => `${images}:${weight}`),
  };
}

describe("shards as a set", () => {
  it("are one set in the order of the pattern, with the classes of their folders", async () => {
    write("s-000.tar", shard("cats/1.png", "dogs/2.png"));
    write("s-001.tar", shard("cats/3.png"));
    const { names, each } = await set("s-{000..001}.tar");
    expect(names).toEqual(["s-000.tar/cats/1.png", "s-000.tar/dogs/2.png", "s-001.tar/cats/3.png"]);
    expect(each).toEqual(["cats", "dogs", "cats"]);
    expect((await set("s-*.tar")).names).toEqual(names);
    expect((await set("s-00?.tar")).names).toEqual(names);
    expect((await set("{s-001,s-000}.tar")).names.slice(1)).toEqual(names.slice(0, 2));
    expect((await set(place("s-*.tar"))).names).toEqual(names);
    // Lying in a folder, too, and through a link to it.
    write("shards/b.tar", shard("cats/1.png"));
    write("shards/a.tar", shard("dogs/1.png"));
    write("shards/classes.txt", "cats\n");
    symlinkSync(place("shards"), place("link"));
    expect((await set("shards")).names).toEqual([
      "shards/a.tar/dogs/1.png",
      "shards/b.tar/cats/1.png",
    ]);
    expect((await set("link/")).each).toEqual(["dogs", "cats"]);
  });

  it("are opened again from any folder", async () => {
    write("a.tar", shard("1.png"));
    write("b,c.tar", shard("2.png"));
    for (const text of ["a.tar", "*.tar", "b,c.tar", "a.tar:1,{b,b}?c.tar:2", "./a.tar , a.tar"]) {
      const { place: again, names } = await set(text);
      process.chdir("/");
      const opened = await openSet(again as string, ARGUMENT);
      const files = (opened.source as FileSource).files;
      expect(
        files.map((file) => relative(place("."), file)),
        text,
      ).toEqual(names);
    }
  });

  it("have the folders' names where numbers beside the images say the same", async () => {
    write("a.tar", withNumbers(["cats/1.png", "0"], ["dogs/2.png", "1"], ["cats/3.png", "0"]));
    expect((await set("a.tar")).each).toEqual(["cats", "dogs", "cats"]);
    write("b.tar", withNumbers(["cats/1.png", "0"], ["dogs/2.png", "1"], ["cats/3.png", "2"]));
    expect((await set("b.tar")).each).toEqual(["0", "1", "2"]);
    write("c.tar", withNumbers(["x/1.png", "fish"], ["x/2.png", "bird"]));
    expect((await set("c.tar")).each).toEqual(["fish", "bird"]);
    // One image without: then none has.
    write("d.tar", shard("1.png"));
    expect((await set("{c,d}.tar")).each).toEqual(["x", "x"]);
  });

  it("name the shard of a pattern that is missing, and a pattern that matches nothing", async () => {
    write("s-0.tar", shard("1.png"));
    await expect(set("s-{0..2}.tar")).rejects.toThrow(
      "train_dir s-{0..2}.tar names s-1.tar, which is not there",
    );
    await expect(set("t-*.tar")).rejects.toThrow(
      "train_dir t-*.tar matches nothing: quote it, or name another set",
    );
    await expect(set("gone.tar")).rejects.toThrow(
      /^train_dir gone\.tar cannot be used: no such file/,
    );
    write("s-1.tar", shard("1.png").subarray(0, 600));
    await expect(set("s-*.tar")).rejects.toThrow(/^train_dir .*s-1\.tar is truncated/);
  });

  it("may be images by a pattern, and have signs in their names", async () => {
    for (const name of ["cats/1.png", "dogs/2.png", "notes.txt"]) write(`p/${name}`, png(1));
    const images = await set("p/**/*.png");
    expect(images.names).toEqual(["p/cats/1.png", "p/dogs/2.png"]);
    expect(images.each).toEqual(["cats", "dogs"]);
    write("a[1]*{x}.tar", shard("1.png"));
    expect((await set("a[1]*{x}.tar")).images).toBe(1);
    write("odd:0.5", shard("1.png"));
    expect((await set("odd:0.5")).images).toBe(1);
  });
});

describe("several sets", () => {
  it("are one, with the classes of the same name", async () => {
    write("a/cats/1.png", png(1));
    write(
      "b.zip",
      zipOf([
        { name: "cats/1.png", content: png(2) },
        { name: "dogs/1.png", content: png(3) },
      ]),
    );
    const { names, each, parts } = await set("a,b.zip");
    expect(names).toEqual(["a/cats/1.png", "b.zip/cats/1.png", "b.zip/dogs/1.png"]);
    expect(each).toEqual(["cats", "cats", "dogs"]);
    expect(parts).toBeUndefined();
    // One has none, so there are none.
    write("c.npy", npyOf([1, 2, 2], Buffer.alloc(4)));
    expect((await set("a,c.npy")).classes).toEqual([]);
  });

  it("have weights, which a split and a list of the set keep", async () => {
    const names = (set: string) => Array.from({ length: 20 }, (_, i) => `${set}/${i}.png`);
    write("a.tar", shard(...names("cats"), ...names("dogs")));
    write("b.tar", shard(...names("cats")));
    const opened = await set("a.tar:0.7,b.tar:3e-1");
    expect(opened.parts).toEqual(["40:0.7", "20:0.3"]);
    const { train, valid } = splitSet(opened, 0.2, 1);
    const partsOf = (from: typeof train) => (from.source as FileSource).parts;
    expect(
      partsOf(valid)
        ?.map(({ images }) => images)
        .reduce((a, b) => a + b),
    ).toBe(12);
    await writeList(place("train.csv"), train);
    const again = await openSet(place("train.csv"), ARGUMENT);
    expect(again.source).toEqual(train.source);
    expect([again.classes, again.labels]).toEqual([train.classes, train.labels]);
    // One alone is all there is.
    expect((await set("a.tar:0.7")).parts).toBeUndefined();
  });

  it("are refused with weights that are none, and where weights are of no use", async () => {
    write("a.tar", shard("1.png"));
    write("b.tar", shard("1.png"));
    for (const weight of ["0", "-1", "nan", "inf", "1e999", "", "+0", "-0.5e3"]) {
      await expect(set(`a.tar:${weight},b.tar:1`), weight).rejects.toThrow(
        `Expected a weight above 0 for train_dir but received a.tar:${weight}`,
      );
    }
    await expect(set("a.tar:1,b.tar")).rejects.toThrow(
      "train_dir gives weights to some sets alone: write b.tar:WEIGHT, or leave all out",
    );
    for (const text of ["a.tar,,b.tar", ",a.tar", "a.tar:1, ", ","]) {
      await expect(set(text), text).rejects.toThrow(
        `Expected a set between all commas of train_dir but received ${text}`,
      );
    }
    await expect(
      set("a.tar:1,b.tar:1", { name: "valid_dir", flag: "--valid-dir", refusesWeights: true }),
    ).rejects.toThrow("valid_dir has no use for weights: write its sets without them");
    await expect(set("a.tar:two,b.tar:1")).rejects.toThrow();
    await expect(set("")).rejects.toThrow("Expected a set for train_dir but received none");
  });

  it("may be many", async () => {
    write("a.tar", shard("1.png"));
    const many = await set(Array.from({ length: 2000 }, () => "a.tar:0.1").join(","));
    expect([many.images, many.parts?.length]).toEqual([2000, 2000]);
  });
});

describe("a list of images that lie in containers", () => {
  it("has them by their paths, from its own folder", async () => {
    write("data/a.tar", shard("cats/1.png", "a//2.png"));
    write("lists/train.csv", "path,class\n../data/a.tar/cats/1.png,x\n../data/a.tar/a/2.png,y\n");
    const { names, each } = await set("lists/train.csv");
    expect(names).toEqual(["data/a.tar/cats/1.png", "data/a.tar/a/2.png"]);
    expect(each).toEqual(["x", "y"]);
    write("lists/train.txt", "../data/a.tar/gone.png\n");
    await expect(set("lists/train.txt")).rejects.toThrow(
      /that train_dir lists\/train\.txt lists are not/,
    );
    write("lists/train.txt", "../data/b.tar/1.png\n");
    await expect(set("lists/train.txt")).rejects.toThrow(/are not there/);
    write("data/b.tar", shard("1.png").subarray(0, 700));
    await expect(set("lists/train.txt")).rejects.toThrow(/b\.tar is truncated/);
  });
});

describe("a folder with containers in it", () => {
  it("is its images where it has some, and says what else is there", async () => {
    mkdirSync(place("both"));
    write("both/1.png", png(1));
    write("both/a.tar", shard("2.png"));
    const { names, others } = await set("both");
    expect([names, others]).toEqual([["both/1.png"], 1]);
    mkdirSync(place("none"));
    await expect(set("none")).rejects.toThrow(/none/);
  });
});
