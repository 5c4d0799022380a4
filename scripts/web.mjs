#!/usr/bin/env node
// Bundles web/ to dist/web/: of each page its script and its style.

import { readdirSync, readFileSync } from "node:fs";
import path from "node:path";
import { fileURLToPath } from "node:url";
import { build } from "esbuild";

const root = path.join(path.dirname(fileURLToPath(import.meta.url)), "..");

/** Each page, and the packages that its script has in it. */
const PAGES = {
  report: ["uplot"],
  dashboard: ["uplot"],
  sweep: [],
  explore: [
    "regl-scatterplot",
    "regl",
    "regl-line",
    "dom-2d-camera",
    "camera-2d-simple",
    "gl-matrix",
    "pub-sub-es",
    "earcut",
    "@flekschas/utils",
  ],
};

/** The text of a package's licence. */
function licenceOf(name) {
  const folder = path.join(root, "node_modules", name);
  const file = readdirSync(folder).find((entry) => /^licen[cs]e/i.test(entry));
  return readFileSync(path.join(folder, file), "utf8").trim();
}

for (const [page, packages] of Object.entries(PAGES)) {
  // Licences travel with what is under them, into every page.
  const licences = packages.map((name) => `${name}\n\n${licenceOf(name)}`).join("\n\n");
  await build({
    entryPoints: { [page]: path.join(root, "web", page, "main.ts") },
    outdir: path.join(root, "dist/web"),
    bundle: true,
    minify: true,
    format: "iife",
    target: "es2022",
    banner: packages.length === 0 ? {} : { js: `/*! ${licences.replaceAll("*/", "* /")} */` },
    logLevel: "warning",
  });
}
