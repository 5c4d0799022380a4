// Compiled files that copies of this program share: in the cache, by what they were made from.

import { createHash } from "node:crypto";
import { copyFileSync, existsSync, readFileSync, utimesSync } from "node:fs";
import {
  access,
  constants,
  mkdir,
  mkdtemp,
  readdir,
  rename,
  rm,
  stat,
  writeFile,
} from "node:fs/promises";
import path from "node:path";
import { cacheDir } from "./paths.mjs";
import { output } from "./run.mjs";
import { SetupError, systemReason } from "./steps.mjs";

/** Written last into an entry: what it is, and the file's SHA-256. */
const MANIFEST = "entry.json";
const TEMPORARY = ".tmp-";
/** Entries of a kind that stay, those used last. */
const KEPT = 12;

/**
 * A folder of the cache, made if need be.
 * @throws {SetupError} of one line if it cannot be written
 */
export async function openCache(name, env = process.env) {
  const folder = path.join(cacheDir(env), name);
  try {
    await mkdir(folder, { recursive: true });
    await access(folder, constants.W_OK);
  } catch (error) {
    throw new SetupError(
      `The cache folder ${folder} cannot be written: ${systemReason(error)}. ` +
        "Set FLEXAE_CACHE to a folder that can.",
    );
  }
  return folder;
}

/** A short digest of texts; each counts with its length. */
export function digest(...parts) {
  const hash = createHash("sha256");
  for (const part of parts) hash.update(`${part.length}:`).update(part);
  return hash.digest("hex").slice(0, 32);
}

/** What compiles C++ here, and the settings it takes from the environment. */
export function compilerIdentity(env = process.env) {
  const [compiler, ...more] = (env.CXX || "c++").split(/\s+/);
  const version = output(compiler, [...more, "--version"], { env }) ?? "";
  const flags = ["CXX", "CPPFLAGS", "CXXFLAGS", "LDFLAGS"].map((name) => env[name] ?? "");
  // The C library counts, too; a home folder may be shared by different systems.
  const system = existsSync("/etc/os-release") ? readFileSync("/etc/os-release", "utf8") : "";
  const release = /^VERSION_ID=.*$/m.exec(system)?.[0] ?? "";
  const name = /^ID=.*$/m.exec(system)?.[0] ?? "";
  return JSON.stringify([process.platform, process.arch, name, release, version, ...flags]);
}

const sha256 = (file) => createHash("sha256").update(readFileSync(file)).digest("hex");

/** Whether the cache has the file made from what `key` stands for. */
export function hasCompiled(kind, key, env = process.env) {
  return existsSync(path.join(cacheDir(env), "compiled", kind, key, MANIFEST));
}

/**
 * Puts a file of the cache at `target`, whole or not at all.
 * @returns {Promise<object | null>} what {@link keepCompiled} was told of it; null if there is none
 */
export async function restoreCompiled(kind, key, target, env = process.env) {
  const entry = path.join(cacheDir(env), "compiled", kind, key);
  const work = `${target}.new-${process.pid}`;
  try {
    const { sha256: expected, info } = JSON.parse(readFileSync(path.join(entry, MANIFEST), "utf8"));
    await mkdir(path.dirname(target), { recursive: true });
    copyFileSync(path.join(entry, path.basename(target)), work);
    if (sha256(work) !== expected) throw new SetupError("damaged");
    await rename(work, target);
    const now = new Date();
    try {
      utimesSync(entry, now, now);
    } catch {
      // A cache that may only be read is used all the same.
    }
    return info;
  } catch {
    await rm(work, { force: true });
    return null;
  }
}

/** Takes an entry out of the cache: one that turned out to be of no use. */
export async function forgetCompiled(kind, key, env = process.env) {
  const entry = path.join(cacheDir(env), "compiled", kind, key);
  await rm(entry, { recursive: true, force: true }).catch(() => {});
}

/**
 * Keeps a file for other copies, and removes the entries of its kind that were not used for
 * longest.
 * @param {object} info comes back from {@link restoreCompiled}
 * @throws {SetupError} if the cache cannot be written
 */
export async function keepCompiled(kind, key, file, info = {}, env = process.env) {
  const store = await openCache(path.join("compiled", kind), env);
  let work;
  try {
    work = await mkdtemp(path.join(store, TEMPORARY));
    const copy = path.join(work, path.basename(file));
    copyFileSync(file, copy);
    await writeFile(path.join(work, MANIFEST), JSON.stringify({ sha256: sha256(copy), info }));
    // An entry of that name is as good as this one, unless it is damaged: then nobody could use it.
    const target = path.join(store, key);
    await rm(target, { recursive: true, force: true });
    await rename(work, target).catch((error) => {
      if (!existsSync(path.join(target, MANIFEST))) throw error;
    });
    await prune(store);
  } catch (error) {
    throw new SetupError(`The cache folder ${store} cannot be written: ${systemReason(error)}.`);
  } finally {
    if (work) await rm(work, { recursive: true, force: true }).catch(() => {});
  }
}

async function prune(store) {
  const finished = [];
  const day = 24 * 3600 * 1000;
  const remove = (name) => rm(path.join(store, name), { recursive: true, force: true });
  for (const name of await readdir(store)) {
    const { mtimeMs } = await stat(path.join(store, name)).catch(() => ({ mtimeMs: 0 }));
    if (!name.startsWith(TEMPORARY)) finished.push({ name, mtimeMs });
    // Another set-up may be writing a younger one.
    else if (Date.now() - mtimeMs > day) await remove(name);
  }
  finished.sort((a, b) => b.mtimeMs - a.mtimeMs);
  for (const { name } of finished.slice(KEPT)) await remove(name);
}

/**
 * {@link keepCompiled} for who can do without: a cache that cannot be written fails nothing.
 * @returns {Promise<string | null>} why it was not kept; null if it was
 */
export async function reasonNotKept(...file) {
  try {
    await keepCompiled(...file);
    return null;
  } catch (error) {
    if (!(error instanceof SetupError)) throw error;
    return error.message;
  }
}
