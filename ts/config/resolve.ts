/** Defaults < config file < flags, each value checked, in the spelling of whoever wrote it. */
import type { ZodType } from "zod";
import { configError } from "../addon/errors.js";
import { type DataSettings, dataSchema } from "./data.js";
import { fitLength, type ModelSettings, modelSchema } from "./model.js";
import { kebabCase, nearestName, showName } from "./names.js";
import { type OutputSettings, outputSchema } from "./output.js";
import {
  findParameter,
  PARAMETERS,
  type Parameter,
  type ParameterName,
  parameterNames,
} from "./parameters.js";
import { type TrainingSettings, trainingSchema } from "./training.js";
import { constraintText, readValue, regularizerText, showValue } from "./values.js";

/** Every parameter, resolved and checked, by the names of the table. */
export type Settings = ModelSettings & TrainingSettings & DataSettings & OutputSettings;

const SCHEMAS: Record<ParameterName, ZodType> = {
  ...modelSchema.shape,
  ...trainingSchema.shape,
  ...dataSchema.shape,
  ...outputSchema.shape,
};

/** Values by the names their author wrote, and how to name one of them in a message. */
export interface Layer {
  values: Readonly<Record<string, unknown>>;
  /** `train_epochs` → `--train_epochs`, or `train_epochs in my.yaml`. */
  spell(name: string): string;
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
    `Expected ${parameter.expected} for ${spelled} but received ${showValue(raw)}${hint}`,
  );
}

/**
 * Merges the layers over the defaults, the later ones winning, and checks every value.
 *
 * @throws FlexaeError `FLEXAE_CONFIG` naming the first parameter that is unknown or wrong.
 */
export function resolveSettings(layers: readonly Layer[]): Settings {
  const chosen = new Map<ParameterName, unknown>();
  for (const parameter of PARAMETERS) {
    chosen.set(parameter.name, readValue(parameter, parameter.default));
  }
  for (const layer of layers) {
    const seen = new Map<ParameterName, string>();
    for (const [name, raw] of Object.entries(layer.values)) {
      if (raw === undefined) continue;
      const parameter = findParameter(name);
      if (parameter === undefined) throw unknownName(layer.spell(showName(name)), name);
      const twin = seen.get(parameter.name);
      if (twin !== undefined) {
        throw configError(
          `${layer.spell(showName(name))} and ${layer.spell(showName(twin))} are one parameter: keep one`,
        );
      }
      seen.set(parameter.name, name);
      const value = readValue(parameter, raw);
      // Wrong in a config file is wrong even where a flag would win.
      const checked = SCHEMAS[parameter.name].safeParse(value);
      if (!checked.success) throw refuse(parameter, layer.spell(name), value, raw);
      chosen.set(parameter.name, checked.data);
    }
  }
  const settings = Object.fromEntries(chosen) as Settings;
  const layersOf = settings.filters.length;
  settings.pooling = fitLength(settings.pooling, layersOf);
  settings.kernel_size = fitLength(settings.kernel_size, layersOf);
  settings.strides = fitLength(settings.strides, layersOf);
  return settings;
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
