/** Finds and loads the native addon: on first use, never at import. */
import { existsSync } from "node:fs";
import { createRequire } from "node:module";
import { FlexaeError, translateError } from "./errors.js";
import {
  addonCandidates,
  IS_BUNDLE,
  OTHER_LIBTORCH,
  REPAIR,
  SETUP_COMMAND,
  setupNotice,
} from "./setup.js";
import type { Addon } from "./types.js";

const require = createRequire(import.meta.url);

/** What to do about an addon that is missing or does not load. */
function buildHint(): string {
  // Set-up builds this copy's own: it cures nothing while another is asked for.
  return process.env.FLEXAE_ADDON
    ? `Unset FLEXAE_ADDON, or set it to a flexae.node that loads; \`${SETUP_COMMAND}\` builds one.`
    : `${REPAIR}, or set FLEXAE_ADDON to one that is built.`;
}

let loaded: { addon: Addon; path: string } | undefined;

function majorMinor(version: string): string {
  return version.split(".", 2).join(".");
}

function open(path: string): Addon {
  let addon: Addon;
  try {
    addon = require(path) as Addon;
  } catch (error) {
    const reason = (error as Error).message.split("\n", 1)[0] as string;
    throw new FlexaeError(
      "FLEXAE_INTERNAL",
      `The native addon ${path} does not load: ${reason}\n${loadHint(reason)}`,
      { cause: error },
    );
  }
  const { torch, torchBuild } = addon.versions();
  // Libtorch keeps no binary compatibility between minor versions; a mismatch may crash much later.
  if (majorMinor(torch) !== majorMinor(torchBuild)) {
    throw new FlexaeError(
      "FLEXAE_INTERNAL",
      `The native addon was built against libtorch ${torchBuild} but libtorch ${torch} was loaded.\n${buildHint()}`,
    );
  }
  return addon;
}

function loadHint(reason: string): string {
  if (process.env.FLEXAE_ADDON) return buildHint();
  if (/libopencv/.test(reason) && !IS_BUNDLE) {
    return `The system's OpenCV is not the one it was built with: run \`${SETUP_COMMAND}\`.`;
  }
  if (/libtorch|libc10|libcud|libnv|undefined symbol/.test(reason)) {
    return OTHER_LIBTORCH;
  }
  return buildHint();
}

/**
 * The addon, loaded on the first call.
 *
 * @throws FlexaeError `FLEXAE_INTERNAL` with the likely fix when it cannot be found or loaded.
 */
export function loadAddon(): Addon {
  if (loaded !== undefined) return loaded.addon;
  const candidates = addonCandidates();
  const path = candidates.find((candidate) => existsSync(candidate));
  // Only a bundle has no candidates: what it lacks is a libtorch.
  if (candidates.length === 0) throw new FlexaeError("FLEXAE_INTERNAL", setupNotice() ?? "");
  if (path === undefined) {
    throw new FlexaeError(
      "FLEXAE_INTERNAL",
      `The native addon was not found (looked for ${candidates.join(", ")}).\n${buildHint()}`,
    );
  }
  // OpenMP's threads wait for each other by spinning. Where something else wants the cores too,
  // that costs most of the speed (20 times, on two busy cores), so they may spin for microseconds only. Four times as long
  // makes large steps 2 % faster, but small ones a third slower whenever two threads that never sleep are on one core.
  // libgomp reads this once, when it is loaded.
  if (!process.env.OMP_WAIT_POLICY) process.env.GOMP_SPINCOUNT ??= "1000";
  // libtorch then asks for pages of 2 MiB, which spares the look-ups that streams through large tensors take. It reads
  // this before its first tensor.
  process.env.THP_MEM_ALLOC_ENABLE ??= "1";
  loaded = { addon: open(path), path };
  return loaded.addon;
}

/** The file the addon was loaded from, or undefined before that. */
export function addonPath(): string | undefined {
  return loaded?.path;
}

/** Calls into the addon, turning what it throws into a {@link FlexaeError}. */
export function callAddon<T>(work: (addon: Addon) => T): T {
  const addon = loadAddon();
  try {
    return work(addon);
  } catch (error) {
    throw translateError(error);
  }
}

/** Likewise for calls that return promises. */
export async function awaitAddon<T>(work: (addon: Addon) => Promise<T>): Promise<T> {
  const addon = loadAddon();
  try {
    return await work(addon);
  } catch (error) {
    throw translateError(error);
  }
}
