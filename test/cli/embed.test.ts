import { createHash } from "node:crypto";
import {
  copyFileSync,
  cpSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  rmSync,
  utimesSync,
  writeFileSync,
} from "node:fs";
import { join } from "node:path";
import { beforeEach, describe, expect, inject, it } from "vitest";
import { readRows } from "../../ts/embeddings/read.ts";
import type { EmbeddingRows } from "../../ts/embeddings/table.ts";
import { embed as embedSets, load } from "../../ts/index.ts";
import {
  type Ended,
  flexae,
  jsonLines,
  main,
  start,
  temporaryFolder,
  trainedRun,
} from "../support/cli.ts";

const train = join(inject("digits"), "train");
const trained = trainedRun("--train-epochs=1");
let run: string;
let cwd: string;

beforeEach(() => {
  run = trained();
  cwd = temporaryFolder();
});

function embed(...args: string[]): Promise<Ended> {
  return flexae(["embed", ...args], { cwd });
}

async function written(...args: string[]): Promise<Record<string, unknown>> {
  const { code, stdout, stderr } = await embed(...args, "--json");
  expect(code, stderr).toBe(0);
  return jsonLines(stdout).at(-1) as Record<string, unknown>;
}

/** The rows of a folder's parts, in the order of their images. */
async function partRows(folder: string): Promise<Map<string, number[]>> {
  const found = new Map<string, number[]>();
  for (const name of readdirSync(folder).filter((entry) => entry.endsWith(".parquet"))) {
    const rows = await readRows(join(folder, name));
    const dims = rows.embeddings.length / rows.paths.length;
    for (const [i, path] of rows.paths.entries()) {
      expect(found.has(path), path).toBe(false);
      found.set(path, Array.from(rows.embeddings.subarray(i * dims, (i + 1) * dims)));
    }
  }
  return new Map([...found].sort(([a], [b]) => (a < b ? -1 : 1)));
}

function expectOf(rows: EmbeddingRows, data: Float32Array): void {
  expect(rows.embeddings.length).toBe(data.length);
  for (const [i, value] of data.entries()) expect(rows.embeddings[i]).toBeCloseTo(value, 5);
}

describe("flexae embed", () => {
  it("writes a row an image, with what the encoder gives", async () => {
    const end = await written(run, train, "-o", "table.parquet", "--precision=fp32", "--sha256");
    expect(end).toMatchObject({ event: "end", out: join(cwd, "table.parquet") });
    expect(end).toMatchObject({ images: 200, kept: 0, bad: 0, dims: 16, precision: "fp32" });
    for (const rate of ["imagesPerSecond", "decodeImagesPerSecond", "encodeImagesPerSecond"]) {
      expect(end[rate], rate).toBeGreaterThan(0);
    }
    const rows = await readRows(join(cwd, "table.parquet"));
    expect(rows.paths).toHaveLength(200);
    expect(rows.paths[25]).toBe("digit_1/005.png");
    expect(rows.classes[25]).toBe("digit_1");
    expect(rows.sets[25]).toBe(train);
    expect([rows.widths?.[25], rows.heights?.[25]]).toEqual([28, 28]);
    const file = readFileSync(join(train, "digit_1/005.png"));
    expect(rows.bytes?.[25]).toBe(file.length);
    expect(rows.sha256?.[25]).toBe(createHash("sha256").update(file).digest("hex"));
    using encoder = await load(join(run, "en.pt"));
    expectOf(rows, (await encoder.encode(rows.paths.map((path) => join(train, path)))).data);
  });

  it("gives a file up when the library's signal says so", async () => {
    const reason = new Error("enough");
    const signal = AbortSignal.abort(reason);
    const out = join(cwd, "t.parquet");
    await expect(embedSets(run, { sets: train, out, signal })).rejects.toBe(reason);
    expect(readdirSync(cwd)).toEqual([]);
  });

  it("has few files open at a time", async () => {
    const limited = ["bash", "-c", 'ulimit -n 128; exec "$@"', "--"];
    const args = [main, "embed", run, train, "-o", "t.jsonl", "--sha256"];
    const { code, stderr } = await start(args, { cwd, before: limited }).ended;
    expect(code, stderr).toBe(0);
  });

  it("leaves nothing when its file cannot take its name", async () => {
    mkdirSync(join(cwd, "t.csv"));
    const { code, stderr } = await embed(run, train, "-o", "t.npy");
    expect(code).toBe(1);
    expect(stderr).toMatch(/t\.csv cannot be written: /);
    expect(readdirSync(cwd)).toEqual(["t.csv"]);
  });

  it("leaves out what cannot be used, and names it once", async () => {
    cpSync(train, join(cwd, "set"), { recursive: true });
    writeFileSync(join(cwd, "set/digit_0/003.png"), "no image");
    const { code, stdout, stderr } = await embed(run, "set", "-o", "t.csv");
    expect(code).toBe(0);
    expect(stderr).toBe(`flexae: left out ${join(cwd, "set/digit_0/003.png")}: not an image\n`);
    expect(stdout).toMatch(/^t\.csv: 199 embeddings of 16 numbers, 1 left out\n/);
    const lines = readFileSync(join(cwd, "t.csv"), "utf8").trimEnd().split("\n");
    expect(lines).toHaveLength(200);
    expect(lines[0]).toMatch(/^filename,embedding_0,.*,embedding_15$/);
    expect(lines.some((line) => line.startsWith("digit_0/003.png"))).toBe(false);
    expect(lines[4]).toMatch(/^digit_0\/004\.png,/);
  });

  it("says so when none can be used, and leaves nothing", async () => {
    writeFileSync(join(cwd, "a.png"), "no image");
    const { code, stderr } = await embed(run, cwd, "-o", "t.parquet");
    expect(code).toBe(3);
    expect(stderr).toMatch(/None of the 1 images can be used/);
    expect(readdirSync(cwd)).toEqual(["a.png"]);
  });

  it("goes on where a process ended, with whole parts", async () => {
    const sets = ["digit_0", "digit_1", "digit_2"].map((name) => join(train, name));
    await written(run, ...sets, "-o", "whole");
    // As a process that is killed leaves it: a part, no table.json, a piece of the next part.
    await written(run, ...sets.slice(0, 2), "-o", "out");
    rmSync(join(cwd, "out/table.json"));
    const piece = join(cwd, "out/.part-00001.parquet.0123456789ab.tmp");
    writeFileSync(piece, "half");
    const end = await written(run, ...sets, "-o", "out");
    expect(end).toMatchObject({ images: 20, kept: 40 });
    expect(existsSync(piece)).toBe(false);
    expect(readdirSync(join(cwd, "out")).sort()).toEqual([
      "part-00000.parquet",
      "part-00001.parquet",
      "table.json",
    ]);
    expect(await readRows(join(cwd, "out/part-00001.parquet"))).toMatchObject({
      sets: Array(20).fill(sets[2]),
    });
  });

  it("appends what is new and what has changed", async () => {
    cpSync(train, join(cwd, "set"), { recursive: true });
    const old = new Date(Date.now() - 60_000);
    for (const name of readdirSync(join(cwd, "set"), { recursive: true }) as string[]) {
      utimesSync(join(cwd, "set", name), old, old);
    }
    await written(run, "set", "-o", "out");
    const again = await embed(run, "set", "-o", "out");
    expect(again.code).toBe(2);
    expect(again.stderr).toMatch(/holds a finished table already: --append adds/);

    copyFileSync(join(train, "digit_9/000.png"), join(cwd, "set/digit_3/new.png"));
    copyFileSync(join(train, "digit_8/001.png"), join(cwd, "set/digit_4/007.png"));
    const end = await written(run, "set", "-o", "out", "--append");
    expect(end).toMatchObject({ images: 2, kept: 199 });
    await written(run, "set", "-o", "fresh");
    expect(await partRows(join(cwd, "out"))).toEqual(await partRows(join(cwd, "fresh")));
    expect(await written(run, "set", "-o", "out", "--append")).toMatchObject({
      images: 0,
      kept: 201,
    });
  });

  it("appends to a Parquet file, too", async () => {
    cpSync(train, join(cwd, "set"), { recursive: true });
    const old = new Date(Date.now() - 60_000);
    for (const name of readdirSync(join(cwd, "set"), { recursive: true }) as string[]) {
      utimesSync(join(cwd, "set", name), old, old);
    }
    const first = await written(run, "set", "-o", "t.parquet", "--append", "--loss", "--sha256");
    expect(first).toMatchObject({ images: 200, kept: 0 });
    const more = ["set", "-o", "t.parquet", "--append", "--loss", "--sha256"];
    copyFileSync(join(train, "digit_9/000.png"), join(cwd, "set/digit_3/new.png"));
    copyFileSync(join(train, "digit_8/001.png"), join(cwd, "set/digit_4/007.png"));
    expect(await written(run, ...more)).toMatchObject({ images: 2, kept: 199 });
    await written(run, "set", "-o", "fresh.parquet", "--loss", "--sha256");
    const [rows, fresh] = await Promise.all(
      ["t.parquet", "fresh.parquet"].map(async (name) => {
        const { paths, losses, sha256, bytes } = await readRows(join(cwd, name));
        return paths.map((path, i) => [path, losses?.[i], sha256?.[i], bytes?.[i]]).sort();
      }),
    );
    expect(rows).toEqual(fresh);
    const before = readFileSync(join(cwd, "t.parquet"));
    expect(await written(run, ...more)).toMatchObject({ images: 0, kept: 201 });
    expect(readFileSync(join(cwd, "t.parquet"))).toEqual(before);
    const other = await embed(run, "set", "-o", "t.parquet", "--append");
    expect(other.code).toBe(2);
    expect(other.stderr).toMatch(/t\.parquet was made otherwise \(loss\): name another/);
    const csv = await embed(run, "set", "-o", "t.csv", "--append");
    expect(csv.stderr).toMatch(/append adds to a \.parquet file or a folder/);
  });

  it("refuses to mix tables of two kinds", async () => {
    await written(run, train, "-o", "out");
    const { code, stderr } = await embed(run, train, "-o", "out", "--append", "--normalize=l2");
    expect(code).toBe(2);
    expect(stderr).toMatch(/part-00000\.parquet was made otherwise \(normalize\): name another/);
  });

  it("shares the work among processes", async () => {
    await written(run, train, "-o", "whole");
    await written(run, train, "-o", "out", "--shard=1/3");
    const slurm = { SLURM_ARRAY_TASK_COUNT: "3", SLURM_ARRAY_TASK_MIN: "4" };
    for (const id of ["5", "6"]) {
      const { code, stderr } = await flexae(
        ["embed", run, train, "-o", "out", "--shard", "slurm", "--json"],
        { cwd, env: { ...slurm, SLURM_ARRAY_TASK_ID: id } },
      );
      expect(code, stderr).toBe(0);
    }
    expect(readdirSync(join(cwd, "out")).filter((name) => name.endsWith(".parquet"))).toEqual([
      "part-1of3-00000.parquet",
      "part-2of3-00000.parquet",
      "part-3of3-00000.parquet",
    ]);
    expect(await partRows(join(cwd, "out"))).toEqual(await partRows(join(cwd, "whole")));
  });

  it("may have a share without images", async () => {
    cpSync(join(train, "digit_0/000.png"), join(cwd, "set/a.png"));
    expect(await written(run, "set", "-o", "out", "--shard=1/2")).toMatchObject({ images: 0 });
    expect(await written(run, "set", "-o", "out", "--shard=2/2")).toMatchObject({ images: 1 });
    expect(await written(run, "set", "-o", "none.parquet", "--shard=1/2")).toMatchObject({
      bad: 0,
    });
    expect((await readRows(join(cwd, "none.parquet"))).paths).toEqual([]);
  });

  it.each([
    [[], /Missing required argument 'model'/],
    [["RUN"], /Missing required argument 'set'/],
    [["RUN", "SET"], /Expected a file or a folder for the table: -o embeddings\.parquet/],
    [["RUN", "SET", "-o", "t.xlsx"], /ends in one of \.parquet, \.csv, \.npy, \.jsonl, for out/],
    [["RUN", "SET", "-o", "t.csv", "--append"], /append adds to a \.parquet file or a folder/],
    [
      ["RUN", "SET", "-o", "t.csv", "--normalize=max"],
      /Expected l2 for normalize but received max/,
    ],
    [["RUN", "SET", "-o", "t.csv", "--shard=4/3"], /Expected a shard from 1\/3 to 3\/3/],
    [["RUN", "SET", "-o", "t.csv", "--shard=slurm"], /SLURM_ARRAY_TASK_ID and .* name none/],
    [["EN", "SET", "-o", "t.csv", "--loss"], /loss needs an autoencoder.*\n.*ae\.pt/],
    [["nowhere", "SET", "-o", "t.csv"], /There is no run folder nowhere/],
    [["RUN", "nowhere", "-o", "t.csv"], /set nowhere cannot be used: no such file or folder/],
  ])("%j is refused", async (args, pattern) => {
    const names: Record<string, string> = { RUN: run, SET: train, EN: join(run, "en.pt") };
    const { code, stdout, stderr } = await embed(...args.map((arg) => names[arg] ?? arg));
    expect(
      stderr
        .replace(/^flexae: /, "")
        .trimEnd()
        .split("\n").length,
    ).toBeLessThanOrEqual(2);
    expect(stderr).toMatch(pattern);
    expect(code).toBeGreaterThan(0);
    expect(stdout).toBe("");
    expect(readdirSync(cwd)).toEqual([]);
  });
});
