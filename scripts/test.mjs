#!/usr/bin/env node
// Runs every test, after making whatever they need: GoogleTest by ctest, vitest, pytest. With
// --coverage, the last line says how much of ts/ they executed.

import path from "node:path";
import { parseArgs } from "node:util";
import { coverageLine } from "./coverage/line.mjs";
import { countTypescript, runVitest } from "./coverage/typescript.mjs";
import { addonStep, buildFolder, buildNative } from "./setup/addon.mjs";
import { browserStep } from "./setup/browser.mjs";
import { examplesStep } from "./setup/examples.mjs";
import { libtorchStep } from "./setup/libtorch.mjs";
import { opencvStep } from "./setup/opencv.mjs";
import { packagesStep } from "./setup/packages.mjs";
import { root } from "./setup/paths.mjs";
import { output, runShown } from "./setup/run.mjs";
import { sampleStep } from "./setup/sample.mjs";
import { duration, runMain, runSteps, SetupError } from "./setup/steps.mjs";
import { systemStep } from "./setup/system.mjs";
import { typescriptStep } from "./setup/typescript.mjs";
import { venvPython, venvStep } from "./setup/venv.mjs";

/** Of TensorBoard and MLflow, which read back what runs tell them. */
const trackers = path.join(root, "test", "tracking", "requirements.txt");

/** Of PySpark, which reads parts as one table; 480 MB, so that the other tests have it not. */
const spark = path.join(root, "test", "scaling", "requirements.txt");

/** Whether there is a Java for Spark. */
const hasJava = output("java", ["-version"]) !== null;

/** Builds the native tests in the addon's build folder, so that the core is compiled once. */
function nativeTestsStep() {
  return {
    name: "Native tests",
    hint: "compiled, a few minutes the first time",
    async run() {
      await buildNative({
        target: "flexae_tests",
        defines: { FLEXAE_TESTS: "ON" },
        log: "native-tests",
      });
      return "GoogleTest programs and flexae_probe";
    },
  };
}

const suites = {
  native: {
    title: "GoogleTest",
    run: () =>
      runShown("ctest", ["--test-dir", path.join(buildFolder, "cmake"), "--output-on-failure"]),
  },
  ts: {
    title: "vitest",
    run: () => runShown(path.join(root, "node_modules", ".bin", "vitest"), ["run"]),
  },
  interop: {
    title: "pytest",
    run: () =>
      runShown(venvPython(), ["-m", "pytest", "-q", "test/interop"], {
        env: {
          ...process.env,
          FLEXAE_PROBE: path.join(buildFolder, "Release", "flexae_probe"),
          KERAS_BACKEND: "torch",
          ...(hasJava ? { FLEXAE_SPARK_PYTHON: venvPython(spark) } : {}),
        },
      }),
  },
};

async function main() {
  let values;
  try {
    ({ values } = parseArgs({
      options: { only: { type: "string" }, coverage: { type: "boolean", default: false } },
    }));
  } catch (error) {
    throw new SetupError(error.message);
  }
  if (values.only !== undefined && !Object.hasOwn(suites, values.only)) {
    throw new SetupError(
      `Expected one of ${Object.keys(suites).join(", ")} for --only but received ${values.only}`,
    );
  }
  const chosen = Object.entries(suites).filter(
    ([name]) => values.only === undefined || values.only === name,
  );
  const needs = (name) => chosen.some(([key]) => key === name);
  const counting = values.coverage && needs("ts");

  await runSteps([
    systemStep("build", "test"),
    packagesStep(),
    libtorchStep(),
    opencvStep(),
    addonStep(),
    typescriptStep(),
    sampleStep(),
    ...(needs("ts")
      ? [
          examplesStep(),
          browserStep(),
          venvStep(trackers, "TensorBoard and MLflow, half a minute the first time"),
        ]
      : []),
    ...(needs("native") || needs("interop") ? [nativeTestsStep()] : []),
    ...(needs("interop") ? [venvStep()] : []),
    ...(needs("interop") && hasJava ? [venvStep(spark, "PySpark, a minute the first time")] : []),
  ]);

  // Every suite runs, so that one round tells all that is broken.
  const results = [];
  for (const [name, suite] of chosen) {
    process.stdout.write(`\n--- ${suite.title} ---\n`);
    const start = performance.now();
    let failure = null;
    try {
      await (counting && name === "ts" ? runVitest() : suite.run());
    } catch (error) {
      if (!(error instanceof SetupError)) throw error;
      failure = error.message;
    }
    results.push({ title: suite.title, failure, time: duration(performance.now() - start) });
  }
  process.stdout.write("\n");
  for (const { title, failure, time } of results) {
    process.stdout.write(
      `${title}: ${failure === null ? "passed" : `FAILED, ${failure}`} (${time})\n`,
    );
  }
  if (results.some(({ failure }) => failure !== null)) process.exitCode = 1;
  else if (counting) process.stdout.write(coverageLine("ts", await countTypescript()));
}

await runMain(main);
