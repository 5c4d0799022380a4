/** Takes the parameters out of a command line, in any spelling and place, before commander reads it. */
import { configError } from "../addon/errors.js";
import { kebabCase, nearestName, showName } from "../config/names.js";
import {
  expectedText,
  findParameter,
  type Kind,
  type Parameter,
  parameterNames,
} from "../config/parameters.js";
import { COMMANDS } from "./commands.js";
import type { Flag } from "./invocation.js";

export interface Arguments {
  /** By the name the user wrote, without dashes; a repeated flag's last value. */
  flags: Map<string, Flag>;
  /** What is left: the command, its arguments, and the options below. */
  rest: string[];
}

/** Options that are no parameters, the program's and the commands' own; commander reads them. */
const OWN_OPTIONS: readonly string[] = [
  "-c, --config <file>",
  "--json",
  "--debug",
  "--help",
  "--version",
  ...COMMANDS.flatMap(({ options = [] }) => options.map(([flags]) => flags)),
];

/** The name in `--steps <n>`. */
function optionName(flags: string): string {
  return /--([\w-]+)/.exec(flags)?.[1] as string;
}

const OWN_NAMES = OWN_OPTIONS.map(optionName);

/** The own options of the command that a line begins with. */
function optionsOf(argv: readonly string[]): string[] {
  const first = argv.find((argument) => !argument.startsWith("-"));
  const command = COMMANDS.find(({ name, alias }) => first === name || first === alias);
  return (command?.options ?? []).map(([flags]) => optionName(flags));
}

/** Those that take a value. */
const VALUED_NAMES = OWN_OPTIONS.filter((flags) => flags.includes("<")).map(optionName);

/** The kinds whose values a shell may take apart at spaces. */
const LISTS: readonly Kind[] = ["numbers", "names"];

const BOOLEAN = /^(true|false|yes|no|on|off|0|1)$/i;

function unknown(spelled: string): Error {
  const name = spelled.replace(/^--(no-)?/, "");
  const nearest = nearestName(name, [...parameterNames(), ...OWN_NAMES]);
  const shown = showName(spelled);
  if (nearest === undefined) return configError(`Unknown parameter ${shown}: --help lists all`);
  // Suggested in the spelling the user writes in.
  const suggestion = name.includes("_") ? nearest : kebabCase(nearest);
  return configError(`Unknown parameter ${shown}: did you mean --${suggestion}?`);
}

/** `--no-mlp` for `--mlp=false`. */
function findNegated(name: string): Parameter | undefined {
  const match = /^no[-_](.+)$/i.exec(name);
  const parameter = match ? findParameter(match[1] as string) : undefined;
  return parameter?.kind === "boolean" ? parameter : undefined;
}

/** The bracket that a list is waiting for: of `[32,`, where an unquoted `[32, 64]` was meant. */
function openBracket(text: string): string | undefined {
  const closing = text.startsWith("[") ? "]" : text.startsWith("(") ? ")" : undefined;
  return closing === undefined || text.includes(closing) ? undefined : closing;
}

/**
 * Splits a command line.
 *
 * @throws FlexaeError `FLEXAE_CONFIG` for an unknown parameter, with the nearest known one, or one
 *   without its value.
 */
export function splitArguments(argv: readonly string[]): Arguments {
  const flags = new Map<string, Flag>();
  const rest: string[] = [];
  const queue = [...argv];
  const ofCommand = optionsOf(argv);
  // A parameter may have the name of another command's option.
  const isOwn = (name: string) =>
    ofCommand.includes(name) || (OWN_NAMES.includes(name) && findParameter(name) === undefined);
  const keep = (parameter: Parameter, flag: Flag) => {
    // One key a parameter, so that the last of several spellings wins.
    flags.delete(parameter.name);
    flags.set(parameter.name, flag);
  };
  while (queue.length > 0) {
    const argument = queue.shift() as string;
    if (argument === "--") {
      rest.push(argument, ...queue);
      break;
    }
    if (!argument.startsWith("--")) {
      rest.push(argument);
      continue;
    }
    const equals = argument.indexOf("=");
    const spelled = equals < 0 ? argument : argument.slice(0, equals);
    let value = equals < 0 ? undefined : argument.slice(equals + 1);
    const name = spelled.slice(2);
    if (isOwn(name)) {
      const takesNext = VALUED_NAMES.includes(name) && value === undefined && queue.length > 0;
      // As one word, so that an option that may be repeated does not take what comes after it.
      rest.push(takesNext ? `${argument}=${queue.shift()}` : argument);
      continue;
    }
    const parameter = findParameter(name);
    if (parameter === undefined) {
      const negated = findNegated(name);
      if (negated === undefined || value !== undefined) throw unknown(spelled);
      keep(negated, { spelled, value: "false" });
      continue;
    }
    if (value === undefined) {
      const next = queue[0];
      if (parameter.kind === "boolean") {
        value = next !== undefined && BOOLEAN.test(next) ? (queue.shift() as string) : "true";
      } else if (next === undefined || next.startsWith("--")) {
        throw configError(
          `Expected ${expectedText(parameter)} for ${showName(spelled)} but received nothing`,
        );
      } else {
        value = queue.shift() as string;
      }
    }
    if (LISTS.includes(parameter.kind)) {
      const closing = openBracket(value);
      let more = closing !== undefined;
      while (more && queue[0] !== undefined && !queue[0].startsWith("--")) {
        const part = queue.shift() as string;
        value += part;
        more = !part.includes(closing as string);
      }
    }
    keep(parameter, { spelled, value });
  }
  return { flags, rest };
}
