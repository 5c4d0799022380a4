// Builds the addon for binding.gyp: chooses the libtorch as set-up does, then calls the CMake build.
// CMake gets a folder of its own, because node-gyp keeps a Makefile in build/ as CMake would.

import { copyFileSync, mkdirSync } from "node:fs";
import path from "node:path";
import { buildNative } from "./setup/addon.mjs";
import { libtorchStep } from "./setup/libtorch.mjs";
import { root } from "./setup/paths.mjs";
import { runMain, runSteps } from "./setup/steps.mjs";

const build = path.join(root, "build");

const addonStep = {
  name: "Native addon",
  async run() {
    const out = path.join(build, "cmake");
    await buildNative({ out, log: "gyp" });
    mkdirSync(path.join(build, "Release"), { recursive: true });
    copyFileSync(
      path.join(out, "Release", "flexae.node"),
      path.join(build, "Release", "flexae.node"),
    );
    return "build/Release/flexae.node";
  },
};

await runMain(() => runSteps([libtorchStep(), addonStep]));
