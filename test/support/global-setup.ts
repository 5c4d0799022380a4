/** Compiles ts/ and web/, which the tests of the command line and the package run, and writes the digits. */
import { execFileSync } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import type { TestProject } from "vitest/node";
import { writeDigits } from "./digits.ts";

declare module "vitest" {
  interface ProvidedContext {
    /** Holds train/ and valid/ with a few real digits each. */
    digits: string;
  }
}

export default function setup(project: TestProject): () => void {
  const root = resolve(import.meta.dirname, "../..");
  execFileSync(join(root, "node_modules/.bin/tsc"), ["-p", root], { stdio: "inherit" });
  execFileSync(process.execPath, [join(root, "scripts/web.mjs")], { stdio: "inherit" });
  const digits = mkdtempSync(join(tmpdir(), "flexae-digits-"));
  writeDigits(join(digits, "train"), 20, 0);
  writeDigits(join(digits, "valid"), 5, 20);
  project.provide("digits", digits);
  return () => rmSync(digits, { recursive: true, force: true });
}
