import {
  cpSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  writeFileSync,
} from "node:fs";
import { join } from "node:path";
import { parse } from "csv-parse/sync";
import { parquetReadObjects } from "hyparquet";
import { beforeEach, describe, expect, inject, it } from "vitest";
import { encodeGrayPng } from "../../scripts/setup/png.mjs";
import { modifiedZ } from "../../ts/embeddings/modified_z.ts";
import { load, outliers, readTable } from "../../ts/index.ts";
import {
  type Ended,
  flexae,
  jsonLines,
  main,
  start,
  temporaryFolder,
  trainedRun,
} from "../support/cli.ts";
import { type Image, readImage } from "../support/pixels.ts";
import { chosenSeed, seededRandom } from "../support/random.ts";

const SIDE = 28;
const [train, valid] = ["train", "valid"].map((set) => join(inject("digits"), set)) as [
  string,
  string,
];
const trained = trainedRun("--train-epochs=15", "--learning-rate=0.01");
let run: string;
let cwd: string;

beforeEach(() => {
  run = trained();
  cwd = temporaryFolder();
});

const at = (...names: string[]) => join(cwd, ...names);

function search(...args: string[]): Promise<Ended> {
  return flexae(["outliers", ...args], { cwd });
}

async function found(...args: string[]): Promise<Record<string, unknown>> {
  const { code, stdout, stderr } = await search(...args, "--json");
  expect(code, stderr).toBe(0);
  return jsonLines(stdout).at(-1) as Record<string, unknown>;
}

function read(name: string): Record<string, string>[] {
  return parse(readFileSync(at(name), "utf8"), { columns: true });
}

function writeGray(file: string, value: (x: number, y: number) => number): void {
  const pixels = Uint8Array.from({ length: SIDE * SIDE }, (_, i) =>
    Math.round(value(i % SIDE, Math.floor(i / SIDE))),
  );
  writeFileSync(file, encodeGrayPng(pixels, SIDE, SIDE));
}

async function readGray(file: string): Promise<(x: number, y: number) => number> {
  const image = await readImage(file);
  return (x, y) => image.at(x, y)[0];
}

/** A white square where digits are black. */
const isInSquare = (x: number, y: number) => x >= 18 && x < 26 && y >= 2 && y < 10;

/** A digit with a white square painted on it. */
async function writeTampered(digit: string, file: string): Promise<void> {
  const gray = await readGray(digit);
  writeGray(file, (x, y) => (isInSquare(x, y) ? 255 : gray(x, y)));
}

/** Puts `set/odd` beside the digits: noise, inverted digits and gradients, five of each. */
async function writeOdd(seed: number): Promise<void> {
  const random = seededRandom(seed);
  cpSync(valid, at("set"), { recursive: true });
  mkdirSync(at("set/odd"));
  for (let i = 0; i < 5; i++) {
    const gray = await readGray(join(valid, `digit_${Math.floor(10 * random())}`, `00${i}.png`));
    const slope = random();
    writeGray(at(`set/odd/inverted-${i}.png`), (x, y) => 255 - gray(x, y));
    writeGray(at(`set/odd/noise-${i}.png`), () => 255 * random());
    writeGray(
      at(`set/odd/gradient-${i}.png`),
      (x, y) => (255 * (slope * x + (1 - slope) * y)) / SIDE,
    );
  }
}

/** How probable it is that an odd image has a greater score than a digit (AUROC). */
function areaUnderCurve(rows: readonly Record<string, string>[]): number {
  const scores = (odd: boolean) =>
    rows.filter((row) => (row.class === "odd") === odd).map(({ score }) => Number(score));
  const [odd, digits] = [scores(true), scores(false)];
  const wins = odd.flatMap((a) => digits.map((b) => (a > b ? 1 : a === b ? 0.5 : 0) as number));
  return wins.reduce((sum, win) => sum + win, 0) / wins.length;
}

describe("flexae outliers", () => {
  it("tells odd images from digits", async () => {
    await writeOdd(chosenSeed("outliers among digits"));
    const end = await found(run, "set");
    expect(end).toEqual({
      event: "end",
      out: at("outliers.csv"),
      sheet: at("outliers.png"),
      images: 65,
      bad: 0,
      outliers: end.outliers,
      threshold: 3.5,
      reference: "training",
      seconds: end.seconds,
    });
    const rows = read("outliers.csv");
    expect(Object.keys(rows[0] as object).join()).toBe(
      "path,set,class,loss,neighbour_distance,score,nearest",
    );
    expect(rows).toHaveLength(65);
    expect(areaUnderCurve(rows)).toBeGreaterThanOrEqual(0.95);
    const scores = rows.map(({ score }) => Number(score));
    expect(scores).toEqual([...scores].sort((a, b) => b - a));
    expect(scores.filter((score) => score > 3.5)).toHaveLength(end.outliers as number);
    for (const { set, nearest } of rows) {
      expect(set).toBe("set");
      expect(nearest?.startsWith(join(train, "digit_"))).toBe(true);
      expect(existsSync(nearest as string)).toBe(true);
    }
  });

  it("finds few outliers among the training images, none of which is its own neighbour", async () => {
    const end = await found(run, train, "--no-sheets", "--n-neighbors=3");
    expect(end).toMatchObject({ images: 200, sheet: null, reference: "training" });
    expect(end.outliers).toBeLessThanOrEqual(10);
    const rows = read("outliers.csv");
    const table = await readTable(join(run, "embeddings.parquet"));
    expect(table.losses).toHaveLength(200);
    const { dims, embeddings, paths } = table;
    const distance = (a: number, b: number) => {
      let sum = 0;
      for (let i = 0; i < dims; i++) {
        sum += ((embeddings[a * dims + i] as number) - (embeddings[b * dims + i] as number)) ** 2;
      }
      return Math.sqrt(sum);
    };
    for (const row of rows) {
      const self = paths.indexOf(row.path as string);
      const others = [...paths.keys()]
        .filter((other) => other !== self)
        .map((other) => ({ other, far: distance(self, other) }))
        .sort((a, b) => a.far - b.far);
      const mean = others.slice(0, 3).reduce((sum, { far }) => sum + far, 0) / 3;
      expect(Number(row.neighbour_distance)).toBeCloseTo(mean, 4);
      expect(row.nearest).not.toBe(join(train, row.path as string));
      expect(Number(row.loss)).toBe(table.losses?.[self]);
    }
    // The same files by another name; a copy is another image, whose nearest is the original.
    cpSync(join(train, "digit_3"), at("copy"), { recursive: true });
    const relative = await outliers(run, { sets: join(train, "../train"), nNeighbors: 3 });
    expect(Array.from(relative.neighbourDistances)).toEqual(
      rows.map((row) => Number(row.neighbour_distance)),
    );
    const copies = await outliers(run, { sets: at("copy"), nNeighbors: 1 });
    expect(Math.max(...copies.neighbourDistances)).toBe(0);
    expect(copies.nearest.map((path) => path.slice(-7)).sort()).toEqual(
      [...copies.paths].sort((a, b) => (a < b ? -1 : 1)),
    );
  });

  it("leaves an image out of its neighbours that has changed since the training", async () => {
    cpSync(run, at("run"), { recursive: true });
    const set = at("train");
    cpSync(train, set, { recursive: true });
    const setting = readFileSync(at("run/setting.yaml"), "utf8").replaceAll(train, set);
    writeFileSync(at("run/setting.yaml"), setting);
    rmSync(at("run/embeddings.parquet"), { force: true });
    await outliers(at("run"), { sets: set });
    cpSync(join(train, "digit_1/000.png"), join(set, "digit_0/000.png"));
    const gray = await readGray(join(train, "digit_2/000.png"));
    writeGray(join(set, "digit_2/000.png"), (x, y) => (x + y === 0 ? 60 : gray(x, y)));
    const { paths, nearest, neighbourDistances } = await outliers(at("run"), {
      sets: set,
      nNeighbors: 1,
    });
    const changed = paths.indexOf("digit_0/000.png");
    expect(nearest[changed]).toBe(join(set, "digit_1/000.png"));
    expect(neighbourDistances[changed]).toBeCloseTo(0, 4);
    // What an image was before is not its neighbour, however near.
    const touched = paths.indexOf("digit_2/000.png");
    expect(nearest[touched]).not.toBe(join(set, "digit_2/000.png"));
    // What replaced it is no neighbour of what was there.
    expect(neighbourDistances[paths.indexOf("digit_1/000.png")]).toBeGreaterThan(0);
  });

  it("shows where the reconstruction fails", async () => {
    mkdirSync(at("set"));
    const names = Array.from({ length: 10 }, (_, digit) => `${digit}.png`);
    for (const [digit, name] of names.entries()) {
      await writeTampered(join(valid, `digit_${digit}/000.png`), at("set", name));
    }
    await found(run, "set", "-o", "some/where.csv", "--sheet-size=7");
    const sheet = await readImage(at("some/where.png"));
    expect(sheet.width).toBe(2 * 16 + 5 * (3 * 98 - 2 + 16) - 10);
    expect(sheet.height).toBe(50 + 2 * 127 - 10 + 16);
    const rows = read("some/where.csv");
    const model = await load(join(run, "ae.pt"), { precision: "auto" });
    for (let tile = 0; tile < 7; tile++) {
      // Pictures of 28 pixels are shown three times as large, in the middle of 96.
      const [left, top] = [19 + 6 + (tile % 5) * 308, 53 + 6 + Math.floor(tile / 5) * 127];
      const pixel = (image: Image, picture: number, x: number, y: number) =>
        image.at(left + 98 * picture + 3 * x + 1, top + 3 * y + 1);
      const file = at("set", rows[tile]?.path as string);
      const gray = await readGray(file);
      const { data } = await model.reconstruct(file);
      const heat: Record<"inside" | "outside", number[]> = { inside: [], outside: [] };
      for (let y = 0; y < SIDE; y++) {
        for (let x = 0; x < SIDE; x++) {
          expect(pixel(sheet, 0, x, y)).toEqual(Array(3).fill(gray(x, y)));
          const back = 255 * (data[y * SIDE + x] as number);
          expect(Math.abs((pixel(sheet, 1, x, y)[0] as number) - back)).toBeLessThanOrEqual(1);
          // The colours' red rises with the error, nearly to the end.
          heat[isInSquare(x, y) ? "inside" : "outside"].push(pixel(sheet, 2, x, y)[0] as number);
        }
      }
      const mean = (values: number[]) => values.reduce((a, b) => a + b, 0) / values.length;
      expect(mean(heat.inside), file).toBeGreaterThan(2 * mean(heat.outside));
    }
    model.dispose();
  });

  it("names what is left out, and the most unusual images", async () => {
    cpSync(valid, at("set"), { recursive: true });
    writeFileSync(at("set/digit_0/broken.png"), "no picture");
    const json = await search(run, "set", "--json", "--no-sheets");
    expect(jsonLines(json.stdout)).toMatchObject([
      { event: "bad", file: at("set/digit_0/broken.png") },
      { event: "end", images: 50, bad: 1 },
    ]);
    const { code, stdout, stderr } = await search(run, "set", "-o", "o.parquet");
    expect(code).toBe(0);
    expect(stderr).toMatch(/^flexae: left out .*broken\.png: .*\n$/);
    const lines = stdout.trimEnd().split("\n");
    expect(lines[0]).toMatch(
      /^o\.parquet: 50 images, 1 left out, \d+ of them outliers \(score above 3\.5\), /,
    );
    expect(lines[1]).toBe("contact sheet o.png");
    expect(lines[2]).toMatch(/^ *score +loss +neighbour distance +image$/);
    expect(lines).toHaveLength(13);
    const { buffer, byteOffset, length } = readFileSync(at("o.parquet"));
    const rows = await parquetReadObjects({
      file: buffer.slice(byteOffset, byteOffset + length) as ArrayBuffer,
    });
    const texts = rows.map((row) =>
      Object.fromEntries(Object.entries(row).map(([name, value]) => [name, String(value)])),
    );
    expect(texts).toEqual(read("outliers.csv"));
  });

  it("keeps the table where the sheet cannot be made", async () => {
    mkdirSync(at("outliers.png"));
    const { code, stdout, stderr } = await search(run, valid, "--json");
    expect(code).toBe(0);
    expect(stderr).toMatch(/^flexae: The contact sheets could not be made: .*outliers\.png/);
    expect(jsonLines(stdout)).toMatchObject([{ event: "end", sheet: null, images: 50 }]);
    expect(read("outliers.csv")).toHaveLength(50);
    expect(readdirSync(cwd).sort()).toEqual(["outliers.csv", "outliers.png"]);
  });

  it("compares images with each other where those of the training are not known", async () => {
    await writeOdd(1);
    mkdirSync(at("alone"));
    cpSync(join(run, "ae.pt"), at("alone/ae.pt"));
    cpSync(run, at("moved"), { recursive: true });
    rmSync(at("moved/embeddings.parquet"), { force: true });
    const setting = readFileSync(at("moved/setting.yaml"), "utf8").replaceAll(train, at("gone"));
    writeFileSync(at("moved/setting.yaml"), setting);
    for (const model of ["alone/ae.pt", "moved"]) {
      const { code, stdout, stderr } = await search(model, "set", "--json", "--no-sheets");
      expect(code, stderr).toBe(0);
      expect(stderr).toMatch(/^flexae: the training images are missing, so images are compared/);
      expect(jsonLines(stdout)).toMatchObject([{ event: "end", reference: "set", images: 65 }]);
      const rows = read("outliers.csv");
      expect(areaUnderCurve(rows)).toBeGreaterThan(0.9);
      for (const { set, path, nearest } of rows) expect(nearest).not.toBe(`${set}/${path}`);
    }
    // What is kept in the run serves also where the images are gone.
    const kept = await outliers(run, { sets: valid });
    expect(kept).toMatchObject({ reference: "training", warnings: [] });
    cpSync(join(run, "embeddings.parquet"), at("moved/embeddings.parquet"));
    const moved = await outliers(at("moved"), { sets: valid });
    expect(moved.scores).toEqual(kept.scores);
  });

  it.each([
    [["EN", "SET"], 1, /needs an autoencoder.*\n.*ae\.pt/],
    [["nowhere", "SET"], 2, /There is no run folder nowhere/],
    [["RUN", "nowhere"], 3, /set nowhere cannot be used: no such file or folder/],
    [["RUN", "."], 3, /There are no images in/],
    [["RUN"], 2, /Missing required argument 'set'/],
    [["RUN", "SET", "-o", "o.npy"], 2, /\.csv or \.parquet for out but received o\.npy/],
    [["RUN", "SET", "--n-neighbors=0"], 2, /Expected an integer of at least 1 for n-neighbors/],
    [["RUN", "SET", "--n-neighbors=200"], 2, /200 training images are too few for 200 neighbours/],
    [["RUN", "SET", "--sheet-size=10001"], 2, /from 1 to 10000 for sheet-size/],
    [["RUN", "SET", "--sheet-size=9", "--no-sheets"], 2, /--sheet-size means nothing with/],
  ])("refuses %j", async (args, expected, message) => {
    const names: Record<string, string> = { RUN: run, SET: valid, EN: join(run, "en.pt") };
    const { code, stdout, stderr } = await search(...args.map((arg) => names[arg] ?? arg));
    expect(stderr).toMatch(message);
    expect(stderr.trim().split("\n").length).toBeLessThanOrEqual(2);
    expect(code).toBe(expected);
    expect(stdout).toBe("");
    expect(readdirSync(cwd)).toEqual([]);
  });

  it("leaves nothing half when it is ended", async () => {
    mkdirSync(at("set"));
    // Large enough to take a while, each one anew.
    const large = readFileSync(join(train, "digit_0/000.png"));
    for (let i = 0; i < 3000; i++) writeFileSync(at("set", `${i}.png`), large);
    const { child, ended } = start(
      [main, "outliers", run, "set", "--workers=1", "--batch-size=1"],
      { cwd },
    );
    setTimeout(() => child.kill("SIGINT"), 600);
    const { code, signal, stdout } = await ended;
    // A signal that comes before anything listens to it ends the process by itself.
    expect([code, signal]).toSatisfy(([exit, by]) => exit === 130 || by === "SIGINT");
    expect(stdout).toBe("");
    expect(readdirSync(cwd)).toEqual(["set"]);

    const abort = new AbortController();
    const steps = new Set<string>();
    const searching = outliers(run, {
      sets: at("set"),
      signal: abort.signal,
      onProgress: (step) => {
        steps.add(step);
        abort.abort("enough");
      },
    });
    await expect(searching).rejects.toBe("enough");
    expect([...steps]).toEqual(["embedding"]);
  });

  it("keeps the run's table, with losses once they are asked for", async () => {
    cpSync(run, at("run"), { recursive: true });
    rmSync(at("run/embeddings.parquet"), { force: true });
    expect((await flexae(["map", "run", "-o", "m.csv", "--method=pca"], { cwd })).code).toBe(0);
    const kept = at("run/embeddings.parquet");
    expect((await readTable(kept)).losses).toBe(null);
    await found("run", valid, "--no-sheets");
    expect((await readTable(kept)).losses).toHaveLength(200);
    const { mtimeMs } = statSync(kept);
    await found("run", valid, "--no-sheets");
    expect((await flexae(["map", "run", "-o", "m.csv", "--method=pca"], { cwd })).code).toBe(0);
    expect(statSync(kept).mtimeMs).toBe(mtimeMs);
    // Of another model: made anew. A model without its encoder has a name of its own.
    renameSync(at("run/en.pt"), at("run/old.pt"));
    await found("run", valid, "--no-sheets");
    expect(statSync(kept).mtimeMs).toBeGreaterThan(mtimeMs);
  });
});

describe("the modified z-score", () => {
  it("is Iglewicz and Hoaglin's", () => {
    // Deviations from the median 3: 2, 1, 0, 1, 97; their median is 1.
    const z = modifiedZ([1, 2, 3, 4, 100]);
    expect(z(3)).toBe(0);
    expect(z(4)).toBeCloseTo(0.6745, 12);
    expect(z(100)).toBeCloseTo(97 * 0.6745, 9);
    expect(z(1)).toBeCloseTo(-2 * 0.6745, 12);
    expect(modifiedZ([4, 1, 3, 2])(2.5)).toBe(0);
  });

  it("takes the mean deviation where most numbers are the same", () => {
    const z = modifiedZ(Float32Array.of(5, 5, 5, 5, 9));
    expect(z(5)).toBe(0);
    expect(z(9)).toBeCloseTo(4 / (1.2533141 * 0.8), 6);
    const same = modifiedZ([2, 2, 2]);
    expect([same(2), same(2.5), same(1)]).toEqual([0, Infinity, -Infinity]);
  });
});
