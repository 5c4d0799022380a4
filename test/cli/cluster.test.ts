import { existsSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { parse } from "csv-parse/sync";
import { parquetReadObjects } from "hyparquet";
import { beforeEach, describe, expect, inject, it } from "vitest";
import { writeClusterSheets } from "../../ts/embeddings/cluster_sheets.ts";
import { npyBytes } from "../../ts/embeddings/npy.ts";
import { cluster, makeTable, readTable } from "../../ts/index.ts";
import { commandIn, flexae, temporaryFolder, trainedRun } from "../support/cli.ts";
import { type Image, readImage, writeImage } from "../support/pixels.ts";

const trained = trainedRun("--train-epochs=2");
let run: string;
let cwd: string;

beforeEach(() => {
  run = trained();
  cwd = temporaryFolder();
});

const { start, end: found } = commandIn(() => cwd, "cluster");

function read(name: string): Record<string, string>[] {
  return parse(readFileSync(join(cwd, name)), { columns: true });
}

/** Three heaps of ten points each, far from each other, as a table; with their heaps as classes. */
function writeHeaps(name: string): void {
  const rows = Array.from({ length: 30 }, (_, i) => {
    const heap = i % 3;
    const embedding = [heap * 50 + (i % 7) / 7, heap * -30 + (i % 5) / 5, 1];
    return JSON.stringify({ path: `${i}.png`, class: `heap ${heap}`, embedding });
  });
  writeFileSync(join(cwd, name), `${rows.join("\n")}\n`);
}

/** Their images: the blue of image i is i. */
function writeHeapImages(): void {
  for (let i = 0; i < 30; i++) writeImage(join(cwd, `${i}.png`), 96, 96, () => [0, 99, i]);
}

/** The middle of a sheet's tile, of the first ten. */
function middle(sheet: Image, tile: number): [number, number, number] {
  return sheet.at(19 + 112 * tile + 48, 53 + 48);
}

describe("flexae cluster", () => {
  it("clusters the images of a run, and keeps their embeddings", async () => {
    const end = await found(run, "-k", "10", "-o", "out.csv");
    expect(end).toMatchObject({ event: "end", out: join(cwd, "out.csv"), k: 10, method: "kmeans" });
    expect((end.sizes as number[]).reduce((a, b) => a + b, 0)).toBe(200);
    for (const score of ["acc", "nmi", "purity"]) {
      expect(end[score], score).toBeGreaterThan(0.15);
      expect(end[score], score).toBeLessThanOrEqual(1);
    }
    const rows = read("out.csv");
    expect(rows).toHaveLength(200);
    expect(Object.keys(rows[0] as object)).toEqual([
      "path",
      "class",
      "cluster",
      "distance",
      "silhouette",
    ]);
    expect(rows[25]).toMatchObject({ path: "digit_1/005.png", class: "digit_1" });
    // The largest first.
    const sizes = Array.from({ length: 10 }, (_, k) => rows.filter((r) => Number(r.cluster) === k));
    expect(sizes.map(({ length }) => length)).toEqual(end.sizes);
    expect(end.sizes).toEqual([...(end.sizes as number[])].sort((a, b) => b - a));
    const inertia = rows.reduce((sum, row) => sum + Number(row.distance) ** 2, 0);
    expect(inertia / (end.inertia as number)).toBeCloseTo(1, 4);
    const mean = rows.reduce((sum, row) => sum + Number(row.silhouette), 0) / 200;
    expect(mean).toBeCloseTo(end.silhouette as number, 9);
    expect(existsSync(join(run, "embeddings.parquet"))).toBe(true);
    expect(await found(run, "-k", "10", "-o", "again.csv")).toMatchObject({ sizes: end.sizes });
    expect(readFileSync(join(cwd, "again.csv"))).toEqual(readFileSync(join(cwd, "out.csv")));
  });

  it.each(["kmeans", "gmm"])("assigns by the clusters that %s found", async (method) => {
    const more = method === "gmm" ? ["--covariance=diag"] : [];
    const end = await found(run, "-k", "4", "-o", "out.csv", "--method", method, ...more);
    const again = await found(run, "--predict", "out.clusters.json", "-o", "again.csv");
    expect(again).toMatchObject({ k: 4, method, sizes: end.sizes, acc: end.acc, ari: end.ari });
    const labels = (name: string) => read(name).map((row) => row.cluster);
    expect(labels("again.csv")).toEqual(labels("out.csv"));
    const { centroids, dims } = JSON.parse(readFileSync(join(cwd, "out.clusters.json"), "utf8"));
    expect(centroids).toHaveLength(4);
    expect(readFileSync(join(cwd, "out.clusters.npy"))).toEqual(
      npyBytes(Float32Array.from(centroids.flat()), dims),
    );
  });

  it("takes any table that has embeddings, and finds what is there", async () => {
    writeHeaps("heaps.jsonl");
    const best = { k: 3, acc: 1, nmi: 1, ari: 1, purity: 1, sizes: [10, 10, 10] };
    expect(await found("heaps.jsonl", "-k", "2..5", "-o", "out.parquet")).toMatchObject(best);
    const bytes = readFileSync(join(cwd, "out.parquet"));
    const file = bytes.buffer.slice(bytes.byteOffset, bytes.byteOffset + bytes.length);
    const rows = await parquetReadObjects({ file });
    expect(rows).toHaveLength(30);
    expect(rows[4]).toMatchObject({ path: "4.png", class: "heap 1" });
    expect(await found("heaps.jsonl", "-k3", "--method=gmm", "-o", "g.csv")).toMatchObject(best);

    const table = await readTable(join(cwd, "heaps.jsonl"));
    writeFileSync(join(cwd, "heaps.npy"), npyBytes(table.embeddings, table.dims));
    const lines = table.paths.map((path, i) => [
      `${table.classes[i]}/${path}`,
      ...table.embeddings.subarray(3 * i, 3 * i + 3),
    ]);
    const header = ["filename", "embedding_0", "embedding_1", "embedding_2"];
    writeFileSync(join(cwd, "t.csv"), `${[header, ...lines].map((l) => l.join(",")).join("\n")}\n`);
    expect(await found("t.csv", "-k", "3")).toMatchObject(best);
    expect(await found("heaps.npy", "-k", "3")).toMatchObject({ sizes: [10, 10, 10], acc: null });
  });

  it("ends when the library's signal says so", async () => {
    const numbers = Float32Array.from({ length: 16 * 50_000 }, (_, i) => (i * 7919) % 1013);
    const table = makeTable(numbers, 16);
    const reason = new Error("enough");
    const signal = AbortSignal.abort(reason);
    await expect(cluster(table, { clusters: 100, signal })).rejects.toBe(reason);
    const abort = new AbortController();
    setTimeout(() => abort.abort(reason), 50);
    const running = cluster(table, { clusters: 500, restarts: 100, signal: abort.signal });
    await expect(running).rejects.toBe(reason);
  });

  it.each([
    [[], /Missing required argument 'table'/],
    [["T"], /Expected -k with a number of clusters, or --predict/],
    [["T", "-k", "0"], /Expected a number of clusters.*for k but received 0/],
    [["T", "-k", "5..2"], /for k but received 5\.\.2/],
    [["T", "-k", "31"], /31 clusters cannot be found among 30 embeddings/],
    [["T", "-k", "3", "-o", "x.txt"], /ends in \.csv or \.parquet for out but received x\.txt/],
    [["T", "-k", "3", "--method", "dbscan"], /Expected kmeans, gmm for method/],
    [["T", "-k", "3", "--method=gmm", "--spherical"], /--spherical means nothing to a mixture/],
    [["T", "-k", "3", "--covariance=full"], /--covariance means nothing to k-means/],
    [["T", "-k", "3", "--sheet-size=0"], /from 1 to 10000 for sheet-size but received 0/],
    [["T", "-k", "3", "--sheet-size=9", "--no-sheets"], /--sheet-size means nothing with --no-s/],
    [["T", "--predict", "no.json"], /no\.json cannot be read: no such file/],
    [["T", "--predict", "T"], /cannot be read: it is no JSON/],
    [["gone.parquet", "-k", "3"], /gone\.parquet cannot be read: no such file/],
    [["nan.jsonl", "-k", "1"], /nan\.jsonl cannot be used: the embedding of row 2 holds null/],
    [["short.jsonl", "-k", "1"], /row 2 has 1 numbers, and that of row 1 has 2/],
    [["none.csv", "-k", "1"], /none\.csv has no columns of embeddings/],
    [["broken.parquet", "-k", "1"], /broken\.parquet cannot be read: /],
    [["long.jsonl", "-k", "2", "--method=gmm"], /of 2000 numbers has 8000000 of them, too many/],
  ])("%j is refused", async (args, pattern) => {
    writeHeaps("heaps.jsonl");
    const put = (name: string, text: string) => writeFileSync(join(cwd, name), text);
    put("nan.jsonl", '{"embedding":[1,2]}\n{"embedding":[1,null]}\n');
    put("short.jsonl", '{"embedding":[1,2]}\n{"embedding":[1]}\n');
    put("none.csv", "name,value\na,1\n");
    put("broken.parquet", "PAR1 and nothing else");
    const long = JSON.stringify({ embedding: new Array(2000).fill(1) });
    put("long.jsonl", `${long}\n${long}\n${long}\n`);
    const before = readdirSync(cwd);
    const { code, stdout, stderr } = await start(
      ...args.map((arg) => (arg === "T" ? "heaps.jsonl" : arg)),
    );
    expect(stderr).toMatch(pattern);
    expect(stderr.trimEnd().split("\n").length).toBeLessThanOrEqual(2);
    expect(code).toBeGreaterThan(0);
    expect(stdout).toBe("");
    expect(readdirSync(cwd)).toEqual(before);
  });
});

describe("the contact sheets of flexae cluster", () => {
  const names = (k: number) => [
    ...Array.from({ length: k }, (_, i) => `cluster-0${i}.png`),
    "overview.png",
  ];

  it("show each cluster's images, nearest first", async () => {
    const folder = join(cwd, "out.sheets");
    const end = await found(run, "-k", "4", "-o", "out.csv", "--sheet-size=30");
    expect(end.sheets).toBe(folder);
    expect(readdirSync(folder)).toEqual(names(4));
    const rows = read("out.csv");
    for (const [k, size] of (end.sizes as number[]).entries()) {
      const sheet = await readImage(join(folder, `cluster-0${k}.png`));
      expect(sheet.width).toBe(1142);
      expect(sheet.height).toBe(56 + 127 * Math.ceil(Math.min(size, 30) / 10));
      const mine = rows.filter((row) => Number(row.cluster) === k);
      mine.sort((a, b) => Number(a.distance) - Number(b.distance));
      for (const [i, { path }] of mine.slice(0, 10).entries()) {
        const digit = await readImage(join(inject("digits"), "train", path as string));
        for (let y = 0; y < 28; y++) {
          for (let x = 0; x < 28; x++) {
            expect(sheet.at(25 + 112 * i + 3 * x, 59 + 3 * y)).toEqual(digit.at(x, y));
          }
        }
      }
    }

    // Other images by the same clusters; an older folder is replaced as a whole.
    writeFileSync(join(folder, "cluster-17.png"), "of an earlier run");
    const valid = join(inject("digits"), "valid");
    const embedded = await flexae(["embed", run, valid, "-o", "valid.parquet"], { cwd });
    expect(embedded.code, embedded.stderr).toBe(0);
    const text = await start("valid.parquet", "--predict=out.clusters.json", "-o", "out.csv");
    expect(text.stdout).toMatch(/^contact sheets in out\.sheets\/$/m);
    expect(text.stderr.replace(/.*some clusters are empty.*\n/, "")).toBe("");
    const numbers = [...new Set(read("out.csv").map((row) => row.cluster))].sort();
    expect(readdirSync(folder)).toEqual([
      ...numbers.map((number) => `cluster-0${number}.png`),
      "overview.png",
    ]);

    const none = await found(run, "-k", "4", "-o", "out.csv", "--no-sheets");
    expect(none.sheets).toBe(null);
    // Sheets of other clusters than those that the table now has would be worse than none.
    expect(readdirSync(cwd).sort()).toEqual([
      "out.clusters.json",
      "out.clusters.npy",
      "out.csv",
      "valid.parquet",
    ]);
  });

  it("frame what is not of the commonest class, and leave what is gone grey", async () => {
    writeHeaps("heaps.jsonl");
    writeHeapImages();
    const table = ["heaps.jsonl", "-k", "2", "-o", "out.csv"];
    await found(...table);
    const nearest = read("out.csv")
      .map((row, i) => ({ ...row, i }) as Record<string, string> & { i: number })
      .filter(({ cluster }) => cluster === "0")
      .sort((a, b) => Number(a.distance) - Number(b.distance));
    // Two heaps: of classes that are equally common, that of the nearest image counts.
    expect(nearest).toHaveLength(20);
    const sheet = await readImage(join(cwd, "out.sheets/cluster-00.png"));
    for (const [tile, row] of nearest.slice(0, 10).entries()) {
      expect(middle(sheet, tile)).toEqual([0, 99, row.i]);
      const frame = row.class === nearest[0]?.class ? [255, 255, 255] : [240, 130, 20];
      expect(sheet.at(19 + 112 * tile - 1, 53 + 48), row.path).toEqual(frame);
    }

    rmSync(join(cwd, `${nearest[2]?.i}.png`));
    const { code, stderr } = await start(...table);
    expect(code).toBe(0);
    expect(stderr).toBe(
      "flexae: 1 of the 30 images on the contact sheets cannot be read: their places are grey\n",
    );
    const again = await readImage(join(cwd, "out.sheets/cluster-00.png"));
    expect(middle(again, 2)).toEqual([150, 150, 150]);
    expect(middle(again, 3)).toEqual([0, 99, nearest[3]?.i]);
  });

  it("are left out with a warning where there are no images", async () => {
    writeHeaps("heaps.jsonl");
    const { code, stdout, stderr } = await start("heaps.jsonl", "-k", "3");
    expect(code).toBe(0);
    expect(stdout).not.toContain("sheets");
    expect(stderr).toMatch(
      /^flexae: The contact sheets could not be made: none of the images in heaps\.jsonl can be read, such as \d+\.png\n[^\n]*--no-sheets\.\n$/,
    );
    expect(await found("heaps.jsonl", "-k", "3")).toMatchObject({ sheets: null });
    expect(readdirSync(cwd).filter((name) => /sheets|tmp/.test(name))).toEqual([]);
  });

  it("never replace a folder that holds anything else", async () => {
    writeHeaps("heaps.jsonl");
    mkdirSync(join(cwd, "out.sheets"));
    writeFileSync(join(cwd, "out.sheets/thesis.tex"), "\\end");
    const table = ["heaps.jsonl", "-k", "3", "-o", "out.csv"];
    const { code, stderr } = await start(...table);
    expect(code).toBe(2);
    expect(stderr).toMatch(/out\.sheets is to hold contact sheets, but holds thesis\.tex: /);
    expect(existsSync(join(cwd, "out.csv"))).toBe(false);
    expect((await start(...table, "--no-sheets")).code).toBe(0);
    expect(readdirSync(join(cwd, "out.sheets"))).toEqual(["thesis.tex"]);
  });

  it("are whole or not there, when they are ended between two", async () => {
    writeHeaps("heaps.jsonl");
    writeHeapImages();
    const table = await readTable(join(cwd, "heaps.jsonl"));
    table.sets.fill(cwd);
    const clusters = await cluster(table, { clusters: 3 });
    const abort = new AbortController();
    const shares: number[] = [];
    const before = readdirSync(cwd);
    const drawing = writeClusterSheets(join(cwd, "out.csv"), table, clusters, 3, {
      signal: abort.signal,
      onProgress(share) {
        shares.push(share);
        if (shares.length === 2) abort.abort("enough");
      },
    });
    await expect(drawing).rejects.toBe("enough");
    expect(shares).toEqual([0, 1 / 3]);
    expect(readdirSync(cwd)).toEqual(before);
  });
});
