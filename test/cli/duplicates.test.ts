import { copyFileSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { parse } from "csv-parse/sync";
import { beforeEach, describe, expect, inject, it } from "vitest";
import { duplicates, joinTables, makeTable, readTable } from "../../ts/index.ts";
import { commandIn, flexae, temporaryFolder, trainedRun } from "../support/cli.ts";
import { readImage, writeImage } from "../support/pixels.ts";

const trained = trainedRun("--train-epochs=3");
let run: string;
let cwd: string;

beforeEach(() => {
  run = trained();
  cwd = temporaryFolder();
});

const { start, lines: found } = commandIn(() => cwd, "duplicates");

async function embed(folder: string, out: string, ...more: string[]): Promise<string> {
  const { code, stderr } = await flexae(["embed", run, folder, "-o", out, ...more], { cwd });
  expect(code, stderr).toBe(0);
  return join(cwd, out);
}

const digit = (name: string) => join(inject("digits"), "train", name);

/**
 * A set of thirty digits, three of each, and among them a copy of one, a copy of another twice as
 * large, and one a little darker.
 */
async function makeSet(): Promise<string> {
  const set = join(cwd, "set");
  mkdirSync(set);
  for (let i = 0; i < 30; i++) {
    copyFileSync(digit(`digit_${i % 10}/00${Math.floor(i / 10)}.png`), join(set, `${i + 100}.png`));
  }
  copyFileSync(join(set, "103.png"), join(set, "copy.png"));
  const large = await readImage(join(set, "105.png"));
  const half = (x: number) => Math.floor(x / 2);
  writeImage(join(set, "large.ppm"), 56, 56, (x, y) => large.at(half(x), half(y)));
  const dark = await readImage(join(set, "108.png"));
  writeImage(join(set, "dark.ppm"), 28, 28, (x, y) => {
    const [v] = dark.at(x, y);
    const shade = Math.round(v * 0.97);
    return [shade, shade, shade];
  });
  return set;
}

describe("flexae duplicates", () => {
  it.each([[[]], [["--sha256"]]])("finds copies and what is nearly one (%j)", async (options) => {
    const table = await embed(await makeSet(), "t.parquet", ...options);
    const lines = await found(table);
    const end = lines.pop();
    const named = lines.map(({ kind, images }) => [
      kind,
      (images as { path: string }[]).map(({ path }) => path),
    ]);
    expect(named).toEqual([
      ["exact", ["103.png", "copy.png"]],
      // Of the most pixels first.
      ["near", ["large.ppm", "105.png"]],
      ["near", ["108.png", "dark.ppm"]],
    ]);
    expect(end).toMatchObject({ event: "end", images: 33, groups: 3, surplus: 3, copies: 1 });
    const rows = parse(readFileSync(join(cwd, "duplicates.csv")), { columns: true });
    expect(rows[1]).toMatchObject({
      group: "0",
      kind: "exact",
      keep: "false",
      path: "copy.png",
      distance: "0",
      copy_of: "103.png",
    });
    expect(rows[2]).toMatchObject({ group: "1", keep: "true", path: "large.ppm", copy_of: "" });
    expect((await readImage(join(cwd, "duplicates.png"))).width).toBeGreaterThan(900);
  });

  it("finds none among different images, and then leaves no sheet", async () => {
    const set = join(cwd, "set");
    mkdirSync(set);
    for (let i = 0; i < 10; i++) copyFileSync(digit(`digit_${i}/000.png`), join(set, `${i}.png`));
    const table = await embed(set, "t.parquet");
    const { code, stdout } = await start(table);
    expect(code).toBe(0);
    expect(stdout).toMatch(/no duplicates/);
    expect(readdirSync(cwd).sort()).toEqual(["duplicates.csv", "set", "t.parquet"]);
    expect(await found(table, "--threshold=0")).toHaveLength(1);
  });

  it("finds what leaks from one set into another, and nothing else", async () => {
    const set = await makeSet();
    const other = join(cwd, "other");
    mkdirSync(other);
    copyFileSync(join(set, "110.png"), join(other, "leaked.png"));
    copyFileSync(digit("digit_1/010.png"), join(other, "new.png"));
    const [one, two] = [await embed(set, "one.parquet"), await embed(other, "two.parquet")];
    for (const tables of [[one, two], [await embed(set, "both.parquet")]]) {
      if (tables.length === 1) {
        const refused = await start(...tables, "--leaks");
        expect(refused.code).toBe(2);
        expect(refused.stderr).toMatch(/both\.parquet has images of one set/);
        continue;
      }
      const lines = await found(...tables, "--leaks");
      expect(lines).toHaveLength(2);
      const images = lines[0]?.images as { path: string; set: string }[];
      expect(images.map(({ path, set }) => [path, set])).toEqual([
        ["110.png", set],
        ["leaked.png", other],
      ]);
    }
  });

  it("looks at a run's training and validation images", async () => {
    const lines = await found(run, "--leaks", "-o", "leaks.csv", "--threshold=0.02");
    const end = lines.at(-1);
    // Of the tests' digits there are 200 to train on, and as many others to validate.
    const both = ["embeddings.parquet", "embeddings.valid.parquet"];
    const tables = await Promise.all(both.map((name) => readTable(join(run, name))));
    expect(end).toMatchObject({ images: joinTables(tables).paths.length, copies: 0 });
  });

  it("links copies that are many", async () => {
    // Forty copies of each of two points, and fifty others far away.
    const numbers = Float32Array.from({ length: 130 * 3 }, (_, i) => {
      const row = Math.floor(i / 3);
      if (row < 80) return row % 2 === 0 ? 5 : -5;
      return Math.sin(row * 12.9898 + (i % 3) * 78.233) * 400;
    });
    const { groups, surplus } = await duplicates(makeTable(numbers, 3), { threshold: 0.001 });
    expect(groups.map(({ rows }) => rows)).toEqual([
      Array.from({ length: 40 }, (_, i) => 2 * i),
      Array.from({ length: 40 }, (_, i) => 2 * i + 1),
    ]);
    expect(surplus).toBe(78);
    // There are no files, so nothing says that they are copies.
    expect(groups.map(({ kind }) => kind)).toEqual(["near", "near"]);
  });

  it.each([
    [["T", "--threshold=2"], /Expected a number from 0 to 1 for threshold but received 2/],
    [["T", "--metric=l1"], /Expected euclidean, cosine for metric/],
    [["T", "-o", "x.txt"], /ends in \.csv/],
    [["T", "other.jsonl"], /other\.jsonl is of another model or map than/],
    [["gone.parquet"], /gone\.parquet cannot be read/],
    [["T", "--sheet-size=5", "--no-sheets"], /--sheet-size means nothing with --no-sheets/],
  ])("refuses %j", async (args, message) => {
    const rows = [1, 2, 3].map((x) => JSON.stringify({ path: `${x}`, embedding: [x, 0] }));
    writeFileSync(join(cwd, "other.jsonl"), rows.join("\n"));
    await flexae(["embed", run, join(inject("digits"), "train"), "-o", "t.parquet"], { cwd });
    const { code, stderr } = await start(...args.map((arg) => (arg === "T" ? "t.parquet" : arg)));
    expect(code).toBeGreaterThan(0);
    expect(stderr).toMatch(message);
    expect(stderr.trimEnd().split("\n").length).toBeLessThanOrEqual(2);
    expect(readdirSync(cwd).sort()).toEqual(["other.jsonl", "t.parquet"]);
  });
});
