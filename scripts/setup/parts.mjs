// What a script that has several parts is asked to do.

import { parseArgs } from "node:util";
import { SetupError } from "./steps.mjs";

/**
 * Reads the command line of such a script: names of parts, all of them if there are none.
 * @param {string[]} known the names of all parts
 * @param {import("node:util").ParseArgsOptionsConfig} options besides them
 * @returns {{ chosen: string[], values: object }}
 * @throws {SetupError} naming what is unknown
 */
export function chosenParts(known, options = {}) {
  let parsed;
  try {
    parsed = parseArgs({ options, allowPositionals: true });
  } catch (error) {
    throw new SetupError(error.message);
  }
  const { positionals, values } = parsed;
  const unknown = positionals.find((part) => !known.includes(part));
  if (unknown !== undefined) {
    throw new SetupError(`Expected one of ${known.join(", ")} but received ${unknown}`);
  }
  return { chosen: positionals.length > 0 ? positionals : known, values };
}
