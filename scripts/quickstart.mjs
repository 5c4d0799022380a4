#!/usr/bin/env node
// Installs what is missing, builds, and trains once on sample images. Starts with Node alone: this file
// and what it imports use nothing from node_modules.

import { accessSync, constants, mkdirSync } from "node:fs";
import { parseArgs } from "node:util";
import { addonStep } from "./setup/addon.mjs";
import { libtorchStep } from "./setup/libtorch.mjs";
import { opencvStep } from "./setup/opencv.mjs";
import { packagesStep } from "./setup/packages.mjs";
import { isBundle, isClone, notes, root } from "./setup/paths.mjs";
import { sampleStep } from "./setup/sample.mjs";
import { duration, runMain, runSteps, SetupError, systemReason } from "./setup/steps.mjs";
import { systemStep } from "./setup/system.mjs";
import { finishedRun, nextCommands, trainingStep, whereThingsAre } from "./setup/training.mjs";
import { typescriptStep } from "./setup/typescript.mjs";

const CLONE_USAGE = `Usage: node scripts/quickstart.mjs [--no-train] [--again] [--only PART]

Installs what is missing (system packages, npm packages, libtorch), builds opencv4nodejs, the addon
and the TypeScript, writes the sample digits to data/sample/ and trains on them for about a minute.

  --no-train   stop before the training (npm run setup)
  --again      train even if the first training was done before
  --only PART  do one part only: addon, libtorch, opencv, sample or ts
`;

const PACKAGE_USAGE = `Usage: npx flexae-setup [--only PART]

Installs what is missing (system packages, libtorch), and builds opencv4nodejs and the addon.

  --only PART  do one part only: addon, libtorch or opencv
`;

const BUNDLE_USAGE = `Usage: flexae-setup

Notes the libtorch that LIBTORCH names, or fetches one: by pip, or its official archive.
`;

const USAGE = `${isClone ? CLONE_USAGE : isBundle ? BUNDLE_USAGE : PACKAGE_USAGE}
Environment:
  LIBTORCH            use this libtorch, or this Python torch folder
  FLEXAE_CACHE        where downloads and what was compiled are kept
                      (default: flexible-autoencoder in the user's cache folder)
  FLEXAE_LIBTORCH_URL base address of the official libtorch archives
  FLEXAE_CUDA         1 or 0: set up for a GPU or not, whatever is found here
`;

const parts = {
  libtorch: libtorchStep,
  ...(isBundle ? {} : { opencv: opencvStep, addon: addonStep }),
  ...(isClone ? { ts: typescriptStep, sample: sampleStep } : {}),
};

async function main() {
  const [major, minor] = process.versions.node.split(".").map(Number);
  if (major < 20 || (major === 20 && minor < 17)) {
    throw new SetupError(`Node ${process.versions.node} is too old: 20.17 or newer is needed.`);
  }
  if (process.platform !== "linux")
    throw new SetupError(`${process.platform} is not supported: Linux is needed.`);

  let values;
  try {
    ({ values } = parseArgs({
      options: {
        "no-train": { type: "boolean", default: false },
        again: { type: "boolean", default: false },
        only: { type: "string" },
        help: { type: "boolean", short: "h", default: false },
      },
    }));
  } catch (error) {
    throw new SetupError(`${error.message}\n\n${USAGE}`);
  }
  if (values.help) {
    process.stdout.write(USAGE);
    return;
  }
  try {
    mkdirSync(notes, { recursive: true });
    accessSync(notes, constants.W_OK);
  } catch (error) {
    throw new SetupError(
      `${root} cannot be written: ${systemReason(error)}. ` +
        "Run this as the user to whom that folder belongs.",
    );
  }

  if (values.only !== undefined) {
    const part = Object.hasOwn(parts, values.only) ? parts[values.only] : undefined;
    if (!part)
      throw new SetupError(
        `Expected one of ${Object.keys(parts).join(", ")} for --only but received ${values.only}`,
      );
    await runSteps([part()]);
    return;
  }

  if (isBundle) {
    await runSteps([libtorchStep()]);
    process.stdout.write("Next:      flexae doctor\n");
    return;
  }

  const start = performance.now();
  // An installed package comes compiled, with its npm packages, and without the sample's source.
  const train = isClone && !values["no-train"];
  await runSteps([
    systemStep("build"),
    ...(isClone ? [packagesStep()] : []),
    libtorchStep(),
    opencvStep(),
    addonStep(),
    ...(isClone ? [typescriptStep(), sampleStep()] : []),
    ...(train ? [trainingStep({ again: values.again })] : []),
  ]);
  process.stdout.write(`\nReady after ${duration(performance.now() - start)}.\n`);
  const runDir = train ? finishedRun() : null;
  if (runDir) process.stdout.write(`${whereThingsAre(runDir)}\n`);
  const next = runDir ? nextCommands() : "npx flexae run --help";
  process.stdout.write(`Next:      ${next}\n`);
}

await runMain(main);
