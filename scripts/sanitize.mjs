#!/usr/bin/env node
// Runs the native tests, and a program that uses all of the addon, with address, leak and undefined-behaviour sanitizers:
//
//   npm run test:sanitize -- [native] [addon]
//
// Both are compiled a second time, in build-sanitize. libtorch, OpenCV and Node are used as they are.

import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { buildNative } from "./setup/addon.mjs";
import { libtorchStep } from "./setup/libtorch.mjs";
import { opencvStep } from "./setup/opencv.mjs";
import { packagesStep } from "./setup/packages.mjs";
import { chosenParts } from "./setup/parts.mjs";
import { root } from "./setup/paths.mjs";
import { output, runLogged } from "./setup/run.mjs";
import { sampleStep } from "./setup/sample.mjs";
import { runMain, runSteps, SetupError } from "./setup/steps.mjs";
import { systemStep } from "./setup/system.mjs";
import { typescriptStep } from "./setup/typescript.mjs";

const folder = path.join(root, "build-sanitize");
const programs = path.join(folder, "Release");

function options(entries) {
  return Object.entries(entries)
    .map((option) => option.join("="))
    .join(":");
}

/** What the sanitizers are told; see leaks.txt for what they leave out. */
const sanitizers = {
  ASAN_OPTIONS: options({
    detect_leaks: 1,
    // libtorch grows vectors that sanitized code made, without marking what it uses.
    detect_container_overflow: 0,
    // libtorch and Node keep no frame pointers: without their tables, stacks would not reach whoever called them.
    fast_unwind_on_malloc: 0,
    malloc_context_size: 40,
    // As malloc does: too large a size is an error that the program handles.
    allocator_may_return_null: 1,
  }),
  UBSAN_OPTIONS: options({ print_stacktrace: 1 }),
};
const suppressions = path.join(root, "scripts", "sanitize", "leaks.txt");

function buildStep(name, target) {
  return {
    name: `${name}, sanitized`,
    hint: "compiled, some minutes the first time",
    async run() {
      const defines = { FLEXAE_SANITIZE: "ON", FLEXAE_TESTS: "ON" };
      await buildNative({ folder, target, defines, log: "sanitize" });
      return path.relative(root, programs);
    },
  };
}

function testsStep(part) {
  return {
    name: `Native tests of ${part}`,
    hint: "some minutes",
    async run() {
      const env = {
        ...process.env,
        ...sanitizers,
        LSAN_OPTIONS: options({ suppressions, print_suppressions: 0 }),
      };
      await runLogged(
        `sanitize-${part}`,
        path.join(programs, `flexae_${part}_tests`),
        ["--gtest_brief=1"],
        { env },
      );
      return "nothing found";
    },
  };
}

/** The leaks that a report tells of. */
function leaksIn(report) {
  const pattern = /^(?:Direct|Indirect) leak of (\d+) byte.*\n((?:[ \t]+#.*\n?)+)/gm;
  return [...report.matchAll(pattern)].map(([text, bytes, stack]) => ({
    text,
    stack,
    bytes: Number(bytes),
  }));
}

/**
 * Node does not free all that it has when it ends, and what V8's heap refers to counts as lost since that is not searched.
 * So a leak is one of the addon's if the addon is among who asked for the memory.
 */
function addonStep() {
  return {
    name: "The addon in Node",
    hint: "a minute",
    async run() {
      const library = output("c++", ["-print-file-name=libasan.so"])?.trim();
      if (!library || !path.isAbsolute(library)) {
        throw new SetupError("The compiler has no libasan.so: install the one of its version.");
      }
      const reports = path.join(folder, "reports");
      rmSync(reports, { recursive: true, force: true });
      mkdirSync(reports, { recursive: true });
      const readReports = () =>
        readdirSync(reports).map((name) => readFileSync(path.join(reports, name), "utf8"));
      const work = mkdtempSync(path.join(tmpdir(), "flexae-sanitize-"));
      const env = {
        ...process.env,
        ...sanitizers,
        ASAN_OPTIONS: `${sanitizers.ASAN_OPTIONS}:log_path=${path.join(reports, "report")}`,
        LSAN_OPTIONS: options({ exitcode: 0 }),
        LD_PRELOAD: library,
        FLEXAE_ADDON: path.join(programs, "flexae.node"),
        FLEXAE_CACHE: path.join(work, "cache"),
      };
      try {
        const program = path.join(root, "scripts", "sanitize", "exercise.mjs");
        const images = path.join(root, "data", "sample", "valid");
        await runLogged("sanitize-addon", process.execPath, [program, images, work], { env });
      } catch (error) {
        const found = readReports().join("\n").split("\n").slice(0, 60).join("\n");
        throw found === "" ? error : new SetupError(`${found}\nAll reports: ${reports}`);
      } finally {
        rmSync(work, { recursive: true, force: true });
      }
      const leaks = readReports().flatMap(leaksIn);
      const own = leaks.filter(({ stack }) => stack.includes("flexae.node"));
      if (own.length > 0) {
        throw new SetupError(
          `${own.map(({ text }) => text).join("\n")}\nThe addon leaks: the ${own.length} stacks above. All reports: ${reports}`,
        );
      }
      const others = leaks.reduce((sum, { bytes }) => sum + bytes, 0);
      return `nothing found (besides ${Math.round(others / 1000)} kB of Node's and of libraries')`;
    },
  };
}

const parts = {
  native: () => [
    buildStep("Native tests", "flexae_tests"),
    ...["core", "analysis", "data"].map(testsStep),
  ],
  addon: () => [
    opencvStep(),
    typescriptStep(),
    sampleStep(),
    buildStep("Addon", "flexae_addon"),
    addonStep(),
  ],
};

async function main() {
  const { chosen } = chosenParts(Object.keys(parts));
  await runSteps([
    systemStep("build", "test"),
    packagesStep(),
    libtorchStep(),
    ...chosen.flatMap((part) => parts[part]()),
  ]);
}

await runMain(main);
