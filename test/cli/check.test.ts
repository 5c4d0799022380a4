import { copyFileSync, cpSync, mkdirSync, readFileSync, symlinkSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { beforeEach, describe, expect, inject, it } from "vitest";
import { encodeGrayPng } from "../../scripts/setup/png.mjs";
import { type CheckReport, checkImages } from "../../ts/index.ts";
import { flexae, main, root, start, temporaryFolder } from "../support/cli.ts";

let cwd: string;
let folder: string;

beforeEach(() => {
  cwd = temporaryFolder();
  folder = join(cwd, "digits");
  cpSync(join(inject("digits"), "train"), folder, { recursive: true });
});

const SHAPE = "--image-shape=28,28";

async function check(...more: string[]): Promise<CheckReport & { code: number | null }> {
  const { code, stdout, stderr } = await flexae(["check", "digits", SHAPE, "--json", ...more], {
    cwd,
  });
  expect(stdout, stderr).not.toBe("");
  return { ...(JSON.parse(stdout) as CheckReport), code };
}

/** Gray levels from a function of the place. */
function draw(
  name: string,
  width: number,
  height: number,
  level: (x: number, y: number) => number,
) {
  const pixels = Uint8Array.from({ length: width * height }, (_, i) =>
    level(i % width, Math.floor(i / width)),
  );
  writeFileSync(join(folder, name), encodeGrayPng(pixels, width, height));
}

const steps = (x: number, y: number) => (x * 40 + y * 90) % 256;

describe("flexae check", () => {
  it("finds nothing in a clean folder", async () => {
    const report = await check();
    expect(report).toMatchObject({
      code: 0,
      ok: true,
      folder,
      counts: { images: 200, bad: 0, duplicate: 0, odd: 0, blank: 0 },
      usual: { width: 28, height: 28 },
      bad: [],
      duplicates: [],
      odd: [],
      blank: [],
      loose: 0,
      others: 0,
      advice: [],
    });
    expect(report.classes).toHaveLength(10);
    expect(report.classes[7]).toEqual({
      name: "digit_7",
      images: 20,
      bad: 0,
      duplicate: 0,
      odd: 0,
      blank: 0,
    });
  });

  it("finds what is bad, with the reasons that a training would give", async () => {
    writeFileSync(join(folder, "digit_1/text.png"), "x");
    writeFileSync(join(folder, "digit_1/zero.png"), "");
    symlinkSync("nowhere", join(folder, "digit_5/broken.jpg"));
    const report = await check();
    expect(report.code).toBe(0);
    expect(report.bad).toEqual([
      { file: join(folder, "digit_1/text.png"), reason: "not an image" },
      { file: join(folder, "digit_1/zero.png"), reason: "empty file" },
      { file: join(folder, "digit_5/broken.jpg"), reason: "broken link" },
    ]);
    expect(report.counts).toMatchObject({ images: 203, bad: 3 });
    expect(report.classes.map(({ bad }) => bad)).toEqual([0, 2, 0, 0, 0, 1, 0, 0, 0, 0]);
  });

  it("finds the same pixels under other names, classes and formats", async () => {
    const one = (name: string) => join(folder, name);
    copyFileSync(one("digit_2/003.png"), one("digit_2/copy.png"));
    copyFileSync(one("digit_2/003.png"), one("digit_6/copy.png"));
    const colors = (name: string) => join(root, "test/fixtures/images", name);
    mkdirSync(one("fixtures"));
    for (const name of ["color.png", "color.bmp", "color.tif", "color.ppm"]) {
      copyFileSync(colors(name), one(`fixtures/${name}`));
    }
    const report = await check("--channels=3");
    expect(report.duplicates).toEqual([
      {
        files: [one("digit_2/003.png"), one("digit_2/copy.png"), one("digit_6/copy.png")],
        acrossClasses: true,
      },
      {
        files: ["color.bmp", "color.png", "color.ppm", "color.tif"].map((f) =>
          one(`fixtures/${f}`),
        ),
        acrossClasses: false,
      },
    ]);
    expect(report.counts.duplicate).toBe(5);
    expect(report.classes.find(({ name }) => name === "digit_2")?.duplicate).toBe(1);
    expect(report.classes.find(({ name }) => name === "fixtures")?.duplicate).toBe(3);
    expect(report.counts.bad).toBe(0);
  });

  it("finds what is of another size or shape than most", async () => {
    draw("digit_0/wide.png", 61, 28, steps);
    draw("digit_0/less wide.png", 55, 28, steps);
    draw("digit_1/large.png", 113, 113, steps);
    draw("digit_2/small.png", 6, 6, steps);
    draw("digit_2/enlarged.png", 13, 13, steps);
    draw("digit_2/not much.png", 14, 14, steps);
    const { odd, counts } = await check();
    const of = (name: string, width: number, height: number, ...why: string[]) => ({
      file: join(folder, name),
      width,
      height,
      why,
    });
    expect(odd).toEqual([
      of("digit_0/wide.png", 61, 28, "aspect"),
      of("digit_1/large.png", 113, 113, "large"),
      of("digit_2/enlarged.png", 13, 13, "enlarged"),
      of("digit_2/small.png", 6, 6, "small", "enlarged"),
    ]);
    expect(counts).toMatchObject({ odd: 4, bad: 0, blank: 0, duplicate: 0 });
  });

  it("takes what most are for usual, and says what that means for the settings", async () => {
    const report = await check("--image-shape=256,100");
    expect(report.odd).toEqual([]);
    expect(report.advice).toEqual([
      "Most images are enlarged 9.1 times by --image-shape 256,100: a smaller one trains as well, and faster",
      "Most images are stretched by --image-shape 256,100: they are 1.00 times as wide as high",
    ]);
  });

  it("finds what is nearly blank, black, white or in between", async () => {
    draw("digit_3/black.png", 28, 28, () => 0);
    draw("digit_3/white.png", 28, 28, () => 255);
    draw("digit_4/grain.png", 28, 28, (x, y) => 120 + ((x + y) % 2) * 5);
    draw("digit_4/stripes.png", 28, 28, (x) => 120 + (x % 2) * 6);
    const { blank, counts } = await check();
    expect(blank).toEqual([
      { file: join(folder, "digit_3/black.png"), deviation: 0 },
      { file: join(folder, "digit_3/white.png"), deviation: 0 },
      { file: join(folder, "digit_4/grain.png"), deviation: 2.5 },
    ]);
    expect(counts.blank).toBe(3);
  });

  it("says that a folder cannot be used, with exit code 3", async () => {
    for (let i = 0; i < 11; i++) writeFileSync(join(folder, `digit_0/bad${i}.png`), "x");
    const args = ["check", "digits", SHAPE];
    const refused = await flexae(args, { cwd });
    expect(refused.code).toBe(3);
    expect(refused.stderr).toBe(
      "flexae: 5.2% of these images cannot be used, and --max-bad allows 5.0%: a training would stop\n",
    );
    expect((await flexae([...args, "--max-bad=6%"], { cwd })).code).toBe(0);
    const none = await check("--max-bad=1", "--max-pixels=10");
    expect(none).toMatchObject({ code: 3, ok: false, counts: { images: 211, bad: 211 } });
    const missing = await flexae(["check", "nowhere"], { cwd });
    expect(missing.code).toBe(3);
    expect(missing.stderr).toMatch(/^flexae: The set nowhere cannot be used: no such file/);
    mkdirSync(join(cwd, "empty"));
    expect((await flexae(["check", "empty"], { cwd })).code).toBe(3);
    expect((await flexae(["check"], { cwd })).code).toBe(2);
    expect((await flexae(["check", "digits", "--filters=8"], { cwd })).code).toBe(2);
  });

  it("prints counts, the first names and all names", async () => {
    for (let i = 0; i < 14; i++) writeFileSync(join(folder, `digit_0/bad${i}.png`), "x");
    copyFileSync(join(folder, "digit_1/000.png"), join(folder, "digit_1/a\nb.png"));
    writeFileSync(join(folder, "loose.png"), "x");
    writeFileSync(join(folder, "digit_1/notes.txt"), "x");
    const { stdout, code, stderr } = await flexae(["check", "digits", SHAPE, "--max-bad=7%"], {
      cwd,
    });
    expect(code, stderr).toBe(0);
    expect(stderr).toBe("");
    expect(stdout).toMatch(/^digits: 215 images in 10 classes, usually 28×28 pixels\n/);
    expect(stdout).toMatch(/\nclass +images +bad +duplicate +odd-sized +blank\n/);
    expect(stdout).toMatch(/\ndigit_0 +34 +14 +0 +0 +0\n/);
    expect(stdout).toMatch(/\nall +215 +14 +1 +0 +0\n/);
    expect(stdout).toContain(
      "\nCannot be used (14, 6.5%)\n  digits/digit_0/bad0.png: not an image\n",
    );
    expect(stdout).toContain("\n  and 4 more: --all shows them\n");
    expect(stdout).toContain("\n  digits/digit_1/000.png = digits/digit_1/a\\nb.png\n");
    expect(stdout).toContain("Left out: 1 image beside the folders of the classes\n");
    expect(stdout).toContain("Passed over: 1 file without an image's name\n");
    const all = await flexae(["check", "digits", SHAPE, "--max-bad=7%", "--all"], { cwd });
    expect(all.stdout.match(/: not an image$/gm)).toHaveLength(14);
    expect(all.stdout).not.toContain("--all");
  });

  it("reads its settings from a config file of a run as well", async () => {
    writeFileSync(join(cwd, "run.yaml"), "imageShape: [28, 28]\nmax_bad: 0\nfilters: [8]\n");
    writeFileSync(join(folder, "digit_0/bad.png"), "x");
    const ended = await flexae(["check", "digits", "--config=run.yaml"], { cwd });
    expect(ended.code).toBe(3);
    expect(ended.stdout).not.toContain("enlarged");
  });

  it.each([
    ["SIGINT", 130],
    ["SIGTERM", 143],
  ] as const)("ends at %s with exit code %i", async (signal, code) => {
    // More than can be checked before the signal: names of the same large picture.
    const large = join(cwd, "large.png");
    writeFileSync(large, encodeGrayPng(new Uint8Array(3000 * 3000), 3000, 3000));
    mkdirSync(join(cwd, "many"));
    for (let i = 0; i < 3000; i++) symlinkSync(large, join(cwd, "many", `${i}.png`));
    const { child, ended } = start([main, "check", "many", "--json"], { cwd });
    // The addon is loaded after the signals are listened to.
    const loaded = () =>
      /\/flexae[^/]*\.node/.test(readFileSync(`/proc/${child.pid}/maps`, "utf8"));
    while (!loaded()) await new Promise((resolve) => setTimeout(resolve, 20));
    child.kill(signal);
    const began = performance.now();
    const result = await ended;
    expect(performance.now() - began).toBeLessThan(10_000);
    expect(result).toMatchObject({ code, stdout: "", stderr: "" });
  });
});

describe("checkImages()", () => {
  it("gives what the command prints as JSON", async () => {
    writeFileSync(join(folder, "digit_9/bad.png"), "x");
    const { code, ...printed } = await check();
    expect(code).toBe(0);
    const progress: number[] = [];
    const report = await checkImages(
      folder,
      { imageShape: [28, 28], workers: 2 },
      { onProgress: (done, total) => progress.push(done, total) },
    );
    expect(JSON.parse(JSON.stringify(report))).toEqual(printed);
    expect(progress.slice(-2)).toEqual([201, 201]);
    await expect(checkImages(join(folder, "none"))).rejects.toMatchObject({ code: "FLEXAE_DATA" });
    await expect(checkImages("")).rejects.toMatchObject({ code: "FLEXAE_DATA" });
    const reason = new Error("enough");
    const signal = AbortSignal.abort(reason);
    await expect(checkImages(folder, {}, { signal })).rejects.toBe(reason);
  });

  it("takes names that are no UTF-8, and gives them back", async () => {
    const path = Buffer.from(`${folder}/digit_9/\xff.png`, "latin1");
    writeFileSync(path, readFileSync(join(folder, "digit_9/000.png")));
    const { duplicates } = await checkImages(folder, { imageShape: [28, 28] });
    expect(duplicates).toEqual([
      {
        files: [join(folder, "digit_9/000.png"), `${folder}/digit_9/\udcff.png`],
        acrossClasses: false,
      },
    ]);
  });
});
