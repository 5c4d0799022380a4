#!/usr/bin/env node
// How fast sets of images are read: a folder and every form of container, each image decoded and
// resized anew; and beside them the loaders that people use for shards in Python. All take turns.

import { spawn } from "node:child_process";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { availableParallelism, loadavg, tmpdir } from "node:os";
import path from "node:path";
import { createInterface } from "node:readline";
import { parseArgs } from "node:util";
import { runLogged } from "../../scripts/setup/run.mjs";
import { runMain, runSteps, SetupError } from "../../scripts/setup/steps.mjs";
import { venvPython, venvStep } from "../../scripts/setup/venv.mjs";
import { writeImages } from "../images.mjs";
import { spread } from "../peers/statistics.mjs";

const FORMS = ["folder", "shards", "tar", "zip", "deflated", "Parquet", "npy", "IDX.gz"];

const USAGE = `usage: npm run bench:sets -- [options]

  --small N    PNG files of 28×28 pixels, 0 for none (30000)
  --large N    JPEG files of 256×256 pixels, used at 64×64, 0 for none (3000)
  --rounds N   turns (5)
  --forms LIST of these alone (${FORMS.join(",")}), without Python
  --out FILE   where the JSON goes (sets.json)
`;
const REQUIREMENTS = path.join(import.meta.dirname, "requirements.txt");
const BATCH = 64;
/** OpenCV's number for one byte a pixel. */
const CV_8UC1 = 0;
const SHARDS = 8;

function readOptions() {
  let values;
  try {
    ({ values } = parseArgs({
      options: {
        small: { type: "string", default: "30000" },
        large: { type: "string", default: "3000" },
        rounds: { type: "string", default: "5" },
        forms: { type: "string" },
        out: { type: "string", default: "sets.json" },
        help: { type: "boolean", short: "h", default: false },
      },
    }));
  } catch (error) {
    throw new SetupError(`${error.message}\n\n${USAGE}`);
  }
  const integer = (name) => {
    const value = Number(values[name]);
    if (Number.isInteger(value) && value >= 0) return value;
    throw new SetupError(`Expected an integer for --${name}, not ${values[name]}`);
  };
  return {
    help: values.help,
    small: integer("small"),
    large: integer("large"),
    rounds: Math.max(1, integer("rounds")),
    forms: values.forms === undefined ? undefined : formsOf(values.forms),
    out: path.resolve(process.env.INIT_CWD ?? ".", values.out),
  };
}

function formsOf(text) {
  const names = text.split(",");
  const stranger = names.find((name) => !FORMS.includes(name));
  if (stranger === undefined) return names;
  throw new SetupError(`Expected ${FORMS.join(", ")} for --forms but received ${stranger}`);
}

async function writeJpegs(folder, count, side) {
  const { loadAddon } = await import("../../dist/addon/loader.js");
  const { loadOpenCV } = await import("../../dist/imaging/opencv.js");
  // Before OpenCV, whose OpenMP would otherwise be everybody's, with threads that never sleep.
  loadAddon();
  const cv = loadOpenCV();
  const encode = (pixels, width, height) =>
    cv.imencode(".jpg", new cv.Mat(Buffer.from(pixels), height, width, CV_8UC1));
  await writeImages(folder, count, side, encode, "jpg");
}

/** A loader of Python as a process: it makes a pass for each line it is sent. */
class Loader {
  #child;
  #lines;

  static async start(job) {
    const loader = new Loader();
    const script = path.join(import.meta.dirname, "loaders.py");
    loader.#child = spawn(venvPython(REQUIREMENTS), [script, JSON.stringify(job)], {
      stdio: ["pipe", "pipe", "ignore"],
    });
    const lines = createInterface({ input: loader.#child.stdout });
    loader.#lines = lines[Symbol.asyncIterator]();
    loader.form = await loader.#next();
    return loader;
  }

  async #next() {
    for (;;) {
      const { value, done } = await this.#lines.next();
      if (done) throw new SetupError("A loader of Python ended early.");
      // Libraries print, too.
      if (value.startsWith("{")) return JSON.parse(value);
    }
  }

  async pass() {
    this.#child.stdin.write("\n");
    const { images, seconds } = await this.#next();
    return images / seconds;
  }

  end() {
    this.#child.stdin.end();
  }
}

async function measure({ count, side, target, isJpeg, rounds, forms: wanted }, scratch) {
  const { load, pack, train } = await import("flexible-autoencoder");
  const folder = path.join(scratch, `images_${side}`);
  await (isJpeg ? writeJpegs(folder, count, side) : writeImages(folder, count, side));
  const forms = path.join(scratch, `forms_${side}`);
  const script = path.join(import.meta.dirname, "forms.py");
  await runLogged("bench-sets-forms", venvPython(REQUIREMENTS), [script, folder, forms]);
  const shards = path.join(scratch, `shards_${side}`);
  // A first packing tells how large it is.
  const { bytes } = await pack(folder, { out: shards, shuffleSeed: 1 });
  const shardBytes = Math.max(2 ** 16, Math.ceil(bytes / SHARDS));
  await pack(folder, { out: shards, shuffleSeed: 1, shardBytes, overwrite: true });
  // As little to compute as there can be: what is measured is the reading.
  const { runDir } = await train({
    filters: "1",
    kernelSize: "1",
    strides: String(target / (target === 28 ? 14 : 16)),
    pooling: "no",
    dims: "1",
    trainDir: path.join(folder, "class_0"),
    validDir: path.join(folder, "class_1"),
    imageShape: `${target},${target}`,
    trainEpochs: 1,
    saveDir: path.join(scratch, `run_${side}`),
  });
  const model = await load(path.join(runDir, "ae.pt"), { batchSize: BATCH });
  const all = {
    folder,
    shards,
    tar: path.join(forms, "images.tar"),
    zip: path.join(forms, "stored.zip"),
    deflated: path.join(forms, "deflated.zip"),
    Parquet: path.join(forms, "images.parquet"),
    npy: path.join(forms, "images.npy"),
    "IDX.gz": path.join(forms, "train-images-idx3-ubyte.gz"),
  };
  const ours = Object.fromEntries(
    Object.entries(all).filter(([name]) => name === "folder" || (wanted?.includes(name) ?? true)),
  );
  const job = {
    side: target,
    batch: BATCH,
    jpeg: isJpeg,
    folder,
    chunks: path.join(scratch, `chunks_${side}`),
  };
  const loaders = {};
  const peers = [
    ["files", folder],
    ["webdataset", shards],
    ["litdata", ""],
  ];
  for (const [kind, set] of wanted === undefined ? peers : []) {
    loaders[kind] = await Loader.start({ ...job, kind, set });
  }
  const rates = {};
  const add = (name, rate) => {
    rates[name] ??= [];
    rates[name].push(rate);
  };
  try {
    // Containers are listed, and unpacked, by a first pass that does not count.
    for (const set of Object.values(ours)) await model.evaluate(set);
    for (let round = 0; round < rounds; round++) {
      for (const [name, set] of Object.entries(ours)) {
        const began = performance.now();
        await model.evaluate(set);
        add(name, (1000 * count) / (performance.now() - began));
      }
      for (const [kind, loader] of Object.entries(loaders)) {
        add(`Python: ${kind}`, await loader.pass());
      }
    }
  } finally {
    for (const loader of Object.values(loaders)) loader.end();
    model.dispose();
  }
  const tuned = Object.fromEntries(Object.entries(loaders).map(([kind, { form }]) => [kind, form]));
  return { images: count, side, target, tuned, rates };
}

function show({ images, side, target, tuned, rates }) {
  process.stdout.write(`\n${images} images of ${side}×${side}, used at ${target}×${target}\n`);
  const base = rates.folder;
  for (const [name, all] of Object.entries(rates)) {
    const { median } = spread(all);
    // Of the same round each.
    const share = spread(all.map((rate, i) => rate / base[i]));
    const rate = `${Math.round(median)}`.padStart(8);
    const [least, most] = [share.min, share.max].map((value) => value.toFixed(2));
    process.stdout.write(
      `${name.padEnd(20)} ${rate} images/s  ${share.median.toFixed(2)} (${least}–${most}) of a folder\n`,
    );
  }
  for (const [kind, form] of Object.entries(tuned)) {
    process.stdout.write(`${kind}: ${form.decode}, ${form.workers} workers\n`);
  }
}

async function main() {
  const options = readOptions();
  if (options.help) {
    process.stdout.write(USAGE);
    return;
  }
  await runSteps([
    venvStep(REQUIREMENTS, "torch, litdata and webdataset, a minute the first time"),
  ]);
  const scratch = await mkdtemp(path.join(tmpdir(), "flexae-bench-"));
  try {
    const { rounds, forms } = options;
    const results = [];
    if (options.small > 0) {
      const small = { count: options.small, side: 28, target: 28, isJpeg: false, rounds, forms };
      results.push(await measure(small, scratch));
    }
    if (options.large > 0) {
      const large = { count: options.large, side: 256, target: 64, isJpeg: true, rounds, forms };
      results.push(await measure(large, scratch));
    }
    for (const result of results) show(result);
    const machine = { cores: availableParallelism(), load: loadavg()[0] };
    await writeFile(options.out, `${JSON.stringify({ machine, results }, null, 2)}\n`);
  } finally {
    await rm(scratch, { recursive: true, force: true });
  }
}

await runMain(main);
