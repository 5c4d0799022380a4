/** The settings of an imported model: what its file says, and what was given besides. */
import { configError } from "../addon/errors.js";
import { findParameter, PARAMETERS } from "../config/parameters.js";
import { type GivenSettings, resolveSettings, type Settings } from "../config/resolve.js";
import { showValue } from "../config/values.js";
import { shownPath } from "../files/paths.js";
import { modelError } from "./foreign.js";

/**
 * The file's settings, with those that were given where the file says nothing.
 *
 * @throws FlexaeError `FLEXAE_CONFIG` if what was given says otherwise of the network.
 */
export function settingsOf(
  path: string,
  fromFile: GivenSettings | null,
  given: readonly GivenSettings[],
): Settings {
  if (fromFile === null) {
    const isGiven = given.some(({ values }) => Object.keys(values).length > 0);
    if (isGiven) return resolveSettings(given);
    throw modelError(path, "holds weights alone: say of which network they are with --config FILE");
  }
  const settings = resolveSettings([...given, fromFile]);
  const asked = resolveSettings([fromFile, ...given]);
  for (const { values, spell } of given) {
    for (const name of Object.keys(values)) {
      const parameter = findParameter(name);
      if (parameter?.part !== "network" || values[name] === undefined) continue;
      const [theirs, ours] = [settings[parameter.name], asked[parameter.name]];
      if (JSON.stringify(theirs) === JSON.stringify(ours)) continue;
      throw configError(
        `${spell(name)} is ${showValue(ours)}, and the network in ${shownPath(path)} has ${showValue(theirs)}: leave it out`,
      );
    }
  }
  // Of how a model was trained, and where it ran, the file has no better word than who imports it.
  const network = PARAMETERS.filter(({ part }) => part === "network").map(({ name }) => name);
  return { ...asked, ...Object.fromEntries(network.map((name) => [name, settings[name]])) };
}
