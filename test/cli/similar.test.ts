import {
  copyFileSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  rmSync,
  utimesSync,
  writeFileSync,
} from "node:fs";
import { join } from "node:path";
import { parse } from "csv-parse/sync";
import { beforeEach, describe, expect, inject, it } from "vitest";
import { makeTable, readTable, similar } from "../../ts/index.ts";
import { commandIn, flexae, temporaryFolder, trainedRun } from "../support/cli.ts";
import { readImage } from "../support/pixels.ts";
import { chosenSeed, seededRandom } from "../support/random.ts";

const trained = trainedRun("--train-epochs=2");
let run: string;
let table: string;
let cwd: string;

beforeEach(async () => {
  run = trained();
  cwd = temporaryFolder();
  table = join(cwd, "table.parquet");
  const { code, stderr } = await flexae(
    ["embed", run, join(inject("digits"), "train"), "-o", "table.parquet"],
    { cwd },
  );
  expect(code, stderr).toBe(0);
});

const digit = (name: string, set = "train") => join(inject("digits"), set, name);

const { start, lines: found } = commandIn(() => cwd, "similar");

/** Rows of the nearest others, by sorting all distances. */
function nearest(embeddings: Float32Array, dims: number, query: Float32Array, n: number): number[] {
  const distances = Array.from({ length: embeddings.length / dims }, (_, i) =>
    Math.hypot(...Array.from(query, (x, d) => x - (embeddings[i * dims + d] as number))),
  );
  const order = distances.map((_, i) => i);
  return order.sort((a, b) => (distances[a] as number) - (distances[b] as number)).slice(0, n);
}

describe("flexae similar", () => {
  it("finds what is nearest to an image of the table, which is not its own match", async () => {
    const [line, end] = await found(table, digit("digit_3/007.png"), "-n", "8");
    const { embeddings, dims, paths } = await readTable(table);
    const row = paths.indexOf("digit_3/007.png");
    expect(line).toMatchObject({ event: "similar", row });
    const query = embeddings.subarray(row * dims, (row + 1) * dims);
    const expected = nearest(embeddings, dims, query, 9).filter((i) => i !== row);
    const matches = line?.matches as { row: number; path: string; class: string }[];
    expect(matches.map((match) => match.row)).toEqual(expected);
    expect(matches.map((match) => match.path)).toEqual(expected.map((i) => paths[i]));
    expect(end).toMatchObject({
      event: "end",
      out: join(cwd, "similar.csv"),
      sheet: join(cwd, "similar.png"),
      images: 1,
      rows: 200,
    });
    const rows = parse(readFileSync(join(cwd, "similar.csv")), { columns: true });
    expect(rows).toHaveLength(8);
    expect(Object.keys(rows[0] as object)).toEqual([
      "image",
      "rank",
      "path",
      "set",
      "class",
      "distance",
    ]);
    expect(rows[7]).toMatchObject({ rank: "8", path: matches[7]?.path });
    const { width } = await readImage(join(cwd, "similar.png"));
    // Nine places of 96 pixels and what is between them.
    expect(width).toBeGreaterThan(9 * 96);
  });

  it("encodes images that are not in the table as its own were", async () => {
    copyFileSync(digit("digit_5/004.png"), join(cwd, "copy.png"));
    const [copy, other] = await found(
      table,
      "copy.png",
      digit("digit_5/003.png", "valid"),
      "digit_5/004.png",
      "-n",
      "3",
      "--no-sheets",
    );
    expect(copy).toMatchObject({ image: "copy.png", row: null });
    expect(copy?.matches).toHaveLength(3);
    expect((copy as { matches: unknown[] }).matches[0]).toMatchObject({
      path: "digit_5/004.png",
      distance: 0,
    });
    expect(other?.matches).toHaveLength(3);
    expect(existsSync(join(cwd, "similar.png"))).toBe(false);
  });

  it("takes another metric, and a run in place of a table", async () => {
    const [line] = await found(run, digit("digit_0/000.png"), "-n", "5", "--metric=cosine");
    const matches = line?.matches as { distance: number }[];
    const distances = matches.map(({ distance }) => distance);
    expect(distances).toEqual([...distances].sort((a, b) => a - b));
    expect(distances.at(-1)).toBeLessThan(1);
  });

  it("keeps an index beside the table, and makes it again when the table is another", async () => {
    const exact = await found(table, "digit_7/001.png", "-n", "10", "--search=exact");
    const indexed = await found(table, "digit_7/001.png", "-n", "10", "--search=index");
    const rows = ([line]: Record<string, unknown>[]) =>
      (line as { matches: { row: number }[] }).matches.map(({ row }) => row);
    expect(rows(indexed)).toEqual(rows(exact));
    const file = `${table}.euclidean.usearch`;
    const kept = readFileSync(`${file}.json`, "utf8");
    await found(table, "digit_7/001.png", "--search=index");
    expect(readFileSync(`${file}.json`, "utf8")).toBe(kept);
    utimesSync(table, new Date(), new Date(Date.now() + 5000));
    await found(table, "digit_7/001.png", "--search=index");
    expect(readFileSync(`${file}.json`, "utf8")).not.toBe(kept);
    expect(readdirSync(cwd).filter((name) => name.endsWith(".tmp"))).toEqual([]);
  });

  it("takes a pattern of files, beside which no index is kept", async () => {
    mkdirSync(join(cwd, "parts"));
    copyFileSync(table, join(cwd, "parts", "a.parquet"));
    const args = [digit("digit_7/001.png"), "-n", "10"];
    const [one] = await found("parts/*.parquet", ...args);
    const [other] = await found(table, ...args);
    expect(one?.matches).toEqual(other?.matches);
    const { code, stderr } = await start("parts/*.parquet", ...args, "--search=index");
    expect(stderr).toMatch(/kept beside its table: name a file or a folder in place of parts\//);
    expect(code).toBe(2);
  });

  it("finds by the index at least 99 of 100 of the ten nearest", async () => {
    const seed = chosenSeed("recall of the index");
    const random = seededRandom(seed);
    const [rows, dims] = [20_000, 24];
    const centres = Float32Array.from({ length: 50 * dims }, () => 6 * random());
    const normal = () => random() + random() + random() + random() - 2;
    const numbers = Float32Array.from({ length: rows * dims }, (_, i) => {
      const centre = Math.floor(i / dims) % 50;
      return (centres[centre * dims + (i % dims)] as number) + normal();
    });
    // A table beside which the index may lie.
    const many = makeTable(numbers, dims, { path: table });
    const images = Array.from({ length: 200 }, (_, i) => String(1 + i * 97));
    const [exact, indexed] = [
      await similar(many, images, { n: 10, search: "exact" }),
      await similar(many, images, { n: 10, search: "index" }),
    ];
    let same = 0;
    for (const [i, { matches }] of exact.entries()) {
      const theirs = new Set(indexed[i]?.matches.map(({ row }) => row));
      same += matches.filter(({ row }) => theirs.has(row)).length;
    }
    expect(same / 2000, `seed ${seed}`).toBeGreaterThanOrEqual(0.99);
  });

  it.each([
    [["T"], /image/],
    [["T", "nowhere.png"], /nowhere\.png cannot be used: no such file/],
    [["T", "digit_0/000.png", "-n", "0"], /Expected an integer of at least 1 for number/],
    [["T", "digit_0/000.png", "--metric=dot"], /Expected euclidean, cosine for metric/],
    [["T", "digit_0/000.png", "--search=fast"], /Expected auto, exact, index for search/],
    [["T", "digit_0/000.png", "-o", "out.txt"], /ends in \.csv for out/],
    [["T", "table.parquet"], /table\.parquet cannot be used: not an image/],
    [["other.jsonl", "NEW"], /other\.jsonl does not say which model its embeddings are of/],
    [["map.parquet", "NEW"], /map\.parquet is a map/],
  ])("refuses %j", async (args, message) => {
    const row = { path: "a.png", embedding: [1, 2, 3] };
    writeFileSync(join(cwd, "other.jsonl"), `${JSON.stringify(row)}\n`);
    if (args[0] === "map.parquet") {
      const map = await flexae(["map", table, "--method=pca", "-o", "map.parquet"], { cwd });
      expect(map.code, map.stderr).toBe(0);
    }
    const before = readdirSync(cwd).sort();
    const meant = { T: table, NEW: digit("digit_0/001.png", "valid") };
    const given = args.map((arg) => meant[arg as keyof typeof meant] ?? arg);
    const { code, stderr } = await start(...given);
    expect(code).toBeGreaterThan(0);
    expect(stderr).toMatch(message);
    expect(stderr.trimEnd().split("\n").length).toBeLessThanOrEqual(2);
    expect(readdirSync(cwd).sort()).toEqual(before);
  });

  it("does not mix models", async () => {
    const other = join(cwd, "other");
    const { code, stderr } = await flexae(
      ["run", "--config", join(run, "setting.yaml"), "--seed=99", `--save-dir=${other}`],
      { cwd },
    );
    expect(code, stderr).toBe(0);
    const image = digit("digit_0/001.png", "valid");
    const mixed = await start(table, image, "--model", other);
    expect(mixed.code).toBe(3);
    expect(mixed.stderr).toMatch(/en\.pt is another model than that of .*table\.parquet/);
    rmSync(other, { recursive: true });
  });
});
