// The first training: a small autoencoder on the sample digits, about a minute on two cores.

import { existsSync, readFileSync } from "node:fs";
import { mkdir, writeFile } from "node:fs/promises";
import path from "node:path";
import { notes, root } from "./paths.mjs";
import { runShown } from "./run.mjs";
import { done, SetupError } from "./steps.mjs";

/** The settings of the first training; digits must not be mirrored. */
const SETTINGS = [
  "--train-dir=data/sample/train",
  "--valid-dir=data/sample/valid",
  "--image-shape=28,28",
  "--filters=16,32",
  "--kernel-size=3",
  "--strides=2",
  "--pooling=no",
  "--dims=32",
  "--activation=relu",
  "--last-activation=linear",
  "--drop-rate=0",
  "--optimizer=adam",
  // The last batch normalization starts with outputs near 0.5; its scale must grow for crisp digits.
  "--learning-rate=0.01",
  "--batch-size=64",
  // At 79 steps an epoch, Keras's 0.99 lags behind the weights and makes the validation loss jump.
  "--batch-norm-momentum=0.9",
  "--train-epochs=60",
  "--horizontal-flip=false",
  "--vertical-flip=false",
];

const record = path.join(notes, "quickstart-run");

/** What the training is to leave, besides the rest. */
const RESULTS = ["ae.pt", "en.pt", "valid_comparison.png"];

const missing = (runDir) => RESULTS.filter((name) => !existsSync(path.join(root, runDir, name)));

/** What to look at in a run folder. */
export function whereThingsAre(runDir) {
  return [
    `Models:    ${path.join(runDir, "ae.pt")} (autoencoder), ${path.join(runDir, "en.pt")} (encoder)`,
    `Page:      ${path.join(runDir, "report.html")} (verdict, curves, images, embedding)`,
    `Pictures:  ${path.join(runDir, "valid_comparison.png")} (before and after), ${path.join(runDir, "*_eval_*.png")}`,
  ].join("\n");
}

/** What one would do with a first run. */
export function nextCommands() {
  return [
    "npx flexae map last -o map.parquet --dims 10 --n-neighbors 20 --min-dist 0",
    "npx flexae cluster map.parquet -k 10 --method gmm   (which digits belong together?)",
    "npx flexae run --help                               (your own images)",
  ].join("\n           ");
}

/** The run folder of the first training, if it was finished and is still there. */
export function finishedRun() {
  if (!existsSync(record)) return null;
  const runDir = readFileSync(record, "utf8").trim();
  return missing(runDir).length === 0 ? runDir : null;
}

/** The step that trains, unless that was done before. `again` trains anyway. */
export function trainingStep({ again = false } = {}) {
  return {
    name: "Training on the sample",
    hint: "about a minute on two cores",
    showsItself: true,
    async run() {
      const before = finishedRun();
      if (before && !again) return done(`${before} (npm run quickstart -- --again trains anew)`);
      const time = new Date().toISOString().replace(/[-:]/g, "").replace("T", "_").slice(0, 15);
      const runDir = path.join("logs", `quickstart_${time}`);
      await runShown(process.execPath, [
        "scripts/flexae.mjs",
        "run",
        ...SETTINGS,
        `--save-dir=${runDir}`,
      ]);
      const lost = missing(runDir);
      if (lost.length > 0) {
        throw new SetupError(`The training left no ${lost.join(", ")}: see the warnings above.`);
      }
      await mkdir(notes, { recursive: true });
      await writeFile(record, runDir);
      return runDir;
    },
  };
}
