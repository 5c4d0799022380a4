// Where set-up keeps things: the package, its notes about itself, and the cache of the user.

import { existsSync } from "node:fs";
import { homedir } from "node:os";
import path from "node:path";
import { fileURLToPath } from "node:url";

/** The folder of package.json. */
export const root = path.resolve(path.dirname(fileURLToPath(import.meta.url)), "..", "..");

/** What set-up remembers about this copy: the libtorch chosen, logs. Safe to delete. */
export const notes = path.join(root, ".setup");

/** True in a clone; false where the package was installed from a registry or a tarball. */
export const isClone = existsSync(path.join(root, "ts"));

/** Downloads shared between copies: `FLEXAE_CACHE`, else the user's cache folder. */
export function cacheDir(env = process.env) {
  if (env.FLEXAE_CACHE) return path.resolve(env.FLEXAE_CACHE);
  const base = env.XDG_CACHE_HOME || path.join(homedir(), ".cache");
  return path.join(base, "flexible-autoencoder");
}
