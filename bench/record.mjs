#!/usr/bin/env node
// Times training and encoding of a few networks, notes the speeds in the cache folder, and names
// what is more than 5 % slower than the median of this machine's earlier records:
//
//   npm run bench:record -- [--seconds 5]
//
// It judges nothing: a machine has other things to do, too.

import { loadavg } from "node:os";
import path from "node:path";
import { parseArgs } from "node:util";
import { addonStep } from "../scripts/setup/addon.mjs";
import { openCache } from "../scripts/setup/cache.mjs";
import { libtorchStep } from "../scripts/setup/libtorch.mjs";
import { packagesStep } from "../scripts/setup/packages.mjs";
import { root } from "../scripts/setup/paths.mjs";
import { output } from "../scripts/setup/run.mjs";
import { runMain, runSteps, SetupError } from "../scripts/setup/steps.mjs";
import { typescriptStep } from "../scripts/setup/typescript.mjs";
import { appendRecord, compareWithHistory, NOTABLE, readRecords } from "./history.mjs";
import { NETWORKS } from "./peers/networks.mjs";
import { quantile } from "./peers/statistics.mjs";

const NAMES = ["default", "mnist", "rgb", "deep"];
const LEAST_STEPS = 5;
const MOST_STEPS = 10_000;

/** Images a second, from the median of as many steps as take `seconds`. */
async function speed(batchSize, seconds, run) {
  const first = await run(2);
  const fitting = Math.round((1000 * seconds) / Math.max(...first));
  const times = await run(Math.min(Math.max(fitting, LEAST_STEPS), MOST_STEPS));
  return (1000 * batchSize) / quantile(times, 0.5);
}

/** Speeds of all networks in all precisions that this processor computes, and its loops' name. */
async function measure(seconds) {
  // Compiled by the steps before.
  const { loadAddon } = await import("../dist/addon/loader.js");
  const { toNetwork, toTrainingJson } = await import("../dist/config/network.js");
  const { resolveConfig } = await import("../dist/index.js");
  const addon = loadAddon();
  const { cpu } = addon.hardware();
  const precisions = cpu.amxBf16 || cpu.avx512Bf16 ? ["fp32", "bf16"] : ["fp32"];
  const speeds = {};
  for (const { name, settings } of NETWORKS.filter((network) => NAMES.includes(network.name))) {
    for (const precision of precisions) {
      const config = resolveConfig({ ...settings, seed: 1, device: "cpu", precision });
      const handle = await addon.benchmark({
        network: JSON.stringify(toNetwork(config)),
        training: toTrainingJson(config),
      });
      const train = async (steps) => (await handle.train(steps)).milliseconds;
      const size = config.batch_size;
      speeds[`${name} ${precision} train`] = await speed(size, seconds, train);
      const encode = (batches) => handle.encode(batches);
      speeds[`${name} ${precision} encode`] = await speed(size, seconds / 3, encode);
      handle.dispose();
    }
  }
  const { torch } = addon.versions();
  return { machine: { cpu: cpu.name, cores: cpu.cores, kernels: cpu.kernels }, torch, speeds };
}

/** The commit that was timed, with a mark if files differ from it; null outside of a clone. */
function commit() {
  const name = output("git", ["describe", "--always", "--dirty", "--exclude=*"], { cwd: root });
  return name === null ? null : name.trim();
}

const percent = (share) => `${share < 0 ? "-" : "+"}${Math.abs(100 * share).toFixed(1)} %`;

function tell(rows, { machine }, load, file) {
  const { cpu, cores, kernels } = machine;
  const lines = [
    `${cpu}, ${cores} cores, ${kernels}; load ${load.toFixed(1)} before; ${file}`,
    "",
    `${"images/s".padEnd(22)}${"now".padStart(10)}${"usual".padStart(10)}${"change".padStart(10)}`,
    ...rows.map(({ name, speed, usual, change }) => {
      const cells = [
        speed.toFixed(1),
        usual?.toFixed(1) ?? "",
        change === null ? "" : percent(change),
      ];
      return name.padEnd(22) + cells.map((cell) => cell.padStart(10)).join("");
    }),
    "",
  ];
  const fallen = rows.filter(({ fell }) => fell);
  const records = Math.max(...rows.map((row) => row.records));
  if (records === 0) lines.push("The first record of this machine.");
  else if (fallen.length === 0) {
    lines.push(`Nothing fell by more than ${100 * NOTABLE} % (${records} earlier records).`);
  } else {
    const named = fallen.map(({ name, change }) => `${name} ${percent(change)}`);
    lines.push(`Fell by more than ${100 * NOTABLE} %: ${named.join(", ")}`);
  }
  process.stdout.write(`${lines.join("\n")}\n`);
}

async function main() {
  let values;
  try {
    ({ values } = parseArgs({ options: { seconds: { type: "string", default: "5" } } }));
  } catch (error) {
    throw new SetupError(error.message);
  }
  const seconds = Number(values.seconds);
  if (!(seconds > 0)) {
    throw new SetupError(`Expected a positive number for --seconds but received ${values.seconds}`);
  }
  await runSteps([packagesStep(), libtorchStep(), addonStep(), typescriptStep()]);
  const file = path.join(await openCache("bench"), "speeds.jsonl");
  const [load] = loadavg();
  const measured = await measure(seconds);
  const record = {
    time: new Date().toISOString(),
    commit: commit(),
    load: Number(load.toFixed(2)),
    ...measured,
  };
  const earlier = readRecords(file);
  appendRecord(file, record);
  tell(compareWithHistory(record, earlier), record, load, file);
}

await runMain(main);
