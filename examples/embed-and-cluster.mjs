/**
 * Embeds a folder of images with a trained encoder and groups them by k-means.
 *
 *     node examples/embed-and-cluster.mjs MODEL FOLDER [CLUSTERS]
 *
 * MODEL is the en.pt (or ae.pt) of a run.
 * FOLDER may hold one folder a class; the classes are then counted in each cluster.
 */
import { readdir } from "node:fs/promises";
import { dirname, join, relative } from "node:path";
import { load } from "flexible-autoencoder";

const [modelPath, folder, clusterText = "10"] = process.argv.slice(2);
if (modelPath === undefined || folder === undefined) {
  console.error("usage: node examples/embed-and-cluster.mjs MODEL FOLDER [CLUSTERS]");
  process.exit(2);
}

const entries = await readdir(folder, { recursive: true, withFileTypes: true });
const files = entries
  .filter((entry) => entry.isFile() && /\.(png|jpe?g|bmp|tiff?|webp)$/i.test(entry.name))
  .map((entry) => join(entry.parentPath, entry.name))
  .sort();

const encoder = await load(modelPath);
const { data, shape } = await encoder.encode(files);
encoder.dispose();

const count = files.length;
const width = data.length / count;
const clusters = Math.min(Number(clusterText), count);
console.log(`${count} images embedded, ${shape.slice(1).join("×")} numbers each`);

/** Squared distance of embedding `i` to a centre. */
function distance(i, centre) {
  let sum = 0;
  for (let j = 0; j < width; j++) sum += (data[i * width + j] - centre[j]) ** 2;
  return sum;
}

/** The first centres, each the embedding farthest from those before it. */
function firstCentres() {
  const centres = [data.slice(0, width)];
  const nearest = new Float64Array(count).fill(Number.POSITIVE_INFINITY);
  while (centres.length < clusters) {
    let farthest = 0;
    for (let i = 0; i < count; i++) {
      nearest[i] = Math.min(nearest[i], distance(i, centres.at(-1)));
      if (nearest[i] > nearest[farthest]) farthest = i;
    }
    centres.push(data.slice(farthest * width, (farthest + 1) * width));
  }
  return centres;
}

const centres = firstCentres();
const member = new Int32Array(count).fill(-1);
for (let round = 0; round < 100; round++) {
  let moved = 0;
  for (let i = 0; i < count; i++) {
    let best = 0;
    for (let c = 1; c < clusters; c++) {
      if (distance(i, centres[c]) < distance(i, centres[best])) best = c;
    }
    if (member[i] !== best) moved++;
    member[i] = best;
  }
  if (moved === 0) break;
  for (const [c, centre] of centres.entries()) {
    const mine = [...member.keys()].filter((i) => member[i] === c);
    if (mine.length === 0) continue;
    for (let j = 0; j < width; j++) {
      centre[j] = mine.reduce((sum, i) => sum + data[i * width + j], 0) / mine.length;
    }
  }
}

for (let c = 0; c < clusters; c++) {
  const classes = new Map();
  for (const [i, file] of files.entries()) {
    if (member[i] !== c) continue;
    const name = relative(folder, dirname(file)) || ".";
    classes.set(name, (classes.get(name) ?? 0) + 1);
  }
  const counts = [...classes].sort((a, b) => b[1] - a[1]).map(([name, n]) => `${name} ${n}`);
  const size = [...classes.values()].reduce((a, b) => a + b, 0);
  console.log(`cluster ${c}: ${size} images (${counts.slice(0, 4).join(", ")})`);
}
