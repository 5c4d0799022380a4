// The npm packages of examples, which tests run: kept in the cache, by their lockfile.

import { createHash } from "node:crypto";
import { existsSync, readFileSync } from "node:fs";
import { copyFile, mkdir, rename, rm } from "node:fs/promises";
import path from "node:path";
import { npmCi } from "./npm.mjs";
import { cacheDir, root } from "./paths.mjs";
import { done } from "./steps.mjs";

/** Examples with packages of their own. */
const EXAMPLES = ["node", "browser"];

const exampleFolder = (name) => path.join(root, "examples", name);

function packagesFolder(name) {
  const lockfile = readFileSync(path.join(exampleFolder(name), "package-lock.json"));
  const key = createHash("sha256").update(lockfile).digest("hex").slice(0, 16);
  return path.join(cacheDir(), "examples", `${name}-${process.platform}-${process.arch}-${key}`);
}

/**
 * Installs what an example's lockfile says, unless that was done.
 * @returns {Promise<string>} the folder `node_modules`
 */
export async function examplePackages(name) {
  const folder = packagesFolder(name);
  const modules = path.join(folder, "node_modules");
  if (existsSync(modules)) return modules;
  const work = `${folder}.tmp-${process.pid}`;
  await mkdir(work, { recursive: true });
  try {
    for (const file of ["package.json", "package-lock.json"]) {
      await copyFile(path.join(exampleFolder(name), file), path.join(work, file));
    }
    await npmCi(`npm-ci-example-${name}`, work);
    // Finished by someone else meanwhile: theirs is as good.
    await rename(work, folder).catch((error) => {
      if (!existsSync(modules)) throw error;
    });
  } finally {
    await rm(work, { recursive: true, force: true });
  }
  return modules;
}

/** The step that installs the packages of all examples. */
export function examplesStep() {
  return {
    name: "Packages of examples",
    hint: "onnxruntime for Node and for browsers",
    async run() {
      const missing = EXAMPLES.filter((name) => !existsSync(packagesFolder(name)));
      if (missing.length === 0) return done("in the cache");
      for (const name of missing) await examplePackages(name);
      return `installed for ${missing.join(", ")}`;
    },
  };
}
