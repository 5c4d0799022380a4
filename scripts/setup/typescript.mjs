// Compiles ts/ to dist/, and bundles web/ to dist/web/.

import { existsSync, statSync, utimesSync } from "node:fs";
import path from "node:path";
import { newest } from "./files.mjs";
import { root } from "./paths.mjs";
import { runLogged } from "./run.mjs";
import { done } from "./steps.mjs";

/** The step that compiles the TypeScript unless dist/ is newer. */
export function typescriptStep() {
  return {
    name: "TypeScript",
    async run() {
      const built = path.join(root, "dist", ".tsbuildinfo");
      const inputs = ["ts", "web", "tsconfig.json", "package-lock.json"].map((name) =>
        path.join(root, name),
      );
      if (existsSync(built) && statSync(built).mtimeMs >= newest(...inputs))
        return done("dist/ is up to date");
      const compiler = path.join(root, "node_modules", ".bin", "tsc");
      const start = new Date();
      await runLogged("typescript", compiler, ["-p", "tsconfig.json"]);
      const script = path.join(root, "scripts", "web.mjs");
      await runLogged("web", process.execPath, [script]);
      // A compilation that changes nothing leaves it as old as it was.
      if (existsSync(built)) utimesSync(built, start, start);
      return "dist/";
    },
  };
}
