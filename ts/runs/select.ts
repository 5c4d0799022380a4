/** Runs sorted and filtered by what is known of them. */
import { configError } from "../addon/errors.js";
import { nameKey } from "../config/names.js";
import { findParameter } from "../config/parameters.js";
import { type ListedRun, RUN_COLUMNS, runValue } from "./list.js";

/**
 * The name of a column or a setting, of which any spelling may be given.
 *
 * @throws FlexaeError `FLEXAE_CONFIG` for an unknown name.
 */
export function knownName(given: string): string {
  const key = nameKey(given.trim());
  const column = Object.keys(RUN_COLUMNS).find((name) => nameKey(name) === key);
  const exact = column ?? findParameter(given.trim())?.name;
  if (exact !== undefined) return exact;
  throw configError(
    `Expected a column (${Object.keys(RUN_COLUMNS).join(", ")}) or a setting but received ${given.trim()}`,
  );
}

type Value = string | number | null;

/** A number, also one that stands in a text; NaN of others. */
const numberOf = (value: string | number) =>
  typeof value === "string" && value.trim() === "" ? Number.NaN : Number(value);

/** Whether both are numbers, so that they are compared as such. */
const areNumbers = (a: string | number, b: string | number) =>
  Number.isFinite(numberOf(a)) && Number.isFinite(numberOf(b));

/** Numbers first, as numbers; then texts, by the alphabet; what a run does not have comes last. */
function compare(a: Value, b: Value): number {
  if (a === null || b === null) return Number(a === null) - Number(b === null);
  const [x, y] = [numberOf(a), numberOf(b)];
  const [isX, isY] = [Number.isFinite(x), Number.isFinite(y)];
  if (isX && isY) return x - y;
  if (isX !== isY) return isX ? -1 : 1;
  return String(a).localeCompare(String(b), "en", { numeric: true });
}

/**
 * Runs by a column or a setting, the least first; those without one last.
 *
 * @throws FlexaeError `FLEXAE_CONFIG` for an unknown name.
 */
export function sortRuns(runs: readonly ListedRun[], by: string, reverse = false): ListedRun[] {
  const name = knownName(by);
  const value = (run: ListedRun) => runValue(run, name);
  return [...runs].sort((a, b) => {
    const [x, y] = [value(a), value(b)];
    const order = compare(x, y);
    return reverse && x !== null && y !== null ? -order : order;
  });
}

type Test = (value: Value, wanted: string) => boolean;

const isSame: Test = (value, wanted) =>
  value !== null &&
  (areNumbers(value, wanted) ? numberOf(value) === numberOf(wanted) : String(value) === wanted);
/** What is no number is neither more nor less than one. */
const ordered =
  (holds: (order: number) => boolean): Test =>
  (value, wanted) =>
    value !== null &&
    Number.isFinite(numberOf(value)) === Number.isFinite(numberOf(wanted)) &&
    holds(compare(value, wanted));

const OPERATORS: Readonly<Record<string, Test>> = {
  "=": isSame,
  "!=": (value, wanted) => !isSame(value, wanted),
  "<": ordered((order) => order < 0),
  "<=": ordered((order) => order <= 0),
  ">": ordered((order) => order > 0),
  ">=": ordered((order) => order >= 0),
  "~": (value, wanted) => String(value ?? "").includes(wanted),
};

/** Columns that are no numbers. */
const TEXTS: readonly string[] = ["run", "state", "started"];

/** Lists without regard to spaces: `32,64` is `32, 64`. */
const withoutSpaces = (value: Value) =>
  typeof value === "string" ? value.replace(/\s*,\s*/g, ",") : value;

/** What runs are to be like. */
interface Condition {
  /** Of the column or setting that it is about. */
  name: string;
  holds(run: ListedRun): boolean;
}

function condition(text: string): Condition {
  const found = /^([^=<>!~]+?)\s*(!=|<=|>=|=|<|>|~)\s*([^=<>!~\s].*)$/.exec(text.trim());
  if (found === null) {
    throw configError(
      `Expected a condition such as val_loss<0.1, optimizer=adam or run~digits but received ${text.trim()}`,
    );
  }
  const [, left, operator, right] = found as unknown as [string, string, string, string];
  const name = knownName(left);
  const test = OPERATORS[operator] as Test;
  const wanted = String(withoutSpaces(right.replace(/^"(.*)"$/, "$1")));
  const isNumber = Object.hasOwn(RUN_COLUMNS, name) && !TEXTS.includes(name);
  if (isNumber && operator !== "~" && !Number.isFinite(numberOf(wanted))) {
    throw configError(`Expected a number for ${name} but received ${wanted}`);
  }
  return { name, holds: (run) => test(withoutSpaces(runValue(run, name)), wanted) };
}

/** Runs for which conditions hold, and what these are about. */
export interface Filtered {
  runs: ListedRun[];
  /** Columns and settings. */
  names: string[];
}

/**
 * Runs for which all conditions hold: `val_loss<0.1 and filters=32,64`. A condition is a column or a
 * setting, one of `= != < <= > >= ~` (`~`: has in it), and a value, in double quotes where it has
 * `and` in it. What a run does not have is equal to nothing.
 *
 * @throws FlexaeError `FLEXAE_CONFIG` for what is no condition, or an unknown name.
 */
export function filterRuns(runs: readonly ListedRun[], conditions: string): Filtered {
  // Not within quotes: an even number of them follows.
  const all = conditions.split(/\s+and\s+(?=(?:[^"]*"[^"]*")*[^"]*$)/i).map(condition);
  return {
    runs: runs.filter((run) => all.every(({ holds }) => holds(run))),
    names: all.map(({ name }) => name),
  };
}
