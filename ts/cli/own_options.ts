/** Reads a command's own options; parameters are read by `settings.ts`. */
import { configError } from "../addon/errors.js";
import { type Invocation, optionText } from "./invocation.js";

/** An option's name as the user wrote it: `min-dist` for `minDist`. */
export function shownOption(name: string): string {
  return name.replace(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`);
}

/** A number from `least` to `most`; undefined if it was not given. */
export function optionNumber(
  invocation: Invocation,
  name: string,
  { least = 0, most = Number.MAX_VALUE, integer = false } = {},
): number | undefined {
  const text = optionText(invocation, name);
  if (text === undefined) return undefined;
  const value = text.trim() === "" ? Number.NaN : Number(text);
  if (!(value >= least && value <= most) || (integer && !Number.isInteger(value))) {
    const kind = integer ? "an integer" : "a number";
    const bounds = most === Number.MAX_VALUE ? `of at least ${least}` : `from ${least} to ${most}`;
    throw configError(`Expected ${kind} ${bounds} for ${shownOption(name)} but received ${text}`);
  }
  return value;
}

/** An integer of at least 1; undefined if it was not given. */
export function optionCount(invocation: Invocation, name: string, least = 1): number | undefined {
  return optionNumber(invocation, name, { least, integer: true });
}

/** One of several words; undefined if it was not given. */
export function optionChoice<T extends string>(
  invocation: Invocation,
  name: string,
  known: readonly T[],
): T | undefined {
  const text = optionText(invocation, name);
  if (text === undefined || (known as readonly string[]).includes(text)) return text as T;
  throw configError(`Expected ${known.join(", ")} for ${shownOption(name)} but received ${text}`);
}

/** `--device` of a command that computes on embeddings. */
export const COMPUTE_DEVICE: [string, string] = [
  "--device <name>",
  "computes on the embeddings: cpu, cuda, cuda:N, or auto for a GPU if there is one (cpu)",
];

/** What it names; undefined if it was not given. */
export function computeDevice(invocation: Invocation): string | undefined {
  const name = optionText(invocation, "device");
  if (name === undefined || /^(auto|cpu|cuda(:\d+)?)$/.test(name)) return name;
  throw configError(`Expected auto, cpu, cuda or cuda:N for device but received ${name}`);
}

const UNITS: Readonly<Record<string, number>> = { "": 0, K: 10, M: 20, G: 30, T: 40 };

/** Bytes, as 4G or 512M (units of 1024); undefined if it was not given. */
export function optionBytes(invocation: Invocation, name: string): number | undefined {
  const text = optionText(invocation, name);
  if (text === undefined) return undefined;
  const match = /^(\d+(?:\.\d+)?)\s*([KMGT]?)(?:i?B)?$/i.exec(text.trim());
  const unit = UNITS[match?.[2]?.toUpperCase() ?? "none"];
  const bytes = unit === undefined ? Number.NaN : Number(match?.[1]) * 2 ** unit;
  if (bytes >= 1) return bytes;
  throw configError(`Expected bytes, as 4G or 512M, for ${shownOption(name)} but received ${text}`);
}
