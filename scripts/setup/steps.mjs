// Runs named steps one after the other, with times; the one place where a failure is told.

/** A failure the user can act on: shown without a stack. */
export class SetupError extends Error {}

/** What the operating system said, without Node's prefix of code and call. */
export function systemReason(error) {
  const known = {
    EACCES: "permission denied",
    EPERM: "operation not permitted",
    EROFS: "the file system is read-only",
    ENOSPC: "no space left on the device",
    EDQUOT: "the disk quota is used up",
    ENOTDIR: "a part of the path is not a folder",
    EEXIST: "it exists already",
  };
  return known[error?.code] ?? error?.message ?? String(error);
}

/** Seconds, as people read them. */
export function duration(milliseconds) {
  const seconds = milliseconds / 1000;
  if (seconds < 60) return `${seconds.toFixed(1)} s`;
  const whole = Math.round(seconds);
  return `${Math.floor(whole / 60)} min ${String(whole % 60).padStart(2, "0")} s`;
}

/**
 * A step's `run` returns a line to show when it did something, or `done(line)` when there was
 * nothing to do.
 * `showsItself` marks one that writes to the terminal while it runs.
 * @typedef {{ name: string, hint?: string, showsItself?: boolean, run: () => Promise<string | Done> }} Step
 */
class Done {
  constructor(line) {
    this.line = line;
  }
}

/** Says that a step found its work already done. */
export const done = (line) => new Done(line);

/** On a terminal, counts the seconds of a step in place. Returns how to stop and clear that. */
function ticker(label) {
  const { stdout } = process;
  if (!stdout.isTTY) return () => {};
  const start = performance.now();
  const tick = () => stdout.write(`\r${label} … ${duration(performance.now() - start)} `);
  const timer = setInterval(tick, 1000);
  return () => {
    clearInterval(timer);
    stdout.write("\r\x1b[K");
  };
}

/**
 * Runs the steps in order. Stops at the first that throws.
 * @param {Step[]} steps
 */
export async function runSteps(steps, write = (text) => process.stdout.write(text)) {
  for (const [index, step] of steps.entries()) {
    const start = performance.now();
    const label = `[${index + 1}/${steps.length}] ${step.name}`;
    write(`${label} …${step.hint ? ` (${step.hint})` : ""}\n`);
    const stop = step.showsItself ? () => {} : ticker(label);
    let result;
    try {
      result = await step.run();
    } finally {
      stop();
    }
    const time = duration(performance.now() - start);
    if (result instanceof Done) write(`${label}: already done, ${result.line} (${time})\n`);
    else write(`${label}: ${result} (${time})\n`);
  }
}

function told(error) {
  if (process.env.FLEXAE_DEBUG) return error?.stack ?? error;
  if (error instanceof SetupError) return error.message;
  // A folder that may not be written, a full disk: no fault of the program's.
  if (typeof error?.syscall === "string" && typeof error.path === "string") {
    return `${error.path} cannot be used (${error.syscall}): ${systemReason(error)}.`;
  }
  return error?.stack ?? error;
}

/** Runs `main`, prints what went wrong in few lines, and sets the exit code. */
export async function runMain(main) {
  try {
    await main();
  } catch (error) {
    process.stderr.write(`\n${told(error)}\n`);
    process.exitCode = 1;
  }
}
