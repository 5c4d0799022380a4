/** What a sweep goes over: a setting and its values, or the range they are drawn from. */
import { configError } from "../addon/errors.js";
import { showName } from "../config/names.js";
import { findParameter, type Parameter, type ParameterName } from "../config/parameters.js";
import { resolveSettings } from "../config/resolve.js";
import { checkValue } from "../config/settings.js";
import { flagText, readValue, showValue } from "../config/values.js";

/** A range to draw from, its ends included. */
export interface ValueRange {
  low: number;
  high: number;
  integer: boolean;
  /** Drawn evenly over logarithms. */
  log: boolean;
}

/** A setting that is swept. Values are as its flag takes them. */
export interface Dimension {
  name: ParameterName;
  values: readonly string[] | ValueRange;
}

/** Whether it has a range in place of values. */
export function isRange(values: Dimension["values"]): values is ValueRange {
  return !Array.isArray(values);
}

/** How values of a setting are spelled in messages. */
interface Swept {
  parameter: Parameter & { readonly name: ParameterName };
  spelled: string;
}

/** Parts of a text at a separator that is in no brackets. */
function splitOutside(text: string, separator: string): string[] {
  const parts: string[] = [];
  let depth = 0;
  let from = 0;
  for (const [i, character] of [...text].entries()) {
    if ("[(".includes(character)) depth++;
    else if ("])".includes(character)) depth--;
    else if (character === separator && depth === 0) {
      parts.push(text.slice(from, i).trim());
      from = i + 1;
    }
  }
  parts.push(text.slice(from).trim());
  return parts;
}

const isList = ({ kind }: Parameter) => kind === "numbers" || kind === "names";

/** `32,64;16,32`, `[32,64],[16,32]` and, as lists of one entry, `32,64`. */
function listTexts(parameter: Parameter, text: string): string[] {
  const lists = splitOutside(text, ";");
  if (lists.length > 1) return lists;
  const entries = splitOutside(text, ",");
  // 28,28 is one shape; 28x28,32x32 are two.
  if (parameter.entries !== undefined && entries.every((entry) => /^\d+$/.test(entry))) {
    return [text];
  }
  return entries;
}

function rangeOf({ parameter, spelled }: Swept, text: string): ValueRange | undefined {
  const found = /^(log:)?(.+?)\.\.(.+)$/.exec(text);
  if (found === null) return undefined;
  const { kind, bounds, entries } = parameter;
  if (bounds === undefined || entries !== undefined) {
    throw configError(`${spelled} has no range: give its values, with commas between them`);
  }
  const [low, high] = [found[2], found[3]].map((end) => {
    const value = checkedValue({ parameter, spelled }, end as string);
    // 8,16..64 is neither values nor a range.
    return Array.isArray(value) && value.length === 1 ? value[0] : value;
  });
  if (typeof low !== "number" || typeof high !== "number" || !(low < high)) {
    throw configError(
      `Expected a range from a smaller to a larger number for ${spelled} but received ${showValue(text)}`,
    );
  }
  const log = found[1] !== undefined;
  if (log && low <= 0) {
    throw configError(`Expected a range above 0 after log: for ${spelled} but received ${text}`);
  }
  return { low, high, integer: kind !== "share" && bounds.integer === true, log };
}

/** A value of a setting, resolved. */
function checkedValue({ parameter, spelled }: Swept, raw: unknown): unknown {
  // It complains in the words of all other settings.
  resolveSettings([{ values: { [parameter.name]: raw }, spell: () => spelled }]);
  return checkValue(parameter.name, readValue(parameter, raw))?.value;
}

/**
 * The setting that is meant.
 *
 * @throws FlexaeError `FLEXAE_CONFIG` for an unknown name, with the nearest known one, or a setting
 *   that is no matter of network or training.
 */
function sweptParameter(name: string, spelled: string): Swept["parameter"] {
  const parameter = findParameter(name);
  if (parameter === undefined) {
    // The nearest name is told as for any other setting.
    resolveSettings([{ values: { [name]: "" }, spell: () => spelled }]);
    throw configError(`Unknown parameter ${spelled}`);
  }
  if (parameter.part === undefined || parameter.local === true) {
    throw configError(
      `${parameter.name} cannot be swept: it changes nothing of the network or its training`,
    );
  }
  // What the sweep itself hands out.
  if (parameter.name === "device" || parameter.name === "threads") {
    throw configError(
      `${parameter.name} cannot be swept: give --${parameter.name}, which holds for all trials`,
    );
  }
  return parameter;
}

/**
 * A dimension from what was given for a setting: text as after `--over NAME=`, a list of values, or
 * one value.
 *
 * @param spelled - How a message names it.
 * @throws FlexaeError `FLEXAE_CONFIG` for what cannot be swept.
 */
export function dimensionOf(name: string, given: unknown, spelled: string): Dimension {
  const parameter = sweptParameter(name.trim(), spelled);
  const swept: Swept = { parameter, spelled };
  if (typeof given === "string") {
    const range = rangeOf(swept, given.trim());
    if (range !== undefined) return { name: parameter.name, values: range };
  }
  let raw: readonly unknown[];
  if (Array.isArray(given)) raw = given;
  else if (typeof given !== "string") raw = [given];
  else if (isList(parameter)) raw = listTexts(parameter, given);
  else raw = splitOutside(given, ",");
  if (raw.length === 0 || raw.includes("")) {
    throw configError(
      `Expected values for ${spelled}, with commas between them, but received ${showValue(given)}`,
    );
  }
  const texts = raw.map((value) => flagText(parameter, checkedValue(swept, value)));
  return { name: parameter.name, values: [...new Set(texts)] };
}

/**
 * A dimension from `NAME=VALUES`.
 *
 * @throws FlexaeError `FLEXAE_CONFIG`.
 */
export function parseOver(text: string): Dimension {
  const at = text.indexOf("=");
  if (at <= 0) {
    throw configError(
      `Expected a setting and its values, such as dims=16,32,64, for --over but received ${showValue(text)}`,
    );
  }
  const name = text.slice(0, at);
  return dimensionOf(name, text.slice(at + 1), `--over ${showName(name)}`);
}

/** The values or the range as after `--over NAME=`. */
export function dimensionText({ name, values }: Dimension): string {
  if (isRange(values)) return `${values.log ? "log:" : ""}${values.low}..${values.high}`;
  const parameter = findParameter(name) as Parameter;
  if (!isList(parameter)) return values.join(",");
  const isPlain = parameter.entries === undefined && values.every((value) => !value.includes(","));
  // One list of several entries needs the separator, too.
  return isPlain ? values.join(",") : values.length === 1 ? `[${values[0]}]` : values.join(";");
}
