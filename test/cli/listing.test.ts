/** What a user sees while a large set is listed, and how it is ended. */
import { closeSync, ftruncateSync, openSync, readdirSync, writeSync } from "node:fs";
import { join } from "node:path";
import { beforeEach, describe, expect, it } from "vitest";
import {
  flexae,
  jsonLines,
  main,
  smallRun,
  start,
  temporaryFolder,
  trainedRun,
} from "../support/cli.ts";
import { png, tarOf } from "../support/containers.ts";

const IMAGES = 2000;

let cwd: string;
let env: NodeJS.ProcessEnv;
beforeEach(() => {
  cwd = temporaryFolder();
  // A terminal, to the program.
  const terminal = "data:text/javascript,process.stderr.isTTY=true";
  env = { FLEXAE_CACHE: join(cwd, "cache"), NODE_OPTIONS: `--import=${terminal}` };
});

/** A tar file whose end is so many megabytes of a hole, which takes no disk and is read through. */
function sparseTar(name: string, megabytes: number): void {
  const images = Array.from({ length: IMAGES }, (_, i) => [`${i % 4}/${i}.png`, png(i)] as const);
  const content = tarOf(images.map(([path, bytes]) => [path, bytes]));
  const file = openSync(join(cwd, name), "w");
  writeSync(file, content);
  ftruncateSync(file, content.length + megabytes * 2 ** 20);
  closeSync(file);
}

const run = trainedRun("--no-report");
const textOf = (argument: string | (() => string)) =>
  typeof argument === "string" ? argument : argument();

const lines = (stderr: string) => stderr.split("\r\u001b[K");

describe("progress of a listing", () => {
  it("is shown on a terminal, and goes away", async () => {
    sparseTar("a.tar", 768);
    const { code, stdout, stderr } = await flexae(["pack", "a.tar", "-o", "out"], { cwd, env });
    expect(code, stderr).toBe(0);
    const shown = lines(stderr).filter((line) => line.startsWith("Listing"));
    expect(shown.length).toBeGreaterThan(0);
    for (const line of shown) expect(line).toMatch(/^Listing a\.tar: 2,000 images, \d+%$/);
    expect(lines(stderr).at(-1)).toBe("");
    expect(stdout).toMatch(/^out: 2,000 images in 4 classes/);
    // From now on its list is there.
    const again = await flexae(["pack", "a.tar", "-o", "again"], { cwd, env });
    expect([again.code, again.stderr.includes("Listing")]).toEqual([0, false]);
  });

  it("is shown while a run is scored", async () => {
    sparseTar("a.tar", 768);
    const args = ["evaluate", run(), "--train-dir=a.tar"];
    const { code, stdout, stderr } = await flexae(args, { cwd, env });
    expect([code, stdout], stderr).toEqual([0, expect.stringContaining("(2,000 images)")]);
    expect(stderr).toMatch(/Listing a\.tar: 2,000 images, \d+%/);
  });

  it("is not shown elsewhere, nor where it is short", async () => {
    sparseTar("a.tar", 256);
    sparseTar("small.tar", 0);
    const args = ["pack", "a.tar", "-o", "out"];
    const { stderr } = await flexae(args, { cwd, env: { ...env, NODE_OPTIONS: "" } });
    expect(stderr).toBe("");
    const json = await flexae(["check", "small.tar", "--json"], { cwd, env });
    expect([jsonLines(json.stdout).length, json.stderr]).toEqual([1, ""]);
    const short = await flexae(["check", "small.tar"], { cwd, env });
    expect(short.stderr).not.toContain("Listing");
  });
});

describe("Ctrl-C during a listing", () => {
  /** Hours of it. */
  const HUGE = 1 << 20;

  it.each([
    ["pack", ["pack", "huge.tar", "-o", "out"], "interrupted; nothing was left\n"],
    ["check", ["check", "huge.tar"], "\r\u001b[K"],
    [
      "run",
      smallRun("--train-dir=huge.tar", "--save-dir=run"),
      "\r\u001b[Kflexae: stopping; once more stops at once\n",
    ],
    ["embed", ["embed", run, "huge.tar", "-o", "out.parquet"], "interrupted"],
    ["outliers", ["outliers", run, "huge.tar", "-o", "out.csv"], "\r\u001b[K"],
  ] as const)("ends %s at once, and leaves nothing", async (_, args, said) => {
    sparseTar("huge.tar", HUGE);
    const { child, ended, seen } = start([main, ...args.map(textOf)], { cwd, env });
    await seen(/Listing huge\.tar: 2,000 images, 0%/);
    child.kill("SIGINT");
    const { code, signal, stdout, stderr } = await ended;
    expect([code, signal, stdout], stderr).toEqual([130, null, ""]);
    expect(stderr).toContain(said);
    expect(readdirSync(cwd).sort()).toEqual(["cache", "huge.tar"]);
    expect(readdirSync(join(cwd, "cache/containers"))).toEqual([]);
  });
});
