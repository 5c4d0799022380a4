// Starts programs: quietly with a log, for their output, or on the user's terminal.

import { spawn, spawnSync } from "node:child_process";
import { createWriteStream, mkdirSync, readFileSync } from "node:fs";
import { availableParallelism, totalmem } from "node:os";
import path from "node:path";
import { notes, root } from "./paths.mjs";
import { SetupError } from "./steps.mjs";

/** How many compilers to run at once: one a core, but at least 2 GB of memory for each. */
export function jobs() {
  return Math.max(1, Math.min(availableParallelism(), Math.floor(totalmem() / 2 ** 31)));
}

/** The whole output of a program, or null when it is missing or fails. */
export function output(command, args, options = {}) {
  const result = spawnSync(command, args, {
    encoding: "utf8",
    maxBuffer: 2 ** 26,
    stdio: ["ignore", "pipe", "ignore"],
    ...options,
  });
  return result.error || result.status !== 0 ? null : result.stdout;
}

function notStarted(command, error) {
  const why = error.code === "ENOENT" ? "it is not installed" : error.message;
  return new SetupError(`Cannot start ${command}: ${why}`);
}

/**
 * Runs a long program with its output in `.setup/logs/NAME.log`; on failure the log's last lines are
 * part of the {@link SetupError}.
 */
export function runLogged(name, command, args, options = {}) {
  const folder = path.join(notes, "logs");
  mkdirSync(folder, { recursive: true });
  const file = path.join(folder, `${name}.log`);
  return new Promise((resolve, reject) => {
    const log = createWriteStream(file);
    const child = spawn(command, args, {
      cwd: root,
      stdio: ["ignore", "pipe", "pipe"],
      ...options,
    });
    child.stdout.pipe(log, { end: false });
    child.stderr.pipe(log, { end: false });
    child.on("error", (error) => reject(notStarted(command, error)));
    child.on("close", (code, signal) => {
      log.end(() => {
        if (code === 0) return resolve();
        const tail = readFileSync(file, "utf8").trimEnd().split("\n").slice(-25).join("\n");
        const how = signal ? `was ended by ${signal}` : `exited with ${code}`;
        reject(
          new SetupError(
            `${tail}\n\n\`${[command, ...args].join(" ")}\` ${how}. Whole log: ${file}`,
          ),
        );
      });
    });
  });
}

/** Runs a program on the user's terminal. Throws a {@link SetupError} unless it exits with 0. */
export function runShown(command, args, options = {}) {
  return new Promise((resolve, reject) => {
    const child = spawn(command, args, { cwd: root, stdio: "inherit", ...options });
    child.on("error", (error) => reject(notStarted(command, error)));
    child.on("close", (code, signal) => {
      if (code === 0) resolve();
      else
        reject(
          new SetupError(
            `\`${[path.basename(command), ...args].join(" ")}\` ${signal ? `was ended by ${signal}` : `exited with ${code}`}.`,
          ),
        );
    });
  });
}
