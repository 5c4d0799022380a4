/** Whether this copy was set up, and the command that sets it up. Loads nothing native. */
import { existsSync } from "node:fs";
import { join, resolve } from "node:path";
import { bundledAddon, bundledVersions } from "./bundle.js";
import { packageRoot } from "./root.js";

const bundled = bundledVersions();

/** Whether this copy is a bundle, in which everything but a libtorch is compiled. */
export const IS_BUNDLE = bundled.length > 0;

/** What sets this copy up: a clone has its sources in TypeScript, an installed package has not. */
export const SETUP_COMMAND = IS_BUNDLE
  ? "flexae-setup"
  : existsSync(join(packageRoot, "ts"))
    ? "npm run setup"
    : "npx flexae-setup";

/** What repairs a compiled part of this copy, as the beginning of a sentence. */
export const REPAIR = IS_BUNDLE
  ? "Unpack the bundle again"
  : `Run \`${SETUP_COMMAND}\`, which builds it`;

/** What to do about a libtorch with which the addon does not load. */
export const OTHER_LIBTORCH = IS_BUNDLE
  ? `Set LIBTORCH to another libtorch, or run \`${SETUP_COMMAND}\`, which fetches one.`
  : `The libtorch it was built with has moved or changed: run \`${SETUP_COMMAND}\`.`;

/** Where the addon may be, in the order tried. `FLEXAE_ADDON` set, it alone counts. */
export function addonCandidates(environment: NodeJS.ProcessEnv = process.env): string[] {
  const explicit = environment.FLEXAE_ADDON;
  if (explicit !== undefined && explicit !== "") return [resolve(explicit)];
  if (IS_BUNDLE) {
    const found = bundledAddon(bundled, environment);
    return "path" in found ? [found.path] : [];
  }
  return ["build/Release", "build", "build/Debug"].map((folder) =>
    join(packageRoot, folder, "flexae.node"),
  );
}

/**
 * A line that says what to do, if this copy was never set up; else null. Installing the package
 * builds nothing: most package managers run no install script of a dependency, or fail over one.
 * A bundle lacks nothing but a libtorch.
 */
export function setupNotice(): string | null {
  if (addonCandidates().some((candidate) => existsSync(candidate))) return null;
  if (IS_BUNDLE && !process.env.FLEXAE_ADDON) {
    const found = bundledAddon(bundled, process.env);
    return "problem" in found ? found.problem : `${found.path} is missing: unpack the bundle again`;
  }
  return `flexible-autoencoder is installed but not set up yet: run \`${SETUP_COMMAND}\``;
}
