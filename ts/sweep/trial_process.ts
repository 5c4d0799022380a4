/** A process that trains a trial: what happens to it happens to no other. */
import { spawn } from "node:child_process";
import { constants } from "node:os";
import { join } from "node:path";
import { pathToFileURL } from "node:url";
import { packageRoot } from "../addon/root.js";

/** How a process ended. */
export interface ProcessEnd {
  /** Null if a signal ended it. */
  code: number | null;
  /** What it said last of why it failed, on one line; null if it did not fail. */
  problem: string | null;
  /** What it warned of although it did not fail, a line each. */
  warnings: string[];
}

/** A process under way. */
export interface TrialProcess {
  /** Never rejects. */
  ended: Promise<ProcessEnd>;
  /** Ends it after the batch under way. */
  interrupt(): void;
  /** Ends it now. */
  kill(): void;
}

/** Characters kept of what a process complains of. */
const KEPT = 8000;
const SAID = "flexae: ";
const INTERRUPTED: readonly number[] = [constants.signals.SIGINT, constants.signals.SIGTERM].map(
  (signal) => 128 + signal,
);

/** What was said last, without what stands before it in every complaint. */
function lastComplaint(text: string): string {
  const at = text.lastIndexOf(SAID);
  const last = at < 0 ? (text.trim().split("\n").at(-1) ?? "") : text.slice(at + SAID.length);
  return last.trim().replaceAll("\n", " ");
}

function problemOf(code: number | null, signal: NodeJS.Signals | null, complaints: string) {
  if (code === 0) return null;
  const said = lastComplaint(complaints);
  if (code === null) {
    const memory = signal === "SIGKILL" ? "; maybe memory ran out" : "";
    return `ended by ${signal}${memory}`;
  }
  // A run that is told to end says nothing of it to a program.
  if (INTERRUPTED.includes(code)) return "it was interrupted";
  return said === "" ? `ended with exit code ${code}` : said;
}

function warningsOf(complaints: string): string[] {
  const [, ...said] = `\n${complaints}`.split(`\n${SAID}`);
  return said.map((text) => text.trim().replaceAll("\n", "; "));
}

function endOf(code: number | null, signal: NodeJS.Signals | null, complaints: string): ProcessEnd {
  const problem = problemOf(code, signal, complaints);
  return { code, problem, warnings: problem === null ? warningsOf(complaints) : [] };
}

/** Passes whole lines on. */
function lineReader(onLine: (line: string) => void): (text: string) => void {
  let rest = "";
  return (text) => {
    const lines = (rest + text).split("\n");
    rest = lines.pop() as string;
    for (const line of lines) onLine(line);
  };
}

/**
 * Starts the program with a line that prints JSON Lines.
 *
 * @param gpu - The only one it sees; null: whatever there is.
 * @param onEvent - Called with each value that it prints.
 */
export function startProcess(
  args: readonly string[],
  gpu: string | null,
  onEvent: (event: Record<string, unknown>) => void,
): TrialProcess {
  const dist = join(packageRoot, "dist");
  const tied = pathToFileURL(join(dist, "sweep/tied.js")).href;
  const program = join(dist, "cli/main.js");
  const child = spawn(process.execPath, ["--import", tied, program, ...args], {
    env: { ...process.env, ...(gpu === null ? {} : { CUDA_VISIBLE_DEVICES: gpu }) },
    stdio: ["pipe", "pipe", "pipe"],
    // In a group of its own: Ctrl-C in a terminal reaches the sweep, which passes it on once.
    detached: true,
  });
  const read = lineReader((line) => {
    let event: unknown;
    try {
      event = JSON.parse(line);
    } catch {
      return;
    }
    if (typeof event === "object" && event !== null) onEvent(event as Record<string, unknown>);
  });
  child.stdout.setEncoding("utf8").on("data", read);
  // It closes when this process ends; see tied.ts.
  child.stdin.on("error", () => {});
  let complaints = "";
  child.stderr.setEncoding("utf8").on("data", (text: string) => {
    complaints = (complaints + text).slice(-KEPT);
  });
  const ended = new Promise<ProcessEnd>((resolve) => {
    child.on("error", ({ message }) => resolve({ code: null, problem: message, warnings: [] }));
    child.on("close", (code, signal) => resolve(endOf(code, signal, complaints)));
  });
  return {
    ended,
    interrupt: () => void child.kill("SIGINT"),
    kill: () => void child.kill("SIGKILL"),
  };
}
