#!/usr/bin/env node
// Shows that what an earlier commit wrote serves here: its models load and compute the same, its
// runs go on, and one that was killed there ends here as it would have there, bit for bit.
//
//   npm run test:compat -- [--commit b6cdff8] [--fixture]
//
// The earlier program is built in the cache folder, against the same libtorch; some minutes the
// first time. With --fixture, a small run of it is written to test/fixtures/run.

import { execFileSync, spawnSync } from "node:child_process";
import {
  cpSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  rmSync,
  writeFileSync,
} from "node:fs";
import { rename, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";
import { isDeepStrictEqual, parseArgs } from "node:util";
import { scoresOf, tensorsOf } from "./compat/contents.mjs";
import { writeImages } from "./compat/images.mjs";
import { addonStep, recordedLibtorch } from "./setup/addon.mjs";
import { openCache } from "./setup/cache.mjs";
import { libtorchStep } from "./setup/libtorch.mjs";
import { npmCi } from "./setup/npm.mjs";
import { opencvStep } from "./setup/opencv.mjs";
import { outdatedPackages, packagesStep } from "./setup/packages.mjs";
import { root } from "./setup/paths.mjs";
import { output, runLogged } from "./setup/run.mjs";
import { runMain, runSteps, SetupError } from "./setup/steps.mjs";
import { systemStep } from "./setup/system.mjs";
import { typescriptStep } from "./setup/typescript.mjs";

/** The last commit before the rooms of native/core, and what it wrote is what others have. */
const COMMIT = "b6cdff8";
const SIDE = 48;
const EPOCHS = 6;
const KILLED_AFTER = 3;
const MORE_EPOCHS = 8;

const base = {
  imageShape: [SIDE, SIDE],
  filters: [8, 16, 16],
  dims: [24, 12],
  batchSize: 8,
  trainEpochs: EPOCHS,
  device: "cpu",
  threads: 2,
  cache: "none",
  // Far more often than epochs end, so that a run goes on from within one.
  checkpointMinutes: 0.0001,
};

/** The rest is the default: Adadelta, dropout, flips, pooling, 5×5 windows. */
const CASES = {
  default: {},
  adam: {
    pooling: ["max", "no", "avg"],
    kernelSize: [3],
    strides: [1, 2],
    optimizer: "adam",
    activation: "relu",
    lastActivation: "linear",
    // No activity_regularizer: what validation adds for it there is of the pass before.
    kernelRegularizer: "l1_l2(0.001)",
    kernelConstraint: "max_norm(2)",
  },
  "odd size, RGB, no dense layers": {
    imageShape: [37, 45],
    channels: 3,
    AutoencoderMLP_switch: false,
    optimizer: "nadam",
    dropRate: 0.2,
  },
};
const PRECISIONS = ["fp32", "bf16"];

/** The earlier program: its files out of git, its packages, its addon. Its scripts build it. */
function earlierStep(commit, tree) {
  return {
    name: `The program of ${commit}`,
    hint: "compiled, some minutes the first time",
    async run() {
      if (!existsSync(tree)) {
        const work = `${tree}.tmp-${process.pid}`;
        mkdirSync(work, { recursive: true });
        try {
          const options = { cwd: root, maxBuffer: 2 ** 28 };
          const archive = execFileSync("git", ["archive", commit], options);
          execFileSync("tar", ["-x", "-C", work], { input: archive });
          await rename(work, tree);
        } finally {
          await rm(work, { recursive: true, force: true });
        }
      }
      // Without scripts: opencv4nodejs draws pictures, which say nothing here.
      if (outdatedPackages(tree).length > 0) await npmCi("compat-npm", tree, "--include=dev");
      const env = { ...process.env, LIBTORCH: recordedLibtorch() };
      for (const part of ["libtorch", "addon", "ts"]) {
        const args = [path.join("scripts", "quickstart.mjs"), "--only", part];
        await runLogged(`compat-${part}`, process.execPath, args, { cwd: tree, env });
      }
      return tree;
    },
  };
}

/** The full name of a commit. */
function commitOf(text) {
  const args = ["rev-parse", "--verify", "--quiet", `${text}^{commit}`];
  const name = output("git", args, { cwd: root });
  if (name === null) {
    throw new SetupError(`This clone has no commit ${text}: \`git fetch --unshallow\` brings it.`);
  }
  return name.trim();
}

/** Lets the library in `dist` do a job. Null if that killed itself. */
function drive(dist, job) {
  const script = path.join(root, "scripts", "compat", "drive.mjs");
  const args = ["--no-warnings", script, dist, JSON.stringify(job)];
  const options = { encoding: "utf8", cwd: tmpdir(), maxBuffer: 2 ** 26 };
  const { signal, status, stdout, stderr } = spawnSync(process.execPath, args, options);
  if (signal === "SIGKILL" && job.killAfter !== undefined) return null;
  if (status !== 0) throw new SetupError(`${job.what} by ${dist}: ${signal ?? status}\n${stderr}`);
  return JSON.parse(stdout);
}

/** What is not the same, in words; nothing if all is. */
function differences(one, other, what = "") {
  if (isDeepStrictEqual(one, other)) return [];
  if (typeof one !== "object" || one === null || typeof other !== "object" || other === null) {
    return [`${what}: ${JSON.stringify(one)} there, ${JSON.stringify(other)} here`];
  }
  const keys = [...new Set([...Object.keys(one), ...Object.keys(other)])];
  return keys.flatMap((key) => differences(one[key], other[key], `${what} ${key}`));
}

const contents = (folder) => ({
  metrics: scoresOf(folder),
  last: tensorsOf(path.join(folder, "last.ckpt")),
  best: tensorsOf(path.join(folder, "best.ckpt")),
});

/** Trains, kills, goes on there and here, and loads. Returns what differs, and where it went on. */
function compare(there, here, config, work) {
  const found = [];
  const same = (what, one, other) =>
    found.push(...differences(one, other).map((line) => `${what}:${line}`));
  const folder = (name) => path.join(work, name);
  const copy = (from, to) => {
    cpSync(folder(from), folder(to), { recursive: true });
    return folder(to);
  };
  const train = (dist, more) => drive(dist, { what: "train", ...more });

  train(there, { config: { ...config, saveDir: folder("whole") } });
  const killed = { ...config, saveDir: folder("killed") };
  if (train(there, { config: killed, killAfter: KILLED_AFTER }) !== null) {
    throw new SetupError("The training ended before it was killed.");
  }
  const resumedThere = train(there, { config: {}, resume: copy("killed", "killed-there") });
  const resumedHere = train(here, { config: {}, resume: copy("killed", "killed-here") });
  same("killed, losses", resumedThere, resumedHere);
  same("killed, run", contents(folder("killed-there")), contents(folder("killed-here")));
  same(
    "killed, against one that was not",
    contents(folder("whole")),
    contents(folder("killed-here")),
  );

  // A finished run is given more epochs.
  const more = { config: { trainEpochs: MORE_EPOCHS } };
  train(there, { ...more, resume: copy("whole", "more-there") });
  train(here, { ...more, resume: copy("whole", "more-here") });
  same("more epochs", contents(folder("more-there")), contents(folder("more-here")));

  // What is written there is read here, and the other way round as far as the weights go.
  const [height, width] = config.imageShape;
  const side = Math.sqrt((config.channels ?? 1) * height * width);
  if (Number.isInteger(side)) {
    const look = (dist, name) =>
      drive(dist, {
        what: "look",
        runDir: folder(name),
        memory: { train: 1, valid: 6, side },
      });
    same("models", look(there, "whole"), look(here, "whole"));
    same("models made here", look(here, "whole"), look(here, "killed-here"));
  }
  const { epochsDone, batchesDone } = resumedHere;
  return { found, at: `epoch ${epochsDone + 1}, batch ${batchesDone + 1}` };
}

/** A small run that was killed, and what became of it there: what a test of this tree compares. */
function writeFixture(there, commit, work) {
  const memory = { train: 24, valid: 8, side: 16 };
  const config = {
    imageShape: [16, 16],
    filters: [4, 6],
    kernelSize: [3],
    strides: [2, 1],
    pooling: ["avg", "no"],
    dims: [5],
    batchSize: 8,
    trainEpochs: EPOCHS,
    seed: 3,
    device: "cpu",
    threads: 1,
    precision: "fp32",
  };
  const run = path.join(work, "run");
  const killed = { config: { ...config, saveDir: run }, killAfter: KILLED_AFTER };
  drive(there, { what: "train", memory, ...killed });
  const fixture = path.join(root, "test", "fixtures", "run");
  rmSync(fixture, { recursive: true, force: true });
  mkdirSync(fixture, { recursive: true });
  for (const name of ["last.ckpt", "setting.yaml", "metrics.csv"]) {
    cpSync(path.join(run, name), path.join(fixture, "killed", name));
  }
  const resumed = drive(there, { what: "train", memory, config: {}, resume: run });
  for (const name of ["ae.pt", "en.pt"]) {
    cpSync(path.join(run, name), path.join(fixture, "finished", name));
  }
  const models = drive(there, { what: "look", runDir: run, memory, numbers: true });
  const expected = { commit, memory, resumed, models };
  writeFileSync(path.join(fixture, "expected.json"), `${JSON.stringify(expected)}\n`);
  const files = readdirSync(fixture, { recursive: true });
  process.stdout.write(`\n${path.relative(root, fixture)}: ${files.join(", ")}\n`);
}

async function main() {
  let values;
  try {
    ({ values } = parseArgs({
      options: {
        commit: { type: "string", default: COMMIT },
        fixture: { type: "boolean", default: false },
      },
    }));
  } catch (error) {
    throw new SetupError(error.message);
  }
  const commit = commitOf(values.commit);
  const tree = path.join(await openCache("compat"), commit.slice(0, 12));
  await runSteps([
    systemStep("build"),
    packagesStep(),
    libtorchStep(),
    opencvStep(),
    addonStep(),
    typescriptStep(),
    earlierStep(values.commit, tree),
  ]);
  const [there, here] = [path.join(tree, "dist"), path.join(root, "dist")];
  const work = mkdtempSync(path.join(tmpdir(), "flexae-compat-"));
  try {
    if (values.fixture) return writeFixture(there, values.commit, work);
    writeImages(path.join(work, "train"), 96, SIDE, 1);
    writeImages(path.join(work, "valid"), 24, SIDE, 2);
    process.stdout.write("\n");
    let failed = false;
    for (const [name, settings] of Object.entries(CASES)) {
      for (const precision of PRECISIONS) {
        const config = {
          ...base,
          trainDir: path.join(work, "train"),
          validDir: path.join(work, "valid"),
          precision,
          ...settings,
        };
        const place = path.join(work, `${name} ${precision}`);
        const { found, at } = compare(there, here, config, place);
        const verdict = found.length === 0 ? "the same, bit by bit" : "DIFFERS";
        process.stdout.write(`${name}, ${precision}: ${verdict} (went on from ${at})\n`);
        for (const line of found.slice(0, 20)) process.stdout.write(`  ${line}\n`);
        failed ||= found.length > 0;
      }
    }
    if (failed) process.exitCode = 1;
  } finally {
    rmSync(work, { recursive: true, force: true });
  }
}

await runMain(main);
