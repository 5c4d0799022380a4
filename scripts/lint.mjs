#!/usr/bin/env node
// The linters: Biome, tsc, clang-format and clang-tidy. With --fix, formats instead of complaining.

import { execFileSync } from "node:child_process";
import { existsSync } from "node:fs";
import path from "node:path";
import { parseArgs } from "node:util";
import { buildNative } from "./setup/addon.mjs";
import { libtorchStep } from "./setup/libtorch.mjs";
import { jobs, packagesStep } from "./setup/packages.mjs";
import { root } from "./setup/paths.mjs";
import { runShown } from "./setup/run.mjs";
import { duration, runMain, runSteps, SetupError } from "./setup/steps.mjs";
import { systemStep } from "./setup/system.mjs";

const bin = (name) => path.join(root, "node_modules", ".bin", name);

/** Files of the repository below native/: tracked, or new and not ignored. */
function nativeFiles(pattern) {
  const list = execFileSync("git", ["ls-files", "-co", "--exclude-standard", "-z", "native"], {
    cwd: root,
  });
  const names = list
    .toString("utf8")
    .split("\0")
    .filter((name) => pattern.test(name));
  return names.filter((name) => existsSync(path.join(root, name)));
}

/** clang-tidy needs to know how each file is compiled; a build without precompiled headers tells it. */
const lintFolder = path.join(root, "build-lint");
const tidyBuild = path.join(lintFolder, "cmake");

function compileCommandsStep() {
  return {
    name: "Compile commands",
    async run() {
      const defines = { FLEXAE_TESTS: "OFF", CMAKE_DISABLE_PRECOMPILE_HEADERS: "ON" };
      await buildNative({ folder: lintFolder, target: null, defines, log: "lint" });
      return path.relative(root, tidyBuild);
    },
  };
}

async function main() {
  let values;
  try {
    ({ values } = parseArgs({
      options: {
        fix: { type: "boolean", default: false },
        "no-tidy": { type: "boolean", default: false },
      },
    }));
  } catch (error) {
    throw new SetupError(error.message);
  }
  const tidy = !values.fix && !values["no-tidy"];
  await runSteps([
    systemStep(...(tidy ? ["build", "lint"] : ["lint"])),
    packagesStep(),
    ...(tidy ? [libtorchStep(), compileCommandsStep()] : []),
  ]);

  const sources = nativeFiles(/\.(cpp|h)$/);
  const linters = [
    [
      "Biome",
      () => runShown(bin("biome"), values.fix ? ["check", "--write", "."] : ["check", "."]),
    ],
    [
      "clang-format",
      () =>
        runShown("clang-format", [...(values.fix ? ["-i"] : ["--dry-run", "-Werror"]), ...sources]),
    ],
  ];
  if (!values.fix) linters.push(["tsc", () => runShown(bin("tsc"), ["-p", "tsconfig.check.json"])]);
  if (tidy) {
    const files = nativeFiles(/^native\/(core|data|addon)\/.+\.cpp$/).map((name) =>
      path.join(root, name),
    );
    linters.push([
      "clang-tidy",
      () => runShown("run-clang-tidy", ["-quiet", "-p", tidyBuild, "-j", String(jobs()), ...files]),
    ]);
  }

  let failed = false;
  for (const [name, run] of linters) {
    const start = performance.now();
    let result = "clean";
    try {
      await run();
    } catch (error) {
      if (!(error instanceof SetupError)) throw error;
      failed = true;
      result = "FAILED";
    }
    process.stdout.write(`${name}: ${result} (${duration(performance.now() - start)})\n`);
  }
  if (failed) process.exitCode = 1;
}

await runMain(main);
