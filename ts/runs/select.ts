/** Runs sorted and filtered by what is known of them. */
import { configError } from "../addon/errors.js";
import { PARAMETERS } from "../config/parameters.js";
import { type ListedRun, RUN_COLUMNS, runValue } from "./list.js";

/** The names that may be meant: of columns and of settings. `learning-rate` is `learning_rate`. */
function knownName(given: string): string {
  const name = given.trim().replaceAll("-", "_");
  const settings = PARAMETERS.map((parameter) => parameter.name as string);
  const exact = [...Object.keys(RUN_COLUMNS), ...settings].find(
    (known) => known.toLowerCase() === name.toLowerCase(),
  );
  if (exact !== undefined) return exact;
  throw configError(
    `Expected a column (${Object.keys(RUN_COLUMNS).join(", ")}) or a setting but received ${given.trim()}`,
  );
}

const numberOf = (value: string | number) => {
  const number = typeof value === "number" ? value : Number(value);
  return typeof value === "string" && value.trim() === "" ? NaN : number;
};

/** Numbers as numbers, other texts by the alphabet; what a run does not have comes last. */
function compare(a: string | number | null, b: string | number | null): number {
  if (a === null || b === null) return Number(a === null) - Number(b === null);
  const [x, y] = [numberOf(a), numberOf(b)];
  if (Number.isFinite(x) && Number.isFinite(y)) return x - y;
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

type Test = (value: string | number | null, wanted: string) => boolean;

const isSame: Test = (value, wanted) => value !== null && compare(value, wanted) === 0;
const ordered =
  (holds: (order: number) => boolean): Test =>
  (value, wanted) =>
    value !== null && holds(compare(value, wanted));

/** Longer ones first: `<=` begins with `<`. */
const OPERATORS: readonly (readonly [string, Test])[] = [
  ["!=", (value, wanted) => !isSame(value, wanted)],
  ["<=", ordered((order) => order <= 0)],
  [">=", ordered((order) => order >= 0)],
  ["=", isSame],
  ["<", ordered((order) => order < 0)],
  [">", ordered((order) => order > 0)],
  ["~", (value, wanted) => String(value ?? "").includes(wanted)],
];

/** Lists without regard to spaces: `32,64` is `32, 64`. */
const withoutSpaces = (value: string | number | null) =>
  typeof value === "string" ? value.replace(/\s*,\s*/g, ",") : value;

function condition(text: string): (run: ListedRun) => boolean {
  const found = /^([^=<>!~]+?)\s*(!=|<=|>=|=|<|>|~)\s*(.*)$/.exec(text.trim());
  if (found === null) {
    throw configError(
      `Expected a condition such as val_loss<0.1, optimizer=adam or run~digits but received ${text.trim()}`,
    );
  }
  const [, left, operator, right] = found as unknown as [string, string, string, string];
  const name = knownName(left);
  const [, test] = OPERATORS.find(([sign]) => sign === operator) as (typeof OPERATORS)[number];
  const wanted = String(withoutSpaces(right.trim()));
  return (run) => test(withoutSpaces(runValue(run, name)), wanted);
}

/**
 * Runs for which all conditions hold: `val_loss<0.1 and filters=32,64`. A condition is a column or a
 * setting, one of `= != < <= > >= ~` (`~`: has in it), and a value. What a run does not have is
 * equal to nothing.
 *
 * @throws FlexaeError `FLEXAE_CONFIG` for what is no condition, or an unknown name.
 */
export function filterRuns(runs: readonly ListedRun[], conditions: string): ListedRun[] {
  const all = conditions.split(/\s+and\s+/i).map(condition);
  return runs.filter((run) => all.every((holds) => holds(run)));
}
