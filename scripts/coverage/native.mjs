// Which lines of native/core, native/analysis and native/data the native tests execute, by clang and llvm-cov.

import { mkdirSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import path from "node:path";
import { buildNative } from "../setup/addon.mjs";
import { root } from "../setup/paths.mjs";
import { jobs, output, runLogged } from "../setup/run.mjs";
import { SetupError } from "../setup/steps.mjs";

const folder = path.join(root, "build-coverage");
const program = (part) => path.join(folder, "Release", `flexae_${part}_tests`);
const counts = path.join(folder, "counts");
const PARTS = ["core", "analysis", "data", "cuda", "device"];

/**
 * What is compiled for coverage has one thread and no parallel regions (cmake/Libtorch.cmake). The
 * first needs several; the second needs a region, in which LAPACK has no threads of its own.
 */
const LEFT_OUT = [
  "ParallelFor.LetsOthersTakeWhatASlowThreadHasLeft",
  "Pca.IsTheSameForAnyNumberOfThreads",
].join(":");

export async function buildNativeTests() {
  const defines = {
    FLEXAE_COVERAGE: "ON",
    FLEXAE_ADDON: "OFF",
    FLEXAE_TESTS: "ON",
    CMAKE_CXX_COMPILER: "clang++",
  };
  await buildNative({ folder, target: "flexae_tests", defines, log: "coverage" });
}

/** Runs all tests, those of a program in as many shards as there are cores. */
export async function runNativeTests() {
  rmSync(counts, { recursive: true, force: true });
  mkdirSync(counts, { recursive: true });
  const shards = jobs();
  for (const part of PARTS) {
    const run = (shard) => {
      const env = {
        ...process.env,
        LLVM_PROFILE_FILE: path.join(counts, `${part}-%p.profraw`),
        FLEXAE_TEST_DEVICE: "cpu",
        GTEST_TOTAL_SHARDS: String(shards),
        GTEST_SHARD_INDEX: String(shard),
      };
      const flags = ["--gtest_brief=1", `--gtest_filter=-${LEFT_OUT}`];
      return runLogged(`coverage-${part}-${shard}`, program(part), flags, { env });
    };
    const ended = await Promise.allSettled(Array.from({ length: shards }, (_, i) => run(i)));
    const failed = ended.find(({ status }) => status === "rejected");
    if (failed) throw failed.reason;
  }
}

/**
 * What {@link runNativeTests} found. Per file it is in coverage/native.txt.
 * @returns {{ covered: number, lines: number, report: string }}
 */
export function countNative() {
  const tool = (name, ...args) => {
    const said = output(name, args);
    if (said === null) throw new SetupError(`\`${name} ${args[0]} …\` failed; clang brings it.`);
    return said;
  };
  const merged = path.join(counts, "all.profdata");
  const files = readdirSync(counts).filter((name) => name.endsWith(".profraw"));
  const paths = files.map((name) => path.join(counts, name));
  tool("llvm-profdata", "merge", "-sparse", "-o", merged, ...paths);
  const [first, ...others] = PARTS.map(program);
  const data = [
    `-instr-profile=${merged}`,
    first,
    ...others.map((file) => `-object=${file}`),
    // The tests' own lines say nothing; libtorch's are not counted, as a system's.
    "-ignore-filename-regex=/native/test/",
  ];
  const [{ totals }] = JSON.parse(tool("llvm-cov", "export", "-summary-only", ...data)).data;
  const report = path.join(root, "coverage", "native.txt");
  mkdirSync(path.dirname(report), { recursive: true });
  writeFileSync(report, tool("llvm-cov", "report", ...data));
  const { covered, count } = totals.lines;
  return { covered, lines: count, report: path.relative(root, report) };
}
