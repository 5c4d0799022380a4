#!/usr/bin/env node
// Which lines the tests execute: vitest those of ts/, GoogleTest those of core and data.
//
//   npm run coverage -- [ts] [native]
//
// The last lines have a number of each. `npm test -- --coverage` counts those of ts/ on its way.

import { coverageLine } from "./coverage/line.mjs";
import { buildNativeTests, countNative, runNativeTests } from "./coverage/native.mjs";
import { countTypescript, runVitest } from "./coverage/typescript.mjs";
import { addonStep } from "./setup/addon.mjs";
import { libtorchStep } from "./setup/libtorch.mjs";
import { opencvStep } from "./setup/opencv.mjs";
import { packagesStep } from "./setup/packages.mjs";
import { chosenParts } from "./setup/parts.mjs";
import { sampleStep } from "./setup/sample.mjs";
import { runMain, runSteps } from "./setup/steps.mjs";
import { systemStep } from "./setup/system.mjs";
import { typescriptStep } from "./setup/typescript.mjs";

const parts = {
  ts: {
    what: "ts",
    needs: () => [opencvStep(), addonStep(), typescriptStep(), sampleStep()],
    async run() {
      await runVitest();
      return countTypescript();
    },
  },
  native: {
    what: "native/core, native/analysis and native/data",
    needs: () => [
      {
        name: "Native tests",
        hint: "compiled by clang, some minutes the first time",
        async run() {
          await buildNativeTests();
          return "build-coverage/Release";
        },
      },
    ],
    async run() {
      await runNativeTests();
      return countNative();
    },
  },
};

async function main() {
  const { chosen } = chosenParts(Object.keys(parts));
  await runSteps([
    systemStep("build", "test", ...(chosen.includes("native") ? ["coverage"] : [])),
    packagesStep(),
    libtorchStep(),
    ...chosen.flatMap((part) => parts[part].needs()),
  ]);
  const results = [];
  for (const part of chosen) results.push([parts[part].what, await parts[part].run()]);
  for (const [what, result] of results) process.stdout.write(coverageLine(what, result));
}

await runMain(main);
