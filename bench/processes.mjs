#!/usr/bin/env node
// How fast processes are that train together, beside one with as many threads; what they send each
// other, and how much of that goes on while they compute.
//
//   node bench/processes.mjs [--processes 2] [--rounds 5] [-- flags of flexae run]
//
// Images are made, 256 of them; runs alternate, and the median of the last epochs of all counts.

import { spawnSync } from "node:child_process";
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";

const root = path.join(path.dirname(fileURLToPath(import.meta.url)), "..");
const own = process.argv.slice(2);
const split = own.includes("--") ? own.indexOf("--") : own.length;
const { values } = parseArgs({
  args: own.slice(0, split),
  options: {
    processes: { type: "string", default: "2" },
    rounds: { type: "string", default: "5" },
    images: { type: "string", default: "256" },
  },
});
const processes = Number(values.processes);
const flags = own.slice(split + 1);

/** Grey discs, so that there is something to learn; PGM, so that reading costs nothing. */
function writeImages(folder, count, side) {
  mkdirSync(folder, { recursive: true });
  for (let n = 0; n < count; n++) {
    const [x, y, r] = [17, 29, 7].map((k) => (((n + 3) * k * 2654435761) % 1000) / 1000);
    const pixels = Buffer.alloc(side * side, 30);
    for (let i = 0; i < side; i++) {
      for (let j = 0; j < side; j++) {
        const inside = (i / side - y) ** 2 + (j / side - x) ** 2 < 0.02 + 0.1 * r;
        if (inside) pixels[i * side + j] = 200 + ((i * j) % 50);
      }
    }
    const head = Buffer.from(`P5\n${side} ${side}\n255\n`);
    writeFileSync(path.join(folder, `${n}.pgm`), Buffer.concat([head, pixels]));
  }
}

const median = (list) => [...list].sort((a, b) => a - b)[Math.floor(list.length / 2)];

const work = mkdtempSync(path.join(tmpdir(), "flexae-processes-"));
try {
  writeImages(path.join(work, "train"), Number(values.images), 256);
  writeImages(path.join(work, "valid"), 8, 256);
  const train = (...how) => {
    const { status, stdout, stderr } = spawnSync(
      process.execPath,
      [
        path.join(root, "scripts", "flexae.mjs"),
        ...["run", "--json", "--no-report", "--overwrite", "--save-dir=run"],
        ...["--train-dir=train", "--valid-dir=valid", "--train-epochs=4"],
        ...["--checkpoint-epochs=0", "--precision=fp32", ...flags, ...how],
      ],
      { cwd: work, encoding: "utf8" },
    );
    if (status !== 0) throw new Error(stderr);
    const lines = stdout
      .trim()
      .split("\n")
      .map((line) => JSON.parse(line));
    const epochs = lines.filter(({ event }) => event === "epoch");
    const { traffic } = lines.at(-1);
    // The first epoch decodes, and finds its buffers.
    return { speeds: epochs.slice(1).map((e) => e.imagesPerSecond), start: lines[0], traffic };
  };
  const all = { one: [], many: [] };
  let last;
  for (let round = 0; round < Number(values.rounds); round++) {
    all.one.push(...train(`--threads=${processes}`).speeds);
    last = train(`--processes=${processes}`, "--threads=1");
    all.many.push(...last.speeds);
    const ratio = median(all.many) / median(all.one);
    process.stderr.write(`round ${round + 1}: ${ratio.toFixed(3)}\n`);
  }
  const { traffic, start } = last;
  const steps = 4 * start.batches;
  const result = {
    processes,
    parameters: start.parameters.trainable,
    oneImagesPerSecond: Math.round(median(all.one)),
    manyImagesPerSecond: Math.round(median(all.many)),
    ratio: Number((median(all.many) / median(all.one)).toFixed(3)),
    gradientBytesAStep: Math.round(traffic.gradientBytes / steps),
    // A ring sends each byte 2(R − 1)/R times.
    wireBytesAStep: Math.round(((traffic.bytes / steps) * 2 * (processes - 1)) / processes),
    sumsAStep: Number((traffic.sums / steps).toFixed(1)),
    gradientMsAStep: Number(((traffic.gradientSeconds * 1000) / steps).toFixed(2)),
    gradientWaitedMsAStep: Number(((traffic.gradientWaited * 1000) / steps).toFixed(2)),
    otherWaitedMsAStep: Number(
      (((traffic.waited - traffic.gradientWaited) * 1000) / steps).toFixed(2),
    ),
    overlap: Number((1 - traffic.gradientWaited / traffic.gradientSeconds).toFixed(3)),
  };
  process.stdout.write(`${JSON.stringify(result, null, 2)}\n`);
} finally {
  rmSync(work, { recursive: true, force: true });
}
