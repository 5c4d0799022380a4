// This program as a peer: training steps, or embedding with an exported encoder. See protocol.py.

import { readFileSync } from "node:fs";
import { createInterface } from "node:readline";
import { loadAddon } from "../../dist/addon/loader.js";
import { toNetwork, toTrainingJson } from "../../dist/config/network.js";
import { load, resolveConfig, summary } from "../../dist/index.js";

const WARM_UP = 5;
const job = JSON.parse(process.argv[2]);
const answer = (value) => process.stdout.write(`${JSON.stringify(value)}\n`);
const product = (sizes) => sizes.reduce((a, b) => a * b, 1);

/** Training steps from bytes in memory: scaling, flips and metrics are part of a step here. */
async function trainer() {
  const settings = resolveConfig({
    ...job.settings,
    seed: 1,
    device: "cpu",
    precision: job.precision,
    threads: job.threads,
    horizontal_flip: job.flips,
    vertical_flip: job.flips,
  });
  const handle = await loadAddon().benchmark({
    network: JSON.stringify(toNetwork(settings)),
    training: toTrainingJson(settings),
    images: readFileSync(job.images),
  });
  return {
    facts: { parameters: summary(job.settings).parameters.total, kernels: handle.kernels },
    run: async (steps) => ({ loss: (await handle.train(steps)).loss }),
  };
}

/** The library's own way: floats in memory in, floats out; it is waited for, as are the peers. */
async function encoder() {
  const model = await load(job.encoder, {
    device: "cpu",
    batchSize: job.batchSize,
    precision: job.precision,
  });
  const bytes = readFileSync(job.images);
  const size = product(model.inputShape) * job.batchSize;
  const batches = [];
  for (let at = 0; at + size <= bytes.length; at += size) {
    batches.push(Float32Array.from(bytes.subarray(at, at + size), (value) => value / 255));
  }
  let position = 0;
  return {
    facts: { parameters: summary(job.settings).encoder.parameters },
    run: async (steps) => {
      for (let k = 0; k < steps; k++) model.encodeSync(batches[position++ % batches.length]);
      return {};
    },
  };
}

const { facts, run } = await (job.encoder === undefined ? trainer() : encoder());
const timed = async (steps) => {
  const cpu = process.cpuUsage();
  const start = performance.now();
  const result = await run(steps);
  const seconds = (performance.now() - start) / 1000;
  const { user, system } = process.cpuUsage(cpu);
  return { seconds, cpuSeconds: (user + system) / 1e6, ...result };
};
const { seconds } = await timed(WARM_UP);
answer({ ready: true, warmUpSeconds: seconds, ...facts });
for await (const line of createInterface({ input: process.stdin })) {
  answer(await timed(JSON.parse(line).steps));
}
