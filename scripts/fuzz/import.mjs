#!/usr/bin/env node
// Feeds broken models of other programs to what `flexae import` reads them with:
//
//   node scripts/fuzz/import.mjs SECONDS FOLDER [INPUT…]
//
// Inputs are the fixtures, changed: bytes anywhere, values of a description, the HDF5 file within a
// zip file. A file may be refused, with an error of ours; whatever else comes of it is written to
// FOLDER, and ends this with 1. With INPUTs, those are tried as they are. The seed is printed, and
// FLEXAE_FUZZ_SEED takes it.

import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { strFromU8, strToU8, unzipSync, zipSync } from "fflate";
import { callAddon } from "../../dist/addon/loader.js";
import { toNetwork } from "../../dist/config/network.js";
import { resolveSettings } from "../../dist/config/resolve.js";
import { readWeights } from "../../dist/import/foreign.js";
import { readModel } from "../../dist/import/read_model.js";
import { root } from "../setup/paths.mjs";
import { changesOf, fuzzSeed } from "./changes.mjs";

const [seconds, folder, ...inputs] = process.argv.slice(2);
const fixtures = path.join(root, "test", "fixtures", "models");
/** Of weights alone; see make.py beside the fixtures. */
const NETWORK = {
  values: { imageShape: [8, 8], filters: [2], pooling: ["avg"], kernel_size: [3], dims: [3] },
  spell: (name) => name,
};
/** What an input may come to, and how long that may take. */
const REFUSALS = ["FLEXAE_MODEL", "FLEXAE_CONFIG", "FLEXAE_IO"];
const MOST_MS = 40_000;

const seed = fuzzSeed();
const { random, pick, changeBytes } = changesOf(seed);

const VALUES = [
  null,
  true,
  -1,
  0,
  1,
  2,
  3,
  1e9,
  2 ** 53,
  0.5,
  "",
  "same",
  "Lambda",
  [],
  [1],
  [1, 1],
  {},
];

/** Changes one value somewhere in a description. */
function changeValue(value) {
  if (typeof value !== "object" || value === null || random(8) === 0) return pick(VALUES);
  const copy = Array.isArray(value) ? [...value] : { ...value };
  const key = pick(Object.keys(copy));
  if (key === undefined) return pick(VALUES);
  if (random(20) === 0 && Array.isArray(copy))
    copy.splice(random(copy.length), random(2), pick(copy));
  else if (random(20) === 0 && !Array.isArray(copy)) delete copy[key];
  else copy[key] = changeValue(copy[key]);
  return copy;
}

function changeDescription(bytes) {
  try {
    return strToU8(JSON.stringify(changeValue(JSON.parse(strFromU8(bytes)))));
  } catch {
    return bytes;
  }
}

/** Changes the file, or one of the files within it. */
function change(bytes) {
  const isZip = bytes[0] === 0x50 && bytes[1] === 0x4b;
  if (!isZip || random(4) === 0) return changeBytes(bytes);
  let entries = {};
  try {
    entries = unzipSync(bytes);
  } catch {
    // It was changed before.
  }
  if (Object.keys(entries).length === 0) return changeBytes(bytes);
  const name = pick(Object.keys(entries));
  const isText = name.endsWith(".json") && random(8) > 0;
  entries[name] = isText ? changeDescription(entries[name]) : changeBytes(entries[name]);
  return zipSync(entries, { level: 0 });
}

const scratch = mkdtempSync(path.join(tmpdir(), "flexae-fuzz-"));
const file = path.join(scratch, "input");

/** What is wrong with how an input was taken; undefined if nothing is. */
async function tried(bytes) {
  writeFileSync(file, bytes);
  const began = performance.now();
  try {
    const model = await readModel(file);
    const settings = resolveSettings([model.given ?? NETWORK]);
    const layers = callAddon((addon) => addon.describeLayers(JSON.stringify(toNetwork(settings))));
    readWeights(model.weights(layers));
  } catch (error) {
    if (!REFUSALS.includes(error?.code)) return error?.stack ?? String(error);
  }
  const took = performance.now() - began;
  return took > MOST_MS ? `it took ${Math.round(took)} ms` : undefined;
}

const seeds = readdirSync(fixtures)
  .filter((name) => !name.endsWith(".py"))
  .map((name) => ({ name, bytes: readFileSync(path.join(fixtures, name)) }));

async function main() {
  for (const { name, bytes } of seeds) {
    const wrong = await tried(bytes);
    if (wrong !== undefined) throw new Error(`${name}, as it is: ${wrong}`);
  }
  for (const input of inputs) {
    const wrong = await tried(readFileSync(input));
    if (wrong !== undefined) throw new Error(`${input}: ${wrong}`);
  }
  if (inputs.length > 0) return;
  console.log(`FLEXAE_FUZZ_SEED=${seed}`);
  const end = Date.now() + 1000 * Number(seconds);
  let count = 0;
  for (; Date.now() < end; count++) {
    let bytes = pick(seeds).bytes;
    for (let i = random(3); i >= 0; i--) bytes = change(bytes);
    const wrong = await tried(bytes);
    if (wrong === undefined) continue;
    const kept = path.join(folder, `import-${seed}-${count}`);
    writeFileSync(kept, bytes);
    throw new Error(`${kept}: ${wrong}`);
  }
  console.log(`${count} inputs`);
}

try {
  await main();
} finally {
  rmSync(scratch, { recursive: true });
}
