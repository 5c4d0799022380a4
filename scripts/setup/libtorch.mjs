// Finds or fetches the prebuilt libtorch: LIBTORCH, the cache, pip, the official archive.

import { existsSync, readFileSync, statSync } from "node:fs";
import { mkdir, mkdtemp, readdir, readFile, rename, rm, stat, writeFile } from "node:fs/promises";
import path from "node:path";
import { openCache } from "./cache.mjs";
import { download } from "./download.mjs";
import { hasGpu } from "./gpu.mjs";
import { cacheDir, isBundle, notes, root } from "./paths.mjs";
import { output } from "./run.mjs";
import { done, SetupError } from "./steps.mjs";
import { aptPrefix, installPackages } from "./system.mjs";
import { openWheel, pipDownload } from "./wheel.mjs";
import { Zip } from "./zip.mjs";

/** The version set-up fetches. */
export const LIBTORCH_VERSION = "2.13.0";
/** The CUDA version in the name of the official archive of that version. */
const ARCHIVE_CUDA = "cu130";
const ARCHIVE_URL = "https://download.pytorch.org/libtorch";
const SUPPORTED = { from: [2, 11], to: [2, 14] };

/** Written last into a finished folder: what it is and every file's size. */
const MANIFEST = "flexae-libtorch.json";
const TEMPORARY = ".tmp-";

/** @typedef {"cpu" | "cuda" | "cuda-libraries-for-cpu"} Kind */

/** Where the path of the libtorch in use is noted, for CMake to read. */
export const recordFile = path.join(notes, "libtorch");

/**
 * Looks at a libtorch, or at a Python torch folder.
 * @returns {{ version: string } | { problem: string }}
 */
export function inspectLibtorch(folder) {
  for (const needed of ["lib/libtorch_cpu.so", "lib/libc10.so", "include/ATen/ATen.h"]) {
    if (!existsSync(path.join(folder, needed))) return { problem: `${needed} is missing` };
  }
  const headers = [
    "include/torch/headeronly/version.h",
    "include/torch/csrc/api/include/torch/version.h",
  ];
  for (const header of headers
    .map((name) => path.join(folder, name))
    .filter((name) => existsSync(name))) {
    const text = readFileSync(header, "utf8");
    const numbers = ["MAJOR", "MINOR", "PATCH"].map((part) =>
      Number(new RegExp(`#define TORCH_VERSION_${part} (\\d+)`).exec(text)?.[1]),
    );
    if (numbers.some(Number.isNaN)) continue;
    const [major, minor] = numbers;
    const { from, to } = SUPPORTED;
    if (major !== from[0] || minor < from[1] || minor > to[1]) {
      return {
        problem: `it is version ${numbers.join(".")}; ${from.join(".")} to ${to.join(".")} are supported`,
      };
    }
    return { version: numbers.join(".") };
  }
  return { problem: "its version.h is missing" };
}

/** Which files of a wheel or archive are kept, relative to `torch/`: no Python, no tests, no static libraries. */
function keep(relative, kind) {
  if (/^(include|share)\//.test(relative)) return true;
  const library = /^lib\/([^/]+\.so[.\d]*)$/.exec(relative)?.[1];
  if (!library) return false;
  if (
    /python|_test\.so|libshm|torchbind|backend_with_compiler|aoti_custom_ops|global_deps/.test(
      library,
    )
  )
    return false;
  // Of no use without a GPU, and not loadable without the CUDA libraries that are then not fetched.
  if (kind === "cuda-libraries-for-cpu" && /cuda|nvrtc|nvshmem|libtorch\.so/.test(library))
    return false;
  return true;
}

const placeBelow = (prefix, kind) => (name) => {
  if (!name.startsWith(prefix)) return null;
  const relative = name.slice(prefix.length);
  return keep(relative, kind) ? path.join("torch", relative) : null;
};

/** Fails if `libtorch_cpu.so` would not find a library it needs. */
function checkLoadable(folder) {
  const listing = output("ldd", [path.join(folder, "torch", "lib", "libtorch_cpu.so")]) ?? "";
  const lost = [...listing.matchAll(/^\s*(\S+) => not found/gm)].map(([, name]) => name);
  if (lost.length > 0)
    throw new SetupError(`The libtorch that was fetched lacks ${lost.join(", ")}.`);
}

/** A requirement such as `cuda-toolkit[cublas,cudart]==13.0.3`, reduced to what libtorch_cpu.so needs. */
function forCpu(requirement) {
  const [, name, , extras, rest] = /^([\w.-]+)(\[([^\]]*)\])?(.*)$/.exec(requirement) ?? [];
  if (/^nvidia-cuda-(runtime|cupti)/.test(name)) return [requirement];
  if (name !== "cuda-toolkit") return [];
  const kept = (extras ?? "").split(",").filter((extra) => extra === "cudart" || extra === "cupti");
  return [`cuda-toolkit[${kept.join(",")}]${rest}`];
}

/** Unpacks torch from a wheel into `folder`, with the CUDA libraries it needs beside it when it has CUDA. */
async function unpackWheel(file, folder, { gpu, env }) {
  const wheel = await openWheel(file);
  try {
    const cuda = wheel.zip.entries.some((entry) => entry.name === "torch/lib/libtorch_cuda.so");
    /** @type {Kind} */
    const kind = !cuda ? "cpu" : gpu ? "cuda" : "cuda-libraries-for-cpu";
    const files = await wheel.zip.extract(folder, placeBelow("torch/", kind), wheel.hashes);
    if (cuda) {
      const wanted = wheel.requirements.filter((name) => /^(nvidia-|cuda-toolkit)/.test(name));
      const requirements = gpu ? wanted : wanted.flatMap(forCpu);
      if (requirements.length > 0) {
        const place = path.join(path.dirname(file), "nvidia");
        for (const dependency of await pipDownload(requirements, place, {
          dependencies: true,
          env,
        })) {
          const nvidia = await openWheel(dependency);
          const library = (name) => (/^nvidia\/.+\/lib\/[^/]+\.so[.\d]*$/.test(name) ? name : null);
          Object.assign(files, await nvidia.zip.extract(folder, library, nvidia.hashes));
          await nvidia.zip.close();
          // The whole set is gigabytes: do not keep it twice.
          await rm(dependency);
        }
      }
    }
    return { version: wheel.version, kind, files };
  } finally {
    await wheel.zip.close();
  }
}

const hasPip = (env) => output("python3", ["-m", "pip", "--version"], { env }) !== null;

/** Installs pip where it is missing and may be installed: nothing but libtorch needs it. */
async function ensurePip(env) {
  if (hasPip(env)) return;
  // A bundle is for where nothing is installed.
  const prefix = isBundle ? null : aptPrefix();
  if (prefix !== null) await installPackages(["python3-pip"], prefix).catch(() => {});
  if (prefix === null || !hasPip(env)) {
    throw new SetupError("python3 has no pip; to install it: sudo apt-get install -y python3-pip");
  }
}

async function fetchByPip({ version, gpu, env }, folder) {
  await ensurePip(env);
  const wheels = await pipDownload([`torch==${version}`], path.join(folder, "wheels"), { env });
  const torch = wheels.find((file) => path.basename(file).startsWith("torch-"));
  if (!torch) throw new SetupError(`pip brought no wheel of torch ${version}.`);
  const result = await unpackWheel(torch, path.join(folder, "out"), { gpu, env });
  await rm(path.join(folder, "wheels"), { recursive: true });
  return { ...result, source: "pip" };
}

async function fetchArchive({ version, gpu, env }, folder) {
  if (process.arch !== "x64") {
    throw new SetupError(`There is no archive for ${process.arch}, only for x64.`);
  }
  const base = (env.FLEXAE_LIBTORCH_URL || ARCHIVE_URL).replace(/\/+$/, "");
  const variant = gpu ? ARCHIVE_CUDA : "cpu";
  const file = path.join(folder, "libtorch.zip");
  await download(`${base}/${variant}/libtorch-shared-with-deps-${version}%2B${variant}.zip`, file);
  const zip = await Zip.open(file);
  try {
    const files = await zip.extract(
      path.join(folder, "out"),
      placeBelow("libtorch/", gpu ? "cuda" : "cpu"),
    );
    return {
      version: `${version}+${variant}`,
      kind: gpu ? "cuda" : "cpu",
      files,
      source: "official archive",
    };
  } finally {
    await zip.close();
  }
}

/** Where a libtorch can be fetched, in the order tried. */
const fetchers = { pip: fetchByPip, "official archive": fetchArchive };

/** Whether a folder of the cache still is what its manifest says: every file there, with its size. */
async function intact(folder) {
  try {
    const manifest = JSON.parse(await readFile(path.join(folder, MANIFEST), "utf8"));
    for (const [name, size] of Object.entries(manifest.files)) {
      if (statSync(path.join(folder, name)).size !== size) return null;
    }
    return manifest;
  } catch {
    return null;
  }
}

/** Finished folders of the cache for this version, the most suitable first. */
async function cached({ store, version, gpu }) {
  const order = gpu ? ["cuda", "cpu"] : ["cpu", "cuda-libraries-for-cpu", "cuda"];
  const found = [];
  for (const name of await readdir(store).catch(() => [])) {
    if (!name.startsWith(`${version}-`)) continue;
    const folder = path.join(store, name);
    const manifest = await intact(folder);
    // A CPU build serves a machine with a GPU only if that is what could be had with the GPU there.
    if (!manifest || !order.includes(manifest.kind) || (gpu && !manifest.gpu)) continue;
    found.push({ folder, manifest });
  }
  return found.sort((a, b) => order.indexOf(a.manifest.kind) - order.indexOf(b.manifest.kind));
}

/** Moves a finished folder to its name. Whoever comes second uses the folder that is there. */
async function publish(finished, target) {
  for (let tries = 0; tries < 3; tries++) {
    try {
      return await rename(finished, target);
    } catch (error) {
      if (error.code !== "ENOTEMPTY" && error.code !== "EEXIST") throw error;
      if (await intact(target)) return;
      // A damaged one: moved away first, so that no one meets it half deleted.
      const aside = `${finished}-old${tries}`;
      await rename(target, aside).catch(() => {});
      await rm(aside, { recursive: true, force: true });
    }
  }
  throw new SetupError(
    `Cannot put libtorch at ${target}: remove that folder, then start this again.`,
  );
}

/** Removes what interrupted downloads of earlier days left behind. */
async function sweep(store) {
  for (const name of await readdir(store).catch(() => [])) {
    const folder = path.join(store, name);
    if (!name.startsWith(TEMPORARY)) continue;
    const age = Date.now() - (await stat(folder).catch(() => ({ mtimeMs: Date.now() }))).mtimeMs;
    if (age > 24 * 3600 * 1000) await rm(folder, { recursive: true, force: true });
  }
}

/**
 * Gives a libtorch: `LIBTORCH`, else the cache, else pip, else the official archive.
 * @param {{ version?: string, gpu?: boolean, env?: NodeJS.ProcessEnv, sources?: (keyof typeof fetchers)[] }} [options]
 * @returns {Promise<{ folder: string, version: string, kind: Kind | "given", source: string, fetched: boolean }>}
 * @throws {SetupError} when `LIBTORCH` is set but cannot be used, or when every source fails
 */
export async function resolveLibtorch(options = {}) {
  const env = options.env ?? process.env;
  const version = options.version ?? LIBTORCH_VERSION;
  const gpu = options.gpu ?? hasGpu(env);

  if (env.LIBTORCH) {
    const folder = path.resolve(env.LIBTORCH);
    const found = inspectLibtorch(folder);
    if ("problem" in found) {
      throw new SetupError(
        `LIBTORCH=${env.LIBTORCH} cannot be used: ${found.problem}.\n` +
          "Give the folder of a libtorch or of a Python torch (with lib/ and include/), or unset LIBTORCH.",
      );
    }
    return { folder, version: found.version, kind: "given", source: "LIBTORCH", fetched: false };
  }

  const store = path.join(cacheDir(env), "libtorch");
  const [hit] = await cached({ store, version, gpu });
  if (hit) {
    const { manifest } = hit;
    const folder = path.join(hit.folder, "torch");
    return {
      folder,
      version: manifest.version,
      kind: manifest.kind,
      source: manifest.source,
      fetched: false,
    };
  }

  await openCache("libtorch", env);
  await sweep(store);
  const failures = [];
  for (const name of options.sources ?? Object.keys(fetchers)) {
    const work = await mkdtemp(path.join(store, TEMPORARY));
    try {
      const result = await fetchers[name]({ version, gpu, env }, work);
      const out = path.join(work, "out");
      const found = inspectLibtorch(path.join(out, "torch"));
      if ("problem" in found)
        throw new SetupError(`What was fetched is no libtorch: ${found.problem}.`);
      checkLoadable(out);
      await writeFile(path.join(out, MANIFEST), JSON.stringify({ ...result, gpu }));
      const target = path.join(store, `${version}-${gpu ? "gpu" : "cpu"}-${result.kind}`);
      await publish(out, target);
      return { ...result, folder: path.join(target, "torch"), fetched: true };
    } catch (error) {
      if (!(error instanceof SetupError)) throw error;
      failures.push(`${name}: ${error.message}`);
    } finally {
      await rm(work, { recursive: true, force: true });
    }
  }
  throw new SetupError(
    `No libtorch ${version} could be fetched.\n${failures.join("\n")}\n` +
      "Set LIBTORCH to a libtorch that is already here, or FLEXAE_LIBTORCH_URL to a mirror of the official archives.",
  );
}

/** The version to fetch: in a bundle, one that it has an addon for. */
function wantedVersion() {
  if (!isBundle) return LIBTORCH_VERSION;
  const { libtorch } = JSON.parse(readFileSync(path.join(root, "bundle.json"), "utf8"));
  return libtorch.includes(LIBTORCH_VERSION) ? LIBTORCH_VERSION : libtorch.at(-1);
}

/** The step that chooses the libtorch and notes where it is. */
export function libtorchStep() {
  return {
    name: "libtorch",
    hint: "about 200 MB the first time",
    async run() {
      const found = await resolveLibtorch({ version: wantedVersion() });
      const previous = existsSync(recordFile) ? readFileSync(recordFile, "utf8") : "";
      if (previous !== found.folder) {
        await mkdir(notes, { recursive: true });
        await writeFile(`${recordFile}.new`, found.folder);
        await rename(`${recordFile}.new`, recordFile);
      }
      const what = `${found.version} at ${found.folder}`;
      const extra =
        hasGpu() && found.kind === "cpu"
          ? "; a CPU build: set LIBTORCH to a CUDA build to train on the GPU"
          : "";
      return found.fetched ? `${what}, from ${found.source}${extra}` : done(what + extra);
    },
  };
}
