import { existsSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { beforeEach, describe, expect, it } from "vitest";
import {
  cluster,
  loadMap,
  makeTable,
  map,
  placeInMap,
  readTable,
  trustworthiness,
} from "../../ts/index.ts";
import { commandIn, flexae, jsonLines, temporaryFolder, trainedRun } from "../support/cli.ts";

const trained = trainedRun("--train-epochs=2");
let run: string;
let cwd: string;

beforeEach(() => {
  run = trained();
  cwd = temporaryFolder();
});

const { start, end: mapped } = commandIn(() => cwd, "map");

const at = (name: string) => join(cwd, name);

/** Three heaps of ten points each, far from each other, in a table of another program. */
function writeHeaps(name: string, rows = 30): void {
  const lines = Array.from({ length: rows }, (_, i) => {
    const heap = i % 3;
    const embedding = [heap * 50 + (i % 7) / 7, heap * -30 + (i % 5) / 5, 1, 0];
    return JSON.stringify({ filename: `${i}.png`, embedding });
  });
  writeFileSync(at(name), `${lines.join("\n")}\n`);
}

describe("flexae map", () => {
  it("writes a table with the other columns, which can be clustered", async () => {
    const end = await mapped(run, "-o", "map.parquet");
    expect(end).toMatchObject({ event: "end", out: at("map.parquet"), images: 200, dims: 2 });
    expect(end.trustworthiness).toBeGreaterThan(0.8);
    expect(end.trustworthiness).toBeLessThanOrEqual(1);
    const [before, after] = [
      await readTable(join(run, "embeddings.parquet")),
      await readTable(at("map.parquet")),
    ];
    expect(after).toMatchObject({ dims: 2, origin: { modelSha256: before.origin?.modelSha256 } });
    for (const column of ["paths", "sets", "classes", "widths", "heights", "bytes"] as const) {
      expect(after[column], column).toEqual(before[column]);
    }
    expect(after.embeddings).toHaveLength(400);
    expect(after.origin?.map).toMatchObject({ method: "umap", dims: 16 });
    const found = await cluster(after, { clusters: 10, method: "gmm" });
    expect(found.scores?.accuracy).toBeGreaterThan(0.2);
  });

  it("is the same for a seed, for any number of threads, and another for another", async () => {
    await mapped(run, "-o", "one.csv", "--seed=5");
    const { code } = await flexae(["map", run, "-o", "two.csv", "--seed=5"], {
      cwd,
      env: { OMP_NUM_THREADS: "1" },
    });
    expect(code).toBe(0);
    await mapped(run, "-o", "other.csv", "--seed=6");
    const [one, two, other] = ["one.csv", "two.csv", "other.csv"].map((n) => readFileSync(at(n)));
    expect(two).toEqual(one);
    expect(other).not.toEqual(one);
  });

  it.each([
    ["umap", ["--dims=3", "--n-neighbors=10", "--min-dist=0", "--metric=cosine", "--epochs=50"]],
    ["pca", ["--dims=5"]],
  ])("places further images where the map by %s has their like", async (method, options) => {
    const end = await mapped(
      run,
      "-o",
      "map.npy",
      `--method=${method}`,
      "--fit=kept.map",
      ...options,
    );
    expect(end).toMatchObject({ method, dims: method === "umap" ? 3 : 5 });
    const again = await mapped(
      join(run, "embeddings.parquet"),
      "-o",
      "again.parquet",
      "--transform=kept.map",
    );
    expect(again).toMatchObject({ method, dims: end.dims, images: 200, trustworthiness: null });
    const [first, second] = [await readTable(at("map.npy")), await readTable(at("again.parquet"))];
    expect(second.paths).toEqual(first.paths);
    expect(await trustworthiness(first, second, { nNeighbors: 5 })).toBeGreaterThan(0.9);
    if (method === "pca") {
      expect(Array.from(second.embeddings)).toEqual(Array.from(first.embeddings));
      const shares = end.explainedVarianceRatio as number[];
      expect(shares).toEqual([...shares].sort((a, b) => b - a));
      // Of what is mapped the variance along each component falls.
      expect(shares.reduce((a, b) => a + b, 0)).toBeLessThanOrEqual(1);
    }
    const fitted = await loadMap(at("kept.map"));
    const placed = await placeInMap(fitted, await readTable(join(run, "embeddings.parquet")));
    expect(Array.from(placed.embeddings)).toEqual(Array.from(second.embeddings));
  });

  it("keeps apart what is apart, of another program's table", async () => {
    writeHeaps("heaps.jsonl");
    await mapped("heaps.jsonl", "-o", "map.jsonl", "--n-neighbors=5");
    const rows = jsonLines(readFileSync(at("map.jsonl"), "utf8"));
    expect(rows.map(({ path }) => path)).toEqual(Array.from({ length: 30 }, (_, i) => `${i}.png`));
    const { labels } = await cluster(await readTable(at("map.jsonl")), { clusters: 3 });
    for (let i = 0; i < 30; i++) expect(labels[i]).toBe(labels[i % 3]);
    await mapped("heaps.jsonl", "-o", "map.parquet", "--n-neighbors=5");
    const table = await readTable(at("map.parquet"));
    expect(table).toMatchObject({ widths: null, sets: Array(30).fill(null) });
    expect(table.origin).toMatchObject({ model: null, modelSha256: null, map: { dims: 4 } });
  });

  it("does not take clusters of one map for another's", async () => {
    await mapped(run, "-o", "one.parquet", "--seed=1");
    await mapped(run, "-o", "two.parquet", "--seed=2");
    const table = join(run, "embeddings.parquet");
    const start = (...args: string[]) => flexae(["cluster", ...args], { cwd });
    expect((await start("one.parquet", "-k", "4", "-o", "c.csv")).code).toBe(0);
    expect((await start("one.parquet", "--predict=c.clusters.json", "-o", "d.csv")).code).toBe(0);
    for (const other of ["two.parquet", table]) {
      const { code, stderr } = await start(other, "--predict=c.clusters.json", "-o", "e.csv");
      expect(code).toBe(3);
      expect(stderr).toMatch(/another model or map/);
    }
  });

  it.each([
    [["--dims=0"], /Expected an integer of at least 1 for dims but received 0/],
    [["--n-neighbors=1"], /Expected an integer of at least 2 for n-neighbors/],
    [["--n-neighbors=200"], /200 embeddings are too few for 200 neighbours/],
    [["--min-dist=2"], /Expected a number from 0 to 1 for min-dist but received 2/],
    [["--method=tsne"], /Expected umap, pca for method but received tsne/],
    [["--method=pca", "--epochs=3"], /--epochs means nothing to pca/],
    [["--method=pca", "--dims=17"], /17/],
    [["--transform=nowhere.map"], /nowhere\.map/],
    [["--transform=a.map", "--n-neighbors=3"], /--n-neighbors means nothing to --transform/],
    [["-o", "map.txt"], /\.parquet, \.csv, \.npy, \.jsonl/],
    [["-o", "folder"], /Expected a file for the map/],
  ])("refuses %j", async (options, message) => {
    const { code, stdout, stderr } = await start(run, ...options);
    expect(code, stdout).toBeGreaterThan(0);
    expect(stderr).toMatch(message);
    expect(stderr.trim().split("\n").length).toBeLessThanOrEqual(2);
    expect(readdirSync(cwd)).toEqual([]);
  });

  it("refuses a map file that is damaged, and a table of other embeddings", async () => {
    await mapped(run, "-o", "map.parquet", "--fit=kept.map");
    writeHeaps("heaps.jsonl");
    const other = await start("heaps.jsonl", "--transform=kept.map", "-o", "a.parquet");
    expect(other.stderr).toMatch(/heaps\.jsonl is of another model than the map/);
    const bytes = readFileSync(at("kept.map"));
    bytes[bytes.length - 100] = (bytes[bytes.length - 100] as number) ^ 1;
    writeFileSync(at("kept.map"), bytes);
    const damaged = await start(run, "--transform=kept.map", "-o", "a.parquet");
    expect(damaged.code).toBe(1);
    expect(damaged.stderr).toMatch(/kept\.map/);
    const none = await start(run, `--transform=${join(run, "last.ckpt")}`, "-o", "a.parquet");
    expect(none.stderr).toMatch(/holds no map/);
    expect(existsSync(at("a.parquet"))).toBe(false);
  });

  it("ends soon when it is told to", async () => {
    const numbers = Float32Array.from({ length: 20_000 * 16 }, (_, i) => Math.sin(i * i));
    const many = makeTable(numbers, 16);
    const abort = new AbortController();
    const shares: number[] = [];
    const ended = map(many, {
      epochs: 100_000,
      signal: abort.signal,
      onProgress: (share) => {
        shares.push(share);
        if (share > 0) abort.abort(new Error("enough"));
      },
    });
    await expect(ended).rejects.toThrow("enough");
    expect(shares.at(-1)).toBeLessThan(1);
  });
});
