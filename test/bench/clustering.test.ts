import { readdirSync, statSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { runChain, runDirect } from "../../bench/clustering/chain.mjs";
import { RECIPES } from "../../bench/clustering/recipes.mjs";
import {
  scoreRows,
  secondRows,
  summarizeChains,
  tableText,
} from "../../bench/clustering/report.mjs";
import { writeImages } from "../../bench/clustering/sets.mjs";
import { temporaryFolder } from "../support/cli.ts";

const SIDE = 28;

/** Bars of one width and place a class, each a little different. */
function bars(label: number, count: number): Uint8Array[] {
  return Array.from({ length: count }, (_, i) => {
    const pixels = new Uint8Array(SIDE * SIDE);
    for (let y = 4 + (i % 3); y < 24; y++)
      pixels.fill(200 + i, y * SIDE + 9 * label, y * SIDE + 9 * label + 4);
    return pixels;
  });
}

const chain = (seed: number, acc: number, train: number) => ({
  seed,
  seconds: { train, embed: 1, total: train + 1 },
  mixture: { acc, nmi: acc / 2, ari: acc / 4 },
  kmeans: { acc: acc / 2, nmi: acc / 4, ari: acc / 8 },
});

describe("the benchmark of clustering", () => {
  it("writes images in folders of their classes, with a sample", async () => {
    const folder = join(temporaryFolder(), "set");
    await writeImages([bars(0, 51), bars(1, 2)], folder);
    expect(readdirSync(join(folder, "images"))).toEqual(["0", "1"]);
    expect(readdirSync(join(folder, "images", "0"))).toHaveLength(51);
    expect(readdirSync(join(folder, "sample", "0"))).toEqual(["0000.png", "0050.png"]);
    expect(readdirSync(join(folder, "sample", "1"))).toEqual(["0000.png"]);
    expect(statSync(join(folder, "images", "1", "0001.png")).size).toBeGreaterThan(60);
  });

  it("says mean, least and greatest beside what others report", () => {
    const ours = summarizeChains([chain(1, 0.8, 10), chain(2, 0.9, 30)]);
    expect(ours.mixture.acc.mean).toBeCloseTo(0.85);
    expect(ours.mixture.acc).toMatchObject({ least: 0.8, greatest: 0.9 });
    const published = [{ method: "another", acc: 0.7 }];
    const rows = scoreRows(ours, null, published);
    expect(rows[2]).toContain("0.850 (0.800–0.900)");
    expect(rows.at(-1)).toEqual(["another", "0.7", "", ""]);
    const direct = { seconds: { train: 9, total: 9 }, kmeans: { acc: 0.75, nmi: 0.5, ari: 0.4 } };
    const both = scoreRows(summarizeChains([{ ...chain(1, 0.8, 10), direct }]), null, []);
    expect(both[2]).toEqual(["flexae, k-means, trained for it", "0.750", "0.500", "0.400"]);
    const peer = summarizeChains([chain(1, 0.8, 40)]);
    expect(scoreRows(ours, peer, [])).toHaveLength(5);
    expect(secondRows(ours, peer)[1]).toEqual(["train", "20.0", "40.0", "2.00×"]);
    expect(tableText(secondRows(ours, null)).split("\n")[1]).toMatch(/^ {2}train +20\.0$/);
  });

  it("goes from files to scores", { timeout: 120_000 }, async () => {
    const cwd = temporaryFolder();
    const folder = join(cwd, "set");
    await writeImages([bars(0, 60), bars(1, 60), bars(2, 60)], folder);
    const folders = { images: join(folder, "images"), sample: join(folder, "sample") };
    const recipe = { ...RECIPES.digits, clusters: 3, covariance: "diag" };
    const found = await runChain(folders, recipe, { seed: 1, cwd });
    expect(Object.keys(found.seconds)).toEqual(["train", "embed", "map", "cluster", "total"]);
    expect(found.mixture.acc).toBeGreaterThan(0.9);
    expect(found.kmeans.nmi).toBeGreaterThan(0.6);
    const direct = await runDirect(folders, recipe, { seed: 1, cwd });
    expect(Object.keys(direct.seconds)).toEqual(["train", "embed", "cluster", "total"]);
    expect(direct.kmeans.acc).toBeGreaterThan(0.9);
  });
});
