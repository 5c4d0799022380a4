/** The command line: options and help. The commands describe themselves (`command.ts`). */
import { Command, CommanderError, type Help, Option } from "commander";
import { configError } from "../addon/errors.js";
import { showName } from "../config/names.js";
import { placeholder } from "../config/parameter.js";
import {
  defaultText,
  findParameter,
  flagName,
  GROUPS,
  PARAMETERS,
  type Parameter,
} from "../config/parameters.js";
import { VERSION } from "../version.js";
import { type Arguments, splitArguments } from "./argv.js";
import { type CommandDescription, concerns } from "./command.js";
import { COMMANDS } from "./commands.js";
import type { Invocation } from "./invocation.js";

function parameterOption(parameter: Parameter): Option {
  const flags = `--${flagName(parameter)} <${placeholder(parameter)}>`;
  const heading = `${GROUPS[parameter.group]}:`;
  return new Option(flags, `${parameter.help} (${defaultText(parameter)})`).helpGroup(heading);
}

/** Shows the parameters in a command's help; they were read before commander's turn. */
function helpWith(shown: (parameter: Parameter) => boolean): Partial<Help> {
  return {
    helpWidth: Math.max(process.stdout.columns ?? 100, 80),
    visibleOptions(command: Command): Option[] {
      const root = command.parent ?? command;
      const own = [...root.options, ...(command === root ? [] : command.options)];
      const help = new Option("-h, --help", "show this help");
      return [...own, help, ...PARAMETERS.filter(shown).map(parameterOption)];
    },
  };
}

const EXAMPLES = `
Every parameter may be written --train-epochs 100, --train_epochs=100 or, in a YAML or JSON file
given with --config, train_epochs: 100; before the command or after it. Flags win over the file.

Examples:
  flexae run --train-dir photos/train --valid-dir photos/valid --image-shape 128,128 --channels 3
  flexae --train_epochs=100 --filters=[128,128,128] run
  flexae run --resume last
  flexae check photos/train
  flexae evaluate last`;

const EXIT_CODES = `
Exit codes: 0 done, 1 failed, 2 wrong usage or setting, 3 images cannot be used,
130 and 143 interrupted.`;

/** Where commander's own complaints get the form of ours. */
function usageError(error: CommanderError): Error {
  const text = error.message
    .replace(/^error: /, "")
    .replace(/\n/g, " ")
    .replace(/\.$/, "");
  const message = showName(text, 200);
  return configError(`${message[0]?.toUpperCase()}${message.slice(1)}; see flexae --help`, error);
}

/** Refuses flags that mean nothing to a command. */
function requireTaken(
  description: CommandDescription,
  flags: Invocation["flags"],
  config: string | undefined,
): void {
  const { name, takesConfig, takesRunLine } = description;
  for (const [parameter, { spelled }] of flags) {
    if (takesRunLine || concerns(findParameter(parameter) as Parameter, description)) continue;
    throw configError(`${spelled} means nothing to flexae ${name}: leave it out`);
  }
  if (config !== undefined && !takesConfig) {
    throw configError(`--config means nothing to flexae ${name}: leave it out`);
  }
}

/**
 * Reads a command line and does what it says.
 *
 * @returns The exit code.
 * @throws FlexaeError and whatever a command throws.
 */
export async function runProgram(argv: readonly string[]): Promise<number> {
  const { flags, rest }: Arguments = splitArguments(argv);
  let exitCode = 0;
  const program = new Command("flexae")
    .description("Train a flexible convolutional autoencoder on a folder of images.")
    .usage("[options] <command>")
    .version(VERSION, "-V, --version", "show the version")
    .option("-c, --config <file>", "YAML or JSON file of parameters")
    .option("--json", "print JSON on stdout, and nothing else there")
    .option("--debug", "show the stack of an error")
    .helpCommand(false)
    .configureHelp(helpWith(() => true))
    .addHelpText("after", EXAMPLES + EXIT_CODES)
    .exitOverride()
    .configureOutput({ writeErr: () => {} });

  const add = (description: CommandDescription): void => {
    const { name, alias, argument, more, options = [] } = description;
    const command = program
      .command(name)
      .description(description.description)
      .configureHelp(helpWith((parameter) => concerns(parameter, description)));
    if (alias !== undefined) command.alias(alias);
    if (argument !== undefined) command.argument(...argument);
    if (more !== undefined) command.argument(...more);
    for (const option of options) command.option(...option);
    command.action(async (first: unknown, second: unknown) => {
      const given = program.opts<{ config?: string; json?: boolean; debug?: boolean }>();
      requireTaken(description, flags, given.config);
      exitCode = await description.run({
        flags,
        config: given.config,
        json: given.json ?? false,
        debug: given.debug ?? false,
        argument: typeof first === "string" ? first : "",
        more: Array.isArray(second) ? (second as string[]) : [],
        options: command.opts(),
      });
    });
  };
  for (const description of COMMANDS) add(description);

  try {
    await program.parseAsync(rest, { from: "user" });
  } catch (error) {
    if (!(error instanceof CommanderError)) throw error;
    if (error.exitCode === 0) return 0;
    if (error.code === "commander.help") {
      const names = COMMANDS.map(({ name }) => name);
      const last = names.pop();
      throw configError(`No command was given: ${names.join(", ")} or ${last}; see flexae --help`);
    }
    throw usageError(error);
  }
  return exitCode;
}
