// Which lines of ts/ the tests execute: in vitest itself, and in the programs that they start.

import { mkdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { createRequire } from "node:module";
import path from "node:path";
import { root } from "../setup/paths.mjs";
import { runLogged, runShown } from "../setup/run.mjs";

const folder = path.join(root, "coverage");
/** What each program leaves, by Node's own counting. */
const raw = path.join(folder, "programs.v8");
const bin = (name) => path.join(root, "node_modules", ".bin", name);

/** Runs vitest and counts; vitest.config.ts reads the variable. */
export async function runVitest() {
  rmSync(raw, { recursive: true, force: true });
  mkdirSync(raw, { recursive: true });
  const env = { ...process.env, FLEXAE_COVERAGE: raw };
  await runShown(bin("vitest"), ["run", "--coverage"], { env });
}

/** The programs run dist/, whose source maps lead back to ts/. */
async function countPrograms() {
  const out = path.join(folder, "programs");
  await runLogged("coverage-programs", bin("c8"), [
    "report",
    `--temp-directory=${raw}`,
    `--reports-dir=${out}`,
    "--reporter=json",
    "--include=ts/**/*.ts",
    "--exclude-after-remap",
    "--merge-async",
  ]);
  // Hundreds of megabytes.
  rmSync(raw, { recursive: true, force: true });
  return path.join(out, "coverage-final.json");
}

/** "3-5, 9" */
function ranges(lines) {
  const found = [];
  for (const line of lines) {
    const last = found.at(-1);
    if (last !== undefined && line === last[1] + 1) last[1] = line;
    else found.push([line, line]);
  }
  return found.map(([from, to]) => (from === to ? `${from}` : `${from}-${to}`)).join(", ");
}

/**
 * What {@link runVitest} found: a line counts once, wherever it was executed. What is missing is
 * listed in coverage/typescript.txt.
 * @returns {Promise<{ covered: number, lines: number, report: string }>}
 */
export async function countTypescript() {
  const require = createRequire(import.meta.url);
  const { createCoverageMap } = require("istanbul-lib-coverage");
  const read = (file) => createCoverageMap(JSON.parse(readFileSync(file, "utf8")));
  const tests = read(path.join(folder, "vitest", "coverage-final.json"));
  const programs = read(await countPrograms());
  const counted = new Set(programs.files());
  const rows = [];
  let covered = 0;
  let lines = 0;
  for (const file of tests.files().sort()) {
    const here = tests.fileCoverageFor(file).getLineCoverage();
    const there = counted.has(file) ? programs.fileCoverageFor(file).getLineCoverage() : {};
    const all = Object.keys(here).map(Number);
    const missing = all.filter((line) => !here[line] && !there[line]);
    covered += all.length - missing.length;
    lines += all.length;
    if (missing.length === 0) continue;
    rows.push(`${path.relative(root, file)}: ${ranges(missing.sort((a, b) => a - b))}`);
  }
  const report = path.join(folder, "typescript.txt");
  writeFileSync(report, rows.map((row) => `${row}\n`).join(""));
  return { covered, lines, report: path.relative(root, report) };
}
