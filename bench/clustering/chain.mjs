// The chain as a user types it: `flexae run`, `embed`, `map`, `cluster`, a process each, timed.

import { spawn } from "node:child_process";
import { once } from "node:events";
import path from "node:path";
import { root } from "../../scripts/setup/paths.mjs";
import { SetupError } from "../../scripts/setup/steps.mjs";

const PROGRAM = path.join(root, "scripts", "flexae.mjs");

/** Runs a command of the program in a folder. Gives its seconds and its last line of JSON. */
async function flexae(args, { cwd, program }) {
  const start = performance.now();
  const child = spawn(process.execPath, [program, ...args, "--json"], {
    cwd,
    stdio: ["ignore", "pipe", "pipe"],
  });
  let [answer, complaints] = ["", ""];
  child.stdout.setEncoding("utf8").on("data", (text) => {
    answer = (answer + text).slice(-100_000);
  });
  child.stderr.setEncoding("utf8").on("data", (text) => {
    complaints = (complaints + text).slice(-4000);
  });
  const [code] = await once(child, "close");
  if (code !== 0) throw new SetupError(`flexae ${args.join(" ")} failed:\n${complaints.trim()}`);
  const seconds = (performance.now() - start) / 1000;
  return { seconds, result: JSON.parse(answer.trimEnd().split("\n").at(-1)) };
}

const scores = ({ acc, nmi, ari }) => ({ acc, nmi, ari });

/** Trains and embeds. Gives the seconds of both. */
async function trainAndEmbed(set, config, where, seeded) {
  const folders = ["--train-dir", set.images, "--valid-dir", set.sample];
  const out = ["--save-dir", "run", "--overwrite", "true"];
  const train = await flexae(["run", "-c", config, ...folders, ...out, ...seeded], where);
  const embed = await flexae(["embed", "run", set.images, "-o", "embeddings.parquet"], where);
  return { train: train.seconds, embed: embed.seconds };
}

const sum = (seconds) => Object.values(seconds).reduce((a, b) => a + b);

/**
 * Images to labels by k-means, without a map.
 * @param {{ images: string, sample: string }} set folders
 * @param {import("./recipes.mjs").Recipe} recipe one with `direct`
 * @param {{ seed: number, cwd: string, program?: string }} context `cwd` is left full of files
 */
export async function runDirect(set, recipe, { seed, cwd, program = PROGRAM }) {
  const where = { cwd, program };
  const seeded = ["--seed", seed];
  const trained = await trainAndEmbed(set, recipe.direct, where, seeded);
  const cluster = await flexae(
    ["cluster", "embeddings.parquet", "-k", recipe.clusters, ...seeded],
    where,
  );
  const seconds = { ...trained, cluster: cluster.seconds };
  return { seconds: { ...seconds, total: sum(seconds) }, kmeans: scores(cluster.result) };
}

/**
 * Images to labels. Nothing but the scores looks at the images' classes.
 * @param {{ images: string, sample: string }} set folders
 * @param {import("./recipes.mjs").Recipe} recipe
 * @param {{ seed: number, cwd: string, program?: string }} context `cwd` is left full of files
 */
export async function runChain(set, recipe, { seed, cwd, program = PROGRAM }) {
  const where = { cwd, program };
  const seeded = ["--seed", seed];
  const trained = await trainAndEmbed(set, recipe.config, where, seeded);
  const near = ["--n-neighbors", recipe.neighbors, "--min-dist", recipe.minDist];
  const map = await flexae(
    ["map", "embeddings.parquet", "-o", "map.parquet", "--dims", recipe.dims, ...near, ...seeded],
    where,
  );
  const count = ["-k", recipe.clusters, ...seeded];
  const mixture = ["--method", "gmm", "--covariance", recipe.covariance];
  const cluster = await flexae(
    ["cluster", "map.parquet", ...count, ...mixture, "--restarts", recipe.restarts],
    where,
  );
  const means = await flexae(["cluster", "embeddings.parquet", ...count, "-o", "k.csv"], where);
  const seconds = { ...trained, map: map.seconds, cluster: cluster.seconds };
  return {
    seed,
    seconds: { ...seconds, total: sum(seconds) },
    mixture: scores(cluster.result),
    kmeans: scores(means.result),
  };
}
