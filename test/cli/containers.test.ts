/** Sets within containers, by each command as by a folder of the same images. */
import { copyFileSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { gzipSync } from "node:zlib";
import { parse } from "csv-parse/sync";
import { beforeAll, beforeEach, describe, expect, inject, it } from "vitest";
import { createTraining, load, readTable } from "../../ts/index.ts";
import {
  flexae,
  jsonLines,
  main,
  smallRun,
  start,
  temporaryFolder,
  trainedRun,
} from "../support/cli.ts";
import { idxOf, npyOf, parquetOf, tarOf, zipOf } from "../support/containers.ts";
import { readImage } from "../support/pixels.ts";
import { scoresOf, tensorsOf } from "../support/runs.ts";

interface Digit {
  /** `digit_3/007.png`. */
  name: string;
  class: string;
  bytes: Buffer;
  pixels: Buffer;
}

let cwd: string;
const digits: Record<string, Digit[]> = {};

beforeAll(async () => {
  process.env.FLEXAE_CACHE = join(inject("digits"), "cache");
  for (const set of ["train", "valid"]) {
    const folder = join(inject("digits"), set);
    const all: Digit[] = [];
    for (const name of readdirSync(folder).sort()) {
      for (const file of readdirSync(join(folder, name)).sort()) {
        const path = join(folder, name, file);
        const image = await readImage(path);
        const pixels = Array.from({ length: 28 * 28 }, (_, i) => {
          return image.at(i % 28, Math.floor(i / 28))[0] as number;
        });
        const bytes = readFileSync(path);
        all.push({ name: `${name}/${file}`, class: name, bytes, pixels: Buffer.from(pixels) });
      }
    }
    digits[set] = all;
  }
});
beforeEach(() => {
  cwd = temporaryFolder();
});

const write = (name: string, content: Uint8Array | string) =>
  writeFileSync(join(cwd, name), content);
const entries = (set: Digit[]) => set.map(({ name, bytes }): [string, Buffer] => [name, bytes]);

/** Each form, and how a digit is called in it. */
const FORMS: Record<string, (name: string, set: Digit[]) => string> = {
  tar: (name, set) => {
    write(`${name}.tar`, tarOf(entries(set)));
    return `${name}.tar`;
  },
  shards: (name, set) => {
    for (let i = 0; i < 4; i++) {
      const some = set.slice((i * set.length) / 4, ((i + 1) * set.length) / 4);
      write(`${name}-00${i}.tar`, tarOf(entries(some)));
    }
    return `${name}-{000..003}.tar`;
  },
  "tar.gz": (name, set) => {
    write(`${name}.tgz`, gzipSync(tarOf(entries(set))));
    return `${name}.tgz`;
  },
  zip: (name, set) => {
    const members = set.map(({ name, bytes }, i) => ({
      name,
      content: bytes,
      method: i % 2 ? 8 : 0,
    }));
    write(`${name}.zip`, zipOf(members));
    return `${name}.zip`;
  },
  parquet: (name, set) => {
    const file = parquetOf(
      [
        { name: "image", data: set.map(({ bytes }) => bytes), type: "BYTE_ARRAY" },
        { name: "label", data: set.map((digit) => digit.class), type: "STRING" },
      ],
      { rowGroupSize: 64 },
    );
    write(`${name}.parquet`, file);
    return `${name}.parquet`;
  },
  idx: (name, set) => {
    const pixels = Buffer.concat(set.map(({ pixels }) => pixels));
    write(`${name}-images-idx3-ubyte.gz`, gzipSync(idxOf([set.length, 28, 28], pixels)));
    const labels = Buffer.from(set.map((digit) => Number(digit.class.slice(-1))));
    write(`${name}-labels-idx1-ubyte.gz`, gzipSync(idxOf([set.length], labels)));
    return `${name}-images-idx3-ubyte.gz`;
  },
  npy: (name, set) => {
    write(`${name}.npy`, npyOf([set.length, 28, 28, 1], Buffer.concat(set.map((d) => d.pixels))));
    return `${name}.npy`;
  },
  list: (name, set) => {
    write(`${name}.tar`, tarOf(entries(set)));
    const lines = set.map(
      (digit) => `${JSON.stringify({ path: `${name}.tar/${digit.name}`, label: digit.class })}\n`,
    );
    write(`${name}.jsonl`, lines.join(""));
    return `${name}.jsonl`;
  },
};

async function run(...args: string[]) {
  const ended = await flexae(args, { cwd });
  expect(ended.code, ended.stderr).toBe(0);
  return ended;
}

const madeAs = (form: string) =>
  ["train", "valid"].map((set) => {
    const text = (FORMS[form] as (name: string, set: Digit[]) => string)(
      set,
      digits[set] as Digit[],
    );
    return `--${set}-dir=${text}`;
  });

const trained = trainedRun("--no-report");

describe("a training on containers", () => {
  it.each(Object.keys(FORMS))("has the numbers of one on folders: %s", async (form) => {
    await run(...smallRun("--save-dir=run", "--no-report", ...madeAs(form)));
    expect(scoresOf(join(cwd, "run"))).toEqual(scoresOf(trained()));
    // Found again by its record alone, from elsewhere.
    const moved = temporaryFolder();
    const evaluated = await flexae(["evaluate", join(cwd, "run"), "--json"], { cwd: moved });
    expect(evaluated.code, evaluated.stderr).toBe(0);
  });

  it("passes over members that are bad, and names them", async () => {
    const train = digits.train as Digit[];
    const members = entries(train);
    (members[3] as [string, Buffer])[1] = Buffer.from("no image at all");
    (members[5] as [string, Buffer])[1] = Buffer.alloc(0);
    write("train.tar", tarOf(members));
    const { stderr } = await run(
      ...smallRun("--save-dir=run", "--no-report", "--train-dir=train.tar"),
    );
    expect(stderr).toMatch(/train\.tar\/digit_0\/003\.png/);
    const bad = parse(readFileSync(join(cwd, "run", "bad_images.csv"), "utf8"), {
      columns: true,
    }) as Record<string, string>[];
    expect(bad.map((row) => Object.values(row).find((v) => /png/.test(v)))).toEqual(
      [3, 5].map((i) => expect.stringMatching(new RegExp(`train\\.tar/digit_0/00${i}\\.png$`))),
    );
    const check = await flexae(["check", "train.tar", "--json"], { cwd });
    expect(jsonLines(check.stdout)[0]).toMatchObject({ counts: { images: 200, bad: 2 } });
  });

  it.each([
    ["with weights", ["a-{000..003}.tar:0.7", "b.zip:0.3"], []],
    ["with weights and a split", ["a-*.tar:1", "b.zip:3"], ["--valid-split=20%"]],
  ])("goes on after it was killed as if it had not been, %s", async (_, sets, more) => {
    (FORMS.shards as (typeof FORMS)[string])("a", digits.train as Digit[]);
    (FORMS.zip as (typeof FORMS)[string])("b", digits.valid as Digit[]);
    const args = (folder: string) => {
      const all = smallRun("--drop-rate=0.3", "--cache=none", "--train-epochs=25", "--no-report");
      const others = more.length > 0 ? all.filter((arg) => !arg.startsWith("--valid-dir")) : all;
      const set = sets.map((text) => join(cwd, text)).join(",");
      return [...others, ...more, `--train-dir=${set}`, `--save-dir=${folder}`];
    };
    await run(...args("whole"));
    const { child, ended, seen } = start([main, ...args("killed"), "--json"], { cwd });
    await seen(/"event":"epoch","epoch":3,/);
    child.kill("SIGKILL");
    expect((await ended).signal).toBe("SIGKILL");
    await run("run", "--resume", "killed", "--no-report");
    const [killed, whole] = [join(cwd, "killed"), join(cwd, "whole")];
    expect(scoresOf(killed)).toEqual(scoresOf(whole));
    for (const file of ["last.ckpt", "best.ckpt"]) {
      expect(tensorsOf(join(killed, file))).toEqual(tensorsOf(join(whole, file)));
    }
  });
});

describe("commands on a trained run", () => {
  let tar: string;
  beforeEach(() => {
    tar = (FORMS.tar as (typeof FORMS)[string])("train", digits.train as Digit[]);
    mkdirSync(join(cwd, "folder"));
  });

  it("embed, and all that reads the table, know images by their containers", async () => {
    await run("embed", trained(), tar, "-o", "tar.parquet");
    await run("embed", trained(), join(inject("digits"), "train"), "-o", "folder.parquet");
    const [table, folder] = await Promise.all(
      ["tar.parquet", "folder.parquet"].map((name) => readTable(join(cwd, name))),
    );
    expect(table?.paths).toEqual(folder?.paths.map((path) => `train.tar/${path}`));
    expect(table?.classes).toEqual(folder?.classes);
    expect(table?.embeddings).toEqual(folder?.embeddings);
    // Gone on with: nothing is new.
    const again = await run("embed", trained(), tar, "-o", "tar.parquet", "--append", "--json");
    expect(jsonLines(again.stdout).at(-1)).toMatchObject({ images: 0, kept: 200 });

    await run("cluster", "tar.parquet", "-k", "3");
    const copy = entries(digits.train as Digit[])[5]?.[1] as Buffer;
    write("twice.tar", tarOf([...entries(digits.train as Digit[]), ["x/copy.png", copy]]));
    await run("embed", trained(), "twice.tar", "-o", "twice.parquet");
    const [group] = jsonLines((await run("duplicates", "twice.parquet", "--json")).stdout);
    expect(group).toMatchObject({
      kind: "exact",
      images: [{ path: "twice.tar/digit_0/005.png" }, { path: "twice.tar/x/copy.png" }],
    });
    const query = "train.tar/digit_4/002.png";
    const similar = await run("similar", "tar.parquet", query, "-n", "3", "--json");
    expect(similar.stdout).toContain("train.tar/digit_");
    const other = join(inject("digits"), "train/digit_4/002.png");
    const byFile = await run("similar", "tar.parquet", other, "-n", "3", "--json");
    const pathsOf = (text: string) =>
      [...text.matchAll(/train\.tar\/digit_\d\/\d+\.png/g)].map(String);
    expect(pathsOf(byFile.stdout)).toContain(query);
    await run("outliers", trained(), tar, "--json", "-o", "outliers.csv");
    await run("explore", "tar.parquet", "-o", "page.html");
    await run("map", "tar.parquet");
  });

  it("check, evaluate, report and explore a run on containers", async () => {
    await run(...smallRun("--save-dir=run", ...madeAs("tar")));
    expect(readdirSync(join(cwd, "run"))).toContain("report.html");
    await run("report", "run");
    await run("outliers", "run", tar, "-o", "outliers.csv");
    expect(readFileSync(join(cwd, "outliers.csv"), "utf8")).toMatch(
      /train\.tar\/digit_\d\/\d+\.png/,
    );
    const page = JSON.parse((await run("explore", "run", "-o", "page.html", "--json")).stdout);
    expect(page).toMatchObject({ images: 200, unreadable: 0, problems: [] });
    const check = jsonLines((await run("check", tar, "--json")).stdout)[0];
    expect(check).toMatchObject({ counts: { images: 200, bad: 0 } });
  });

  it("the library encodes an image within a container, and trains on some", async () => {
    const model = await load(join(trained(), "en.pt"));
    const name = "digit_7/003.png";
    const [inTar, inFolder] = await Promise.all([
      model.encode(join(cwd, tar, name)),
      model.encode(join(inject("digits"), "train", name)),
    ]);
    expect(inTar).toEqual(inFolder);
    // Another file of that name, in the same process.
    const others = entries(digits.train as Digit[]).reverse();
    write(
      tar,
      tarOf([
        [name, (others[0] as [string, Buffer])[1]],
        ["x/y.png", Buffer.from("?")],
      ]),
    );
    const last = (digits.train as Digit[]).at(-1) as Digit;
    expect(await model.encode(join(cwd, tar, name))).toEqual(
      await model.encode(join(inject("digits"), "train", last.name)),
    );
    await expect(model.encode(join(cwd, tar, "digit_7/004.png"))).rejects.toThrow(/no such file/);
    copyFileSync(join(cwd, tar), join(cwd, "evil.tar"));
    write("evil.tar", tarOf([["../a.png", Buffer.from("x")]]));
    await expect(model.encode(join(cwd, "evil.tar", "a.png"))).rejects.toThrow(/outside of itself/);

    (FORMS.zip as (typeof FORMS)[string])("train", digits.train as Digit[]);
    const { runDir } = await createTraining({
      trainDir: join(cwd, "train.zip"),
      validDir: join(inject("digits"), "valid"),
      saveDir: join(cwd, "library"),
      imageShape: [28, 28],
      filters: [8, 16],
      kernelSize: [3],
      strides: [2],
      pooling: ["no"],
      dims: [16],
      optimizer: "adam",
      dropRate: 0,
      threads: 1,
      trainEpochs: 2,
      horizontalFlip: false,
      verticalFlip: false,
    }).result;
    expect(scoresOf(runDir)).toEqual(scoresOf(trained()));
  });
});
