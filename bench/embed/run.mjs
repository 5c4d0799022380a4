#!/usr/bin/env node
// How fast image files become a table of embeddings: `embed` of this program beside a tuned Python
// line (frozen TorchScript, DataLoader, pyarrow), in turns; and beside what decoding and encoding
// would take, each with all cores, one after the other.

import { spawn } from "node:child_process";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { availableParallelism, loadavg, tmpdir } from "node:os";
import path from "node:path";
import { createInterface } from "node:readline";
import { parseArgs } from "node:util";
import { runMain, runSteps, SetupError } from "../../scripts/setup/steps.mjs";
import { venvPython, venvStep } from "../../scripts/setup/venv.mjs";
import { writeImages } from "../images.mjs";
import { spread } from "../peers/statistics.mjs";

const USAGE = `usage: npm run bench:embed -- [options]

  --images N   files of each size (60000)
  --sides A,B  pixels a side, of 28 and 128, which takes Python long (28)
  --rounds N   turns (5)
  --out FILE   where the JSON goes (embed.json)
`;

/** The networks: those of bench:peers with these sizes, each about as deep as its images allow. */
const NETWORKS = {
  28: { filters: "16,32", kernelSize: "3", strides: "2", pooling: "no", dims: "32" },
  128: { filters: "32,64,64", kernelSize: "3", strides: "1", pooling: "max", dims: "64" },
};

function readOptions() {
  let values;
  try {
    ({ values } = parseArgs({
      options: {
        images: { type: "string", default: "60000" },
        sides: { type: "string", default: "28" },
        rounds: { type: "string", default: "5" },
        out: { type: "string", default: "embed.json" },
        help: { type: "boolean", short: "h", default: false },
      },
    }));
  } catch (error) {
    throw new SetupError(`${error.message}\n\n${USAGE}`);
  }
  const integer = (name) => {
    const value = Number(values[name]);
    if (Number.isInteger(value) && value >= 1) return value;
    throw new SetupError(`Expected an integer of at least 1 for --${name}, not ${values[name]}`);
  };
  const sides = values.sides.split(",");
  const strange = sides.find((side) => !Object.hasOwn(NETWORKS, side));
  if (strange !== undefined) {
    const known = Object.keys(NETWORKS).join(", ");
    throw new SetupError(`Expected some of ${known} for --sides, not ${strange}`);
  }
  return {
    help: values.help,
    images: integer("images"),
    sides: sides.map(Number),
    rounds: integer("rounds"),
    out: path.resolve(process.env.INIT_CWD ?? ".", values.out),
  };
}

/** The Python line as a process: it makes a pass for each line it is sent. */
class PythonLine {
  #child;
  #lines;

  static async start(job) {
    const line = new PythonLine();
    const script = path.join(import.meta.dirname, "files_to_parquet.py");
    line.#child = spawn(venvPython(), [script, JSON.stringify(job)], {
      stdio: ["pipe", "pipe", "inherit"],
    });
    line.#lines = createInterface({ input: line.#child.stdout })[Symbol.asyncIterator]();
    line.form = await line.#next();
    return line;
  }

  async #next() {
    const { value, done } = await this.#lines.next();
    if (done) throw new SetupError("The Python line ended: see above.");
    return JSON.parse(value);
  }

  async pass() {
    this.#child.stdin.write("\n");
    return await this.#next();
  }

  end() {
    this.#child.stdin.end();
  }
}

async function measure(side, { images, rounds }, scratch) {
  const { embed, train } = await import("flexible-autoencoder");
  const folder = path.join(scratch, `images_${side}`);
  await writeImages(folder, images, side);
  const { runDir } = await train({
    ...NETWORKS[side],
    trainDir: path.join(folder, "class_0"),
    validDir: path.join(folder, "class_1"),
    imageShape: `${side},${side}`,
    trainEpochs: 1,
    optimizer: "adam",
    saveDir: path.join(scratch, `run_${side}`),
  });
  const threads = availableParallelism();
  const python = await PythonLine.start({
    images: folder,
    encoder: path.join(runDir, "en.pt"),
    out: path.join(scratch, "python.parquet"),
    batchSize: 256,
    threads,
  });
  const [ours, theirs, shares] = [[], [], []];
  try {
    for (let round = 0; round < rounds; round++) {
      const out = path.join(scratch, "ours.parquet");
      const result = await embed(runDir, { sets: folder, out });
      const { decodeImagesPerSecond: decode, encodeImagesPerSecond: encode } = result;
      ours.push(result.imagesPerSecond);
      // What it would be if each had all cores, one after the other.
      shares.push(result.imagesPerSecond * (1 / decode + 1 / encode));
      const { images: count, seconds } = await python.pass();
      theirs.push(count / seconds);
    }
  } finally {
    python.end();
  }
  return {
    side,
    images,
    python: python.form,
    imagesPerSecond: spread(ours),
    pythonImagesPerSecond: spread(theirs),
    ratio: spread(ours.map((rate, i) => rate / theirs[i])),
    shareOfSerial: spread(shares),
  };
}

const rate = ({ median }) => Math.round(median).toLocaleString("en");
const range = ({ median, min, max }) =>
  `${median.toFixed(2)} (${min.toFixed(2)} to ${max.toFixed(2)})`;

async function main() {
  const options = readOptions();
  if (options.help) {
    process.stdout.write(USAGE);
    return;
  }
  await runSteps([venvStep()]);
  const scratch = await mkdtemp(path.join(tmpdir(), "flexae-bench-"));
  const results = [];
  try {
    for (const side of options.sides) {
      const result = await measure(side, options, scratch);
      results.push(result);
      const { channelsLast, bf16, workers } = result.python;
      process.stdout.write(
        `\n${result.images} files of ${side}x${side}, in turns, ${options.rounds} rounds\n` +
          `  ours    ${rate(result.imagesPerSecond)} images/s\n` +
          `  Python  ${rate(result.pythonImagesPerSecond)} images/s ` +
          `(${workers} workers, ${bf16 ? "bf16" : "fp32"}${channelsLast ? ", channels_last" : ""})\n` +
          `  ours is ${range(result.ratio)} times as fast\n` +
          `  of decoding and encoding one after the other on all cores: ` +
          `${range(result.shareOfSerial)}\n`,
      );
    }
  } finally {
    await rm(scratch, { recursive: true, force: true });
  }
  await writeFile(options.out, `${JSON.stringify({ load: loadavg()[0], results }, null, 2)}\n`);
}

await runMain(main);
