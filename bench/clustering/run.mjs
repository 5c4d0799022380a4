#!/usr/bin/env node
// How well and how fast images without labels are clustered: training, embedding, map and mixture
// of 70,000 digits and 70,000 pieces of clothing, for several seeds; see docs/clustering.md.

import { mkdtemp, rm, writeFile } from "node:fs/promises";
import os from "node:os";
import path from "node:path";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";
import { addonStep } from "../../scripts/setup/addon.mjs";
import { libtorchStep } from "../../scripts/setup/libtorch.mjs";
import { packagesStep } from "../../scripts/setup/packages.mjs";
import { root } from "../../scripts/setup/paths.mjs";
import { done, runMain, runSteps, SetupError } from "../../scripts/setup/steps.mjs";
import { typescriptStep } from "../../scripts/setup/typescript.mjs";
import { venvPython, venvStep } from "../../scripts/setup/venv.mjs";
import { runChain, runDirect } from "./chain.mjs";
import { PUBLISHED } from "./published.mjs";
import { runPython } from "./python.mjs";
import { RECIPES } from "./recipes.mjs";
import { scoreRows, secondRows, summarizeChains, tableText } from "./report.mjs";
import { openSet, SETS } from "./sets.mjs";

const requirements = fileURLToPath(new URL("requirements.txt", import.meta.url));
const NAMES = SETS.map(({ name }) => name);

const USAGE = `usage: npm run bench:clustering -- [options]

  --sets a,b      of ${NAMES.join(", ")} (all)
  --seeds N       how many seeds, 1 to N (5)
  --images N      about so many images of each set, for a rehearsal (70000)
  --python N      for how many of the seeds the same chain runs in Python, too (0)
  --program FILE  the flexae that is measured (this clone's)
  --out FILE      where the JSON goes (clustering.json)
`;

function integer(text, flag, least) {
  const value = Number(text);
  if (Number.isInteger(value) && value >= least) return value;
  throw new SetupError(`Expected an integer of at least ${least} for ${flag}, not ${text}`);
}

function readOptions() {
  let values;
  try {
    ({ values } = parseArgs({
      options: {
        sets: { type: "string", default: NAMES.join(",") },
        seeds: { type: "string", default: "5" },
        images: { type: "string" },
        python: { type: "string", default: "0" },
        program: { type: "string" },
        out: { type: "string", default: "clustering.json" },
        help: { type: "boolean", short: "h", default: false },
      },
    }));
  } catch (error) {
    throw new SetupError(`${error.message}\n\n${USAGE}`);
  }
  const names = values.sets.split(",");
  const stranger = names.find((name) => !NAMES.includes(name));
  if (stranger !== undefined) {
    throw new SetupError(`Expected ${NAMES.join(", ")} for --sets but received ${stranger}`);
  }
  const here = process.env.INIT_CWD ?? ".";
  const seeds = integer(values.seeds, "--seeds", 1);
  return {
    help: values.help,
    sets: SETS.filter(({ name }) => names.includes(name)),
    seeds: Array.from({ length: seeds }, (_, i) => i + 1),
    // Of fewer images a mixture of ten would have classes of a handful.
    images: values.images === undefined ? undefined : integer(values.images, "--images", 500),
    python: integer(values.python, "--python", 0),
    program: values.program === undefined ? undefined : path.resolve(here, values.program),
    out: path.resolve(here, values.out),
  };
}

const say = (text = "") => process.stdout.write(`${text}\n`);
const note = (text) => process.stderr.write(`${text}\n`);

function setStep(set, opened, images) {
  return {
    name: set.title,
    hint: "fetched by npm and written as PNG files the first time",
    async run() {
      const found = await openSet(set, images);
      opened.set(set.name, found);
      return done(`${found.count} images in ${found.images}`);
    },
  };
}

const scored = ({ acc, nmi }, { total }) =>
  `ACC ${acc.toFixed(4)}, NMI ${nmi.toFixed(4)} in ${total.toFixed(0)} s`;
const brief = ({ seed, seconds, mixture, direct }) =>
  `seed ${seed}: ${scored(mixture, seconds)}${direct === undefined ? "" : `; k-means ${scored(direct.kmeans, direct.seconds)}`}`;

/** Every seed's chain, and the same in Python after those that have one. */
async function measure(set, folders, { seeds, python, program }) {
  const recipe = RECIPES[set.name];
  const [ours, peer] = [[], []];
  const cwd = await mkdtemp(path.join(os.tmpdir(), "flexae-bench-"));
  try {
    for (const seed of seeds) {
      const context = { seed, cwd, program };
      const chain = await runChain(folders, recipe, context);
      const isDirect = recipe.direct !== undefined;
      ours.push(isDirect ? { ...chain, direct: await runDirect(folders, recipe, context) } : chain);
      note(`  ${brief(ours.at(-1))}`);
      if (seed > python) continue;
      peer.push(await runPython(folders, recipe, { seed, python: venvPython(requirements) }));
      note(`  Python, ${brief(peer.at(-1))}`);
    }
  } finally {
    await rm(cwd, { recursive: true, force: true });
  }
  return { ours, python: peer };
}

function show(set, { count, ours, python }) {
  const ourSummary = summarizeChains(ours);
  const peerSummary = python.length === 0 ? null : summarizeChains(python);
  say(`\n${set.title}, ${count} images, ${ours.length} seeds\n`);
  say(tableText(scoreRows(ourSummary, peerSummary, PUBLISHED[set.name])));
  // Seconds are compared between chains that ran one after the other.
  const beside = python.length === 0 ? ours : ours.slice(0, python.length);
  say(tableText(secondRows(summarizeChains(beside), peerSummary)));
  const direct = ourSummary.direct?.seconds;
  if (direct !== undefined) {
    const steps = Object.entries(direct).map(([step, { mean }]) => `${step} ${mean.toFixed(1)}`);
    say(`Trained for k-means, seconds: ${steps.join(", ")}\n`);
  }
}

async function main() {
  const options = readOptions();
  if (options.help) return say(USAGE.trimEnd());
  const opened = new Map();
  await runSteps([
    packagesStep(),
    ...(process.env.FLEXAE_ADDON ? [] : [libtorchStep(), addonStep()]),
    typescriptStep(),
    ...(options.python > 0
      ? [venvStep(requirements, "torch, umap-learn and scikit-learn, a minute the first time")]
      : []),
    ...options.sets.map((set) => setStep(set, opened, options.images)),
  ]);
  const { loadAddon } = await import("../../dist/addon/loader.js");
  const { cpu } = loadAddon().hardware();
  const result = {
    date: new Date().toISOString(),
    machine: { cpu, loadAverage: os.loadavg(), system: `${os.type()} ${os.release()}` },
    versions: loadAddon().versions(),
    sets: [],
  };
  say(`\n${cpu.name}, ${cpu.cores} cores, load average ${os.loadavg()[0].toFixed(1)}`);
  for (const set of options.sets) {
    const folders = opened.get(set.name);
    note(`${set.title}:`);
    const { ours, python } = await measure(set, folders, options);
    const measured = { name: set.name, count: folders.count, ours, python };
    show(set, measured);
    const recipe = RECIPES[set.name];
    const config = path.relative(root, recipe.config);
    const direct = recipe.direct && path.relative(root, recipe.direct);
    const published = PUBLISHED[set.name];
    result.sets.push({ ...measured, recipe: { ...recipe, config, direct }, published });
    // After each set: what was measured stays when a later one fails.
    await writeFile(options.out, `${JSON.stringify(result, null, 2)}\n`);
  }
  say(`Written to ${options.out}`);
}

await runMain(main);
