// Builds the addon for binding.gyp: chooses the libtorch as set-up does, then calls the CMake build.

import { addonStep } from "./setup/addon.mjs";
import { libtorchStep } from "./setup/libtorch.mjs";
import { runMain, runSteps } from "./setup/steps.mjs";

await runMain(() => runSteps([libtorchStep(), addonStep()]));
