#!/usr/bin/env node
// Clusters of more rows than memory holds: `flexae cluster` on many files that are few on the disk,
// its peak of memory and its rows a second. And on a table that fits, beside itself in memory and
// scikit-learn's MiniBatchKMeans, in memory and by partial_fit: inertia, seconds, peak.

import { spawn } from "node:child_process";
import { readFileSync } from "node:fs";
import { link, mkdir, mkdtemp, rm, writeFile } from "node:fs/promises";
import { loadavg, tmpdir } from "node:os";
import path from "node:path";
import { parseArgs } from "node:util";
import { root } from "../../scripts/setup/paths.mjs";
import { runMain, runSteps, SetupError } from "../../scripts/setup/steps.mjs";
import { venvPython, venvStep } from "../../scripts/setup/venv.mjs";

const USAGE = `usage: npm run bench:stream -- [options]

  --rows N      rows that are streamed (100000000); 0 for none
  --dims N      numbers an embedding (32)
  --clusters N  (100)
  --parts N     different parts of 65,536 rows, which are compared on (15)
  --out FILE    where the JSON goes (stream.json)
`;

/** What a part of embed's has. */
const PART_ROWS = 1 << 16;
/** Heaps of points, of different widths, some of which overlap. */
const HEAPS = 40;

function readOptions() {
  let values;
  try {
    ({ values } = parseArgs({
      options: {
        rows: { type: "string", default: "100000000" },
        dims: { type: "string", default: "32" },
        clusters: { type: "string", default: "100" },
        parts: { type: "string", default: "15" },
        out: { type: "string", default: "stream.json" },
        help: { type: "boolean", short: "h", default: false },
      },
    }));
  } catch (error) {
    throw new SetupError(`${error.message}\n\n${USAGE}`);
  }
  const integer = (name, least) => {
    const value = Number(values[name]);
    if (Number.isInteger(value) && value >= least) return value;
    throw new SetupError(`Expected an integer from ${least} for --${name}, not ${values[name]}`);
  };
  return {
    help: values.help,
    rows: integer("rows", 0),
    dims: integer("dims", 1),
    clusters: integer("clusters", 1),
    parts: integer("parts", 1),
    out: path.resolve(process.env.INIT_CWD ?? ".", values.out),
  };
}

/** Parts of a table whose rows are sorted by heap, as those of folders are by class. */
async function writeParts(folder, parts, dims) {
  const { ParquetTable } = await import("../../dist/embeddings/parquet.js");
  await mkdir(folder);
  let state = 1;
  const random = () => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return state / 2 ** 32;
  };
  const noise = () => random() + random() + random() + random() - 2;
  const centres = Array.from({ length: HEAPS * dims }, () => 4 * noise());
  const widths = Array.from({ length: HEAPS }, () => 0.5 + 2 * random());
  const files = [];
  for (let part = 0; part < parts; part++) {
    const embeddings = new Float32Array(PART_ROWS * dims);
    const [paths, classes] = [[], []];
    for (let i = 0; i < PART_ROWS; i++) {
      const row = part * PART_ROWS + i;
      const heap = Math.floor((HEAPS * row) / (parts * PART_ROWS));
      classes.push(`class_${heap}`);
      paths.push(`class_${heap}/image_${String(row).padStart(9, "0")}.png`);
      for (let d = 0; d < dims; d++) {
        embeddings[i * dims + d] = centres[heap * dims + d] + widths[heap] * noise();
      }
    }
    const sizes = new Int32Array(PART_ROWS).fill(28);
    const file = path.join(folder, `part-${String(part).padStart(5, "0")}.parquet`);
    const table = await ParquetTable.create(file, { version: "0", dims, file: true, map: null });
    await table.write({
      paths,
      sets: Array(PART_ROWS).fill("photos"),
      classes,
      embeddings,
      widths: sizes,
      heights: sizes,
      bytes: sizes,
    });
    await table.finish();
    files.push(file);
  }
  return files;
}

/** Runs a program that prints a line of JSON, and watches its memory. */
async function measure(command, args, cwd) {
  const began = performance.now();
  const child = spawn(command, args, { cwd, stdio: ["ignore", "pipe", "inherit"] });
  let peak = 0;
  const look = () => {
    try {
      const status = readFileSync(`/proc/${child.pid}/status`, "utf8");
      peak = Math.max(peak, Number(/VmHWM:\s+(\d+)/.exec(status)?.[1] ?? 0));
    } catch {
      // It has ended meanwhile.
    }
  };
  const timer = setInterval(look, 50);
  let text = "";
  child.stdout.on("data", (data) => {
    text += data;
  });
  const code = await new Promise((resolve) => child.on("close", resolve));
  clearInterval(timer);
  if (code !== 0) throw new SetupError(`${command} ended with ${code}: see above.`);
  const seconds = (performance.now() - began) / 1000;
  return { ...JSON.parse(text.trim().split("\n").at(-1)), seconds, peakMiB: peak / 1024 };
}

function cluster(names, clusters, memory, cwd) {
  const flexae = path.join(root, "scripts", "flexae.mjs");
  const args = ["cluster", names, "-k", clusters, "-o", "out.parquet", "--memory", memory];
  return measure(process.execPath, [flexae, ...args, "--no-sheets", "--json"].map(String), cwd);
}

async function main() {
  const options = readOptions();
  if (options.help) {
    process.stdout.write(USAGE);
    return;
  }
  const { rows, dims, clusters, parts } = options;
  await runSteps([venvStep()]);
  const scratch = await mkdtemp(path.join(tmpdir(), "flexae-bench-"));
  const results = { rows: parts * PART_ROWS, dims, clusters };
  const show = (name, { seconds, peakMiB, inertia }, count = parts * PART_ROWS) =>
    process.stdout.write(
      `${name.padEnd(34)}${seconds.toFixed(1).padStart(8)} s` +
        `${Math.round(count / seconds)
          .toLocaleString("en")
          .padStart(12)} rows/s` +
        `${Math.round(peakMiB).toLocaleString("en").padStart(8)} MiB  inertia ${inertia.toPrecision(6)}\n`,
    );
  try {
    const files = await writeParts(path.join(scratch, "parts"), parts, dims);
    results.streamed = await cluster("parts/*.parquet", clusters, "1M", scratch);
    show("flexae, several passes", results.streamed);
    results.inMemory = await cluster("parts/*.parquet", clusters, "1T", scratch);
    show("flexae, in memory", results.inMemory);
    for (const how of ["fit", "partial_fit"]) {
      const script = path.join(import.meta.dirname, "mini_batches.py");
      const args = [script, "parts", String(clusters), how];
      results[how] = await measure(venvPython(), args, scratch);
      show(`MiniBatchKMeans.${how}`, results[how]);
    }
    if (rows > 0) {
      await mkdir(path.join(scratch, "many"));
      const count = Math.ceil(rows / PART_ROWS);
      for (let i = 0; i < count; i++) {
        const name = `part-${String(i).padStart(6, "0")}.parquet`;
        await link(files[i % files.length], path.join(scratch, "many", name));
      }
      results.many = await cluster("many/*.parquet", clusters, "1M", scratch);
      results.manyRows = count * PART_ROWS;
      show(`${(count * PART_ROWS).toLocaleString("en")} rows`, results.many, results.manyRows);
    }
  } finally {
    await rm(scratch, { recursive: true, force: true });
  }
  await writeFile(options.out, `${JSON.stringify({ load: loadavg()[0], results }, null, 2)}\n`);
}

await runMain(main);
