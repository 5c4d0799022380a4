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

/** clang-tidy needs to know how each file is compiled; a build without precompiled headers tells it. */
const lintFolder = path.join(root, "build-lint");
const tidyBuild = path.join(lintFolder, "cmake");

function compileCommandsStep() {
  return {
    name: "Compile commands",
    async run() {
      const defines = {
        FLEXAE_TESTS: "OFF",
        FLEXAE_UNITY: "OFF",
        CMAKE_DISABLE_PRECOMPILE_HEADERS: "ON",
      };
      await buildNative({ folder: lintFolder, target: null, defines, log: "lint" });
      return path.relative(root, tidyBuild);
    },
  };
}

/** clang has no omp.h of its own on Debian, and GCC's is not for it; without OpenMP ATen needs none. */
const NO_OPENMP = "--extra-arg=-fno-openmp";

/** Where it is noted, by what went in, which files clang-tidy found clean. */
const tidyNotes = path.join(notes, "tidy");

/** Runs clang-tidy on the sources that it has not found clean as they are now. */
async function runTidy() {
  const read = (name) => readFileSync(path.join(root, name));
  const shared = createHash("sha256").update(read(".clang-tidy")).update(recordedLibtorch());
  shared.update(output("clang-tidy", ["--version"]) ?? "");
  for (const header of filesBelow(["native"], /\.h$/)) shared.update(header).update(read(header));
  const key = (name) => shared.copy().update(name).update(read(name)).digest("hex");

  mkdirSync(tidyNotes, { recursive: true });
  const known = new Set(readdirSync(tidyNotes));
  const sources = filesBelow(["native"], /^native\/(core|analysis|data|addon)\/.+\.cpp$/);
  const queue = sources.filter((name) => !known.has(key(name)));
  const clean = new Set(sources.filter((name) => known.has(key(name))).map(key));
  const dirty = [];
  const work = async () => {
    for (let name = queue.shift(); name !== undefined; name = queue.shift()) {
      const mine = key(name);
      try {
        await runShown("clang-tidy", ["--quiet", "-p", tidyBuild, NO_OPENMP, name], {
          stdio: ["ignore", "inherit", "ignore"],
        });
        clean.add(mine);
        writeFileSync(path.join(tidyNotes, mine), "");
      } catch (error) {
        if (!(error instanceof SetupError)) throw error;
        dirty.push(name);
      }
    }
  };
  await Promise.all(Array.from({ length: jobs() }, work));
  for (const old of known) if (!clean.has(old)) rmSync(path.join(tidyNotes, old));
  if (dirty.length > 0) throw new SetupError(`clang-tidy: ${dirty.join(", ")}`);
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
