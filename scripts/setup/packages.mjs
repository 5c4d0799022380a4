// npm packages, exactly as the lockfile has them, with opencv4nodejs built against the system's OpenCV.

import { existsSync, readFileSync } from "node:fs";
import { availableParallelism, totalmem } from "node:os";
import path from "node:path";
import { root } from "./paths.mjs";
import { output, runLogged } from "./run.mjs";
import { done } from "./steps.mjs";

const opencv = path.join(root, "node_modules", "@u4", "opencv4nodejs");

/** How many compilers to run at once: one a core, but at least 2 GB of memory for each. */
export function jobs() {
  return Math.max(1, Math.min(availableParallelism(), Math.floor(totalmem() / 2 ** 31)));
}

/** The environment in which native npm packages are built. */
export function npmEnvironment(env = process.env) {
  const result = { ...env, OPENCV4NODEJS_DISABLE_AUTOBUILD: "1", JOBS: env.JOBS ?? String(jobs()) };
  // `npm --silent run` is inherited, and would leave the log of a failure empty.
  result.npm_config_loglevel = "warn";
  // node-gyp downloads Node's headers unless told that they are already here.
  const prefix = path.dirname(path.dirname(process.execPath));
  const header = path.join(prefix, "include", "node", "node_version.h");
  if (!("npm_config_nodedir" in result) && existsSync(header)) {
    const text = readFileSync(header, "utf8");
    const part = (name) => new RegExp(`#define NODE_${name}_VERSION (\\d+)`).exec(text)?.[1];
    if (process.versions.node === ["MAJOR", "MINOR", "PATCH"].map(part).join(".")) {
      result.npm_config_nodedir = prefix;
    }
  }
  return result;
}

/** Names of the packages of the lockfile that are not installed, or in another version. */
export function outdatedPackages(folder = root) {
  const read = (file) => JSON.parse(readFileSync(path.join(folder, file), "utf8")).packages;
  const wanted = read("package-lock.json");
  let installed = {};
  try {
    installed = read("node_modules/.package-lock.json");
  } catch {
    // Never installed, or by something that is not npm.
  }
  return Object.entries(wanted)
    .filter(([name, entry]) => name !== "" && !(entry.optional && !installed[name]))
    .filter(
      ([name, entry]) =>
        installed[name]?.version !== entry.version || !existsSync(path.join(folder, name)),
    )
    .map(([name]) => name.replace(/^node_modules\//, ""));
}

/** The step that installs the packages, or only rebuilds opencv4nodejs when just that is missing. */
export function packagesStep() {
  return {
    name: "npm packages",
    hint: "opencv4nodejs is compiled: a few minutes the first time",
    async run() {
      const env = npmEnvironment();
      const loads = () =>
        existsSync(path.join(opencv, "build", "Release", "opencv4nodejs.node")) &&
        output(process.execPath, ["-e", "require('@u4/opencv4nodejs')"], { cwd: root }) !== null;
      const outdated = outdatedPackages();
      if (outdated.length === 0 && loads()) return done("as in package-lock.json");
      if (outdated.length > 0)
        await runLogged("npm-ci", "npm", ["ci", "--no-audit", "--no-fund"], { env });
      if (!loads())
        await runLogged("npm-rebuild", "npm", ["rebuild", "@u4/opencv4nodejs"], { env });
      return outdated.length > 0 ? "installed from package-lock.json" : "opencv4nodejs rebuilt";
    },
  };
}
