/** Defaults < config file < flags, each value checked, in the spelling of whoever wrote it. */
import { configError } from "../addon/errors.js";
import { kebabCase, nearestName, showName } from "./names.js";
import {
  expectedText,
  findParameter,
  PARAMETERS,
  type Parameter,
  type ParameterName,
  parameterNames,
} from "./parameters.js";
import { checkValue, type Settings } from "./settings.js";
import { constraintText, readValue, regularizerText, showValue } from "./values.js";

export type { Settings };

/** Settings as someone gave them: values by the names their author wrote. */
export interface GivenSettings {
  values: Readonly<Record<string, unknown>>;
  /** How to name one of them in a message: `--train_epochs`, or `train_epochs in my.yaml`. */
  spell(name: string): string;
}

/** `list` at `length`: a shorter one repeats its last entry, a longer one is cut. */
function fitLength<T>(list: readonly T[], length: number): T[] {
  return Array.from({ length }, (_, i) => list[Math.min(i, list.length - 1)] as T);
}

function unknownName(spelled: string, name: string): Error {
  const nearest = nearestName(name, parameterNames());
  // Suggested in the spelling the author writes in.
  const suggestion = nearest !== undefined && name.includes("-") ? kebabCase(nearest) : nearest;
  const hint =
    suggestion === undefined ? "flexae run --help lists all" : `did you mean ${suggestion}?`;
  return configError(`Unknown parameter ${spelled}: ${hint}`);
}

function refuse(parameter: Parameter, spelled: string, value: unknown, raw: unknown): Error {
  const wrong = Array.isArray(value) ? value : [value];
  let hint = "";
  if (parameter.choices !== undefined) {
    const choices = [...parameter.choices, ...Object.keys(parameter.synonyms ?? {})];
    const stranger = wrong.find((v) => typeof v === "string" && !choices.includes(v));
    const nearest = typeof stranger === "string" ? nearestName(stranger, choices) : undefined;
    if (nearest !== undefined) hint = ` (did you mean ${nearest}?)`;
  }
  return configError(
    `Expected ${expectedText(parameter)} for ${spelled} but received ${showValue(raw)}${hint}`,
  );
}

/**
 * Merges what was given over the defaults, the later winning, and checks every value.
 *
 * @throws FlexaeError `FLEXAE_CONFIG` naming the first parameter that is unknown or wrong.
 */
export function resolveSettings(all: readonly GivenSettings[]): Settings {
  const chosen = new Map<ParameterName, unknown>();
  for (const parameter of PARAMETERS) {
    chosen.set(parameter.name, readValue(parameter, parameter.default));
  }
  for (const given of all) {
    const seen = new Map<ParameterName, string>();
    for (const [name, raw] of Object.entries(given.values)) {
      if (raw === undefined) continue;
      const parameter = findParameter(name);
      if (parameter === undefined) throw unknownName(given.spell(showName(name)), name);
      const twin = seen.get(parameter.name);
      if (twin !== undefined) {
        throw configError(
          `${given.spell(showName(name))} and ${given.spell(showName(twin))} are one parameter: keep one`,
        );
      }
      seen.set(parameter.name, name);
      const value = readValue(parameter, raw);
      // Wrong in a config file is wrong even where a flag would win.
      const checked = checkValue(parameter.name, value);
      if (checked === undefined) throw refuse(parameter, given.spell(name), value, raw);
      chosen.set(parameter.name, checked.value);
    }
  }
  const layers = (chosen.get("filters") as unknown[]).length;
  for (const { name, perLayer } of PARAMETERS) {
    if (perLayer) chosen.set(name, fitLength(chosen.get(name) as unknown[], layers));
  }
  return Object.fromEntries(chosen) as Settings;
}

/** The settings as plain values that `resolveSettings` and a config file take back. */
export function plainSettings(settings: Settings): Record<ParameterName, unknown> {
  const plain = { ...settings } as Record<ParameterName, unknown>;
  for (const { name, kind } of PARAMETERS) {
    if (kind === "regularizer") plain[name] = regularizerText(plain[name] as never);
    if (kind === "constraint") plain[name] = constraintText(plain[name] as never);
  }
  return plain;
}
