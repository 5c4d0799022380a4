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
import { runMain, runSteps, SetupError } from "../../scripts/setup/steps.mjs";
import { typescriptStep } from "../../scripts/setup/typescript.mjs";
import { venvPython, venvStep } from "../../scripts/setup/venv.mjs";
import { defaultLines, encodingLines, OURS, sweepLines, trainingLines } from "./lines.mjs";
import { NETWORKS } from "./networks.mjs";
import { Hosts, race } from "./race.mjs";
import { compare, fastest } from "./statistics.mjs";
import { measurePeak, showSweep, trainingOperations } from "./sweep.mjs";
import { drawNetworks, SHAPES } from "./sweep_networks.mjs";
import { digits, showTable } from "./table.mjs";

const requirements = fileURLToPath(new URL("requirements.txt", import.meta.url));
const PEERS = ["pytorch", "keras-tensorflow", "keras-torch", "onnxruntime"];
const ENCODE_BATCH = 64;

/** Names in lines of an indented paragraph. */
function lines(names) {
  const rows = [""];
  for (const name of names) {
    if (rows.at(-1).length + name.length > 70) rows.push("");
    rows.push(`${rows.pop()}${name}, `);
  }
  return rows.map((row) => `                       ${row.trimEnd()}`).join("\n");
}

const USAGE = `usage: npm run bench:peers -- [options]

  --networks a,b       of ${NETWORKS.map(({ name }) => name).join(", ")} (all)
  --sweep              many shapes instead, training alone, against PyTorch eager in its faster
                       layout; then --networks are of
${lines(SHAPES.map(({ name }) => name))}
                       and drawn1, drawn2, …
  --drawn N            how many of a sweep's networks are drawn at random (12)
  --seed N             what they follow from (another one each time, which is printed)
  --clock a,b          of cpu (processor time, one thread), wall (all threads): of a sweep (both)
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

function whole(text, flag) {
  const value = Number(text);
  if (!(Number.isInteger(value) && value >= 0)) {
    throw new SetupError(`Expected an integer of at least 0 for ${flag}, not ${text}`);
  }
  return value;
}

function readOptions() {
  let values;
  try {
    ({ values } = parseArgs({
      options: {
        networks: { type: "string" },
        sweep: { type: "boolean", default: false },
        drawn: { type: "string", default: "12" },
        seed: { type: "string" },
        clock: { type: "string", default: "cpu,wall" },
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
  const drawn = values.sweep ? whole(values.drawn, "--drawn") : 0;
  const known = values.sweep
    ? [...SHAPES, ...Array.from({ length: drawn }, (_, i) => ({ name: `drawn${i + 1}` }))]
    : NETWORKS;
  const names = known.map(({ name }) => name);
  return {
    help: values.help,
    sweep: values.sweep,
    networks: listOf(values.networks ?? names.join(","), names, "--networks"),
    drawn,
    clocks: listOf(values.clock, ["cpu", "wall"], "--clock"),
    seed: values.seed ? whole(values.seed, "--seed") : Math.floor(Math.random() * 1e6),
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

/** Trains for a moment, for the models that the peers are compared with, and those that embed. */
async function exportModels(flexae, settings, images, folder, embeds) {
  const { exportModel, train } = flexae;
  const result = await train(
    { ...settings, trainEpochs: 1, saveDir: path.join(folder, "run"), device: "cpu" },
    { images: { train: images, valid: images } },
  );
  const autoencoder = path.join(result.runDir, "ae.pt");
  if (!embeds) return { autoencoder };
  const out = path.join(folder, "exported");
  await exportModel(result.runDir, { to: ["onnx"], out });
  return {
    autoencoder,
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
        resolveConfig({
          ...network.settings,
          ...drawn,
          batch_size: Math.max(ENCODE_BATCH, batchSize),
        }),
      ),
    });
    const images = await handle.images();
    handle.dispose();
    await writeFile(job.images, images);
    Object.assign(
      job,
      await exportModels(flexae, network.settings, images, folder, context.encoding),
    );

    const result = { name: network.name, title: network.title, settings: network.settings };
    const wanted = ({ peer }) => peer === "ours" || context.peers.includes(peer);
    const { encoder: _, onnx: __, ...training } = job;
    if (context.sweep) {
      result.operations = trainingOperations(flexae.summary(network.settings));
      result.training = await sweepNetwork(training, network, context);
      return result;
    }
    if (context.training) {
      result.training = [];
      for (const precision of context.precisions) {
        note(`${network.title}: training, ${precision}`);
        const specs = [
          ...trainingLines([precision]),
          ...(precision === "bf16" ? defaultLines() : []),
        ]
          .filter(wanted)
          .filter(({ job: own }) => context.compile || own.compile !== true || own.backend);
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

/** Training of one network by a thread and by all of them, in each precision. */
async function sweepNetwork(job, { name, title }, context) {
  const entries = [];
  for (const precision of context.precisions) {
    note(`${name}: ${title}: training, ${precision}`);
    const specs = sweepLines(precision).filter(({ clock }) => context.clocks.includes(clock));
    const { lines, lost } = await race(specs, job, context);
    const entry = { precision, lost };
    for (const clock of context.clocks) {
      const own = lines.filter((line) => line.clock === clock);
      entry[clock] = compare(own, `${OURS} ${precision} ${clock}`);
      const best = fastest(entry[clock]);
      if (best) note(`  ${clock}: ours is ${best.ratio.median.toFixed(2)}× ${best.name}`);
    }
    entries.push(entry);
  }
  return entries;
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
  const hosts = new Hosts(python);
  context.host = (spec, environment) => hosts.get(spec, environment);
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
  let known = NETWORKS;
  if (options.sweep) {
    const { seededRandom } = await import("../../dist/random.js");
    result.seed = options.seed;
    result.peak = measurePeak();
    const drawn = drawNetworks(options.drawn, seededRandom(options.seed), flexae.summary);
    known = [...SHAPES, ...drawn];
    if (drawn.length > 0) say(`${drawn.length} networks drawn by --seed ${options.seed}:`);
    for (const { name, title } of drawn) say(`  ${name}: ${title}`);
    say();
  }
  try {
    for (const network of known.filter(({ name }) => options.networks.includes(name))) {
      result.networks.push(await compareNetwork(network, flexae, context));
      // After each network: what was measured stays when a later one fails.
      await writeFile(options.output, `${JSON.stringify(result, null, 2)}\n`);
    }
  } finally {
    await hosts.end();
  }
  if (options.sweep) showSweep(result.networks, context, result.peak);
  say(`Written to ${options.output}`);
}

await runMain(main);
