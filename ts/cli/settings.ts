import type { GivenSettings, Settings } from "../config/resolve.js";
import type { Invocation } from "./invocation.js";

/** What a command line and its config file set; the later wins. */
export async function givenSettings(invocation: Invocation): Promise<GivenSettings[]> {
  // Reading YAML and checking values takes libraries that `--help` does without.
  const { readConfigFile } = await import("../config/file.js");
  const file = invocation.config === undefined ? [] : [readConfigFile(invocation.config)];
  const values = [...invocation.flags].map(([name, { value }]) => [name, value] as const);
  const flags: GivenSettings = {
    values: Object.fromEntries(values),
    spell: (name) => invocation.flags.get(name)?.spelled ?? `--${name}`,
  };
  return [...file, flags];
}

/** The settings of a command line and its config file. */
export async function invokedSettings(invocation: Invocation): Promise<Settings> {
  const { resolveSettings } = await import("../config/resolve.js");
  return resolveSettings(await givenSettings(invocation));
}
