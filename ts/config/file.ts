import { readFileSync } from "node:fs";
import { parseDocument } from "yaml";
import { configError, systemReason } from "../addon/errors.js";
import { nameKey } from "./names.js";
import type { Layer } from "./resolve.js";

/** No sensible config file is larger; a wrong path may name anything. */
const LARGEST_FILE = 1 << 20;

/**
 * Reads a config file: YAML, and so JSON too. The keys are parameters in any spelling. A run's
 * `setting.yaml` is one as well: its `config` section holds them.
 *
 * @throws FlexaeError `FLEXAE_CONFIG` if it cannot be read, or is no mapping.
 */
export function readConfigFile(path: string): Layer {
  let bytes: Buffer;
  try {
    bytes = readFileSync(path);
  } catch (error) {
    throw configError(`The config file ${path} cannot be read: ${systemReason(error)}`, error);
  }
  if (bytes.length > LARGEST_FILE) {
    throw configError(`The config file ${path} is too large (over 1 MiB): is it the right file?`);
  }
  const document = parseDocument(bytes.toString("utf8"), { prettyErrors: true });
  const fault = document.errors[0];
  if (fault !== undefined) {
    const line = fault.linePos?.[0].line ?? 1;
    const reason = fault.message.split("\n", 1)[0]?.replace(/ at line \d+, column \d+:?$/, "");
    throw configError(`The config file ${path} is not YAML or JSON, line ${line}: ${reason}`);
  }
  let values: unknown;
  try {
    // A small limit: an alias that expands to more is an attack, not a config.
    values = document.toJS({ maxAliasCount: 100 });
  } catch (error) {
    throw configError(`The config file ${path} cannot be read: ${(error as Error).message}`, error);
  }
  // An empty file asks for nothing.
  values ??= {};
  if (!isMapping(values)) {
    throw configError(
      `Expected names and values, such as train_epochs: 100, in ${path} but found ${Array.isArray(values) ? "a list" : "a single value"}`,
    );
  }
  const section = values.config;
  if (isMapping(section)) {
    // A new run does not go where the old one is, nor over it.
    const own = ["save_dir", "overwrite"].map(nameKey);
    values = Object.fromEntries(
      Object.entries(section).filter(([key]) => !own.includes(nameKey(key))),
    );
  }
  return {
    values: values as Record<string, unknown>,
    spell: (name) => `${name} in ${path}`,
  };
}

function isMapping(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}
