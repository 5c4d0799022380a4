#!/usr/bin/env node

// The command `flexae`. npm links to this file and not to dist/cli/main.js, because the compiler
// writes that one anew without the executable bit and a link that npm made earlier then fails
// with "Permission denied".

import { existsSync } from "node:fs";

const compiled = new URL("../dist/cli/main.js", import.meta.url);
if (existsSync(compiled)) {
  await import(compiled.href);
} else {
  process.stderr.write("flexae: it is not compiled yet: run `npm run setup`\n");
  process.exitCode = 1;
}
