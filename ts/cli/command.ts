/** What the program knows of a command before it is called. */
import type { Parameter, ParameterName } from "../config/parameters.js";
import type { Invocation } from "./invocation.js";

/**
 * A command: a file in `commands/` exports one, and `commands.ts` lists it. `--help` reads all of
 * them, so their files import nothing heavy: what `run` needs is imported when it is called.
 */
export interface CommandDescription {
  readonly name: string;
  readonly alias?: string;
  readonly description: string;
  /** As `<run>`, and what it is. */
  readonly argument?: readonly [name: string, description: string];
  /** More arguments behind it, as `<set...>` or, if there may be none, `[set...]`, and what they are. */
  readonly more?: readonly [name: string, description: string];
  /** Options besides the parameters: `--steps <n>`, and what it does. */
  readonly options?: readonly (readonly [flags: string, description: string])[];
  /** Takes a config file; its parameters that mean nothing to the command are left alone. */
  readonly takesConfig?: true;
  /** Takes the flags of a `run` line as it stands, and leaves those alone that mean nothing. */
  readonly takesRunLine?: true;
  /** Parameters that mean something to it besides those whose rows name it. */
  readonly takes?: readonly ParameterName[];
  /** Does it. Gives the exit code. */
  run(invocation: Invocation): Promise<number>;
}

/** Whether a parameter means something to a command. */
export function concerns(parameter: Parameter, { name, takes = [] }: CommandDescription): boolean {
  return parameter.commands.includes(name) || (takes as readonly string[]).includes(parameter.name);
}
