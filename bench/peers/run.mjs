#!/usr/bin/env node
// Compares the speed of this program with PyTorch's, Keras's and onnxruntime's on the same
// networks, images, batches and optimizers. Every competitor is a process that waits for its turn;
// see docs/performance.md.

import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import os from "node:os";
import path from "node:path";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";
import { addonStep } from "../../scripts/setup/addon.mjs";
import { libtorchStep } from "../../scripts/setup/libtorch.mjs";
import { packagesStep } from "../../scripts/setup/packages.mjs";
import { output } from "../../scripts/setup/run.mjs";
import { duration, runMain, runSteps, SetupError } from "../../scripts/setup/steps.mjs";
import { typescriptStep } from "../../scripts/setup/typescript.mjs";
import { venvPython, venvStep } from "../../scripts/setup/venv.mjs";
import {
  defaultLines,
  ENVIRONMENTS,
  encodingLines,
  OURS,
  sweepLines,
  trainingLines,
} from "./lines.mjs";
import { NETWORKS, SWEEP } from "./networks.mjs";
import { compare, fastest, spread } from "./statistics.mjs";
import { Worker } from "./worker.mjs";

const requirements = fileURLToPath(new URL("requirements.txt", import.meta.url));
const PEERS = ["pytorch", "keras-tensorflow", "keras-torch", "onnxruntime"];
const ENCODE_BATCH = 64;
/** Rounds in which a line's environment is chosen. */
const TUNING_ROUNDS = 3;

const USAGE = `usage: npm run bench:peers -- [options]

  --networks a,b       of ${NETWORKS.map(({ name }) => name).join(", ")} (all)
  --sweep              odd networks instead, training alone, against PyTorch eager channels_last
                       alone, with one table at the end; then --networks are of
                       ${SWEEP.slice(0, 7)
                         .map(({ name }) => name)
                         .join(", ")},
                       ${SWEEP.slice(7)
                         .map(({ name }) => name)
                         .join(", ")}
  --peers a,b          of ${PEERS.join(", ")} (all)
  --precision a,b      fp32, bf16 (fp32; bf16 too where the CPU computes it natively)
  --rounds N           rounds, in each of which every line has its turn (7)
  --block-seconds S    how long a turn takes, at least one step (2)
  --threads N          compute threads of every line (as many as there are cores)
  --flips              let this program turn its images over, which the peers do not
  --no-compile         leave out torch.compile
  --no-training, --no-encoding
  --output FILE        where the JSON goes (peers.json)
`;

function listOf(text, known, flag) {
  const names = text.split(",");
  const stranger = names.find((name) => !known.includes(name));
  if (stranger !== undefined) {
    throw new SetupError(`Expected ${known.join(", ")} for ${flag} but received ${stranger}`);
  }
  return names;
}

function positive(text, flag) {
  const value = Number(text);
  if (!(value > 0)) throw new SetupError(`Expected a positive number for ${flag}, not ${text}`);
  return value;
}

function readOptions() {
  let values;
  try {
    ({ values } = parseArgs({
      options: {
        networks: { type: "string" },
        sweep: { type: "boolean", default: false },
        peers: { type: "string" },
        precision: { type: "string" },
        rounds: { type: "string", default: "7" },
        "block-seconds": { type: "string", default: "2" },
        threads: { type: "string" },
        flips: { type: "boolean", default: false },
        "no-compile": { type: "boolean", default: false },
        "no-training": { type: "boolean", default: false },
        "no-encoding": { type: "boolean", default: false },
        output: { type: "string", default: "peers.json" },
        help: { type: "boolean", short: "h", default: false },
      },
    }));
  } catch (error) {
    throw new SetupError(`${error.message}\n\n${USAGE}`);
  }
  const known = values.sweep ? SWEEP : NETWORKS;
  const names = known.map(({ name }) => name);
  const networks = listOf(values.networks ?? names.join(","), names, "--networks");
  return {
    help: values.help,
    sweep: values.sweep,
    networks: known.filter(({ name }) => networks.includes(name)),
    peers: listOf(values.peers ?? PEERS.join(","), PEERS, "--peers"),
    precisions: values.precision
      ? listOf(values.precision, ["fp32", "bf16"], "--precision")
      : undefined,
    rounds: Math.ceil(positive(values.rounds, "--rounds")),
    blockSeconds: positive(values["block-seconds"], "--block-seconds"),
    threads: values.threads ? Math.ceil(positive(values.threads, "--threads")) : undefined,
    flips: values.flips,
    compile: !values["no-compile"],
    training: !values["no-training"],
    encoding: !values["no-encoding"] && !values.sweep,
    output: path.resolve(process.env.INIT_CWD ?? ".", values.output),
  };
}

const say = (text = "") => process.stdout.write(`${text}\n`);
const note = (text) => process.stderr.write(`${text}\n`);

/** A process that is warm, and how many steps fill its turn. */
class Line {
  samples = [];
  losses = [];

  constructor(spec, environment) {
    this.spec = spec;
    this.name = spec.name;
    this.environment = environment;
  }

  async start(job, interpreter, blockSeconds) {
    const { command, args } = this.spec.start({ ...job, ...this.spec.job }, interpreter);
    this.worker = new Worker({ command, args, env: ENVIRONMENTS[this.environment] });
    this.facts = await this.worker.ready();
    const { seconds } = await this.worker.run(2);
    this.steps = Math.max(1, Math.round((blockSeconds * 2) / seconds));
  }

  /** One turn. Gives images a second. */
  async turn(batchSize) {
    const { seconds, loss } = await this.worker.run(this.steps);
    if (loss !== undefined) this.losses.push(loss);
    return (this.steps * batchSize) / seconds;
  }

  end() {
    return this.worker.end();
  }
}

/** The environment in which a line is faster, by turns. */
async function tune(spec, job, context) {
  const candidates = [];
  try {
    for (const environment of Object.keys(ENVIRONMENTS)) {
      const line = new Line(spec, environment);
      candidates.push(line);
      await line.start(job, context.python, context.blockSeconds / 2);
    }
    for (let round = 0; round < TUNING_ROUNDS; round++) {
      for (const line of candidates) line.samples.push(await line.turn(job.batchSize));
    }
  } finally {
    await Promise.all(candidates.map((line) => line.worker?.end()));
  }
  const best = candidates.reduce((a, b) =>
    spread(b.samples).median > spread(a.samples).median ? b : a,
  );
  return best.environment;
}

/** Every line in turn, several rounds; the order is another in each. */
async function race(specs, job, context) {
  const lines = [];
  const lost = [];
  const environments = context.environments ?? new Map();
  try {
    for (const spec of specs) {
      const started = performance.now();
      const precise = { ...job, precision: spec.precision };
      const line = new Line(spec, "plain");
      try {
        if (spec.tunable) {
          const group = `${spec.peer} ${spec.precision}`;
          if (!environments.has(group)) {
            environments.set(group, await tune(spec, precise, context));
          }
          line.environment = environments.get(group);
        }
        await line.start(precise, context.python, context.blockSeconds);
      } catch (error) {
        if (!(error instanceof SetupError)) throw error;
        await line.worker?.end();
        if (spec.peer === "ours") throw new SetupError(`${spec.name}: ${error.message}`);
        note(`  ${spec.name} cannot run: ${error.message}`);
        lost.push({ name: spec.name, error: error.message });
        continue;
      }
      lines.push(line);
      const { parameters } = line.facts;
      const expected = lines[0].facts.parameters;
      if (parameters !== expected) {
        throw new SetupError(`${spec.name} has ${parameters} parameters, not ${expected}`);
      }
      note(`  ${spec.name}: warm after ${duration(performance.now() - started)}`);
    }
    for (let round = 0; round < context.rounds; round++) {
      const order = lines.map((_, i) => lines[(i + round) % lines.length]);
      if (round % 2 === 1) order.reverse();
      for (const line of order) line.samples.push(await line.turn(job.batchSize));
      note(`  round ${round + 1} of ${context.rounds}`);
    }
  } finally {
    await Promise.all(lines.map((line) => line.end()));
  }
  return {
    lost,
    lines: lines.map(({ name, spec, samples, losses, steps, environment, facts }) => ({
      name,
      peer: spec.peer,
      precision: spec.precision ?? null,
      samples,
      stepsPerTurn: steps,
      environment,
      version: facts.version ?? null,
      kernels: facts.kernels ?? null,
      lastLoss: losses.at(-1) ?? null,
    })),
  };
}

const digits = (value) => value.toFixed(value >= 1000 ? 0 : value >= 100 ? 1 : 2);

/** Rows of texts, the first column to the left. */
function showTable(title, rows) {
  const widths = rows[0].map((_, i) => Math.max(...rows.map((row) => row[i].length)));
  say(title);
  for (const row of rows) {
    say(
      `  ${row
        .map((text, i) => (i === 0 ? text.padEnd(widths[i]) : text.padStart(widths[i])))
        .join("  ")
        .trimEnd()}`,
    );
  }
}

function show(title, lines) {
  const rows = [["", "images/s", "(spread)", "ours is", "(spread)"]];
  for (const { name, imagesPerSecond: speed, ratio } of lines) {
    rows.push([
      name,
      digits(speed.median),
      `${digits(speed.min)}–${digits(speed.max)}`,
      ratio === null ? "" : `${ratio.median.toFixed(2)}×`,
      ratio === null ? "" : `${ratio.min.toFixed(2)}–${ratio.max.toFixed(2)}`,
    ]);
  }
  showTable(title, rows);
}

/** All networks of a sweep, a row each: both speeds and their ratio in each precision. */
function showSweep(networks, precisions) {
  const head = (precision) => [`ours ${precision}`, "PyTorch", "ours is", "(spread)"];
  const rows = [["images/s", ...precisions.flatMap(head)]];
  for (const { name, training } of networks) {
    const cells = training.flatMap(({ lines: [ours, peer] }) => [
      digits(ours.imagesPerSecond.median),
      ...(peer === undefined
        ? ["", "", ""]
        : [
            digits(peer.imagesPerSecond.median),
            `${peer.ratio.median.toFixed(2)}×`,
            `${peer.ratio.min.toFixed(2)}–${peer.ratio.max.toFixed(2)}`,
          ]),
    ]);
    rows.push([name, ...cells]);
  }
  showTable("training, against PyTorch eager channels_last", rows);
  say();
}

/** Trains for a moment, for the models that the peers are compared with. */
async function exportModels(flexae, settings, images, folder) {
  const { exportModel, train } = flexae;
  const result = await train(
    { ...settings, trainEpochs: 1, saveDir: path.join(folder, "run"), device: "cpu" },
    { images: { train: images, valid: images } },
  );
  const out = path.join(folder, "exported");
  await exportModel(result.runDir, { to: ["onnx"], out });
  return {
    autoencoder: path.join(result.runDir, "ae.pt"),
    encoder: path.join(result.runDir, "en.pt"),
    onnx: path.join(out, "en.onnx"),
  };
}

async function compareNetwork(network, flexae, context) {
  const { resolveConfig, toNetwork, toTrainingJson, learningRate, loadAddon } = flexae;
  const folder = await mkdtemp(path.join(os.tmpdir(), "flexae-bench-"));
  try {
    const settings = resolveConfig(network.settings);
    const batchSize = settings.batch_size;
    const job = {
      settings: network.settings,
      options: toNetwork(settings),
      optimizer: settings.optimizer,
      learningRate: learningRate(settings),
      batchSize,
      threads: context.threads,
      flips: context.flips,
      images: path.join(folder, "images.bin"),
    };
    const drawn = { seed: 1, device: "cpu", precision: "fp32", threads: job.threads };
    const handle = await loadAddon().benchmark({
      network: JSON.stringify(job.options),
      training: toTrainingJson(
        resolveConfig({ ...network.settings, ...drawn, batch_size: ENCODE_BATCH }),
      ),
    });
    const images = await handle.images();
    handle.dispose();
    await writeFile(job.images, images);
    Object.assign(job, await exportModels(flexae, network.settings, images, folder));

    const result = { name: network.name, title: network.title, settings: network.settings };
    const wanted = ({ peer }) => peer === "ours" || context.peers.includes(peer);
    if (context.training) {
      result.training = [];
      for (const precision of context.precisions) {
        note(`${network.title}: training, ${precision}`);
        const specs = (
          context.sweep
            ? sweepLines(precision)
            : [...trainingLines([precision]), ...(precision === "bf16" ? defaultLines() : [])]
        )
          .filter(wanted)
          .filter(({ job: own }) => context.compile || own.compile !== true || own.backend);
        const { encoder: _, onnx: __, ...training } = job;
        const { lines, lost } = await race(specs, training, context);
        const compared = compare(lines, `${OURS} ${precision}`);
        result.training.push({ precision, lines: compared, lost });
        show(`${network.title}: training, ${precision}`, compared);
        const best = fastest(compared.filter((line) => line.precision === precision));
        if (best) say(`  fastest peer: ${best.name}; ours is ${best.ratio.median.toFixed(2)}×`);
        say();
      }
    }
    if (context.encoding) {
      result.encoding = [];
      for (const precision of context.precisions) {
        note(`${network.title}: embedding, ${precision}`);
        const encoding = { ...job, batchSize: ENCODE_BATCH };
        const specs = encodingLines(precision).filter(wanted);
        const { lines, lost } = await race(specs, encoding, context);
        const compared = compare(lines, `${OURS} ${precision}`);
        result.encoding.push({ precision, batchSize: ENCODE_BATCH, lines: compared, lost });
        show(
          `${network.title}: embedding with en.pt, batch ${ENCODE_BATCH}, ${precision}`,
          compared,
        );
        say();
      }
    }
    return result;
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

/** Memory that a benchmark's threads or another program left free, the load, and who measures. */
function machine(hardware) {
  return {
    cpu: hardware.cpu,
    memoryBytes: os.totalmem(),
    loadAverage: os.loadavg(),
    system: `${os.type()} ${os.release()}`,
  };
}

async function main() {
  const options = readOptions();
  if (options.help) return say(USAGE.trimEnd());
  await runSteps([
    packagesStep(),
    // Set, it names an addon that is to be measured as it is.
    ...(process.env.FLEXAE_ADDON ? [] : [libtorchStep(), addonStep()]),
    typescriptStep(),
    // A sweep needs torch alone, which the tests' environment has in the same version.
    options.sweep
      ? venvStep()
      : venvStep(requirements, "torch, keras, tensorflow and onnxruntime, minutes the first time"),
  ]);
  const flexae = {
    ...(await import("../../dist/index.js")),
    ...(await import("../../dist/config/network.js")),
    ...(await import("../../dist/config/training.js")),
    ...(await import("../../dist/addon/loader.js")),
  };
  const python = options.sweep ? venvPython() : venvPython(requirements);
  const { cpu } = flexae.loadAddon().hardware();
  const native = cpu.avx512Bf16 || cpu.amxBf16;
  const precisions = options.precisions ?? (native ? ["fp32", "bf16"] : ["fp32"]);
  const context = {
    ...options,
    python,
    precisions,
    threads: options.threads ?? cpu.cores,
    // What a peer's first network was faster with, for all of a sweep: there are many.
    environments: options.sweep ? new Map() : undefined,
  };
  const result = {
    date: new Date().toISOString(),
    machine: machine({ cpu }),
    node: process.versions.node,
    versions: flexae.loadAddon().versions(),
    python: output(python, ["--version"])?.trim() ?? null,
    requirements: options.sweep ? null : (await readFile(requirements, "utf8")).trim().split("\n"),
    threads: context.threads,
    rounds: options.rounds,
    blockSeconds: options.blockSeconds,
    networks: [],
  };
  say(`\n${cpu.name}, ${context.threads} threads, load average ${os.loadavg()[0].toFixed(1)}`);
  if (options.precisions === undefined && !native) {
    say(
      "bf16 is left out: this CPU does not compute it natively (--precision fp32,bf16 asks for it)",
    );
  }
  say();
  for (const network of options.networks) {
    result.networks.push(await compareNetwork(network, flexae, context));
    // After each network: what was measured stays when a later one fails.
    await writeFile(options.output, `${JSON.stringify(result, null, 2)}\n`);
  }
  if (options.sweep && options.training) showSweep(result.networks, precisions);
  say(`Written to ${options.output}`);
}

await runMain(main);
