// Whether a compiled module works here: tried in a process of its own, which may crash.

import { spawnSync } from "node:child_process";
import { tmpdir } from "node:os";

/**
 * Loads a module in a new process of this Node, and runs `check` on it.
 * @param {string} file
 * @param {string} check statements on `loaded`, the module; they throw if something is wrong
 * @returns {string | null} what is wrong, in one line; null if nothing is
 */
export function loadProblem(file, check = "", env = process.env) {
  const program = `
    try {
      const loaded = require(process.argv[1]);
      ${check}
      process.stdout.write("works");
    } catch (error) {
      process.stdout.write(String(error?.message ?? error));
    }`;
  const { error, status, signal, stdout, stderr } = spawnSync(
    process.execPath,
    ["--no-warnings", "-e", program, file],
    // Not in a folder with a package.json, which may say how its files are read, nor with what the
    // user has every Node load.
    { cwd: tmpdir(), env: { ...env, NODE_OPTIONS: "" }, encoding: "utf8", timeout: 120_000 },
  );
  if (error) return error.message;
  if (signal !== null || status !== 0) {
    const last = stderr.trim().split("\n").at(-1);
    const how = signal ?? `exit code ${status}`;
    return `loading it ends the process with ${how}${last ? `: ${last}` : ""}`;
  }
  return stdout === "works" ? null : stdout.trim().split("\n", 1)[0];
}
