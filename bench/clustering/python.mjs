// The same chain in Python: the same network, epochs, neighbours and mixture, from the same files.

import { spawn } from "node:child_process";
import { once } from "node:events";
import { readFile } from "node:fs/promises";
import { fileURLToPath } from "node:url";
import { parse } from "yaml";
import { SetupError } from "../../scripts/setup/steps.mjs";

const script = fileURLToPath(new URL("python_chain.py", import.meta.url));

/** What the Python process is asked to do. */
async function jobOf(set, recipe, seed) {
  const { resolveConfig } = await import("../../dist/index.js");
  const { toNetwork } = await import("../../dist/config/network.js");
  const { learningRate } = await import("../../dist/config/training.js");
  const { loadAddon } = await import("../../dist/addon/loader.js");
  const settings = resolveConfig(parse(await readFile(recipe.config, "utf8")));
  return {
    ...recipe,
    seed,
    images: set.images,
    options: toNetwork(settings),
    optimizer: settings.optimizer,
    learningRate: learningRate(settings),
    batchSize: settings.batch_size,
    epochs: settings.train_epochs,
    mirrored: settings.horizontal_flip,
    threads: loadAddon().hardware().cpu.cores,
  };
}

/**
 * Runs the chain. Gives what `runChain` of chain.mjs gives, and how the network was trained.
 * @param {string} python the interpreter
 */
export async function runPython(set, recipe, { seed, python }) {
  const job = await jobOf(set, recipe, seed);
  const child = spawn(python, ["-W", "ignore", script, JSON.stringify(job)], {
    stdio: ["ignore", "pipe", "pipe"],
  });
  let [answer, complaints] = ["", ""];
  child.stdout.setEncoding("utf8").on("data", (text) => {
    answer += text;
  });
  child.stderr.setEncoding("utf8").on("data", (text) => {
    complaints = (complaints + text).slice(-4000);
  });
  const [code] = await once(child, "close");
  if (code !== 0) throw new SetupError(`The chain in Python failed:\n${complaints.trim()}`);
  return JSON.parse(answer);
}
