#!/usr/bin/env node
// Writes what follows from the table of parameters (ts/config/parameters.ts) and is kept in the
// repository: the tables of the README and the header that C++ reads. A test tells when they lag.

import { readFileSync, writeFileSync } from "node:fs";
import path from "node:path";
import { fileURLToPath } from "node:url";
import { settingsHeader } from "../dist/config/cpp.js";
import { parameterTable } from "../dist/config/markdown.js";

const root = path.join(path.dirname(fileURLToPath(import.meta.url)), "..");
const readme = path.join(root, "README.md");

const text = readFileSync(readme, "utf8");
// From the first line of the first table to the last of the last.
const tables = /^\| Model \|[\s\S]*^\| `--pre-train-verbose`.*\n/m;
if (!tables.test(text)) throw new Error("README.md has no tables of parameters");
writeFileSync(
  readme,
  text.replace(tables, () => `${parameterTable()}\n`),
);
writeFileSync(path.join(root, "native/core/spec/settings.h"), settingsHeader());
