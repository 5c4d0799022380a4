/** Whether this copy was set up, and the command that sets it up. Loads nothing native. */
import { existsSync } from "node:fs";
import { dirname, join, resolve } from "node:path";
import { fileURLToPath } from "node:url";

/** The package's root, from `ts/addon` and from `dist/addon` alike. */
export const packageRoot = resolve(dirname(fileURLToPath(import.meta.url)), "../..");

/** What sets this copy up: a clone has its sources in TypeScript, an installed package has not. */
export const SETUP_COMMAND = existsSync(join(packageRoot, "ts"))
  ? "npm run setup"
  : "npx flexae-setup";

/** Where the addon may be, in the order tried. `FLEXAE_ADDON` set, it alone counts. */
export function addonCandidates(environment: NodeJS.ProcessEnv = process.env): string[] {
  const explicit = environment.FLEXAE_ADDON;
  if (explicit !== undefined && explicit !== "") return [resolve(explicit)];
  return ["build/Release", "build", "build/Debug"].map((folder) =>
    join(packageRoot, folder, "flexae.node"),
  );
}

/**
 * A line that says what to run, if this copy was never set up; else null. Installing the package
 * builds nothing: most package managers run no install script of a dependency, or fail over one.
 */
export function setupNotice(): string | null {
  if (addonCandidates().some((candidate) => existsSync(candidate))) return null;
  return `flexible-autoencoder is installed but not set up yet: run \`${SETUP_COMMAND}\``;
}
