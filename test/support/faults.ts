/** Runs `flexae` with a library that does harm at one exact call; see faults.c. */
import { execFileSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

export interface FaultLibrary {
  /** The environment in which call `at` on files below `folder` does harm. */
  environment(
    folder: string,
    fault: "kill" | "full" | "none",
    at: number,
    log?: string,
  ): Record<string, string>;
  remove(): void;
}

/** Compiles the library; the addon needed a C++ compiler, too. */
export function buildFaultLibrary(): FaultLibrary {
  const folder = mkdtempSync(join(tmpdir(), "flexae-faults-"));
  const library = join(folder, "faults.so");
  const source = join(import.meta.dirname, "faults.c");
  execFileSync("cc", ["-shared", "-fPIC", "-O1", "-o", library, source, "-ldl"], {
    stdio: "inherit",
  });
  return {
    environment: (target, fault, at, log) => ({
      LD_PRELOAD: library,
      FLEXAE_FAULT_DIR: target,
      FLEXAE_FAULT: fault,
      FLEXAE_FAULT_AT: String(at),
      ...(log === undefined ? {} : { FLEXAE_FAULT_LOG: log }),
    }),
    remove: () => rmSync(folder, { recursive: true, force: true }),
  };
}

/** The calls a run made, as `what path`. */
export function callsIn(log: string): string[] {
  return readFileSync(log, "utf8")
    .trimEnd()
    .split("\n")
    .map((line) => line.slice(line.indexOf(" ") + 1));
}
