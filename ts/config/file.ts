import { configError } from "../addon/errors.js";
import { shownPath } from "../files/paths.js";
import { nameKey } from "./names.js";
import { PARAMETERS } from "./parameters.js";
import type { GivenSettings } from "./resolve.js";
import { isMapping } from "./values.js";
import { readYamlFile } from "./yaml.js";

/**
 * Reads a config file: YAML, and so JSON too. The keys are parameters in any spelling. A run's
 * `setting.yaml` is one as well: its `config` section holds them.
 *
 * @throws FlexaeError `FLEXAE_CONFIG` if it cannot be read, or is no mapping.
 */
export function readConfigFile(path: string): GivenSettings {
  const shown = shownPath(path);
  // An empty file asks for nothing.
  let values = readYamlFile(path, "The config file") ?? {};
  if (!isMapping(values)) {
    throw configError(
      `Expected names and values, such as train_epochs: 100, in ${shown} but found ${Array.isArray(values) ? "a list" : "a single value"}`,
    );
  }
  const section = values.config;
  if (isMapping(section)) {
    // A new run does not go where the old one is, nor over it.
    const own = PARAMETERS.filter(({ resume }) => resume === "none").map(({ name }) =>
      nameKey(name),
    );
    values = Object.fromEntries(
      Object.entries(section).filter(([key]) => !own.includes(nameKey(key))),
    );
  }
  return {
    values: values as Record<string, unknown>,
    spell: (name) => `${name} in ${shown}`,
  };
}
