/** Which runs are shown, by words. */
import type { LiveRun } from "../../ts/dashboard/wire.ts";
import { scoreOf } from "./words.ts";

type Test = (run: LiveRun) => boolean;

const plain = (text: string) => text.toLowerCase().replace(/\s*,\s*/g, ",");

/** What a run has by a name: a setting, a score, or what else is in the list. */
function textOf(run: LiveRun, name: string): string | null {
  if (Object.hasOwn(run.settings, name)) return run.settings[name] as string;
  const listed: Record<string, string | number | null> = {
    run: run.name,
    state: run.state,
    device: run.device,
    started: run.started,
    epochs: run.epochs,
    best_epoch: run.bestEpoch,
    seconds: run.seconds,
    parameters: run.parameters,
  };
  const value = Object.hasOwn(listed, name) ? listed[name] : scoreOf(run, name);
  return value === null || value === undefined ? null : String(value);
}

const isNumber = (text: string) => text.trim() !== "" && Number.isFinite(Number(text));

function holds(value: string, operator: string, wanted: string): boolean {
  if (operator === "~") return plain(value).includes(wanted);
  const areNumbers = isNumber(value) && isNumber(wanted);
  const isSame = areNumbers ? Number(value) === Number(wanted) : plain(value) === wanted;
  if (operator === "=") return isSame;
  if (operator === "!=") return !isSame;
  if (!areNumbers) return false;
  const order = Number(value) - Number(wanted);
  return operator.startsWith("<")
    ? order < 0 || (isSame && operator === "<=")
    : order > 0 || (isSame && operator === ">=");
}

function testOf(word: string): Test {
  const isNamed: Test = ({ name, state }) => plain(name).includes(word) || state.includes(word);
  const found = /^([a-z][a-z0-9_-]*)(!=|<=|>=|=|<|>|~)(.+)$/.exec(word);
  if (found === null) return isNamed;
  const [, left, operator, wanted] = found as unknown as [string, string, string, string];
  const name = left.replaceAll("-", "_");
  return (run) => {
    const value = textOf(run, name);
    // A folder may well be called lr=0.01.
    return (value !== null && holds(value, operator, wanted)) || (operator === "=" && isNamed(run));
  };
}

/** Words, of which all must hold: a part of the name or state, or a condition. */
export function parseFilter(text: string): Test {
  const words = plain(text)
    .split(/\s+/)
    .filter((word) => word !== "");
  const tests = words.map(testOf);
  return (run) => tests.every((test) => test(run));
}
