// opencv4nodejs, which draws the pictures: compiled from opencv/ for the running Node, with the
// modules that pictures take and no others. No install script does it: npm 12 and pnpm run none.

import { copyFileSync, existsSync, readFileSync, statSync } from "node:fs";
import { cp, mkdir, mkdtemp, readdir, rename, rm, stat, writeFile } from "node:fs/promises";
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
import { nodeHeaders } from "./headers.mjs";
import { loadProblem } from "./native.mjs";
import { npmCi } from "./npm.mjs";
import { notes, root } from "./paths.mjs";
import { jobs, output, runLogged } from "./run.mjs";
import { done, SetupError } from "./steps.mjs";

/** What opencv4nodejs is compiled from, besides its own sources, which the lockfile names. */
const sources = path.join(root, "opencv");
const SOURCES = ["package.json", "package-lock.json", "binding.gyp", "include", "png"];

const KIND = "opencv4nodejs";
const BINARY = "opencv4nodejs.node";
/** Beside the binary: what it was built with, for set-up and for `flexae doctor`. */
const NOTE = "built.json";

/** Where the binary for a Node lies. ts/imaging/opencv.ts looks there. */
export const builtFolder = (abi = process.versions.modules) =>
  path.join(sources, "build", `abi-${abi}`);

/** Draws a picture, as ts/imaging does. */
const DRAW = `
  const picture = new loaded.Mat(2, 3, loaded.CV_8UC3, [1, 2, 3]);
  const larger = picture.resize(4, 6, 0, 0, loaded.INTER_NEAREST);
  larger.copyTo(larger.getRegion(new loaded.Rect(0, 0, 6, 4)));
  const png = loaded.imencode(".png", larger);
  if (png.readUInt32BE(0) !== 0x89504e47) throw new Error("what it draws is no PNG");`;

/** What is wrong with a binary of opencv4nodejs, in one line; null if it draws. */
export const drawingProblem = (file, env = process.env) => loadProblem(file, DRAW, env);

/**
 * The OpenCV of this system, as CMake finds it: for opencv4nodejs and the addon the same.
 * @typedef {{ version: string, includes: string[], libraries: string[] }} OpenCV
 */

/** The variables by which CMake is told of an OpenCV that is somewhere else. */
const whereabouts = (env) =>
  JSON.stringify(["OpenCV_DIR", "CMAKE_PREFIX_PATH", "CXX"].map((name) => env[name] ?? ""));

/** When an OpenCV was installed: the times of its version and of its libraries. */
function installed({ includes, libraries }) {
  const version = includes
    .map((folder) => path.join(folder, "opencv2", "core", "version.hpp"))
    .find((file) => existsSync(file));
  if (!version) return null;
  const files = [version, ...libraries];
  if (!files.every((file) => existsSync(file))) return null;
  return files.map((file) => statSync(file).mtimeMs).join();
}

/**
 * Asks CMake once, and again when that OpenCV is not what it was.
 * @returns {Promise<OpenCV>}
 */
export async function locateOpenCV(env = process.env) {
  const record = path.join(notes, "opencv.json");
  try {
    const known = JSON.parse(readFileSync(record, "utf8"));
    if (known.asked === whereabouts(env) && known.installed === installed(known.opencv)) {
      return known.opencv;
    }
  } catch {
    // Not asked yet.
  }
  await mkdir(notes, { recursive: true });
  const work = await mkdtemp(path.join(notes, "locate-"));
  try {
    const project = path.join(sources, "locate");
    await runLogged("opencv-locate", "cmake", ["-S", project, "-B", work], { env });
    const opencv = JSON.parse(readFileSync(path.join(work, "located.json"), "utf8"));
    const known = { asked: whereabouts(env), installed: installed(opencv), opencv };
    await writeFile(`${record}.new-${process.pid}`, JSON.stringify(known));
    await rename(`${record}.new-${process.pid}`, record);
    return opencv;
  } finally {
    await rm(work, { recursive: true, force: true });
  }
}

/**
 * Who encodes a binary's PNG files: OpenCV, or libpng, which spares it the libraries of OpenCV that
 * load hundreds of others.
 * @typedef {"opencv" | "libpng"} Encoder
 */

/** What the binary follows from. */
export function opencvKey(opencv, env = process.env, encoder = "opencv") {
  return digest(
    ...contents(sources, SOURCES),
    encoder,
    process.versions.modules,
    JSON.stringify(opencv),
    compilerIdentity(env),
  );
}

/** node-gyp's environment: nothing in it says that the Node is another one. */
export function gypEnvironment(env) {
  const other = /^npm_(package_)?config_(node_gyp_)?(nodedir|target|target_arch|arch|runtime)$/i;
  const result = Object.fromEntries(Object.entries(env).filter(([name]) => !other.test(name)));
  if (!result.CXX && output("which", ["ccache"]) !== null) {
    result.CXX = "ccache c++";
    result.CCACHE_BASEDIR ||= root;
  }
  return result;
}

/** Compiles it in a folder of its own. Returns the binary, which lies in that folder. */
async function compile(work, opencv, env, encoder) {
  for (const name of SOURCES) {
    await cp(path.join(sources, name), path.join(work, name), { recursive: true });
  }
  const rpaths = new Set(opencv.libraries.map((file) => path.dirname(file)));
  const plain = (file) => /libopencv_(core|imgproc)\./.test(file);
  const variables = {
    encoder,
    opencv_includes: opencv.includes,
    opencv_libraries: encoder === "opencv" ? opencv.libraries : opencv.libraries.filter(plain),
    opencv_ldflags: [...rpaths]
      .filter((folder) => !/^(\/usr)?\/lib\b/.test(folder))
      .map((folder) => `-Wl,-rpath,${folder}`),
  };
  await writeFile(path.join(work, "located.gypi"), JSON.stringify({ variables }));
  await npmCi("opencv-npm", work);

  const gyp = path.join(work, "node_modules", "node-gyp", "bin", "node-gyp.js");
  const options = { cwd: work, env: gypEnvironment(env) };
  const nodeGyp = (log, ...args) => runLogged(log, process.execPath, [gyp, ...args], options);
  const headers = nodeHeaders(env);
  if (headers === null) {
    await nodeGyp("opencv-headers", "install", "--ensure").catch((error) => {
      throw new SetupError(
        `${error.message}\nThe headers of Node ${process.versions.node} are not beside it ` +
          `(${path.resolve(process.execPath, "../../include/node")}) and cannot be downloaded. ` +
          "Install them (Debian: libnode-dev), or a Node that has them.",
      );
    });
  }
  const nodedir = headers === null ? [] : [`--nodedir=${headers}`];
  await nodeGyp("opencv-configure", "configure", ...nodedir);
  await nodeGyp("opencv-build", "build", `--jobs=${jobs()}`, ...nodedir);
  return path.join(work, "build", "Release", BINARY);
}

/** Removes what interrupted set-ups of earlier days left behind. */
async function sweep() {
  for (const name of await readdir(notes)) {
    if (!/^(opencv|locate)-/.test(name)) continue;
    const folder = path.join(notes, name);
    const { mtimeMs } = await stat(folder).catch(() => ({ mtimeMs: Date.now() }));
    if (Date.now() - mtimeMs > 24 * 3600 * 1000) await rm(folder, { recursive: true, force: true });
  }
}

/** The note beside the binary; null without one. */
function readNote(folder) {
  try {
    return JSON.parse(readFileSync(path.join(folder, NOTE), "utf8"));
  } catch {
    return null;
  }
}

/**
 * Makes sure that there is a binary for the running Node and that it draws: the one that is there,
 * one from the cache, or a new one.
 * @param {{ env?: NodeJS.ProcessEnv, folder?: string, build?: typeof compile, encoder?: Encoder }}
 *   [options]
 * @returns {Promise<{ how: "there" | "cache" | "compiled", what: string }>}
 * @throws {SetupError} with the reason if it cannot be built, or does not draw
 */
export async function resolveOpencv4nodejs({
  env = process.env,
  folder = builtFolder(),
  build = compile,
  encoder = "opencv",
} = {}) {
  const opencv = await locateOpenCV(env);
  const key = opencvKey(opencv, env, encoder);
  const binary = path.join(folder, BINARY);
  const { version } = JSON.parse(readFileSync(path.join(sources, "package-lock.json"), "utf8"))
    .packages["node_modules/@u4/opencv4nodejs"];
  const { node, modules: abi } = process.versions;
  const note = { opencv4nodejs: version, opencv: opencv.version, node, abi, key };
  const what = `${version} with OpenCV ${opencv.version}, for Node ${node} (ABI ${abi})`;
  const write = () => writeFile(path.join(folder, NOTE), `${JSON.stringify(note)}\n`);

  const keep = async () => {
    const reason = await reasonNotKept(KIND, key, binary, {}, env);
    return reason === null ? "" : `; not kept for other copies: ${reason}`;
  };
  if (readNote(folder)?.key === key && drawingProblem(binary, env) === null) {
    return { how: "there", what: what + (hasCompiled(KIND, key, env) ? "" : await keep()) };
  }
  if ((await restoreCompiled(KIND, key, binary, env)) !== null) {
    if (drawingProblem(binary, env) === null) {
      await write();
      return { how: "cache", what };
    }
    await forgetCompiled(KIND, key, env);
  }

  await mkdir(notes, { recursive: true });
  await sweep();
  await mkdir(folder, { recursive: true });
  const work = await mkdtemp(path.join(notes, "opencv-"));
  try {
    const made = await build(work, opencv, env, encoder);
    const problem = drawingProblem(made, env);
    if (problem !== null) {
      throw new SetupError(
        `opencv4nodejs was compiled, and does not work in Node ${node} (ABI ${abi}): ${problem}`,
      );
    }
    copyFileSync(made, `${binary}.new-${process.pid}`);
    await rename(`${binary}.new-${process.pid}`, binary);
    await write();
  } finally {
    await rm(work, { recursive: true, force: true });
  }
  return { how: "compiled", what: what + (await keep()) };
}

/** The step that makes opencv4nodejs. */
export function opencvStep() {
  return {
    name: "opencv4nodejs",
    hint: "compiled, half a minute the first time",
    async run() {
      const { how, what } = await resolveOpencv4nodejs();
      if (how === "there") return done(what);
      return how === "cache" ? `${what}, compiled earlier` : what;
    },
  };
}
