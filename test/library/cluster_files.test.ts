/** Clusters of rows in files, by the library: what the command writes, with bounded memory. */
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { parse } from "csv-parse/sync";
import { afterAll, beforeAll, beforeEach, describe, expect, inject, it } from "vitest";
import {
  assignFiles,
  type ClusterFilesOptions,
  cluster,
  clusterFiles,
  embed,
  readTable,
} from "../../ts/index.ts";
import { flexae, temporaryFolder, trainedRun } from "../support/cli.ts";

const trained = trainedRun("--train-epochs=1", "--no-report");
const SHARDS = 3;
/** Has a table read a row group at a time. */
const LITTLE = 1024;
let parts: string;
let cwd: string;

beforeAll(async () => {
  parts = mkdtempSync(join(tmpdir(), "flexae-parts-"));
  const sets = join(inject("digits"), "train");
  for (let i = 1; i <= SHARDS; i++) {
    await embed(trained(), { sets, out: parts, shard: `${i}/${SHARDS}`, precision: "fp32" });
  }
});
afterAll(() => rmSync(parts, { recursive: true, force: true }));
beforeEach(() => {
  cwd = temporaryFolder();
});

const pattern = () => join(parts, "*.parquet");
const place = (name: string) => join(cwd, name);
const bytes = (name: string) => readFileSync(place(name));
const WRITTEN = ["parquet", "clusters.json", "clusters.npy"];

/** What `flexae cluster` says and writes of the same files. */
async function byCommand(...args: string[]): Promise<Record<string, unknown>> {
  const line = ["cluster", pattern(), ...args, "--no-sheets", "--json"];
  const { code, stdout, stderr } = await flexae(line, { cwd });
  expect(code, stderr).toBe(0);
  return JSON.parse(stdout) as Record<string, unknown>;
}

describe("clusterFiles", () => {
  it.each([
    ["a row group at a time", ["--memory=1K"], { memory: LITTLE }],
    ["in memory", [], {}],
  ] as const)("finds and writes what the command does, %s", async (_, args, options) => {
    const end = await byCommand("-k", "2..6", "--seed=3", "-o", "command.parquet", ...args);
    const found = await clusterFiles(pattern(), place("library.parquet"), {
      clusters: [2, 3, 4, 5, 6],
      seed: 3,
      ...options,
    });
    for (const ending of WRITTEN) {
      expect(bytes(`library.${ending}`).equals(bytes(`command.${ending}`)), ending).toBe(true);
    }
    expect(readdirSync(cwd)).toHaveLength(2 * WRITTEN.length);
    const { k, method, sizes, passes, inertia, silhouette, curve, scores } = found;
    expect({ k, method, sizes, passes, inertia, silhouette, curve }).toEqual(
      Object.fromEntries(
        ["k", "method", "sizes", "passes", "inertia", "silhouette", "curve"].map((name) => [
          name,
          end[name],
        ]),
      ),
    );
    expect([found.out, found.rows]).toEqual([place("library.parquet"), 200]);
    expect(scores?.nmi).toBe(end.nmi);
    expect(passes === null).toBe(!("memory" in options));
  });

  it("finds in memory what `cluster` finds of the table", async () => {
    const table = await readTable(parts);
    const { labels, inertia } = await cluster(table, { clusters: 7 });
    const found = await clusterFiles([parts], place("out.csv"), { clusters: 7 });
    expect(found.inertia).toBe(inertia);
    const rows = parse(bytes("out.csv"), { columns: true }) as { path: string; cluster: string }[];
    expect(rows.map((row) => Number(row.cluster))).toEqual([...labels]);
    expect(rows.map(({ path }) => path)).toEqual(table.paths);
  });

  it("says how far it is, and ends by a signal with nothing written", async () => {
    const steps = new Map<string, number>();
    const options: ClusterFilesOptions = { clusters: 5, memory: LITTLE };
    await clusterFiles(pattern(), place("out.parquet"), {
      ...options,
      onProgress: (step, share) => {
        expect(share).toBeGreaterThanOrEqual(steps.get(step) ?? 0);
        expect(share).toBeLessThanOrEqual(1);
        steps.set(step, share);
      },
    });
    const all = [...steps.keys()];
    for (const step of ["a sample", "mini-batches", "pass 1", "pass 2", "assignments"]) {
      expect(all).toContain(step);
    }
    expect(all.at(-1)).toBe("assignments");
    for (const name of readdirSync(cwd)) rmSync(place(name));
    const reason = new Error("enough");
    for (const at of ["a sample", "pass 1", "assignments"]) {
      const abort = new AbortController();
      const running = clusterFiles(pattern(), place("out.parquet"), {
        ...options,
        signal: abort.signal,
        onProgress: (step) => {
          if (step === at) abort.abort(reason);
        },
      });
      await expect(running, at).rejects.toBe(reason);
      expect(readdirSync(cwd), at).toEqual([]);
    }
    const signal = AbortSignal.abort(reason);
    const out = place("out.parquet");
    await expect(clusterFiles(parts, out, { clusters: 5, signal })).rejects.toBe(reason);
  });

  it("removes sheets of what was there before", async () => {
    const line = ["cluster", pattern(), "-k3", "-o", "out.csv"];
    const { code, stderr } = await flexae(line, { cwd });
    expect(code, stderr).toBe(0);
    await clusterFiles(pattern(), place("out.csv"), { clusters: 4, memory: LITTLE });
    expect(existsSync(place("out.sheets"))).toBe(false);
  });

  it("refuses what cannot be, before anything is read", async () => {
    const nowhere = join(cwd, "nowhere/*.parquet");
    const refused = async (message: RegExp, out: string, options: ClusterFilesOptions) => {
      const failing = clusterFiles(nowhere, place(out), options);
      await expect(failing).rejects.toThrow(message);
      await expect(failing).rejects.toMatchObject({ code: "FLEXAE_CONFIG" });
    };
    await refused(/ends in \.csv or \.parquet for out/, "out.txt", { clusters: 3 });
    await refused(/integer of at least 1 for clusters but received 1\.5/, "a.csv", {
      clusters: [2, 1.5],
    });
    await refused(/Expected a number of clusters/, "a.csv", { clusters: [] });
    await refused(/more than 0 bytes for memory but received 0/, "a.csv", {
      clusters: 3,
      memory: 0,
    });
    const none = clusterFiles([], place("a.csv"), { clusters: 3 });
    await expect(none).rejects.toThrow("Expected a table of embeddings");
    await expect(
      clusterFiles(parts, place("a.csv"), { clusters: 3, method: "gmm", memory: LITTLE }),
    ).rejects.toThrow(
      /A mixture takes all rows at once, here about .* KiB, and may have 1\.00 KiB/,
    );
    await expect(
      clusterFiles(parts, place("a.csv"), { clusters: 201, memory: LITTLE }),
    ).rejects.toThrow("201 clusters cannot be found among 200 embeddings: ask for fewer");
    expect(readdirSync(cwd)).toEqual([]);
  });
});

describe("assignFiles", () => {
  it.each(["kmeans", "gmm"] as const)("writes what the command does, %s", async (method) => {
    await clusterFiles(parts, place("first.csv"), { clusters: 4, method });
    const predict = "--predict=first.clusters.json";
    const end = await byCommand(predict, "-o", "command.csv", "--memory=1K");
    for (const memory of [LITTLE, undefined]) {
      const clusters = place("first.clusters.json");
      const found = await assignFiles([parts], clusters, place("library.csv"), { memory });
      expect(bytes("library.csv").equals(bytes("command.csv"))).toBe(true);
      expect(found).toMatchObject({ k: 4, method, rows: 200, sizes: end.sizes, curve: [] });
      expect([found.passes, found.silhouette]).toEqual([memory === undefined ? null : 1, null]);
      expect(existsSync(place("library.clusters.json"))).toBe(false);
    }
  });

  it("names a file that holds no clusters", async () => {
    const file = place("none.clusters.json");
    const failing = assignFiles(parts, file, place("out.csv"), { memory: LITTLE });
    await expect(failing).rejects.toThrow(/none\.clusters\.json cannot be read/);
    expect(readdirSync(cwd)).toEqual([]);
  });
});
