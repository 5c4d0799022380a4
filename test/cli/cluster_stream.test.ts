/** `flexae cluster` on parts of a table, read a piece at a time. */
import {
  copyFileSync,
  cpSync,
  linkSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  truncateSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { parse } from "csv-parse/sync";
import { parquetReadObjects } from "hyparquet";
import { afterAll, beforeAll, beforeEach, describe, expect, inject, it } from "vitest";
import { readTable } from "../../ts/index.ts";
import { commandIn, flexae, temporaryFolder, trainedRun } from "../support/cli.ts";
import { buildFaultLibrary, callsIn, type FaultLibrary } from "../support/faults.ts";

const trained = trainedRun("--train-epochs=1");
const SHARDS = 4;
let cwd: string;

/** Forces a table to be read a piece at a time. */
const LITTLE = "--memory=1K";

/** Embeds the test's digits in shards, a Parquet file each. */
async function embedShards(run: string, out: string): Promise<void> {
  for (let i = 1; i <= SHARDS; i++) {
    const set = join(inject("digits"), "train");
    const args = ["embed", run, set, "-o", out, `--shard=${i}/${SHARDS}`, "--precision=fp32"];
    const { code, stderr } = await flexae(args);
    expect(code, stderr).toBe(0);
  }
}

let shards: string;
beforeAll(async () => {
  shards = mkdtempSync(join(tmpdir(), "flexae-shards-"));
  await embedShards(trained(), shards);
});
afterAll(() => rmSync(shards, { recursive: true, force: true }));

beforeEach(() => {
  cwd = temporaryFolder();
  cpSync(shards, join(cwd, "parts"), { recursive: true });
});

const { start, end: found } = commandIn(() => cwd, "cluster");

type Row = Record<string, string>;
const read = (name: string): Row[] => parse(readFileSync(join(cwd, name)), { columns: true });
const bytes = (name: string) => readFileSync(join(cwd, name));

/** The share of rows that two tables put together alike: clusters may have other numbers. */
function agreement(one: readonly Row[], two: readonly Row[]): number {
  const counts = new Map<string, Map<string, number>>();
  for (const [i, { cluster = "" }] of one.entries()) {
    const other = two[i]?.cluster ?? "";
    const mine = counts.get(cluster) ?? new Map<string, number>();
    counts.set(cluster, mine.set(other, (mine.get(other) ?? 0) + 1));
  }
  const largest = [...counts.values()].map((mine) => Math.max(...mine.values()));
  return largest.reduce((a, b) => a + b, 0) / one.length;
}

describe("flexae cluster, on parts that memory may not hold", () => {
  it("finds what it finds in memory, and writes the same files", async () => {
    const whole = await found("parts", "-k", "10", "-o", "whole.csv");
    expect(whole).toMatchObject({ streamed: false, passes: null });
    const end = await found("parts/*.parquet", "-k", "10", "-o", "out.csv", LITTLE);
    expect(end).toMatchObject({ event: "end", k: 10, method: "kmeans", streamed: true });
    // The sample, mini-batches, at least two passes over all, and that which writes.
    expect(end.passes).toBeGreaterThanOrEqual(5);
    expect((end.inertia as number) / (whole.inertia as number)).toBeLessThan(1.01);
    const [rows, expected] = [read("out.csv"), read("whole.csv")];
    expect(rows.map(({ path, class: of }) => [path, of])).toEqual(
      expected.map(({ path, class: of }) => [path, of]),
    );
    expect(agreement(rows, expected)).toBeGreaterThan(0.9);
    // Numbers belong together.
    const sizes = Array.from({ length: 10 }, (_, k) => rows.filter((r) => Number(r.cluster) === k));
    expect(sizes.map(({ length }) => length)).toEqual(end.sizes);
    expect(end.sizes).toEqual([...(end.sizes as number[])].sort((a, b) => b - a));
    const inertia = rows.reduce((sum, row) => sum + Number(row.distance) ** 2, 0);
    expect(inertia / (end.inertia as number)).toBeCloseTo(1, 4);
    const mean = rows.reduce((sum, row) => sum + Number(row.silhouette), 0) / rows.length;
    expect(mean).toBeCloseTo(end.silhouette as number, 9);
    expect(end.nmi as number).toBeCloseTo(whole.nmi as number, 1);

    const clusters = JSON.parse(bytes("out.clusters.json").toString());
    const others = JSON.parse(bytes("whole.clusters.json").toString());
    expect(Object.keys(clusters)).toEqual(Object.keys(others));
    expect(clusters).toMatchObject({ sizes: end.sizes, modelSha256: others.modelSha256 });
    // Which rows are where follows from the centroids alone.
    const table = await readTable(join(cwd, "parts"));
    for (const [i, row] of rows.entries()) {
      const numbers = table.embeddings.subarray(i * table.dims, (i + 1) * table.dims);
      const far = (clusters.centroids as number[][]).map((centroid) =>
        Math.hypot(...centroid.map((value, d) => value - (numbers[d] as number))),
      );
      expect(far[Number(row.cluster)]).toBeCloseTo(Math.min(...far), 4);
    }
  });

  it("is the same for any number of threads, and for files however they are named", async () => {
    const names = readdirSync(join(cwd, "parts")).filter((name) => name.endsWith(".parquet"));
    expect(names).toHaveLength(SHARDS);
    const kinds = [["parts"], ["parts/*.parquet"], names.map((name) => join("parts", name))];
    for (const [i, tables] of kinds.entries()) {
      const args = ["cluster", ...tables, "-k5", "-o", `${i}.parquet`, LITTLE, "--no-sheets"];
      const { code, stderr } = await flexae(args, { cwd, env: { OMP_NUM_THREADS: `${i + 1}` } });
      expect(code, stderr).toBe(0);
      expect(bytes(`${i}.parquet`).equals(bytes("0.parquet"))).toBe(true);
      expect(bytes(`${i}.clusters.npy`).equals(bytes("0.clusters.npy"))).toBe(true);
    }
    const file = bytes("0.parquet");
    const rows = await parquetReadObjects({
      file: file.buffer.slice(file.byteOffset, file.byteOffset + file.length) as ArrayBuffer,
    });
    expect(rows).toHaveLength(200);
    expect(Object.keys(rows[0] as object)).toEqual(Object.keys(read0()));
  });

  it.each(["kmeans", "gmm"])("assigns and draws by clusters of %s as in memory", async (method) => {
    await found("parts", "-k4", "-o", "first.csv", "--method", method, "--no-sheets");
    const assign = ["--predict=first.clusters.json", "--sheet-size=7"];
    const whole = await found("parts", ...assign, "-o", "whole.csv");
    const end = await found("parts", ...assign, "-o", "out.csv", LITTLE);
    expect(end).toMatchObject({ streamed: true, passes: 1 });
    for (const name of ["k", "method", "sizes", "acc", "nmi", "ari", "purity"]) {
      expect(end[name], name).toEqual(whole[name]);
    }
    expect((end.inertia as number) / (whole.inertia as number)).toBeCloseTo(1, 6);
    expect(bytes("out.csv").equals(bytes("whole.csv"))).toBe(true);
    const sheets = readdirSync(join(cwd, "whole.sheets"));
    expect(sheets).toContain("overview.png");
    for (const name of sheets) {
      expect(bytes(join("out.sheets", name)).equals(bytes(join("whole.sheets", name))), name).toBe(
        true,
      );
    }
  });

  it("takes the best of several numbers, and directions alone", async () => {
    const end = await found("parts", "-k", "2..4", "-o", "out.csv", LITTLE, "--spherical");
    const curve = end.curve as { k: number; silhouette: number }[];
    expect(curve.map(({ k }) => k)).toEqual([2, 3, 4]);
    const best = curve.reduce((a, b) => (b.silhouette > a.silhouette ? b : a));
    expect(end.k).toBe(best.k);
    expect(JSON.parse(bytes("out.clusters.json").toString()).spherical).toBe(true);
    for (const { distance } of read("out.csv")) expect(Number(distance)).toBeLessThanOrEqual(2);
  });

  it("reads many files that are one on the disk", async () => {
    const names = readdirSync(join(cwd, "parts")).filter((name) => name.endsWith(".parquet"));
    mkdirSync(join(cwd, "many"));
    for (let i = 0; i < 100; i++) {
      const name = names[i % names.length] as string;
      linkSync(
        join(cwd, "parts", name),
        join(cwd, "many", `${String(i).padStart(3, "0")}.parquet`),
      );
    }
    const end = await found("many/*.parquet", "-k10", "-o", "out.csv", LITTLE, "--no-sheets");
    expect((end.sizes as number[]).reduce((a, b) => a + b, 0)).toBe(5000);
    const whole = await found("many", "-k10", "-o", "whole.csv", "--no-sheets");
    expect((end.inertia as number) / (whole.inertia as number)).toBeLessThan(1.01);
  });

  it("leaves nothing half written where it is killed", async () => {
    const faults: FaultLibrary = buildFaultLibrary();
    try {
      const run = (folder: string, env: NodeJS.ProcessEnv) => {
        const out = join(cwd, folder, "out.parquet");
        const args = ["cluster", "parts", "-k4", "-o", out, LITTLE, "--no-sheets"];
        return flexae(args, { cwd, env });
      };
      mkdirSync(join(cwd, "whole"));
      const log = join(cwd, "calls.log");
      const first = await run("whole", faults.environment(join(cwd, "whole"), "none", 0, log));
      expect(first.code, first.stderr).toBe(0);
      const calls = callsIn(log);
      expect(calls.length).toBeGreaterThan(5);
      for (let at = 1; at <= calls.length; at += 2) {
        const folder = `at-${at}`;
        mkdirSync(join(cwd, folder));
        const killed = await run(folder, faults.environment(join(cwd, folder), "kill", at));
        expect(killed.signal, calls[at - 1]).toBe("SIGKILL");
        // What has its name is whole.
        for (const name of readdirSync(join(cwd, folder))) {
          if (name.endsWith(".tmp")) continue;
          expect(bytes(join(folder, name)).equals(bytes(join("whole", name))), name).toBe(true);
        }
        const again = await run(folder, {});
        expect(again.code, again.stderr).toBe(0);
        expect(readdirSync(join(cwd, folder)).sort()).toEqual(
          readdirSync(join(cwd, "whole")).sort(),
        );
      }
    } finally {
      faults.remove();
    }
  });
});

const read0 = () => ({ path: "", class: "", cluster: "", distance: "", silhouette: "" });

describe("flexae cluster refuses", () => {
  const refused = async (pattern: RegExp, ...args: string[]) => {
    const { code, stderr } = await start(...args, "-o", "out.csv", LITTLE);
    expect(stderr).toMatch(pattern);
    expect(stderr.trimEnd().split("\n").length).toBeLessThanOrEqual(2);
    expect(code).toBeGreaterThan(0);
    expect(readdirSync(cwd).filter((name) => name.includes("out."))).toEqual([]);
  };
  const part = (i: number) => join(cwd, "parts", `part-${i}of${SHARDS}-00000.parquet`);

  it("a pattern that matches nothing", async () => {
    await refused(/nowhere\/\*\.parquet matches no file/, "nowhere/*.parquet", "-k3");
  });

  it("a part of other embeddings, and names it", async () => {
    const table = await readTable(part(1));
    // A table of other numbers, and one of another model: a map of the first.
    const map = ["map", "parts", "-o", "map.parquet", "--method=pca", "--dims"];
    expect((await flexae([...map, "3"], { cwd })).code).toBe(0);
    copyFileSync(join(cwd, "map.parquet"), part(9));
    await refused(
      /part-9of4.*of another model or map than .*part-1of4.*\(3 numbers/,
      "parts",
      "-k3",
    );
    rmSync(part(9));
    expect((await flexae([...map, String(table.dims)], { cwd })).code).toBe(0);
    copyFileSync(join(cwd, "map.parquet"), part(9));
    await refused(/part-9of4.*of another model or map than .*part-1of4/, "parts/*.parquet", "-k3");
  });

  it("a part that is cut short, and says what to do", async () => {
    truncateSync(part(3), 1000);
    const message = /part-3of4-00000\.parquet cannot be read: .*\n.*remove it and run that command/;
    await refused(message, "parts/*.parquet", "-k3");
  });

  it("a mixture, and more clusters than rows", async () => {
    const remedy = /takes all rows at once.*--method kmeans, allow more with --memory, or fit/;
    await refused(remedy, "parts", "-k3", "--method=gmm");
    await refused(/201 clusters cannot be found among 200 embeddings/, "parts", "-k201");
  });

  it("memory that is no number of bytes", async () => {
    const { code, stderr } = await start("parts", "-k3", "--memory=lots");
    expect(stderr).toMatch(/Expected bytes, as 4G or 512M, for memory but received lots/);
    expect(code).toBe(2);
  });
});
