// Builds the addon by cmake-js: build/Release/flexae.node.

import { existsSync, readFileSync, realpathSync, rmSync, statSync, writeFileSync } from "node:fs";
import { createRequire } from "node:module";
import path from "node:path";
import {
  compilerIdentity,
  digest,
  forgetCompiled,
  hasCompiled,
  reasonNotKept,
  restoreCompiled,
} from "./cache.mjs";
import { contents } from "./files.mjs";
import { inspectLibtorch, recordFile } from "./libtorch.mjs";
import { loadProblem } from "./native.mjs";
import { locateOpenCV } from "./opencv.mjs";
import { root } from "./paths.mjs";
import { jobs, runLogged } from "./run.mjs";
import { done, SetupError } from "./steps.mjs";
import { wishesHere } from "./system.mjs";

const require = createRequire(path.join(root, "package.json"));

/** The cmake-js program, wherever npm put it. */
function cmakeJs() {
  return path.join(path.dirname(require.resolve("cmake-js/package.json")), "bin", "cmake-js");
}

/** The libtorch that set-up noted. */
export function recordedLibtorch() {
  if (!existsSync(recordFile)) throw new SetupError("No libtorch is set up: run `npm run setup`.");
  return readFileSync(recordFile, "utf8").trim();
}

/** The folder that `npm run build:addon` and node-gyp build in. */
export const buildFolder = path.join(root, "build");

/**
 * Configures and builds with cmake-js: CMake's own files go to `folder`/cmake (node-gyp keeps a Makefile
 * in build/ as CMake would), the addon and programs to `folder`/Release.
 * @param {{ folder?: string, libtorch?: string, target?: string | null, defines?: Record<string, string>,
 *   env?: NodeJS.ProcessEnv, log?: string }} [options] `target` null only configures
 */
export async function buildNative(options = {}) {
  const folder = options.folder ?? buildFolder;
  const log = options.log ?? "addon";
  const env = options.env ?? process.env;
  const target = options.target === undefined ? "flexae_addon" : options.target;
  const defines = {
    FLEXAE_LIBTORCH: options.libtorch ?? recordedLibtorch(),
    FLEXAE_OUTPUT: path.join(folder, "Release"),
    ...options.defines,
  };
  const common = [cmakeJs(), "--directory", root, "--out", path.join(folder, "cmake")];
  const flags = Object.entries(defines).map(([name, value]) => `--CD${name}=${value}`);
  const configure = [...common, ...flags, "configure"];
  await runLogged(`${log}-configure`, process.execPath, configure, { env });
  if (target === null) return;
  const build = [...common, "--parallel", String(jobs()), "--target", target, "build"];
  await runLogged(`${log}-build`, process.execPath, build, { env });
}

const KIND = "addon";
const addon = path.join(buildFolder, "Release", "flexae.node");
/** Beside the addon: what it was made from, and its own time, by which another build is told. */
const noteFile = path.join(buildFolder, "Release", "built.json");

const SOURCES = ["native", "cmake", "CMakeLists.txt"];
/** What the compiler and CMake read there for the addon; a README changes nothing. */
const READ = /^(?!native\/(test|bench|fuzz)\/)(.*\.(cpp|h|hpp|inc|cmake)|.*CMakeLists\.txt)$/;

/** What the addon follows from, besides the path that it remembers of libtorch. */
export function addonKey(libtorch, opencv, env = process.env) {
  const { version } = require("./package.json");
  const headers = ["node-addon-api", "node-api-headers"].map(
    (name) => require(`${name}/package.json`).version,
  );
  return digest(
    ...contents(root, SOURCES, READ),
    JSON.stringify([version, headers, opencv, realpathSync(libtorch), inspectLibtorch(libtorch)]),
    JSON.stringify(wishesHere("build")),
    compilerIdentity(env),
  );
}

/** libtorch keeps no binary compatibility between minor versions. */
export const SAME_LIBTORCH = `
  const { torch, torchBuild } = loaded.versions();
  const minor = (version) => version.split(".", 2).join(".");
  if (minor(torch) !== minor(torchBuild)) {
    throw new Error("it was built against libtorch " + torchBuild + ", and loads " + torch);
  }`;

function readNote() {
  try {
    return JSON.parse(readFileSync(noteFile, "utf8"));
  } catch {
    return null;
  }
}

/** The step that builds the addon, unless there is one made from just what is here. */
export function addonStep() {
  return {
    name: "Native addon",
    hint: "compiled by cmake-js, a few minutes the first time",
    async run() {
      const libtorch = recordedLibtorch();
      const opencv = await locateOpenCV();
      const key = addonKey(libtorch, opencv);
      const name = path.relative(root, addon);
      const note = () =>
        writeFileSync(noteFile, JSON.stringify({ key, time: statSync(addon).mtimeMs }));
      const keep = async () => {
        const reason = await reasonNotKept(KIND, key, addon);
        return reason === null ? "" : `; not kept for other copies: ${reason}`;
      };

      const before = readNote();
      const time = statSync(addon, { throwIfNoEntry: false })?.mtimeMs;
      if (before?.key === key && before.time === time) {
        if (loadProblem(addon, SAME_LIBTORCH) === null) {
          return done(`${name} is up to date${hasCompiled(KIND, key) ? "" : await keep()}`);
        }
        // The build would take it for finished.
        rmSync(addon, { force: true });
      }
      if ((await restoreCompiled(KIND, key, addon)) !== null) {
        if (loadProblem(addon, SAME_LIBTORCH) === null) {
          note();
          return `${name}, compiled earlier`;
        }
        await forgetCompiled(KIND, key);
        rmSync(addon, { force: true });
      }
      await buildNative();
      const problem = loadProblem(addon, SAME_LIBTORCH);
      if (problem !== null) {
        throw new SetupError(`${name} was compiled, and does not load: ${problem}`);
      }
      // One that was compiled while a source was edited is nobody's.
      if (addonKey(libtorch, opencv) !== key) return `${name}; sources changed meanwhile`;
      note();
      return name + (await keep());
    },
  };
}
