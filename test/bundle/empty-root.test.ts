// The bundle in an empty root: nothing is there but the bundle, a libtorch, images, /proc and /dev.
// It needs a bundle to try: `npm run test:bundle` makes one, or FLEXAE_BUNDLE names an archive or
// an unpacked bundle.
import { execFileSync, spawnSync } from "node:child_process";
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join, resolve } from "node:path";
import { afterAll, beforeAll, describe, expect, inject, test } from "vitest";
import { libtorchFor, minorOf } from "../../scripts/bundle/addons.mjs";
import { jsonLines, smallRun } from "../support/cli.ts";

const given = process.env.FLEXAE_BUNDLE;

/** Mounts need a namespace, which some systems allow to no one, or to root alone. */
const NAMESPACE = [
  "--mount",
  "--net",
  "--pid",
  "--fork",
  ...(process.getuid?.() === 0 ? [] : ["-r"]),
];
const probe = ["unshare", ...NAMESPACE, "sh", "-c", "mount -t proc proc /proc"] as const;
const allowed = spawnSync(probe[0], probe.slice(1)).status === 0;

const SCRIPT = `
set -e
root=$1 bundle=$2 libtorch=$3 images=$4 torch=$5 program=$6
shift 6
cd "$root"
mkdir -p bundle libtorch images work proc dev
mount --bind "$bundle" bundle
mount --bind "$libtorch" libtorch
mount --bind "$images" images
mount -t proc proc proc
mount --rbind /dev dev
exec env -i NO_COLOR=1 $FLEXAE_MORE LIBTORCH="$torch" "$(command -v chroot)" . \\
  "/bundle/bin/$program" "$@"`;

/** Why the tests below do not run; undefined if they do. */
const reason = !given
  ? "no FLEXAE_BUNDLE: npm run test:bundle makes one"
  : !allowed
    ? "no namespace may be made here: unshare needs root or user namespaces"
    : undefined;

describe.skipIf(reason !== undefined)(`in an empty root${reason ? ` (${reason})` : ""}`, () => {
  let work: string;
  let bundle: string;
  let root: string;
  let libtorchs: { version: string; folder: string }[];

  beforeAll(async () => {
    work = mkdtempSync(join(tmpdir(), "flexae-bundle-"));
    root = join(work, "root");
    mkdirSync(root);
    bundle = resolve(given as string);
    if (statSync(bundle).isFile()) {
      execFileSync("tar", ["-xf", bundle, "-C", work]);
      bundle = join(work, readdirSync(work).find((name) => name !== "root") as string);
    }
    const facts = JSON.parse(readFileSync(join(bundle, "app/bundle.json"), "utf8"));
    libtorchs = await Promise.all(
      facts.libtorch.map((version: string) => libtorchFor(minorOf(version), [])),
    );
  }, 900_000);

  afterAll(() => rmSync(work, { recursive: true, force: true }));

  /** Runs a program of the bundle in there, with the bundle's newest libtorch unless told other. */
  function inside(
    program: string,
    args: string[],
    { torch = "/libtorch/torch", index = -1, more = "" } = {},
  ) {
    const { folder } = libtorchs.at(index) as { folder: string };
    const places = [root, bundle, dirname(folder), inject("digits"), torch, program];
    const { status, stdout, stderr } = spawnSync(
      "unshare",
      [...NAMESPACE, "sh", "-c", SCRIPT, "sh", ...places, ...args],
      { encoding: "utf8", timeout: 300_000, env: { ...process.env, FLEXAE_MORE: more } },
    );
    return { status, stdout, stderr };
  }

  const run = smallRun("--save-dir=/work/run", "--json").map((part) =>
    part.replace(inject("digits"), "/images"),
  );

  test("all that doctor looks at works, with each libtorch that it has an addon for", () => {
    for (const index of libtorchs.keys()) {
      const { status, stdout, stderr } = inside("flexae", ["doctor"], { index });
      expect(status, stdout + stderr).toBe(0);
      expect(stdout).toContain("Training works here.");
      expect(stdout).toContain(`built against ${libtorchs[index]?.version.replace(/\+.*/, "")})`);
    }
  });

  test("the C library is the bundle's", () => {
    const code = 'console.log(require("fs").readFileSync("/proc/self/maps", "utf8"))';
    const { stdout } = inside("node", ["-e", code]);
    expect(stdout).toContain("/bundle/lib/glibc/libc.so.6");
  });

  test("it trains and draws", () => {
    const { status, stdout, stderr } = inside("flexae", run);
    expect(status, stdout + stderr).toBe(0);
    expect(stderr).toBe("");
    const events = jsonLines(stdout);
    expect(events.filter(({ event }) => event === "warning")).toEqual([]);
    const losses = events.filter(({ event }) => event === "epoch").map(({ loss }) => Number(loss));
    expect(losses).toHaveLength(2);
    expect(losses[1]).toBeLessThan(losses[0] as number);
    const files = readdirSync(join(root, "work/run"));
    expect(files).toEqual(expect.arrayContaining(["ae.pt", "en.pt", "setting.yaml"]));
    const pictures = files.filter((name) => name.endsWith(".png"));
    expect(pictures).toHaveLength(42);
  });

  test("the pictures are ones that it can read", () => {
    const { stdout } = inside("flexae", ["check", "/work/run", "--json", "--channels=3"]);
    const report = JSON.parse(stdout);
    expect(report.counts).toMatchObject({ images: 42, bad: 0 });
  });

  test("it goes on with a run", () => {
    const more = ["run", "--resume", "/work/run", "--train-epochs=3", "--json"];
    const { status, stdout, stderr } = inside("flexae", more);
    expect(status, stdout + stderr).toBe(0);
    const epochs = jsonLines(stdout).filter(({ event }) => event === "epoch");
    expect(epochs.map(({ epoch }) => epoch)).toEqual([3]);
  });

  test("summary, bench and evaluate answer", () => {
    expect(inside("flexae", ["summary", "--image-shape=64,64"]).stdout).toContain("Parameters");
    const small = ["--image-shape=32,32", "--filters=8", "--steps=2", "--json"];
    const bench = inside("flexae", ["bench", ...small]);
    expect(JSON.parse(bench.stdout).imagesPerSecond).toBeGreaterThan(0);
    const evaluated = inside("flexae", ["evaluate", "/work/run"]);
    expect(evaluated.status, evaluated.stderr).toBe(0);
  });

  test("without a libtorch it says what to do, and set-up that it can fetch none", () => {
    const { status, stderr } = inside("flexae", ["summary"], { torch: "" });
    expect(status).toBe(1);
    expect(stderr).toMatch(/^flexae: no libtorch: set LIBTORCH to [^\n]*\n$/);
    const homeless = inside("flexae-setup", [], { torch: "" });
    expect(homeless.stderr).toContain("set FLEXAE_CACHE to a folder");
    const more = "FLEXAE_CACHE=/work/cache";
    const setup = inside("flexae-setup", [], { torch: "", more });
    expect(setup.status).toBe(1);
    expect(setup.stderr).toMatch(/No libtorch \d\.\d+\.\d+ could be fetched/);
    expect(setup.stderr).toContain("Set LIBTORCH to a libtorch that is already here");
  });

  test("set-up notes the libtorch that it is given", () => {
    const setup = inside("flexae-setup", []);
    expect(setup.status, setup.stdout + setup.stderr).toBe(0);
    try {
      expect(inside("flexae", ["summary", "--image-shape=64,64"], { torch: "" }).status).toBe(0);
    } finally {
      rmSync(join(bundle, "app/.setup"), { recursive: true });
    }
  });
});
