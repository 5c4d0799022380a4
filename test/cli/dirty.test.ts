/** Data sets as they are: every kind of file that is no usable image, and names of every kind. */
import { execFileSync } from "node:child_process";
import {
  chmodSync,
  cpSync,
  existsSync,
  mkdirSync,
  readFileSync,
  renameSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { join } from "node:path";
import { setTimeout } from "node:timers/promises";
import { parse as parseCsv } from "csv-parse/sync";
import { beforeEach, describe, expect, inject, it } from "vitest";
import { parse } from "yaml";
import {
  type Ended,
  flexae,
  jsonLines,
  main,
  root,
  type StartOptions,
  smallRun,
  start,
  temporaryFolder,
  withoutPrivileges,
} from "../support/cli.ts";

const fixture = (name: string) => readFileSync(join(root, "test/fixtures/images", name));

let cwd: string;

beforeEach(() => {
  cwd = temporaryFolder();
  for (const set of ["train", "valid"]) {
    cpSync(join(inject("digits"), set), join(cwd, set), { recursive: true });
  }
});

function here(): StartOptions {
  return { cwd, env: { FLEXAE_CACHE: join(cwd, "cache") } };
}

function args(...more: string[]): string[] {
  const folders = ["--train-dir=train", "--valid-dir=valid", "--save-dir=run"];
  return smallRun(...folders, "--dims=8", "--json", ...more);
}

/** The rows of a run's bad_images.csv, by file, in the order of their names. */
function badImages(): { set: string; file: string; reason: string }[] {
  const path = join(cwd, "run/bad_images.csv");
  if (!existsSync(path)) return [];
  const rows = parseCsv(readFileSync(path), { columns: true }) as {
    set: string;
    file: string;
    reason: string;
  }[];
  return rows.sort((a, b) => (a.file < b.file ? -1 : 1));
}

function digit(number: number, index = 0): Buffer {
  return readFileSync(join(cwd, `train/digit_${number}/00${index}.png`));
}

/** A PNG whose header claims other sizes than it has. */
function boast(width: number, height: number): Buffer {
  const png = Buffer.from(digit(0));
  png.writeUInt32BE(width, 16);
  png.writeUInt32BE(height, 20);
  let crc = ~0;
  for (const byte of png.subarray(12, 29)) {
    crc ^= byte;
    for (let bit = 0; bit < 8; bit++) crc = (crc >>> 1) ^ (0xedb88320 & -(crc & 1));
  }
  png.writeInt32BE(~crc, 29);
  return png;
}

describe("files that are no usable images", () => {
  it("are each named once with the reason, counted and skipped, and no others are", async () => {
    const folder = join(cwd, "train/digit_3");
    const good = digit(1);
    const bad = new Map<string, string>();
    const put = (name: string, content: Buffer | string, reason: string) => {
      writeFileSync(join(folder, name), content);
      bad.set(name, reason);
    };
    put("truncated.png", good.subarray(0, good.length / 2), "truncated");
    put("truncated.jpg", fixture("color.jpg").subarray(0, -2), "truncated");
    put("zero bytes.png", "", "empty file");
    put("text.png", "This is no image.\n", "not an image");
    put("animated.png", fixture("gif.png"), "GIF is not supported");
    put("animated.webp", fixture("animated.webp"), "animated WebP is not supported");
    const spoilt = Buffer.from(good);
    spoilt.writeUInt8(spoilt.readUInt8(60) ^ 1, 60);
    put("spoilt.png", spoilt, "corrupt PNG (checksum)");
    put("unreadable.png", good, "permission denied");
    chmodSync(join(folder, "unreadable.png"), 0);
    put(
      "huge.png",
      boast(20_000, 20_000),
      "too many pixels (20000×20000 = 400000000; --max-pixels is 268435456)",
    );
    put(" bad\n two lines 🙂.png", "x", "not an image");
    mkdirSync(join(folder, "folder.png"));
    bad.set("folder.png", "is a folder");
    symlinkSync("nowhere.png", join(folder, "broken.png"));
    bad.set("broken.png", "broken link");
    symlinkSync("loop.png", join(folder, "loop.png"));
    bad.set("loop.png", "link that leads to itself");
    execFileSync("mkfifo", [join(folder, "pipe.png")]);
    bad.set("pipe.png", "not a regular file");
    writeFileSync(Buffer.from(`${folder}/no utf-8 \xff.png`, "latin1"), "x");
    bad.set("no utf-8 \\xff.png", "not an image");

    // And what looks odd but can be used.
    writeFileSync(join(folder, "a JPEG.png"), fixture("color.jpg"));
    writeFileSync(join(folder, "a PNG.jpg"), good);
    writeFileSync(join(folder, "progressive.jpg"), fixture("progressive.jpg"));
    writeFileSync(join(folder, "frames.png"), fixture("animated.png"));
    writeFileSync(join(folder, " spaces and\nlines.png"), good);
    writeFileSync(join(folder, "日本語 é 🙂.png"), good);
    writeFileSync(Buffer.from(`${folder}/fine \xfe.png`, "latin1"), good);
    symlinkSync("000.png", join(folder, "link.png"));
    symlinkSync("..", join(folder, "up"));
    symlinkSync("loop", join(folder, "loop"));
    writeFileSync(join(folder, "readme.txt"), "no image by its name");
    const fine = 8;

    const ended = await flexae(args("--max-bad=10%", "--train-epochs=3", "--cache=none"), {
      ...here(),
      before: withoutPrivileges(),
    });
    expect(ended.code, ended.stderr).toBe(0);
    const lines = jsonLines(ended.stdout);
    expect(lines[0]).toMatchObject({ event: "start", trainImages: 200 + bad.size + fine });
    expect(lines.at(-1)).toMatchObject({ event: "end", badImages: bad.size });
    const expected = [...bad].map(([name, reason]) => ({
      set: "train",
      file: join(folder, name),
      reason,
    }));
    expect(badImages()).toEqual(expected.sort((a, b) => (a.file < b.file ? -1 : 1)));
    // The same on stderr, a line each, and nothing else there.
    const complaints = ended.stderr.trimEnd().split("\n").sort();
    expect(complaints).toEqual(
      expected
        .map(({ file, reason }) => `flexae: skipped ${file.replaceAll("\n", "\\n")}: ${reason}`)
        .sort(),
    );
    const setting = parse(readFileSync(join(cwd, "run/setting.yaml"), "utf8"));
    expect(setting.bad_images).toBe(bad.size);
  });

  it("are the same in a flat folder, of both sets", async () => {
    for (const set of ["train", "valid"]) {
      rmSync(join(cwd, set), { recursive: true });
      mkdirSync(join(cwd, set));
      for (let i = 0; i < 20; i++) {
        writeFileSync(
          join(cwd, set, `${i}.png`),
          readFileSync(
            join(inject("digits"), "train/digit_4", `${String(i).padStart(3, "0")}.png`),
          ),
        );
      }
      mkdirSync(join(cwd, set, "folder.png"));
    }
    const ended = await flexae(args("--batch-size=10"), here());
    expect(ended.code, ended.stderr).toBe(0);
    expect(badImages()).toEqual([
      { set: "train", file: join(cwd, "train/folder.png"), reason: "is a folder" },
      { set: "valid", file: join(cwd, "valid/folder.png"), reason: "is a folder" },
    ]);
  });

  it("are told of when they lie where nothing is taken from", async () => {
    writeFileSync(join(cwd, "valid/loose.png"), digit(1));
    const ended = await flexae(args(), here());
    expect(ended.code, ended.stderr).toBe(0);
    expect(ended.stderr).toBe(
      `flexae: 1 image lies directly in ${join(cwd, "valid")}, beside the folders of its classes, and will be left out\n`,
    );
  });
});

describe("too many bad images", () => {
  function spoil(count: number): void {
    for (let i = 0; i < count; i++) {
      writeFileSync(join(cwd, `train/digit_${i % 10}/00${Math.floor(i / 10)}.png`), "x");
    }
  }

  it("stop a training with exit code 3 and what to do", async () => {
    spoil(11);
    const ended = await flexae(args(), here());
    expect(ended.code).toBe(3);
    const [first, second] = ended.stderr.trimEnd().split("\n").slice(-2) as [string, string];
    expect(first).toMatch(
      /^flexae: 11 of the 200 train images \(5\.5%\) cannot be used, and --max-bad allows 5%; the last one is .*\.png: not an image\.$/,
    );
    expect(second).toMatch(/^bad_images\.csv lists them\. .*--max-bad/);
    expect(badImages()).toHaveLength(11);
    expect(parse(readFileSync(join(cwd, "run/setting.yaml"), "utf8"))).toMatchObject({
      state: "failed",
      config: { max_bad: 0.05 },
    });
    expect(existsSync(join(cwd, "run/ae.pt"))).toBe(false);
  });

  it("are as many as one likes", async () => {
    spoil(11);
    expect((await flexae(args("--max-bad", "5.5%"), here())).code).toBe(0);
    const strict = await flexae(args("--max_bad=0.0549", "--overwrite"), here());
    expect(strict.code).toBe(3);
    expect(strict.stderr).toContain("--max-bad allows 5.49%");
    const none = await flexae(args("--max-bad=0", "--overwrite"), here());
    expect(none.code).toBe(3);
    expect(none.stderr).toContain("1 of the 200 train images (0.5%)");
  });

  it("may be all of them, which is never enough", async () => {
    const ended = await flexae(args("--max-bad=100%", "--max-pixels=783"), here());
    expect(ended.code).toBe(3);
    expect(ended.stderr).toMatch(/flexae: No training image could be read\.\n$/);
    expect(badImages()).toHaveLength(200);
    expect(badImages()[0]?.reason).toBe("too many pixels (28×28 = 784; --max-pixels is 783)");
  });

  it.each(["--max-bad=5", "--max-bad=101%", "--max-bad=-1%", "--max-bad=few", "--max-bad=%"])(
    "%s is no share",
    async (flag) => {
      const ended = await flexae(args(flag), here());
      expect(ended.code).toBe(2);
      expect(ended.stderr).toMatch(
        /^flexae: Expected a share from 0 to 1, or from 0% to 100% for --max-bad but received "?[^\n]*\n$/,
      );
    },
  );
});

describe("files that change while a training runs", () => {
  const LONG = ["--train-epochs=1000000", "--patience=1000000"];

  /** Runs until some epochs after `change` have gone by. */
  async function runAcross(change: () => void, ...more: string[]): Promise<Ended> {
    const { child, ended, seen } = start([main, ...args(...LONG, ...more)], here());
    await seen(/"epoch":2,/);
    change();
    // What was printed may be old by the time it is read, and the file may be many epochs behind:
    // only of its second writing from here on is it certain that it began after the change.
    const metrics = join(cwd, "run/metrics.csv");
    const epochs = () =>
      existsSync(metrics) ? readFileSync(metrics, "utf8").split("\n").length : 0;
    for (const more of [1, 1, 4]) {
      const target = epochs() + more;
      while (epochs() < target && child.exitCode === null) await setTimeout(20);
    }
    child.kill("SIGINT");
    return await ended;
  }

  function harm(): void {
    rmSync(join(cwd, "train/digit_1/001.png"));
    // Whole at every instant, as most programs write files.
    const replace = (name: string, content: Buffer | string) => {
      writeFileSync(join(cwd, "new"), content);
      renameSync(join(cwd, "new"), join(cwd, name));
    };
    replace("train/digit_2/002.png", digit(2).subarray(0, 50));
    replace("train/digit_4/004.png", digit(5));
    replace("valid/digit_3/003.png", "");
    replace("valid/digit_3/004.png", fixture("color.jpg"));
    writeFileSync(join(cwd, "train/digit_6/new.png"), "x");
  }

  it("are met as they are when they are read each epoch", async () => {
    const ended = await runAcross(harm, "--cache=none");
    expect(ended.code, ended.stderr).toBe(130);
    expect(badImages()).toEqual([
      { set: "train", file: join(cwd, "train/digit_1/001.png"), reason: "no such file" },
      { set: "train", file: join(cwd, "train/digit_2/002.png"), reason: "truncated" },
      { set: "valid", file: join(cwd, "valid/digit_3/003.png"), reason: "empty file" },
    ]);
    expect(jsonLines(ended.stdout).at(-1)).toMatchObject({ event: "end", badImages: 3 });
    expect(existsSync(join(cwd, "run/ae.pt"))).toBe(true);
  });

  it.each(["ram", "disk"])("do not matter to what is kept on %s", async (cache) => {
    const ended = await runAcross(harm, `--cache=${cache}`);
    expect(ended.code, ended.stderr).toBe(130);
    expect(badImages()).toEqual([]);
    expect(ended.stderr).toBe("");
  });

  it("may all go: the run ends and says so", async () => {
    const all = () => rmSync(join(cwd, "train"), { recursive: true });
    const { child, ended, seen } = start([main, ...args(...LONG, "--cache=none")], here());
    await seen(/"epoch":2,/);
    all();
    const result = await ended;
    expect(child.killed).toBe(false);
    expect(result.code).toBe(3);
    expect(result.stderr).toMatch(/of the 200 train images .* no such file\.\nbad_images\.csv/);
  });
});

describe("a scoring", () => {
  it("says how many images it left out, and refuses a set without any", async () => {
    expect((await flexae(args(), here())).code).toBe(0);
    writeFileSync(join(cwd, "valid/digit_0/000.png"), "x");
    rmSync(join(cwd, "valid/digit_0/001.png"));
    symlinkSync("nowhere", join(cwd, "valid/digit_0/001.png"));
    const ended = await flexae(["evaluate", "run", "--json"], here());
    expect(ended.code, ended.stderr).toBe(0);
    expect(jsonLines(ended.stdout)[0]).toMatchObject({
      train: { images: 200 },
      valid: { images: 48 },
    });
    expect(ended.stderr).toBe(
      `flexae: 2 of the 50 images in ${join(cwd, "valid")} cannot be used and were left out: flexae check names them\n`,
    );
    const none = await flexae(["evaluate", "run", "--max-pixels=783"], here());
    expect(none.code).toBe(3);
    expect(none.stderr).toBe(
      "flexae: None of the 200 images can be used. flexae check tells why.\n",
    );
  });
});
