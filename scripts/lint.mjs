#!/usr/bin/env node
// The linters: Biome, tsc, the order of rooms, clang-format and clang-tidy. With --fix, formats
// instead of complaining.

import { execFileSync } from "node:child_process";
import { createHash } from "node:crypto";
import { existsSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import path from "node:path";
import { parseArgs } from "node:util";
import { buildNative, recordedLibtorch } from "./setup/addon.mjs";
import { libtorchStep } from "./setup/libtorch.mjs";
import { packagesStep } from "./setup/packages.mjs";
import { notes, root } from "./setup/paths.mjs";
import { jobs, output, runShown } from "./setup/run.mjs";
import { duration, runMain, runSteps, SetupError } from "./setup/steps.mjs";
import { systemStep } from "./setup/system.mjs";

const bin = (name) => path.join(root, "node_modules", ".bin", name);

/** Files of the repository below folders: tracked, or new and not ignored. */
function filesBelow(folders, pattern) {
  const list = execFileSync("git", ["ls-files", "-co", "--exclude-standard", "-z", ...folders], {
    cwd: root,
  });
  const names = list
    .toString("utf8")
    .split("\0")
    .filter((name) => pattern.test(name));
  return names.filter((name) => existsSync(path.join(root, name)));
}

/**
 * clang-tidy needs to know how each file is compiled; a build without precompiled headers tells it.
 * Several at once: most of the time goes into libtorch's headers, which are then read once for all.
 */
const lintFolder = path.join(root, "build-lint");
const tidyBuild = path.join(lintFolder, "cmake");

function compileCommandsStep() {
  return {
    name: "Compile commands",
    async run() {
      const defines = {
        FLEXAE_TESTS: "OFF",
        FLEXAE_UNITY: "ON",
        CMAKE_DISABLE_PRECOMPILE_HEADERS: "ON",
      };
      await buildNative({ folder: lintFolder, target: null, defines, log: "lint" });
      return path.relative(root, tidyBuild);
    },
  };
}

/** clang has no omp.h of its own on Debian, and GCC's is not for it; without OpenMP ATen needs none. */
const NO_OPENMP = "--extra-arg=-fno-openmp";

/** What compiles several files at once includes them. */
const SEVERAL = "--checks=-bugprone-suspicious-include";

/** Where it is noted, by what went in, what clang-tidy found clean. */
const tidyNotes = path.join(notes, "tidy");

/** What is compiled: of each, the file, and those of the repository that it is or includes. */
function compiled() {
  const commands = JSON.parse(readFileSync(path.join(tidyBuild, "compile_commands.json"), "utf8"));
  return commands.map(({ file }) => {
    const included = [...readFileSync(file, "utf8").matchAll(/^#include "(.+\.cpp)"$/gm)];
    const sources = included.length > 0 ? included.map(([, name]) => name) : [file];
    return { file, sources: sources.map((name) => path.relative(root, name)) };
  });
}

/** Runs clang-tidy on what it has not found clean as it is now. */
async function runTidy() {
  const read = (name) => readFileSync(path.join(root, name));
  const shared = createHash("sha256").update(read(".clang-tidy")).update(recordedLibtorch());
  shared.update(output("clang-tidy", ["--version"]) ?? "");
  for (const header of filesBelow(["native"], /\.h$/)) shared.update(header).update(read(header));
  const keyOf = (sources) => {
    const key = shared.copy();
    for (const name of sources) key.update(name).update(read(name));
    return key.digest("hex");
  };

  mkdirSync(tidyNotes, { recursive: true });
  const known = new Set(readdirSync(tidyNotes));
  const all = compiled().map(({ file, sources }) => ({ file, sources, key: keyOf(sources) }));
  const queue = all.filter(({ key }) => !known.has(key));
  const clean = new Set(all.map(({ key }) => key).filter((key) => known.has(key)));
  const dirty = [];
  const work = async () => {
    for (let next = queue.shift(); next !== undefined; next = queue.shift()) {
      const { file, sources, key } = next;
      try {
        await runShown("clang-tidy", ["--quiet", "-p", tidyBuild, NO_OPENMP, SEVERAL, file], {
          stdio: ["ignore", "inherit", "ignore"],
        });
        clean.add(key);
        writeFileSync(path.join(tidyNotes, key), "");
      } catch (error) {
        if (!(error instanceof SetupError)) throw error;
        dirty.push(...sources);
      }
    }
  };
  await Promise.all(Array.from({ length: jobs() }, work));
  for (const old of known) if (!clean.has(old)) rmSync(path.join(tidyNotes, old));
  if (dirty.length > 0) throw new SetupError(`clang-tidy, in one of: ${dirty.join(", ")}`);
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

  const sources = filesBelow(["native", "examples/cpp"], /\.(cpp|h)$/);
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
  if (!values.fix) {
    linters.push(["tsc", () => runShown(bin("tsc"), ["-p", "tsconfig.check.json"])]);
    linters.push(["tsc, web", () => runShown(bin("tsc"), ["-p", "web"])]);
    const rooms = path.join(root, "scripts/lint/rooms.mjs");
    linters.push(["rooms", () => runShown(process.execPath, [rooms])]);
  }
  if (tidy) linters.push(["clang-tidy", runTidy]);

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
