#!/usr/bin/env node
// Exported models in programs too large for every day: Keras 3 on TensorFlow, PyTorch and JAX,
// tf_keras 2, OpenVINO, onnxruntime-node and, in Chromium, onnxruntime-web. It needs what `npm test`
// builds, and an environment of Python of 4 GB.
//
//   npm run test:exports            30 networks drawn, besides those of the list
//   FLEXAE_EXPORT_NETWORKS=5 FLEXAE_EXPORT_SEED=1 npm run test:exports

import path from "node:path";
import { addonStep } from "./setup/addon.mjs";
import { browserStep } from "./setup/browser.mjs";
import { examplesStep } from "./setup/examples.mjs";
import { libtorchStep } from "./setup/libtorch.mjs";
import { packagesStep } from "./setup/packages.mjs";
import { root } from "./setup/paths.mjs";
import { runShown } from "./setup/run.mjs";
import { runMain, runSteps } from "./setup/steps.mjs";
import { systemStep } from "./setup/system.mjs";
import { typescriptStep } from "./setup/typescript.mjs";
import { venvPython, venvStep } from "./setup/venv.mjs";

const requirements = path.join(root, "test", "exports", "requirements.txt");

await runMain(async () => {
  await runSteps([
    systemStep("build", "test"),
    packagesStep(),
    libtorchStep(),
    addonStep(),
    typescriptStep(),
    examplesStep(),
    browserStep(),
    venvStep(requirements, "TensorFlow, PyTorch, JAX and OpenVINO, 4 GB, some minutes"),
  ]);
  // The networks and what drives the program are those of the interop tests.
  const options = ["-q", "-s", "-o", "pythonpath=test/interop", "test/exports"];
  await runShown(venvPython(requirements), ["-m", "pytest", ...options], {
    env: { FLEXAE_EXPORT_NETWORKS: "30", ...process.env },
  });
});
