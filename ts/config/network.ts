/** The settings as C++ reads them: one JSON object for the network, one for how it is trained. */
import { camelCase } from "./names.js";
import { PARAMETERS, type Parameter, type Row } from "./parameters.js";
import type { Settings } from "./settings.js";
import { learningRate } from "./training.js";

type NetworkRow = Extract<Row, { part: "network" }>;

/** `kernel_size` → `kernelSize`, in types. */
export type CamelCase<Name extends string> = Name extends `${infer Head}_${infer Tail}`
  ? `${Uncapitalize<Head>}${Capitalize<CamelCase<Tail>>}`
  : Uncapitalize<Name>;

/** The key of a row in JSON; a list of fixed length has one for each entry. */
type KeyOf<R extends Row> = R extends { entries: readonly (infer Entry extends string)[] }
  ? Entry
  : R extends { alias: infer Alias extends string }
    ? Alias
    : CamelCase<R["name"]>;

type EntryOf<R extends Row> = R extends { entries: unknown } ? number : Settings[R["name"]];

/**
 * The network, fully resolved, as exported models carry it: every list of the convolutions has the
 * length of `filters`. Its members are the parameters of the group "Model", in camel case.
 *
 * @interface
 */
export type Network = { [R in NetworkRow as KeyOf<R>]: EntryOf<R> };

/** The keys of a parameter in the JSON that C++ reads: one, or one for each entry. */
export function jsonKeys({ name, alias, key, entries }: Parameter): readonly string[] {
  return entries ?? [key ?? alias ?? camelCase(name)];
}

function partOf(settings: Settings, part: "network" | "training"): Record<string, unknown> {
  const object: Record<string, unknown> = {};
  for (const parameter of PARAMETERS) {
    if (parameter.part !== part) continue;
    const value = settings[parameter.name];
    const keys = jsonKeys(parameter);
    for (const [i, key] of keys.entries()) {
      object[key] = keys.length > 1 ? (value as unknown[])[i] : value;
    }
  }
  return object;
}

/** The network that these settings describe. */
export function toNetwork(settings: Settings): Network {
  return partOf(settings, "network") as Network;
}

/** The settings that describe a network, the inverse of `toNetwork`; what it lacks is left out. */
export function fromNetwork(network: Readonly<Record<string, unknown>>): Record<string, unknown> {
  const values: Record<string, unknown> = {};
  for (const parameter of PARAMETERS) {
    if (parameter.part !== "network") continue;
    const found = jsonKeys(parameter).map((key) => network[key]);
    if (found.some((value) => value === undefined)) continue;
    values[parameter.name] = parameter.entries === undefined ? found[0] : found;
  }
  return values;
}

/** How the network is trained, with the optimizer's own learning rate where none was given. */
export function toTrainingJson(settings: Settings): string {
  const learning_rate = learningRate(settings);
  return JSON.stringify(partOf({ ...settings, learning_rate }, "training"));
}
