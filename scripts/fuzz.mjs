#!/usr/bin/env node
// Feeds broken files to what reads files that strangers may have made, by libFuzzer:
//
//   npm run fuzz -- [--seconds 20] [image] [cache] [index] [checkpoint] [model] [config] [import]
//                   [containers]
//
// Inputs that led somewhere new are kept in build-fuzz/corpus and serve the next time. The inputs in
// native/fuzz/seeds, among them all that ever broke something, are tried first. `import` and
// `containers` read in JavaScript, and have loops of their own in scripts/fuzz.

import { existsSync, mkdirSync, readdirSync } from "node:fs";
import path from "node:path";
import { addonStep, buildNative } from "./setup/addon.mjs";
import { libtorchStep } from "./setup/libtorch.mjs";
import { packagesStep } from "./setup/packages.mjs";
import { chosenParts } from "./setup/parts.mjs";
import { root } from "./setup/paths.mjs";
import { runLogged } from "./setup/run.mjs";
import { duration, runMain, runSteps, SetupError } from "./setup/steps.mjs";
import { systemStep } from "./setup/system.mjs";
import { typescriptStep } from "./setup/typescript.mjs";

const folder = path.join(root, "build-fuzz");
const sources = path.join(root, "native", "fuzz");

/** Where each target's inputs come from, besides its own seeds. */
const targets = {
  image: [path.join(root, "test", "fixtures", "images")],
  cache: [],
  index: [],
  checkpoint: [],
  model: [],
  config: [],
};

function buildStep() {
  return {
    name: "Fuzz targets",
    hint: "compiled by clang with sanitizers, a few minutes the first time",
    async run() {
      const defines = { FLEXAE_FUZZ: "ON", FLEXAE_ADDON: "OFF", CMAKE_CXX_COMPILER: "clang++" };
      await buildNative({ folder, target: "flexae_fuzz", defines, log: "fuzz" });
      return path.relative(root, path.join(folder, "Release"));
    },
  };
}

/** What breaks the rules of the language, takes much memory at once, or hangs, ends the program. */
function fuzzStep(target, seconds) {
  return {
    name: `Fuzzing ${target}`,
    hint: duration(1000 * seconds),
    async run() {
      const corpus = path.join(folder, "corpus", target);
      const findings = path.join(folder, "findings");
      mkdirSync(corpus, { recursive: true });
      mkdirSync(findings, { recursive: true });
      const before = new Set(readdirSync(findings));
      const seeds = [path.join(sources, "seeds", target), ...targets[target]].filter(existsSync);
      const dictionary = path.join(sources, `${target}.dict`);
      const flags = [
        `-max_total_time=${seconds}`,
        "-timeout=25",
        // No input is worth more: a size out of a file is then believed before it is checked.
        "-malloc_limit_mb=256",
        "-rss_limit_mb=2500",
        `-artifact_prefix=${findings}/${target}-`,
        ...(existsSync(dictionary) ? [`-dict=${dictionary}`] : []),
      ];
      const program = path.join(folder, "Release", `flexae_${target}_fuzz`);
      const env = {
        ...process.env,
        UBSAN_OPTIONS: "print_stacktrace=1",
        LSAN_OPTIONS: `suppressions=${path.join(sources, "leaks.supp")}:print_suppressions=0`,
      };
      try {
        await runLogged(`fuzz-${target}`, program, [...flags, corpus, ...seeds], { env });
      } catch (error) {
        const found = readdirSync(findings).filter((name) => !before.has(name));
        if (!(error instanceof SetupError) || found.length === 0) throw error;
        throw new SetupError(
          `${error.message}\n\nThe input is ${path.join(findings, found[0])}. Once it does no harm any more, copy it to ` +
            `native/fuzz/seeds/${target}/found-… so that it never does again.`,
        );
      }
      return `nothing found, ${readdirSync(corpus).length} inputs kept`;
    },
  };
}

const findings = path.join(folder, "findings");

/** Those that are JavaScript. */
const LOOPS = ["import", "containers"];

function loopStep(name, seconds) {
  return {
    name: `Fuzzing ${name}`,
    hint: duration(1000 * seconds),
    async run() {
      mkdirSync(findings, { recursive: true });
      const program = path.join(root, "scripts", "fuzz", `${name}.mjs`);
      const seeds = path.join(sources, "seeds", name);
      const found = existsSync(seeds)
        ? readdirSync(seeds).map((file) => path.join(seeds, file))
        : [];
      if (found.length > 0) {
        const args = [program, "1", findings, ...found];
        await runLogged(`fuzz-${name}-seeds`, process.execPath, args);
      }
      // Once more than it may take, in case it comes to no end.
      const limit = { timeout: 1000 * (2 * seconds + 120) };
      await runLogged(`fuzz-${name}`, process.execPath, [program, `${seconds}`, findings], limit);
      return "nothing found";
    },
  };
}

async function main() {
  const { chosen, values } = chosenParts([...Object.keys(targets), ...LOOPS], {
    seconds: { type: "string", default: "20" },
  });
  const seconds = Number(values.seconds);
  if (!Number.isInteger(seconds) || seconds < 1) {
    throw new SetupError(
      `Expected an integer of at least 1 for --seconds but received ${values.seconds}`,
    );
  }
  const native = chosen.filter((target) => !LOOPS.includes(target));
  const loops = chosen.filter((target) => LOOPS.includes(target));
  await runSteps([
    systemStep("build", "fuzz"),
    packagesStep(),
    libtorchStep(),
    ...(native.length > 0 ? [buildStep()] : []),
    ...native.map((target) => fuzzStep(target, seconds)),
    ...(loops.length > 0 ? [addonStep(), typescriptStep()] : []),
    ...loops.map((loop) => loopStep(loop, seconds)),
  ]);
}

await runMain(main);
