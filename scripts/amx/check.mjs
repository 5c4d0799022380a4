#!/usr/bin/env node
// Tries what is particular to processors with AMX, whose tiles multiply bf16: the native tests, our speed
// with AMX and by the kernels for AVX512-BF16 alone, and ours beside PyTorch's, whose oneDNN computes
// convolutions in tiles.

import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { NETWORKS } from "../../bench/peers/networks.mjs";
import { spread } from "../../bench/peers/statistics.mjs";
import { chosenParts } from "../setup/parts.mjs";
import { root } from "../setup/paths.mjs";
import { output, runShown } from "../setup/run.mjs";
import { runMain, SetupError } from "../setup/steps.mjs";

const USAGE = `usage: scripts/amx/check.sh [tests] [speed] [peers] [options]

  --rounds N         rounds of speed and peers (3)
  --any-processor    also without AMX, as a rehearsal

In a clone that \`npm run setup\` has set up. All three unless some are named.
`;

const node = (script, ...args) => [process.execPath, [path.join(root, script), ...args]];

/** A set of kernels that is named computes without AMX. */
const SETS = { AMX: "", "AVX512-BF16": "avx512bf16" };

function speed(rounds) {
  const folder = mkdtempSync(path.join(tmpdir(), "flexae-amx-"));
  try {
    for (const { name, title, settings } of NETWORKS) {
      const config = path.join(folder, `${name}.json`);
      writeFileSync(config, JSON.stringify(settings));
      const args = [
        "bench",
        "--json",
        "--device",
        "cpu",
        "--precision",
        "bf16",
        "--config",
        config,
      ];
      const times = Object.fromEntries(Object.keys(SETS).map((set) => [set, []]));
      for (let round = 0; round < rounds; round++) {
        for (const [set, kernels] of Object.entries(SETS)) {
          const env = { ...process.env, FLEXAE_KERNELS: kernels };
          const said = output(...node("scripts/flexae.mjs", ...args), { env });
          if (said === null) throw new SetupError(`flexae bench failed on ${name} by ${set}`);
          times[set].push(JSON.parse(said).msPerStep);
        }
      }
      process.stdout.write(`${title}\n`);
      for (const [set, samples] of Object.entries(times)) {
        const { median, min, max } = spread(samples);
        const [shown, least, most] = [median, min, max].map((ms) => ms.toFixed(2));
        process.stdout.write(`  ${set.padEnd(12)} ${shown} ms a step (${least}–${most})\n`);
      }
    }
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

const PARTS = {
  tests: () => runShown(...node("scripts/test.mjs", "--only", "native")),
  speed,
  peers: (rounds) => {
    const what = ["--peers", "pytorch", "--precision", "bf16", "--no-compile"];
    return runShown(...node("bench/peers/run.mjs", ...what, "--rounds", String(rounds)));
  },
};

async function main() {
  const { chosen, values } = chosenParts(Object.keys(PARTS), {
    rounds: { type: "string", default: "3" },
    "any-processor": { type: "boolean", default: false },
    help: { type: "boolean", short: "h", default: false },
  });
  if (values.help) {
    process.stdout.write(USAGE);
    return;
  }
  const rounds = Number(values.rounds);
  if (!Number.isInteger(rounds) || rounds < 1) {
    throw new SetupError(
      `Expected an integer of at least 1 for --rounds but received ${values.rounds}`,
    );
  }
  if (!values["any-processor"] && !/\bamx_bf16\b/.test(readFileSync("/proc/cpuinfo", "utf8"))) {
    throw new SetupError(
      "This processor has no AMX (amx_bf16 in /proc/cpuinfo). --any-processor tries all the same.",
    );
  }
  // Every part runs: such a processor is seldom met.
  const failed = [];
  for (const part of chosen) {
    process.stdout.write(`\n=== ${part}\n`);
    try {
      await PARTS[part](rounds);
    } catch (error) {
      if (!(error instanceof SetupError)) throw error;
      process.stderr.write(`${error.message}\n`);
      failed.push(part);
    }
  }
  if (failed.length > 0) throw new SetupError(`Failed: ${failed.join(", ")}`);
}

await runMain(main);
