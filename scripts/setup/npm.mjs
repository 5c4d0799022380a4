// npm, to install what a lockfile says and nothing else.

import { runLogged } from "./run.mjs";

/** npm's settings that would make it do something else than install a lockfile into a folder. */
const DIVERTING = new Set([
  "dry_run",
  "global",
  "include_workspace_root",
  "location",
  "loglevel",
  "omit",
  "package_lock",
  "package_lock_only",
  "prefer_online",
  "production",
  "workspace",
  "workspaces",
]);

/**
 * The environment for npm: this process's, without the settings that npm hands on to what it starts
 * and that were meant for another folder.
 */
export function npmEnvironment(env = process.env) {
  const meant = ([name]) => {
    const setting = /^npm_config_(.+)$/i.exec(name)?.[1];
    return setting === undefined || !DIVERTING.has(setting.toLowerCase());
  };
  const result = Object.fromEntries(Object.entries(env).filter(meant));
  // `npm --silent run` is inherited, and would leave the log of a failure empty.
  result.npm_config_loglevel = "warn";
  return result;
}

/**
 * Installs a folder's lockfile. No package's script runs, and what npm has in its cache is not
 * asked for again: without a network that saves minutes of retries.
 */
export async function npmCi(log, folder, ...more) {
  const args = ["ci", "--ignore-scripts", "--prefer-offline", "--no-audit", "--no-fund", ...more];
  await runLogged(log, "npm", args, { cwd: folder, env: npmEnvironment() });
}
