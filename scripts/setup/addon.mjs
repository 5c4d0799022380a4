// Builds the addon by cmake-js: build/Release/flexae.node.

import { existsSync, readdirSync, readFileSync, statSync, utimesSync } from "node:fs";
import { createRequire } from "node:module";
import path from "node:path";
import { recordFile } from "./libtorch.mjs";
import { root } from "./paths.mjs";
import { jobs, runLogged } from "./run.mjs";
import { done, SetupError } from "./steps.mjs";

/** Newest modification time of the files below some paths, in milliseconds; 0 if there are none. */
export function newest(...paths) {
  let latest = 0;
  for (const item of paths) {
    const info = statSync(item, { throwIfNoEntry: false });
    if (!info) continue;
    if (info.isDirectory()) {
      latest = Math.max(
        latest,
        info.mtimeMs,
        newest(...readdirSync(item).map((name) => path.join(item, name))),
      );
    } else {
      latest = Math.max(latest, info.mtimeMs);
    }
  }
  return latest;
}

/** The cmake-js program, wherever npm put it. */
function cmakeJs() {
  const require = createRequire(path.join(root, "package.json"));
  return path.join(path.dirname(require.resolve("cmake-js/package.json")), "bin", "cmake-js");
}

/** The libtorch that set-up noted. */
export function recordedLibtorch() {
  if (!existsSync(recordFile)) throw new SetupError("No libtorch is set up: run `npm run setup`.");
  return readFileSync(recordFile, "utf8").trim();
}

/** The folder that `npm run build:addon` and node-gyp build in. */
export const buildFolder = path.join(root, "build");

/**
 * Configures and builds with cmake-js: CMake's own files go to `folder`/cmake (node-gyp keeps a Makefile
 * in build/ as CMake would), the addon and programs to `folder`/Release.
 * @param {{ folder?: string, libtorch?: string, target?: string | null, defines?: Record<string, string>,
 *   env?: NodeJS.ProcessEnv, log?: string }} [options] `target` null only configures
 */
export async function buildNative(options = {}) {
  const folder = options.folder ?? buildFolder;
  const log = options.log ?? "addon";
  const env = options.env ?? process.env;
  const target = options.target === undefined ? "flexae_addon" : options.target;
  const defines = {
    FLEXAE_LIBTORCH: options.libtorch ?? recordedLibtorch(),
    FLEXAE_OUTPUT: path.join(folder, "Release"),
    ...options.defines,
  };
  const common = [cmakeJs(), "--directory", root, "--out", path.join(folder, "cmake")];
  const flags = Object.entries(defines).map(([name, value]) => `--CD${name}=${value}`);
  const configure = [...common, ...flags, "configure"];
  await runLogged(`${log}-configure`, process.execPath, configure, { env });
  if (target === null) return;
  const build = [...common, "--parallel", String(jobs()), "--target", target, "build"];
  await runLogged(`${log}-build`, process.execPath, build, { env });
}

/** The step that builds the addon unless it is newer than everything it is made from. */
export function addonStep() {
  return {
    name: "Native addon",
    hint: "compiled by cmake-js, a few minutes the first time",
    async run() {
      const addon = path.join(buildFolder, "Release", "flexae.node");
      const sources = ["native/core", "native/data", "native/addon", "cmake", "CMakeLists.txt"];
      const inputs = ["package.json", ...sources].map((name) => path.join(root, name));
      if (existsSync(addon) && statSync(addon).mtimeMs >= newest(...inputs, recordFile)) {
        return done("build/Release/flexae.node is up to date");
      }
      const start = new Date();
      await buildNative();
      // A build that found nothing to do leaves the file as old as it was; one that ran while a source
      // was edited must not look newer than the edit.
      utimesSync(addon, start, start);
      return "build/Release/flexae.node";
    },
  };
}
