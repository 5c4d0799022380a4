// Where set-up keeps things: the package, its notes about itself, and the cache of the user.

import { existsSync } from "node:fs";
import { homedir } from "node:os";
import path from "node:path";
import { fileURLToPath } from "node:url";
import { SetupError } from "./steps.mjs";

/** The folder of package.json. */
export const root = path.resolve(path.dirname(fileURLToPath(import.meta.url)), "..", "..");

/** What set-up remembers about this copy: the libtorch chosen, logs. Safe to delete. */
export const notes = path.join(root, ".setup");

/** True in a clone; false where the package was installed from a registry or a tarball. */
export const isClone = existsSync(path.join(root, "ts"));

/** True in a bundle (`npm run bundle`), in which everything but a libtorch is compiled. */
export const isBundle = existsSync(path.join(root, "bundle.json"));

/** The user's folder, which a system without a list of users does not know. */
function home() {
  try {
    return homedir();
  } catch {
    throw new SetupError(
      "This user has no home folder for the cache: set FLEXAE_CACHE to a folder.",
    );
  }
}

/** Downloads shared between copies: `FLEXAE_CACHE`, else the user's cache folder. */
export function cacheDir(env = process.env) {
  if (env.FLEXAE_CACHE) return path.resolve(env.FLEXAE_CACHE);
  return path.join(env.XDG_CACHE_HOME || path.join(home(), ".cache"), "flexible-autoencoder");
}
