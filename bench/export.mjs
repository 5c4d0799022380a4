#!/usr/bin/env node
// What an export takes: `flexae export RUN --to FORMAT` as a process of its own, of a network with
// hardly any weights and of the default network (--dims for a larger one). What the second takes
// beyond the first is what its weights cost; the rest is Node, libtorch and the libraries of a
// format.

import { spawnSync } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";
import { FORMATS } from "../dist/export/formats.js";
import { summary, train } from "../dist/index.js";
import { quantile } from "./peers/statistics.mjs";
import { positiveOptions } from "./positive_options.mjs";

const { values } = parseArgs({
  options: { rounds: { type: "string", default: "5" }, dims: { type: "string", default: "1000" } },
});
const [rounds, dims] = positiveOptions(values, ["rounds", "dims"]);

const root = fileURLToPath(new URL("..", import.meta.url));
const scratch = mkdtempSync(path.join(tmpdir(), "flexae-bench-"));
process.on("exit", () => rmSync(scratch, { recursive: true, force: true }));

/** What a process says at its end: the most memory that it had, in kB (proc(5)). */
const PEAK = `data:text/javascript,
import { readFileSync, writeSync } from "node:fs";
process.on("exit", () => {
  writeSync(3, readFileSync("/proc/self/status", "utf8").match(/VmHWM:\\s*(\\d+)/)[1]);
});`;

/** Runs the program; gives seconds, and the most memory that it had, in MB. */
function flexae(...args) {
  const began = performance.now();
  const child = spawnSync(
    process.execPath,
    ["--import", PEAK, path.join(root, "scripts/flexae.mjs"), ...args],
    { cwd: scratch, encoding: "utf8", stdio: ["ignore", "ignore", "pipe", "pipe"] },
  );
  if (child.status !== 0) throw new Error(child.stderr);
  return {
    seconds: (performance.now() - began) / 1000,
    memory: Number(child.output[3]) * 1.024e-3,
  };
}

/** A run of a network, trained for a moment, and how many MB its weights take. */
async function trained(name, settings) {
  const images = path.join(root, "data/sample/valid");
  const { runDir } = await train({
    ...settings,
    train_dir: images,
    valid_dir: images,
    train_epochs: 1,
    save_dir: path.join(scratch, name),
  });
  return { run: runDir, weights: summary(settings).parameters.total * 4e-6 };
}

/** Medians of some exports to a format. */
function exported({ run }, format) {
  const out = path.join(scratch, "export");
  const samples = Array.from({ length: rounds }, () => {
    rmSync(out, { recursive: true, force: true });
    return flexae("export", run, `--to=${format}`, `--out=${out}`);
  });
  const median = (key) =>
    quantile(
      samples.map((sample) => sample[key]).sort((a, b) => a - b),
      0.5,
    );
  return { seconds: median("seconds"), memory: median("memory") };
}

const SMALL = { imageShape: [28, 28], filters: [8, 16], pooling: ["no"], dims: [16] };
const small = await trained("small", SMALL);
const large = await trained("large", { dims: [dims] });
console.log(`weights: ${small.weights.toFixed(1)} MB and ${large.weights.toFixed(1)} MB`);
console.log("                 small network    the other one    it takes more");
for (const { name } of FORMATS) {
  const [little, much] = [exported(small, name), exported(large, name)];
  const cells = [little, much].map(
    ({ seconds, memory }) => `${seconds.toFixed(2)} s ${memory.toFixed(0).padStart(5)} MB`,
  );
  const more = (much.memory - little.memory) / (large.weights - small.weights);
  console.log(`${name.padEnd(15)} ${cells.join("  ")}  ${more.toFixed(2)} times its weights`);
}
