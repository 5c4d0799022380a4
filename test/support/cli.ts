import { type ChildProcess, spawn } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { afterAll, beforeAll, expect, inject, onTestFinished } from "vitest";

export const root = resolve(import.meta.dirname, "../..");
export const main = join(root, "scripts/flexae.mjs");

export interface Ended {
  code: number | null;
  signal: NodeJS.Signals | null;
  stdout: string;
  stderr: string;
}

export interface StartOptions {
  cwd?: string;
  env?: NodeJS.ProcessEnv;
  /** A program, and its arguments, that starts the one meant. */
  before?: readonly string[];
}

/** What makes file permissions bind the superuser as they do others. */
export function withoutPrivileges(): string[] {
  if (process.getuid?.() !== 0) return [];
  const rights = "-dac_override,-dac_read_search";
  return ["setpriv", `--bounding-set=${rights}`, `--inh-caps=${rights}`];
}

/** A process whose output is kept. */
export function start(
  args: readonly string[],
  options: StartOptions = {},
): { child: ChildProcess; ended: Promise<Ended>; seen(pattern: RegExp): Promise<void> } {
  const [program, ...rest] = [...(options.before ?? []), process.execPath, ...args];
  const child = spawn(program as string, rest, {
    cwd: options.cwd ?? tmpdir(),
    env: { ...process.env, NO_COLOR: "1", ...options.env },
    stdio: ["ignore", "pipe", "pipe"],
  });
  let stdout = "";
  let stderr = "";
  const watchers: (() => void)[] = [];
  const note = () => {
    for (const watcher of watchers) watcher();
  };
  child.stdout.setEncoding("utf8").on("data", (text: string) => {
    stdout += text;
    note();
  });
  child.stderr.setEncoding("utf8").on("data", (text: string) => {
    stderr += text;
    note();
  });
  const ended = new Promise<Ended>((resolve, reject) => {
    child.on("error", reject);
    child.on("close", (code, signal) => resolve({ code, signal, stdout, stderr }));
  });
  const seen = (pattern: RegExp) =>
    new Promise<void>((resolve, reject) => {
      const check = () => {
        if (pattern.test(stdout) || pattern.test(stderr)) resolve();
      };
      watchers.push(check);
      check();
      ended.then(() => reject(new Error(`ended without ${pattern}:\n${stdout}\n${stderr}`)));
    });
  return { child, ended, seen };
}

/** Runs `flexae` to its end. */
export function flexae(args: readonly string[], options: StartOptions = {}): Promise<Ended> {
  return start([main, ...args], options).ended;
}

/** Says by which signal a process ended that did not end by itself. */
function expectSuccess({ code, signal, stderr }: Ended): void {
  expect(signal ?? code, stderr).toBe(0);
}

/** A new folder that is gone after the test. */
export function temporaryFolder(): string {
  const folder = mkdtempSync(join(tmpdir(), "flexae-test-"));
  onTestFinished(() => rmSync(folder, { recursive: true, force: true }));
  return folder;
}

/** A network and a training that take about a second on the test's digits. */
export function smallRun(...more: string[]): string[] {
  const digits = inject("digits");
  return [
    "run",
    `--train-dir=${join(digits, "train")}`,
    `--valid-dir=${join(digits, "valid")}`,
    "--image-shape=28,28",
    "--filters=8,16",
    "--kernel-size=3",
    "--strides=2",
    "--pooling=no",
    "--dims=16",
    "--optimizer=adam",
    "--drop-rate=0",
    // Tests run side by side; threads that fight for cores are slower than one.
    "--threads=1",
    "--train-epochs=2",
    "--no-horizontal-flip",
    "--no-vertical-flip",
    ...more,
  ];
}

/**
 * A run that is trained once for all tests of a file.
 *
 * @returns Gives its folder, inside tests.
 */
export function trainedRun(...more: string[]): () => string {
  let folder: string;
  const run = () => join(folder, "run");
  beforeAll(async () => {
    folder = mkdtempSync(join(tmpdir(), "flexae-run-"));
    expectSuccess(await flexae(smallRun(`--save-dir=${run()}`, ...more)));
  });
  afterAll(() => rmSync(folder, { recursive: true, force: true }));
  return run;
}

/** JSON Lines, each parsed. */
export function jsonLines(text: string): Record<string, unknown>[] {
  return text
    .split("\n")
    .filter((line) => line !== "")
    .map((line) => JSON.parse(line) as Record<string, unknown>);
}

/** A command, and what its tests do with it in the folder that `cwd` gives. */
export function commandIn(
  cwd: () => string,
  name: string,
): {
  /** Runs it to its end, whatever that is. */
  start(...args: string[]): Promise<Ended>;
  /** What it prints with `--json`; it must succeed. */
  lines(...args: string[]): Promise<Record<string, unknown>[]>;
  /** The same of a command that prints one object. */
  end(...args: string[]): Promise<Record<string, unknown>>;
} {
  const start = (...args: string[]) => flexae([name, ...args], { cwd: cwd() });
  const lines = async (...args: string[]) => {
    const ended = await start(...args, "--json");
    expectSuccess(ended);
    return jsonLines(ended.stdout);
  };
  const end = async (...args: string[]) => {
    const all = await lines(...args);
    expect(all).toHaveLength(1);
    return all[0] as Record<string, unknown>;
  };
  return { start, lines, end };
}
