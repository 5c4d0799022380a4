#!/usr/bin/env node
// What reading image files costs a training: the default network on PNG and JPEG files, for each kind of
// cache, beside the same images already in memory. All take turns; an epoch's speed is compared with
// the same epoch of the same round.

import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { availableParallelism, loadavg, tmpdir } from "node:os";
import path from "node:path";
import { parseArgs } from "node:util";
import { encodeGrayPng } from "../scripts/setup/png.mjs";
import { quantile } from "./peers/statistics.mjs";
import { positiveOptions } from "./positive_options.mjs";

const { values } = parseArgs({
  options: {
    images: { type: "string", default: "512" },
    side: { type: "string", default: "256" },
    epochs: { type: "string", default: "3" },
    rounds: { type: "string", default: "3" },
    formats: { type: "string", default: "png,jpg" },
    caches: { type: "string", default: "ram,disk,none" },
  },
});
const [images, side, epochs, rounds] = positiveOptions(values, [
  "images",
  "side",
  "epochs",
  "rounds",
]);

/** The values of a list given as text, all among those known. */
function listed(name, known) {
  const list = values[name].split(",");
  if (list.every((value) => known.includes(value))) return list;
  process.stderr.write(`Expected some of ${known.join(", ")} for --${name}\n`);
  process.exit(2);
}
const formats = listed("formats", ["png", "jpg"]);
const caches = listed("caches", ["ram", "disk", "none"]);

const median = (values) => quantile(values, 0.5);
const scratch = mkdtempSync(path.join(tmpdir(), "flexae-bench-"));
process.on("exit", () => rmSync(scratch, { recursive: true, force: true }));
// Each run shall build its own disk cache.
process.env.FLEXAE_CACHE = path.join(scratch, "cache");
const { createTraining } = await import("flexible-autoencoder");
const { loadOpenCV } = await import("../dist/imaging/opencv.js");
const cv = loadOpenCV();

/** OpenCV's number for one byte a pixel. */
const CV_8UC1 = 0;

/** Soft shapes with some noise: neither trivial nor impossible to compress. */
function draw(seed) {
  const pixels = new Uint8Array(side * side);
  let state = seed * 2654435761;
  const random = () => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return state / 2 ** 32;
  };
  const [a, b, c] = [random() * 9, random() * 9, random() * 6];
  for (let y = 0; y < side; y++) {
    for (let x = 0; x < side; x++) {
      const wave = Math.sin((a * x) / side + c) * Math.cos((b * y) / side);
      pixels[y * side + x] = 128 + 100 * wave + 16 * random();
    }
  }
  return pixels;
}

const batch = new Uint8Array(images * side * side);
for (const kind of ["png", "jpg"]) mkdirSync(path.join(scratch, kind));
for (let i = 0; i < images; i++) {
  const pixels = draw(i + 1);
  batch.set(pixels, i * side * side);
  const name = String(i).padStart(6, "0");
  writeFileSync(path.join(scratch, "png", `${name}.png`), encodeGrayPng(pixels, side, side));
  const mat = new cv.Mat(Buffer.from(pixels), side, side, CV_8UC1);
  writeFileSync(path.join(scratch, "jpg", `${name}.jpg`), cv.imencode(".jpg", mat));
}
const valid = batch.subarray(0, 8 * side * side);

/** Images a second of each epoch. */
async function speeds(line) {
  rmSync(process.env.FLEXAE_CACHE, { recursive: true, force: true });
  const settings = { imageShape: [side, side], trainEpochs: epochs, period: 1e6 };
  const options = { save: false, images: { valid } };
  if (line.kind === undefined) options.images.train = batch;
  else Object.assign(settings, { trainDir: path.join(scratch, line.kind), cache: line.cache });
  const training = createTraining(settings, options);
  const result = [];
  for await (const event of training)
    if (event.type === "epoch") result.push(event.imagesPerSecond);
  await training.result;
  return result;
}

const lines = [
  { title: "in memory" },
  ...formats.flatMap((kind) =>
    caches.map((cache) => ({ title: `${kind}, cache ${cache}`, kind, cache })),
  ),
];
const samples = lines.map(() => []);
process.stdout.write(
  `${images} images of ${side}×${side}, the default network; ${availableParallelism()} threads, load ${loadavg()[0].toFixed(1)}\n`,
);
for (let round = 0; round < rounds; round++) {
  const order = lines.map((_, i) => (i + round) % lines.length);
  for (const i of order) samples[i].push(await speeds(lines[i]));
}
/** The epochs that a column is about: the first decodes, later ones read what is there. */
const columns = [
  { title: "epoch 1", epochs: [0] },
  { title: "later epochs", epochs: Array.from({ length: epochs - 1 }, (_, e) => e + 1) },
];
const percent = (ratio) => `${(100 * ratio).toFixed(1)} %`;
const row = (title, cells) =>
  process.stdout.write(`${title.padEnd(18)}${cells.map((c) => c.padEnd(40)).join("")}\n`);
process.stdout.write("\nimages/s in memory, or of memory's: median (the middle half)\n");
row("", [...columns.map(({ title }) => title)]);
for (const [i, line] of lines.entries()) {
  const cells = columns.map((column) => {
    const of = (k) => column.epochs.flatMap((e) => samples[k].map((s) => s[e]));
    if (i === 0) return median(of(0)).toFixed(1);
    const memory = of(0);
    const ratios = of(i).map((speed, k) => speed / memory[k]);
    return `${percent(median(ratios))} (${percent(quantile(ratios, 0.25))} to ${percent(quantile(ratios, 0.75))})`;
  });
  row(line.title, cells);
}
