import { readConfigFile } from "../config/file.js";
import { type Layer, resolveSettings, type Settings } from "../config/resolve.js";
import type { Invocation } from "./invocation.js";

/** What a command line and its config file set; the later layers win. */
export function layersOf(invocation: Invocation): Layer[] {
  const file = invocation.config === undefined ? [] : [readConfigFile(invocation.config)];
  const values = [...invocation.flags].map(([name, { value }]) => [name, value] as const);
  const flags: Layer = {
    values: Object.fromEntries(values),
    spell: (name) => invocation.flags.get(name)?.spelled ?? `--${name}`,
  };
  return [...file, flags];
}

/** The settings of a command line and its config file. */
export function settingsOf(invocation: Invocation): Settings {
  return resolveSettings(layersOf(invocation));
}
