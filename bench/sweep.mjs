#!/usr/bin/env node
// What successive halving costs and finds beside the whole grid: both go over the same settings, on
// the same digits. From the grid's curves follows, too, what halving would have found had the trials
// come in another order.

import { copyFileSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { availableParallelism, loadavg, tmpdir } from "node:os";
import path from "node:path";
import { parseArgs } from "node:util";
import { parse } from "csv-parse/sync";
import { openSet, SETS } from "./clustering/sets.mjs";
import { quantile } from "./peers/statistics.mjs";
import { positiveOptions } from "./positive_options.mjs";

const { values } = parseArgs({
  options: {
    images: { type: "string", default: "15000" },
    epochs: { type: "string", default: "54" },
    over: {
      type: "string",
      multiple: true,
      default: ["dims=8,16,32", "filters=8,16;16,32;32", "learning_rate=0.003,0.01"],
    },
    orders: { type: "string", default: "1000" },
    keep: { type: "boolean", default: false },
  },
});
const [images, epochs, orders] = positiveOptions(values, ["images", "epochs", "orders"]);
/** One in so many images is a validation image. */
const VALIDATION = 6;

const { sweep } = await import("flexible-autoencoder");
const { nextJob, rungEpochs, usualMinEpochs } = await import("../dist/sweep/halving.js");
const { seededRandom } = await import("../dist/random.js");

const say = (text = "") => process.stdout.write(`${text}\n`);
const scratch = mkdtempSync(path.join(tmpdir(), "flexae-bench-sweep-"));
process.on("exit", () => {
  if (!values.keep) rmSync(scratch, { recursive: true, force: true });
});
process.chdir(scratch);

const set = await openSet(
  SETS.find(({ name }) => name === "digits"),
  images,
);
const counts = { train: 0, valid: 0 };
for (const label of readdirSync(set.images)) {
  for (const part of ["train", "valid"]) mkdirSync(path.join(part, label), { recursive: true });
  for (const [i, file] of readdirSync(path.join(set.images, label)).sort().entries()) {
    const part = i % VALIDATION === 0 ? "valid" : "train";
    copyFileSync(path.join(set.images, label, file), path.join(part, label, file));
    counts[part]++;
  }
}

const over = Object.fromEntries(
  values.over.map((text) => [text.slice(0, text.indexOf("=")), text.slice(text.indexOf("=") + 1)]),
);
const config = {
  trainDir: "train",
  validDir: "valid",
  imageShape: "28,28",
  kernelSize: "3",
  pooling: "no",
  dropRate: 0,
  optimizer: "adam",
  horizontalFlip: false,
  verticalFlip: false,
  trainEpochs: epochs,
};

/** Seconds that the cores have worked for this process and for those that it waited for. */
function coreSeconds() {
  // What is in brackets may have spaces in it. Of the rest: utime, stime, cutime and cstime.
  const fields = readFileSync("/proc/self/stat", "utf8").split(") ")[1].split(" ");
  return fields.slice(11, 15).reduce((sum, ticks) => sum + Number(ticks), 0) / 100;
}

/** Sweeps, and tells what it took. */
async function measure(name, options) {
  const began = performance.now();
  const worked = coreSeconds();
  const { trials, best, folder } = await sweep(over, { ...config, saveDir: name }, options);
  const seconds = (performance.now() - began) / 1000;
  const core = coreSeconds() - worked;
  const trained = trials.reduce((sum, trial) => sum + trial.epochs, 0);
  const failed = trials.filter(({ state }) => state === "failed").length;
  if (failed > 0) throw new Error(`${failed} trials of ${name} failed`);
  say(
    `${name.padEnd(8)} ${trials.length} trials  ${trained} epochs  ${trained * counts.train} images  ` +
      `${seconds.toFixed(1)} s, ${core.toFixed(1)} s of a core  val_loss ${best.score.toFixed(6)}  ${JSON.stringify(best.settings)}`,
  );
  return { name, trials, best, folder, seconds, core, trained };
}

say(
  `${counts.train} training and ${counts.valid} validation digits, ${availableParallelism()} cores, load ${loadavg()[0].toFixed(1)}`,
);
const grid = await measure("grid", {});
const halved = await measure("halving", { halving: true });
const percent = (ratio) => `${(100 * ratio).toFixed(1)} %`;
say();
say(
  `time ${percent(halved.seconds / grid.seconds)}, of cores ${percent(halved.core / grid.core)}, epochs ${percent(halved.trained / grid.trained)}`,
);
say(`val_loss ${percent(halved.best.score / grid.best.score - 1)} above the grid's best`);
const winner = grid.trials.find(
  ({ settings }) => JSON.stringify(settings) === JSON.stringify(halved.best.settings),
);
say(`the same settings in the grid: val_loss ${winner.score.toFixed(6)}`);

// Had they come in another order: by the curves of the grid, one trial at a time.
const curves = grid.trials.map(({ folder }) => {
  const rows = parse(readFileSync(path.join(folder, "metrics.csv"), "utf8"), { columns: true });
  return rows.map((row) => Number(row.val_loss));
});
/** What the grid's curves say of a rule, over many orders. */
function simulate(eta, minEpochs) {
  const rungs = rungEpochs(epochs, { minEpochs, eta });
  const random = seededRandom(1);
  const found = [];
  const taken = [];
  for (let n = 0; n < orders; n++) {
    const order = curves
      .map((curve) => ({ curve, place: random() }))
      .sort((a, b) => a.place - b.place)
      .map(({ curve }) => curve);
    const trials = order.map(() => ({ scores: [], isRunning: false, isFailed: false }));
    const next = () => nextJob(trials, rungs.length, eta);
    let trained = 0;
    for (let job = next(); job !== null; job = next()) {
      const { trial, rung } = job;
      trials[trial].scores.push(Math.min(...order[trial].slice(0, rungs[rung])));
      trained += rungs[rung] - (rungs[rung - 1] ?? 0);
    }
    found.push(Math.min(...trials.flatMap(({ scores }) => scores)) / grid.best.score - 1);
    taken.push(trained / grid.trained);
  }
  const within = found.filter((loss) => loss <= 0.01).length / orders;
  return { rungs, within, worst: Math.max(...found), taken };
}

say();
say(`By the curves of the grid, ${orders} orders, one trial at a time:`);
const usual = usualMinEpochs(epochs, 3);
for (const [eta, minEpochs] of [
  [3, usual],
  [3, Math.max(1, Math.floor(usual / 2))],
  [3, 3 * usual],
  [2, usual],
  [4, usual],
]) {
  const { rungs, within, worst, taken } = simulate(eta, minEpochs);
  say(
    `eta ${eta}, rungs ${rungs.join(", ").padEnd(24)} within 1 % ${percent(within).padStart(7)}, worst ${percent(worst).padStart(6)} above, ` +
      `epochs ${percent(quantile(taken, 0.5))} (${percent(Math.min(...taken))} to ${percent(Math.max(...taken))})`,
  );
}
if (values.keep) say(`kept in ${scratch}`);
