import { existsSync, readdirSync, readFileSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { gunzipSync } from "node:zlib";
import { beforeAll, describe, expect, inject, it } from "vitest";
import { type Column, Data, valueText } from "../../web/explore/data.ts";
import { commandIn, flexae, jsonLines, temporaryFolder, trainedRun } from "../support/cli.ts";

/** What a page holds. */
function dataOf(page: string): Data {
  const block = /id="data">([^<]+)</.exec(readFileSync(page, "utf8"))?.[1] as string;
  return new Data(new Uint8Array(gunzipSync(Buffer.from(block, "base64"))).buffer);
}

describe("flexae explore", () => {
  const run = trainedRun("--no-report");
  const command = commandIn(run, "explore");
  let table: string;
  beforeAll(async () => {
    table = join(run(), "table.parquet");
    const set = join(inject("digits"), "train");
    const { code, stderr } = await flexae(["embed", run(), set, "-o", table]);
    expect(code, stderr).toBe(0);
  });

  it("writes one page of a run, whose images are embedded with their losses", async () => {
    const out = join(run(), "of-run.html");
    const { bytes, seconds, ...end } = await command.end(run(), "-o", out);
    expect(end).toEqual({ event: "end", out, images: 200, unreadable: 0, problems: [] });
    expect(seconds).toBeGreaterThan(0);
    expect(statSync(out).size).toBe(bytes);
    expect(readFileSync(out, "utf8")).toMatch(/^<!doctype html>[\s\S]*<\/html>\n$/);
    expect(readdirSync(run())).toContain("embeddings.parquet");
  });

  it("makes folders, replaces a page, and leaves nothing else behind", async () => {
    const folder = temporaryFolder();
    const out = join(folder, "a/b/page.html");
    for (const more of [[], ["--no-thumbnails"]]) {
      const { code, stdout, stderr } = await flexae(["explore", table, "-o", out, ...more]);
      expect([code, stderr]).toEqual([0, ""]);
      expect(stdout).toMatch(/page\.html: 200 images, \d+ KiB, [\d.]+s; open it in a browser\n$/);
      expect(readdirSync(join(folder, "a/b"))).toEqual(["page.html"]);
    }
    expect(readFileSync(out, "utf8")).not.toContain('id="sheet-0"');
  });

  it("places images by a map that is given, in whatever order, and by a table of two numbers", async () => {
    const folder = temporaryFolder();
    const map = join(folder, "map.csv");
    const mapped = await flexae(["map", table, "-o", map, "--method=pca"]);
    expect(mapped.code, mapped.stderr).toBe(0);
    const [head, ...lines] = readFileSync(map, "utf8").trimEnd().split("\n") as [string];
    writeFileSync(map, [head, ...lines.reverse()].join("\n"));
    const out = join(folder, "page.html");
    await command.end(table, "-o", out, `--map=${map}`);
    expect(readFileSync(out, "utf8")).toContain("16 numbers an image, placed by map.csv.");
    await command.end(map, "-o", out, "--no-thumbnails");
    expect(readFileSync(out, "utf8")).toContain("2 numbers an image, placed by the table");
    writeFileSync(map, [head, ...lines.slice(1)].join("\n"));
    const { code, stderr } = await flexae(["explore", table, "-o", out, `--map=${map}`]);
    expect(code).toBe(3);
    expect(stderr).toMatch(
      /map\.csv has no place for digit_\d\/\d+\.png: make the map of .* itself/,
    );
  });

  it("says how many images cannot be read, and where they are looked for", async () => {
    const folder = temporaryFolder();
    const rows = Array.from({ length: 20 }, (_, i) =>
      JSON.stringify({
        path: `digit_3/${String(i).padStart(3, "0")}.png`,
        embedding: [i, i % 3, 1],
      }),
    );
    writeFileSync(join(folder, "foreign.jsonl"), rows.join("\n"));
    const out = join(folder, "page.html");
    const foreign = join(folder, "foreign.jsonl");
    const lost = await flexae(["explore", foreign, "-o", out]);
    expect(lost.code).toBe(0);
    expect(lost.stderr).toContain(
      "20 of 20 images cannot be read, and have no thumbnail: paths begin in the current folder; --image-dir says where else",
    );
    const found = await command.end(
      foreign,
      "-o",
      out,
      `--image-dir=${join(inject("digits"), "train")}`,
    );
    expect(found).toMatchObject({ images: 20, unreadable: 0 });
  });

  it("takes a table of one image, and of few", async () => {
    const folder = temporaryFolder();
    for (const rows of [1, 2, 5]) {
      const lines = Array.from({ length: rows }, (_, i) =>
        JSON.stringify({ path: `${i}.png`, embedding: [i, 2, 3] }),
      );
      writeFileSync(join(folder, "few.jsonl"), lines.join("\n"));
      const out = join(folder, "few.html");
      const end = await command.end(join(folder, "few.jsonl"), "-o", out, "--no-thumbnails");
      expect(end).toMatchObject({ images: rows });
      const { x, y } = dataOf(out);
      expect([...x, ...y].every(Number.isFinite)).toBe(true);
    }
  });

  const refused: [string[], RegExp, number?][] = [
    [["--thumbnail-size=7"], /Expected an integer from 8 to 255 for thumbnail-size but received 7/],
    [["--thumbnail-size=32", "--no-thumbnails"], /thumbnailSize means nothing without thumbnails/],
    [["--method=tsne"], /Expected umap, pca for method but received tsne/],
    [["--method=pca", "--map=x.parquet"], /method means nothing to a map that is given/],
    [["--columns="], /Expected names of tables for --columns/],
    [["--port=80"], /--port means nothing to a file/],
    [["--map=nowhere.parquet"], /nowhere\.parquet cannot be read: no such file or folder/, 3],
    [["--columns=nowhere.csv"], /nowhere\.csv cannot be read: no such file or folder/, 3],
  ];
  it.each(refused)("refuses %j, and writes nothing", async (more, message, expected = 2) => {
    const cwd = temporaryFolder();
    const { code, stderr } = await flexae(["explore", table, "-o", "page.html", ...more], { cwd });
    expect(code).toBe(expected);
    expect(stderr).toMatch(message);
    expect(stderr.trimEnd().split("\n").length).toBeLessThanOrEqual(2);
    expect(readdirSync(cwd)).toEqual([]);
  });

  it("refuses columns that are of other images, of none, or of one twice", async () => {
    const cwd = temporaryFolder();
    const of = async (text: string) => {
      writeFileSync(join(cwd, "more.csv"), text);
      const args = ["explore", table, "-o", "page.html", "--columns=more.csv"];
      const { code, stderr } = await flexae(args, { cwd });
      expect(code).toBe(3);
      expect(existsSync(join(cwd, "page.html"))).toBe(false);
      return stderr;
    };
    expect(await of("name,score\na.png,1\n")).toMatch(
      /more\.csv has no column of paths: expected one of path, filename/,
    );
    expect(await of("path,score\na.png,1\n")).toMatch(
      /more\.csv names none of the images of .*table\.parquet: it has a\.png, and the table digit_0\/000\.png/,
    );
    expect(await of("path,score\ndigit_0/000.png,1\ndigit_0/000.png,2\n")).toMatch(
      /more\.csv names digit_0\/000\.png twice: leave one of the rows out/,
    );
  });

  it("shows what other commands say of the same images, though they name their set otherwise", async () => {
    const folder = temporaryFolder();
    const cwd = inject("digits");
    const [clusters, outliers] = ["clusters.csv", "outliers.csv"].map((name) => join(folder, name));
    const done = [
      await flexae(["cluster", table, "-k", "4", "-o", clusters as string, "--no-sheets"]),
      // The run's own images, but for their set, which is now named as a folder here.
      await flexae(["outliers", run(), "train", "-o", outliers as string, "--no-sheets"], { cwd }),
    ];
    for (const { code, stderr } of done) expect(code, stderr).toBe(0);
    const out = join(folder, "page.html");
    const columns = `--columns=${clusters},${outliers}`;
    const made = await flexae(["explore", table, "-o", out, "--no-thumbnails", columns], { cwd });
    expect(made.code, made.stderr).toBe(0);
    const data = dataOf(out);
    expect(data.columns.map(({ name }) => name)).toEqual(
      expect.arrayContaining(["cluster", "silhouette", "loss", "score", "neighbour_distance"]),
    );
    const score = data.columns.find(({ name }) => name === "score");
    const known = Array.from({ length: 200 }, (_, row) => valueText(score as Column, row));
    expect(known.every((value) => Number.isFinite(Number.parseFloat(value)))).toBe(true);
  });

  it("tells images of the same path apart by their sets, in whatever order", async () => {
    const folder = temporaryFolder();
    const line = (set: string, i: number, rest: object) =>
      JSON.stringify({ path: `p${i}.png`, set, ...rest });
    const rows = (sets: string[], rest: (set: string, i: number) => object) =>
      sets.flatMap((set) => [0, 1, 2].map((i) => line(set, i, rest(set, i)))).join("\n");
    const file = (name: string) => join(folder, name);
    writeFileSync(
      file("ab.jsonl"),
      rows(["A", "B"], (_, i) => ({ embedding: [i, 1, 2] })),
    );
    writeFileSync(
      file("ba.jsonl"),
      rows(["B", "A"], (set, i) => ({ embedding: [set === "A" ? 1 : 9, i] })),
    );
    writeFileSync(
      file("more.jsonl"),
      rows(["B", "A"], (set) => ({ from: `from ${set}` })),
    );
    const out = file("page.html");
    await command.end(
      ...[file("ab.jsonl"), "-o", out, "--no-thumbnails"],
      ...[`--map=${file("ba.jsonl")}`, `--columns=${file("more.jsonl")}`],
    );
    const data = dataOf(out);
    const from = data.columns.find(({ name }) => name === "from") as Column;
    const texts = [0, 1, 2, 3, 4, 5].map((row) => valueText(from, row));
    expect(texts).toEqual([...Array(3).fill("from A"), ...Array(3).fill("from B")]);
    expect(data.x[0]).toBeLessThan(data.x[3] as number);
  });

  it("takes names that look like numbers for names, and columns that lack values", async () => {
    const folder = temporaryFolder();
    const ids = ["00007", "1234567890123456789", "1234567890123456790", "8"];
    const rows = ids.map((id, i) =>
      JSON.stringify({ id, embedding: [i, 1, 2], ...(i > 0 ? { loss: i / 10 } : {}) }),
    );
    writeFileSync(join(folder, "ids.jsonl"), rows.join("\n"));
    const lines = ids.map((id, i) => `${id},00${i},${i === 2 ? "9007199254740993" : 5},${i}.5`);
    writeFileSync(join(folder, "more.csv"), `id,code,big,number\n${lines.join("\n")}\n`);
    const out = join(folder, "page.html");
    const more = `--columns=${join(folder, "more.csv")},${join(folder, "more.csv")}`;
    await command.end(join(folder, "ids.jsonl"), "-o", out, "--no-thumbnails", more);
    const data = dataOf(out);
    expect(ids.map((_, row) => data.path(row))).toEqual(ids);
    const texts = (name: string) => {
      const column = data.columns.find((one) => one.name === name) as Column;
      return ids.map((_, row) => valueText(column, row));
    };
    expect(texts("code")).toEqual(["000", "001", "002", "003"]);
    expect(texts("big")).toEqual(["5", "5", "9007199254740993", "5"]);
    expect(texts("number")).toEqual(["0.5", "1.5", "2.5", "3.5"]);
    expect(texts("loss")).toEqual(["", "0.1", "0.2", "0.3"]);
    // The same table twice: names that are taken get the file's behind them.
    expect(data.columns.map(({ name }) => name)).toContain("number (more.csv)");
  });

  it("does not put a page in the place of what it is made of", async () => {
    const folder = temporaryFolder();
    const name = join(folder, "table.csv");
    writeFileSync(name, "path,embedding_0\na.png,1\nb.png,2\n");
    const before = readFileSync(name, "utf8");
    const { code, stderr } = await flexae(["explore", name, "-o", name]);
    expect(code).toBe(2);
    expect(stderr).toMatch(/table\.csv is what the page is made of: name another file/);
    expect(readFileSync(name, "utf8")).toBe(before);
  });

  it("says where its server is, for programs", async () => {
    const { start, main } = await import("../support/cli.ts");
    const { child, ended, seen } = start([main, "explore", table, "--method=pca", "--json"]);
    await seen(/"event":"serving"/);
    child.kill("SIGTERM");
    const { code, stdout } = await ended;
    expect(code).toBe(0);
    const [line] = jsonLines(stdout);
    expect(line).toMatchObject({ event: "serving", images: 200 });
    expect((line as { url: string }).url).toMatch(/^http:\/\/127\.0\.0\.1:\d+\/$/);
  });
});
