#!/usr/bin/env node
// Proves that the source builds against a libtorch with CUDA where no CUDA toolkit is installed, and that
// the result loads and trains on the CPU. Uses a build folder and a libtorch of its own.

import { existsSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { buildNative } from "./setup/addon.mjs";
import { resolveLibtorch } from "./setup/libtorch.mjs";
import { opencvStep } from "./setup/opencv.mjs";
import { packagesStep } from "./setup/packages.mjs";
import { root } from "./setup/paths.mjs";
import { output } from "./setup/run.mjs";
import { sampleStep } from "./setup/sample.mjs";
import { runMain, runSteps, SetupError } from "./setup/steps.mjs";
import { systemStep } from "./setup/system.mjs";
import { typescriptStep } from "./setup/typescript.mjs";

const VERSION = "2.14.1";
const out = path.join(root, "build-cuda");
const addon = path.join(out, "Release", "flexae.node");

/** The environment without any CUDA toolkit. */
function withoutToolkit() {
  const env = { ...process.env };
  for (const name of Object.keys(env)) if (/^(CUDA|CUDNN|NVCC)/.test(name)) delete env[name];
  delete env.LIBTORCH;
  delete env.LD_LIBRARY_PATH;
  const folders = (env.PATH ?? "").split(path.delimiter);
  env.PATH = folders
    .filter((folder) => !existsSync(path.join(folder, "nvcc")))
    .join(path.delimiter);
  return env;
}

const env = withoutToolkit();
let libtorch;

const steps = [
  systemStep("build"),
  packagesStep(),
  opencvStep(),
  typescriptStep(),
  sampleStep(),
  {
    name: `libtorch ${VERSION} with CUDA`,
    hint: "about 550 MB the first time",
    async run() {
      libtorch = await resolveLibtorch({ version: VERSION, gpu: false, env, sources: ["pip"] });
      if (libtorch.kind === "cpu") {
        throw new SetupError(
          `pip gives ${libtorch.version}, a build without CUDA: nothing would be proved.`,
        );
      }
      return `${libtorch.version} (${libtorch.kind}) at ${libtorch.folder}`;
    },
  },
  {
    name: "Addon against it",
    hint: "compiled, a few minutes the first time",
    async run() {
      await buildNative({ folder: out, libtorch: libtorch.folder, env, log: "cuda" });
      return path.relative(root, addon);
    },
  },
  {
    name: "Load and train on the CPU",
    async run() {
      const work = mkdtempSync(path.join(tmpdir(), "flexae-cuda-"));
      try {
        const settings = [
          "--image-shape=28,28",
          "--filters=8,16",
          "--pooling=no",
          "--kernel-size=3",
          "--dims=16",
          "--drop-rate=0",
          "--optimizer=adam",
          "--train-epochs=2",
          "--device=cpu",
          "--train-dir=data/sample/valid",
          "--valid-dir=data/sample/valid",
          `--save-dir=${path.join(work, "run")}`,
        ];
        const cli = path.join(root, "dist", "cli", "main.js");
        const text = output(process.execPath, [cli, "run", "--json", ...settings], {
          cwd: root,
          env: { ...env, FLEXAE_ADDON: addon },
          stdio: ["ignore", "pipe", "inherit"],
        });
        if (text === null) throw new SetupError("The training failed.");
        const events = text
          .trim()
          .split("\n")
          .map((line) => JSON.parse(line));
        const losses = events.filter((event) => event.event === "epoch").map((event) => event.loss);
        const end = events.at(-1);
        if (end?.event !== "end" || end.stopped !== "finished")
          throw new SetupError("The training did not finish.");
        if (!(losses.length === 2 && losses[1] < losses[0])) {
          throw new SetupError(`The loss did not fall: ${losses.join(", ")}`);
        }
        for (const name of ["ae.pt", "en.pt"]) {
          if (!existsSync(path.join(work, "run", name)))
            throw new SetupError(`The training left no ${name}.`);
        }
        return `loss ${losses[0].toFixed(4)} → ${losses[1].toFixed(4)} on libtorch ${libtorch.version}`;
      } finally {
        rmSync(work, { recursive: true, force: true });
      }
    },
  },
];

await runMain(() => runSteps(steps));
