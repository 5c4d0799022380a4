/** `flexae bench`: how fast this machine trains a network, on images already in memory. */

import { configError } from "../../addon/errors.js";
import { awaitAddon, callAddon } from "../../addon/loader.js";
import type { BenchmarkHandle } from "../../addon/types.js";
import { toNetwork, toTrainingJson } from "../../config/network.js";
import type { CommandDescription } from "../command.js";
import { grouped, rate, scaled, table } from "../format.js";
import { type Invocation, optionText } from "../invocation.js";
import { print, printJson } from "../output.js";
import { invokedSettings } from "../settings.js";

/** Without `--steps`: as many steps as fit in this time, but no fewer than the count. */
const SECONDS = 15;
const LEAST_STEPS = 10;
const MOST_STEPS = 10_000;
const WARM_UP_STEPS = 3;

/** Of a sorted list, linear between its entries. */
function quantile(sorted: readonly number[], q: number): number {
  const place = q * (sorted.length - 1);
  const low = sorted[Math.floor(place)] as number;
  const high = sorted[Math.ceil(place)] as number;
  return low + (high - low) * (place - Math.floor(place));
}

function stepsAsked(text: string | undefined): number | undefined {
  if (text === undefined) return undefined;
  const steps = Number(text);
  if (/^\d+$/.test(String(text)) && steps >= 1 && steps <= 1e6) return steps;
  throw configError(
    `Expected an integer from 1 to 1000000 for --steps but received ${JSON.stringify(text)}`,
  );
}

/** Milliseconds of each step, sorted; `run` times as many as it is told. */
async function sample(
  run: (steps: number) => Promise<number[]>,
  steps: number | undefined,
  seconds: number,
): Promise<number[]> {
  let times: number[];
  if (steps !== undefined) times = await run(steps);
  else {
    times = await run(2);
    const each = Math.max(...times);
    const fitting = Math.round((seconds * 1000) / each);
    times.push(...(await run(Math.min(Math.max(fitting, LEAST_STEPS), MOST_STEPS))));
  }
  return times.sort((a, b) => a - b);
}

function deviceName(device: string): string {
  const { cpu, cuda } = callAddon((addon) => addon.hardware());
  if (device === "cpu") return cpu.name;
  return cuda.devices.find(({ index }) => device === `cuda:${index}`)?.name ?? device;
}

async function time(invocation: Invocation): Promise<number> {
  const { checkDevice, summarize } = await import("../../runs/plan.js");
  const asked = stepsAsked(optionText(invocation, "steps"));
  const settings = await invokedSettings(invocation);
  const summary = summarize(settings);
  checkDevice(settings.device);
  const handle: BenchmarkHandle = await awaitAddon((addon) =>
    addon.benchmark({
      network: JSON.stringify(toNetwork(settings)),
      training: toTrainingJson(settings),
    }),
  );
  let loss = Number.NaN;
  const train = async (steps: number) => {
    const timed = await awaitAddon(() => handle.train(steps));
    loss = timed.loss;
    return timed.milliseconds;
  };
  const encode = (batches: number) => awaitAddon(() => handle.encode(batches));
  let steps: number[];
  let encodes: number[];
  try {
    await train(WARM_UP_STEPS);
    steps = await sample(train, asked, SECONDS);
    await encode(1);
    encodes = await sample(encode, asked, SECONDS / 4);
  } finally {
    handle.dispose();
  }

  const batchSize = settings.batch_size;
  const msPerStep = quantile(steps, 0.5);
  const result = {
    imagesPerSecond: (batchSize * 1000) / msPerStep,
    precision: handle.precision,
    batchSize,
    msPerStep,
    msPerStepP10: quantile(steps, 0.1),
    msPerStepP90: quantile(steps, 0.9),
    steps: steps.length,
    encodeImagesPerSecond: (batchSize * 1000) / quantile(encodes, 0.5),
    device: handle.device,
    deviceName: deviceName(handle.device),
    threads: handle.threads,
    kernels: handle.kernels,
    optimizer: settings.optimizer,
    parameters: summary.parameters.total,
    macs: summary.macs,
    loss,
  };
  if (invocation.json) {
    printJson(result);
    return 0;
  }
  const on =
    result.device === "cpu"
      ? `${result.deviceName} (${result.threads} thread${result.threads === 1 ? "" : "s"}, ${result.kernels})`
      : `${result.deviceName} (${result.device})`;
  const image = `${settings.imageShape.join("×")}×${settings.channels}`;
  const ms = (value: number) => value.toFixed(value < 10 ? 3 : 1);
  const lines = table([
    ["Device", on],
    ["Precision", result.precision],
    ["Network", `${grouped(result.parameters)} parameters, ${scaled(result.macs)} multiply-adds`],
    ["Images", `${image}, ${batchSize} a batch`],
    ["Training", `${rate(result.imagesPerSecond)} images/s`],
    [
      "Step",
      `${ms(msPerStep)} ms (10 %: ${ms(result.msPerStepP10)}, 90 %: ${ms(result.msPerStepP90)}; median of ${grouped(result.steps)})`,
    ],
    ["Encoding", `${rate(result.encodeImagesPerSecond)} images/s`],
  ]);
  for (const line of lines) print(line);
  return 0;
}

export const bench: CommandDescription = {
  name: "bench",
  description: "time the training of a model on this machine",
  options: [["--steps <n>", "training steps to time (as many as take about 15 seconds)"]],
  takesConfig: true,
  takesRunLine: true,
  run: time,
};
