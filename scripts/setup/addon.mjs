// Builds the addon by cmake-js: build/Release/flexae.node.

import { existsSync, readdirSync, readFileSync, statSync, utimesSync } from "node:fs";
import { createRequire } from "node:module";
import path from "node:path";
import { recordFile } from "./libtorch.mjs";
import { jobs } from "./packages.mjs";
import { root } from "./paths.mjs";
import { runLogged } from "./run.mjs";
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

/**
 * Configures and builds with cmake-js.
 * @param {{ out?: string, libtorch?: string, targets?: string[], defines?: Record<string, string>,
 *   env?: NodeJS.ProcessEnv, log?: string }} [options]
 */
export async function buildNative(options = {}) {
  const out = options.out ?? path.join(root, "build");
  const log = options.log ?? "addon";
  const defines = { FLEXAE_LIBTORCH: options.libtorch ?? recordedLibtorch(), ...options.defines };
  const common = [cmakeJs(), "--directory", root, "--out", out];
  const flags = Object.entries(defines).map(([name, value]) => `--CD${name}=${value}`);
  const runOptions = { env: { ...process.env, ...options.env } };
  await runLogged(
    `${log}-configure`,
    process.execPath,
    [...common, ...flags, "configure"],
    runOptions,
  );
  for (const target of options.targets ?? ["flexae_addon"]) {
    const build = [...common, "--parallel", String(jobs()), "--target", target, "build"];
    await runLogged(`${log}-build`, process.execPath, build, runOptions);
  }
}

/** The step that builds the addon unless it is newer than everything it is made from. */
export function addonStep() {
  return {
    name: "Native addon",
    hint: "compiled by cmake-js, a few minutes the first time",
    async run() {
      const addon = path.join(root, "build", "Release", "flexae.node");
      const sources = [
        "native/core",
        "native/data",
        "native/addon",
        "cmake",
        "CMakeLists.txt",
        "package.json",
      ];
      const inputs = [...sources.map((name) => path.join(root, name)), recordFile];
      if (existsSync(addon) && statSync(addon).mtimeMs >= newest(...inputs)) {
        return done("build/Release/flexae.node is up to date");
      }
      await buildNative();
      // A build that found nothing to do leaves the file as old as it was.
      utimesSync(addon, new Date(), new Date());
      return "build/Release/flexae.node";
    },
  };
}
