// Python virtual environments for tests and benchmarks, kept in the cache and keyed by their requirements.

import { createHash } from "node:crypto";
import { existsSync, readFileSync } from "node:fs";
import { mkdir, rename, rm } from "node:fs/promises";
import path from "node:path";
import { cacheDir, root } from "./paths.mjs";
import { output, runLogged } from "./run.mjs";
import { done } from "./steps.mjs";

const testRequirements = path.join(root, "test", "interop", "requirements.txt");

/** The folder for the present requirements and Python. */
export function venvFolder(requirements = testRequirements) {
  const python = output("python3", ["-c", "import sys; print(sys.version, sys.base_prefix)"]) ?? "";
  const key = createHash("sha256")
    .update(python)
    .update(readFileSync(requirements))
    .digest("hex")
    .slice(0, 16);
  return path.join(cacheDir(), "venv", key);
}

/** The Python of an environment. Run modules with -m: the environment was moved into place. */
export const venvPython = (requirements = testRequirements) =>
  path.join(venvFolder(requirements), "bin", "python");

/** The step that makes the environment of a requirements file, by default that of the interop tests. */
export function venvStep(
  requirements = testRequirements,
  hint = "torch and keras, about a minute the first time",
) {
  return {
    name: "Python environment",
    hint,
    async run() {
      const folder = venvFolder(requirements);
      if (existsSync(path.join(folder, "bin", "python"))) return done(folder);
      const work = `${folder}.tmp-${process.pid}`;
      await mkdir(path.dirname(folder), { recursive: true });
      try {
        await runLogged("venv", "python3", ["-m", "venv", work]);
        // Python compiles what is imported; most of what is installed never is.
        const options = ["--disable-pip-version-check", "--no-compile", "-r", requirements];
        const pip = ["-m", "pip", "install", ...options];
        await runLogged("venv-pip", path.join(work, "bin", "python"), pip);
        // Finished by someone else meanwhile: theirs is as good.
        await rename(work, folder).catch((error) => {
          if (!existsSync(path.join(folder, "bin", "python"))) throw error;
        });
      } finally {
        await rm(work, { recursive: true, force: true });
      }
      return folder;
    },
  };
}
