#!/usr/bin/env node
// Writes the pages of the library (typedoc) and of the core and the data pipeline (Doxygen):
//
//   npm run docs -- [ts] [cpp]
//
// to docs/api/ts and docs/api/cpp. What either warns of is an error.

import { spawnSync } from "node:child_process";
import { mkdirSync, rmSync } from "node:fs";
import path from "node:path";
import { npmCi } from "./setup/npm.mjs";
import { outdatedPackages, packagesStep } from "./setup/packages.mjs";
import { chosenParts } from "./setup/parts.mjs";
import { root } from "./setup/paths.mjs";
import { done, runMain, runSteps, SetupError } from "./setup/steps.mjs";
import { systemStep } from "./setup/system.mjs";
import { typescriptStep } from "./setup/typescript.mjs";

const pages = path.join(root, "docs", "api");
const tools = path.join(root, "scripts", "docs");

/** Runs a program, and gives what it said. */
function listen(command, args) {
  const options = { cwd: root, encoding: "utf8", maxBuffer: 2 ** 26 };
  const { error, status, stdout, stderr } = spawnSync(command, args, options);
  if (error) throw new SetupError(`Cannot start ${command}: ${error.message}`);
  return { status, said: stdout + stderr };
}

/** typedoc with a TypeScript of its own: it needs the JavaScript API that TypeScript 7 has not. */
function toolsStep() {
  return {
    name: "typedoc",
    async run() {
      if (outdatedPackages(tools).length === 0) return done("as in scripts/docs/package-lock.json");
      await npmCi("docs-npm", tools);
      return "installed from scripts/docs/package-lock.json";
    },
  };
}

function typedocStep() {
  return {
    name: "Pages of the library",
    async run() {
      const typedoc = path.join(tools, "node_modules", "typedoc", "bin", "typedoc");
      const options = path.join("docs", "typedoc.json");
      const { status, said } = listen(process.execPath, [typedoc, "--options", options]);
      if (status !== 0) throw new SetupError(said.trimEnd());
      return path.join("docs", "api", "ts");
    },
  };
}

/** Doxygen's warnings, each with the lines that belong to it. */
function warningsIn(text) {
  const warnings = [];
  for (const line of text.split("\n")) {
    if (/(^|[: ])(warning|error): /.test(line)) warnings.push(line);
    else if (warnings.length > 0 && line.trim() !== "") warnings.push(`${warnings.pop()}\n${line}`);
  }
  return warnings;
}

function doxygenStep() {
  return {
    name: "Pages of the native side",
    async run() {
      rmSync(path.join(pages, "cpp"), { recursive: true, force: true });
      mkdirSync(pages, { recursive: true });
      const { status, said } = listen("doxygen", [path.join("docs", "Doxyfile")]);
      // Not every member needs words; docs/Doxyfile says why.
      const obvious = /warning: Member .* is not documented\.$/;
      const warnings = warningsIn(said).filter((warning) => !obvious.test(warning));
      if (warnings.length > 0) throw new SetupError(warnings.join("\n"));
      if (status !== 0) throw new SetupError(`${said.trimEnd()}\ndoxygen exited with ${status}`);
      return path.join("docs", "api", "cpp");
    },
  };
}

const parts = {
  ts: () => [packagesStep(), typescriptStep(), toolsStep(), typedocStep()],
  cpp: () => [systemStep("docs"), doxygenStep()],
};

async function main() {
  const { chosen } = chosenParts(Object.keys(parts));
  await runSteps(chosen.flatMap((part) => parts[part]()));
}

await runMain(main);
