// A clone's npm packages, exactly as the lockfile has them.

import { existsSync, readFileSync } from "node:fs";
import path from "node:path";
import { npmCi } from "./npm.mjs";
import { root } from "./paths.mjs";
import { done } from "./steps.mjs";

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

/** The step that installs the packages. */
export function packagesStep() {
  return {
    name: "npm packages",
    async run() {
      if (outdatedPackages().length === 0) return done("as in package-lock.json");
      await npmCi("npm-ci", root, "--include=dev");
      return "installed from package-lock.json";
    },
  };
}
