// An addon for each minor version of libtorch, which keeps no binary compatibility between them.
// They are linked without a path to their libtorch: the launcher gives it.

import { existsSync, readdirSync, rmSync } from "node:fs";
import path from "node:path";
import { addonKey, buildNative, SAME_LIBTORCH } from "../setup/addon.mjs";
import { digest, reasonNotKept, restoreCompiled } from "../setup/cache.mjs";
import { inspectLibtorch, LIBTORCH_VERSION, resolveLibtorch } from "../setup/libtorch.mjs";
import { loadProblem } from "../setup/native.mjs";
import { locateOpenCV } from "../setup/opencv.mjs";
import { root } from "../setup/paths.mjs";
import { SetupError } from "../setup/steps.mjs";

const KIND = "bundled-addon";

export const minorOf = (version) => version.split(".", 2).join(".");

/** The libtorch that is fetched for each minor version. */
export const VERSIONS = new Map(
  ["2.11.0", "2.12.1", LIBTORCH_VERSION, "2.14.1"].map((version) => [minorOf(version), version]),
);

/**
 * The libtorch to compile against: a folder that was given, else one from the cache or fetched.
 * @param {string} minor
 * @param {string[]} folders
 */
export async function libtorchFor(minor, folders) {
  for (const folder of folders) {
    const found = inspectLibtorch(folder);
    if ("problem" in found) throw new SetupError(`${folder} cannot be used: ${found.problem}.`);
    if (minorOf(found.version) === minor) return { version: found.version, folder };
  }
  const { LIBTORCH, ...env } = process.env;
  const version = VERSIONS.get(minor);
  return resolveLibtorch({ version, gpu: false, env });
}

/** The folders that the libraries of a libtorch lie in. */
export function librariesOf(libtorch) {
  const nvidia = path.join(libtorch, "..", "nvidia");
  const more = existsSync(nvidia) ? readdirSync(nvidia) : [];
  return [
    path.join(libtorch, "lib"),
    ...more.map((name) => path.join(nvidia, name, "lib")).filter((folder) => existsSync(folder)),
  ];
}

/**
 * The addon for a libtorch, from the cache or compiled.
 * @returns {Promise<{ file: string, how: string }>}
 */
export async function bundledAddon(libtorch) {
  const minor = minorOf(libtorch.version);
  // As deep as build/, so that ccache finds what was compiled there.
  const folder = path.join(root, `build-bundle-${minor}`);
  const file = path.join(folder, "Release", "flexae.node");
  const key = digest(addonKey(libtorch.folder, await locateOpenCV()), KIND);
  const env = { ...process.env, LD_LIBRARY_PATH: librariesOf(libtorch.folder).join(":") };
  const problem = () => loadProblem(file, SAME_LIBTORCH, env);

  if ((await restoreCompiled(KIND, key, file)) !== null && problem() === null) {
    return { file, how: "compiled earlier" };
  }
  // The build would take it for finished.
  rmSync(file, { force: true });
  const defines = { CMAKE_SKIP_RPATH: "ON" };
  await buildNative({ folder, libtorch: libtorch.folder, defines, log: `bundle-${minor}` });
  const reason = problem();
  if (reason !== null) {
    throw new SetupError(`The addon for libtorch ${minor} does not load: ${reason}`);
  }
  const unkept = await reasonNotKept(KIND, key, file);
  return { file, how: unkept === null ? "compiled" : `compiled; not kept for later: ${unkept}` };
}
