/**
 * A bundle (`npm run bundle`) holds an addon for each minor version of libtorch, and no libtorch:
 * which one is taken follows from the libtorch that `LIBTORCH` names. Loads nothing native.
 */
import { existsSync, readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { packageRoot } from "./root.js";

const ADDONS = join(packageRoot, "build");
const FOLDER = /^torch-(\d+\.\d+)$/;

/** The versions of libtorch, as 2.13, that have an addon; empty where this is no bundle. */
export function bundledVersions(): string[] {
  if (!existsSync(join(packageRoot, "bundle.json"))) return [];
  return readdirSync(ADDONS)
    .flatMap((name) => FOLDER.exec(name)?.[1] ?? [])
    .sort((a, b) => a.localeCompare(b, "en", { numeric: true }));
}

/** Where a libtorch says its version: a Python's in a module, an unpacked one in a text file. */
const VERSION_FILES = ["version.py", "build-version", "include/torch/headeronly/version.h"];
const VERSION_TEXTS = [
  /^__version__ = ['"](\d+\.\d+)/m,
  /^(\d+\.\d+)\.\d+/,
  /#define TORCH_VERSION_MAJOR (\d+)[\s\S]*?#define TORCH_VERSION_MINOR (\d+)/,
];

/** The minor version of the libtorch in a folder, as 2.13; null where no file says it. */
function versionOf(folder: string): string | null {
  for (const [index, name] of VERSION_FILES.entries()) {
    const file = join(folder, name);
    if (!existsSync(file)) continue;
    const match = (VERSION_TEXTS[index] as RegExp).exec(readFileSync(file, "utf8"));
    if (match !== null) return match.slice(1).join(".");
  }
  return null;
}

/** The addon for the libtorch of the environment, or what is to be done about there being none. */
export function bundledAddon(
  versions: readonly string[],
  environment: NodeJS.ProcessEnv,
): { path: string } | { problem: string } {
  const folder = environment.LIBTORCH;
  const range = versions.join(", ");
  if (folder === undefined || folder === "") {
    return {
      problem:
        `no libtorch: set LIBTORCH to the \`torch\` folder of a Python (PyTorch ${range}) or to ` +
        "an unpacked libtorch, or run `flexae-setup`, which fetches one",
    };
  }
  if (!existsSync(join(folder, "lib", "libtorch_cpu.so"))) {
    return { problem: `LIBTORCH=${folder} is no libtorch: it has no lib/libtorch_cpu.so` };
  }
  const version = versionOf(folder);
  if (version === null || !versions.includes(version)) {
    return {
      problem: `LIBTORCH=${folder} is of version ${version ?? "unknown"}; this bundle takes ${range}`,
    };
  }
  return { path: join(ADDONS, `torch-${version}`, "flexae.node") };
}
