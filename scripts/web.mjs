#!/usr/bin/env node
// Bundles web/ to dist/web/: of each page its script and its style.

import { readFileSync } from "node:fs";
import path from "node:path";
import { fileURLToPath } from "node:url";
import { build } from "esbuild";

const root = path.join(path.dirname(fileURLToPath(import.meta.url)), "..");

// The licence travels with what is under it, into every page.
const licence = readFileSync(path.join(root, "node_modules/uplot/LICENSE"), "utf8").trim();

await build({
  entryPoints: { report: path.join(root, "web/report/main.ts") },
  outdir: path.join(root, "dist/web"),
  bundle: true,
  minify: true,
  format: "iife",
  target: "es2022",
  banner: { js: `/*! uPlot\n\n${licence} */` },
  logLevel: "warning",
});
