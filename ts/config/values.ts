/** Reads the values of flags, and strings in config files, as what their parameter's kind says. */
import { shownPath } from "../files/paths.js";
import type { Constraint, Regularizer } from "./choices.js";
import { snakeCase } from "./names.js";
import type { Parameter } from "./parameters.js";

/** Python's and YAML's words. */
const WORDS = new Map<string, unknown>([
  ["true", true],
  ["yes", true],
  ["on", true],
  ["false", false],
  ["no", false],
  ["off", false],
  ["none", null],
  ["null", null],
]);

// Digits can be matched in one way only: a long row of them takes no longer than it is.
const NUMBER = /^[+-]?(\d+(\.\d*)?|\.\d+)(e[+-]?\d+)?$/i;

function unquote(text: string): string {
  const match = /^(["'])(.*)\1$/s.exec(text);
  return match ? (match[2] as string) : text;
}

function asNumber(text: string): unknown {
  return NUMBER.test(text) ? Number(text) : text;
}

/** A share, or a percentage: `5%` is 0.05. */
function shareOf(text: string): unknown {
  if (!text.endsWith("%")) return asNumber(text);
  const percent = asNumber(text.slice(0, -1).trim());
  return typeof percent === "number" ? percent / 100 : text;
}

function isNone(value: unknown): boolean {
  return value === null || (typeof value === "string" && /^(none|null)$/i.test(value.trim()));
}

/** `[a, b]`, `(a, b)` and `a,b` as their items; a tuple of one may end in a comma, as in Python. */
function items(text: string): string[] {
  let inner = text.trim();
  const bracketed = /^\[(.*)\]$/s.exec(inner) ?? /^\((.*)\)$/s.exec(inner);
  if (bracketed) inner = (bracketed[1] as string).trim();
  if (inner === "") return [];
  const parts = inner.split(",").map((part) => unquote(part.trim()));
  if (parts.length > 1 && parts.at(-1) === "") parts.pop();
  return parts;
}

function nameOf(parameter: Parameter, value: unknown): unknown {
  if (value === false) return parameter.synonyms?.false ?? value;
  if (isNone(value)) return parameter.synonyms?.none ?? null;
  if (typeof value !== "string") return value;
  const text = unquote(value.trim());
  const name = snakeCase(text);
  const { synonyms } = parameter;
  const known = synonyms !== undefined && Object.hasOwn(synonyms, name) ? synonyms[name] : name;
  // What is not known stays as the user wrote it, for the message.
  return known !== undefined && parameter.choices?.includes(known) ? known : text;
}

/** `name`, `name(1, 2)` or `Name(max_value=2)`: the name in snake case, and its arguments. */
function call(
  text: string,
  parameters: Readonly<Record<string, readonly string[]>>,
): { name: string; args: Record<string, number> } | undefined {
  const match = /^([A-Za-z][\w-]*)\s*(?:\((.*)\))?$/s.exec(text.trim());
  if (!match) return undefined;
  const name = snakeCase(match[1] as string);
  const names = Object.hasOwn(parameters, name) ? parameters[name] : undefined;
  if (names === undefined) return undefined;
  const args: Record<string, number> = {};
  for (const [index, item] of items(match[2] ?? "").entries()) {
    const pair = /^(\w+)\s*=(.+)$/s.exec(item);
    const key = pair ? (pair[1] as string) : names[index];
    const value = asNumber(pair ? (pair[2] as string).trim() : item);
    if (key === undefined || !names.includes(key) || typeof value !== "number") return undefined;
    args[key] = value;
  }
  return { name, args };
}

const REGULARIZERS = { l1: ["l1"], l2: ["l2"], l1_l2: ["l1", "l2"], l1l2: ["l1", "l2"] } as const;
/** Keras 2's factor where none is given. */
const FACTOR = 0.01;

/** Whether it is an object of names and values, and no list, date or set, which YAML has too. */
export function isMapping(value: unknown): value is Record<string, unknown> {
  if (typeof value !== "object" || value === null) return false;
  const prototype: unknown = Object.getPrototypeOf(value);
  return prototype === null || prototype === Object.prototype;
}

function regularizerOf(value: unknown): unknown {
  if (isNone(value)) return { l1: 0, l2: 0 } satisfies Regularizer;
  if (typeof value !== "string") {
    return isMapping(value) ? { l1: 0, l2: 0, ...value } : value;
  }
  // Keras names the only factor of l1 and l2 after them, older versions "l".
  const text = unquote(value.trim()).replace(/^(l[12])\s*\(\s*l\s*=/i, "$1($1=");
  const parsed = call(text, REGULARIZERS);
  if (parsed === undefined) return value;
  const used: readonly string[] = REGULARIZERS[parsed.name as keyof typeof REGULARIZERS];
  return {
    l1: used.includes("l1") ? (parsed.args.l1 ?? FACTOR) : 0,
    l2: used.includes("l2") ? (parsed.args.l2 ?? FACTOR) : 0,
  } satisfies Regularizer;
}

const CONSTRAINTS = {
  non_neg: [],
  unit_norm: [],
  max_norm: ["max_value"],
  min_max_norm: ["min_value", "max_value", "rate"],
} as const;

function constraintOf(value: unknown): unknown {
  if (isNone(value)) return { name: "none" } satisfies Constraint;
  if (typeof value !== "string") return value;
  const parsed = call(unquote(value.trim()), CONSTRAINTS);
  if (parsed === undefined) return value;
  const { name, args } = parsed;
  switch (name) {
    case "max_norm":
      return { name, maxValue: args.max_value ?? 2 } satisfies Constraint;
    case "min_max_norm":
      return {
        name,
        minValue: args.min_value ?? 0,
        maxValue: args.max_value ?? 1,
        rate: args.rate ?? 1,
      } satisfies Constraint;
    default:
      return { name };
  }
}

/**
 * The value of `parameter` that `raw` stands for: text as on a command line, or a value already
 * typed by YAML, JSON or a caller. What cannot be read comes back unchanged, for the validation to
 * refuse.
 */
export function readValue(parameter: Parameter, raw: unknown): unknown {
  const text = typeof raw === "string" ? unquote(raw.trim()) : raw;
  switch (parameter.kind) {
    case "number":
      if (parameter.default === null && isNone(text)) return null;
      return typeof text === "string" ? asNumber(text) : text;
    case "share":
      return typeof text === "string" ? shareOf(text) : text;
    case "boolean":
      if (text === 1 || text === "1") return true;
      if (text === 0 || text === "0") return false;
      if (typeof text === "string") {
        const word = WORDS.get(text.toLowerCase());
        return typeof word === "boolean" ? word : text;
      }
      return text;
    case "text":
      return text;
    case "path":
      // Spaces and quotes may be part of a name.
      return parameter.default === null && isNone(raw) ? null : raw;
    case "name":
      return nameOf(parameter, text);
    case "numbers": {
      const list = typeof text === "string" ? items(text.replace(/^(\d+)x(\d+)$/i, "$1,$2")) : text;
      if (typeof list === "number") return [list];
      return Array.isArray(list)
        ? list.map((v) => (typeof v === "string" ? asNumber(v) : v))
        : list;
    }
    case "names": {
      const list = typeof text === "string" ? items(text) : text;
      if (Array.isArray(list)) return list.map((v) => nameOf(parameter, v));
      return list === null || typeof list === "boolean" ? [nameOf(parameter, list)] : list;
    }
    case "regularizer":
      return regularizerOf(text);
    case "constraint":
      return constraintOf(text);
  }
}

function jsonText(value: unknown): string {
  try {
    return JSON.stringify(value) ?? String(value);
  } catch {
    // It holds itself, a BigInt or too much.
    return Array.isArray(value) ? "a list" : "an object";
  }
}

/** A value as it is shown in a message: short, on one line, unlike nothing the user wrote. */
export function showValue(value: unknown): string {
  let text: string;
  if (typeof value === "string") text = JSON.stringify(value);
  else if (typeof value === "number" || typeof value === "bigint") text = String(value);
  else if (typeof value === "function") text = "a function";
  else text = jsonText(value);
  // Cut first: a stranger's value may be long.
  text = shownPath(text.slice(0, 81));
  return text.length > 80 ? `${text.slice(0, 77)}…` : text;
}

/** The shortest way to write a regularizer, as `--kernel-regularizer` takes it. */
export function regularizerText({ l1, l2 }: Regularizer): string {
  if (l1 === 0 && l2 === 0) return "none";
  if (l2 === 0) return `l1(${l1})`;
  return l1 === 0 ? `l2(${l2})` : `l1_l2(${l1},${l2})`;
}

/** A constraint as `--kernel-constraint` takes it. */
export function constraintText(constraint: Constraint): string {
  switch (constraint.name) {
    case "max_norm":
      return `max_norm(${constraint.maxValue})`;
    case "min_max_norm":
      return `min_max_norm(${constraint.minValue},${constraint.maxValue},${constraint.rate})`;
    default:
      return constraint.name;
  }
}

/** A value, resolved, as its flag takes it: `readValue` gives it back. */
export function flagText({ kind }: Parameter, value: unknown): string {
  if (value === null) return "none";
  if (kind === "regularizer") return regularizerText(value as Regularizer);
  if (kind === "constraint") return constraintText(value as Constraint);
  return Array.isArray(value) ? value.join(",") : String(value);
}
