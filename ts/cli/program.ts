/** The command line: commands, options and help. The commands themselves are loaded when called. */
import { Command, CommanderError, type Help, Option } from "commander";
import { configError } from "../addon/errors.js";
import { showName } from "../config/names.js";
import {
  defaultText,
  findParameter,
  flagName,
  GROUPS,
  type Group,
  PARAMETERS,
  type Parameter,
} from "../config/parameters.js";
import { VERSION } from "../version.js";
import { type Arguments, splitArguments } from "./argv.js";
import type { Invocation } from "./invocation.js";

type ShownParameters = (parameter: Parameter) => boolean;

const EVALUATE = [
  "train_dir",
  "valid_dir",
  "batch_size",
  "interpolation",
  "workers",
  "cache",
  "max_pixels",
  "device",
  "seed",
];

const CHECK = ["imageShape", "channels", "workers", "max_bad", "max_pixels"];

/** Which parameters mean something to which command; `summary` and `bench` take a `run` line as it stands. */
const TAKES: Record<string, ShownParameters> = {
  run: () => true,
  summary: () => true,
  bench: () => true,
  evaluate: (parameter) => EVALUATE.includes(parameter.name),
  check: (parameter) => CHECK.includes(parameter.name),
  doctor: () => false,
};

/** Commands that take a config file: its parameters that mean nothing to one are left alone. */
const TAKES_CONFIG = ["run", "summary", "bench", "check"];

const SHOWS: Record<string, ShownParameters> = {
  ...TAKES,
  summary: ({ group, name }) => group === "model" || ["batch_size", "optimizer"].includes(name),
  bench: ({ group, name }) =>
    ["model", "training"].includes(group)
      ? !["train_epochs", "patience", "period"].includes(name)
      : name.endsWith("_flip"),
};

function parameterOption(parameter: Parameter): Option {
  const flags = `--${flagName(parameter)} <${parameter.placeholder}>`;
  const heading = `${GROUPS[parameter.group as Group]}:`;
  return new Option(flags, `${parameter.help} (${defaultText(parameter)})`).helpGroup(heading);
}

/** Shows the parameters in a command's help; they were read before commander's turn. */
function helpWith(shown: ShownParameters): Partial<Help> {
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

  const command = (
    name: "run" | "summary" | "bench" | "evaluate" | "check" | "doctor",
    description: string,
    action: (invocation: Invocation, argument: string) => Promise<number>,
    argument?: [string, string],
  ): Command => {
    const made = program
      .command(name)
      .description(description)
      .configureHelp(helpWith(SHOWS[name] as ShownParameters));
    if (argument !== undefined) made.argument(...argument);
    made.action(async (first: unknown) => {
      const options = program.opts<{ config?: string; json?: boolean; debug?: boolean }>();
      const takes = TAKES[name] as ShownParameters;
      for (const [parameter, { spelled }] of flags) {
        if (takes(findParameter(parameter) as Parameter)) continue;
        throw configError(`${spelled} means nothing to flexae ${name}: leave it out`);
      }
      if (options.config !== undefined && !TAKES_CONFIG.includes(name)) {
        throw configError(`--config means nothing to flexae ${name}: leave it out`);
      }
      exitCode = await action(
        {
          flags,
          config: options.config,
          json: options.json ?? false,
          debug: options.debug ?? false,
        },
        typeof first === "string" ? first : "",
      );
    });
    return made;
  };

  const run: Command = command("run", "train a model", async (invocation) =>
    (await import("./commands/run.js")).run(invocation, run.opts<{ resume?: string }>()),
  )
    .alias("train")
    .option(
      "--resume <run>",
      "go on with a run where it ended: its folder, or `last` for the newest in logs/",
    );
  command("summary", "show the layers and costs of a model", async (invocation) =>
    (await import("./commands/summary.js")).summary(invocation),
  );
  const bench: Command = command(
    "bench",
    "time the training of a model on this machine",
    async (invocation) =>
      (await import("./commands/bench.js")).bench(invocation, bench.opts<{ steps?: string }>()),
  ).option("--steps <n>", "training steps to time (as many as take about 15 seconds)");
  const evaluate: Command = command(
    "evaluate",
    "score a finished run again and rewrite its pictures",
    async (invocation, name) =>
      (await import("./commands/evaluate.js")).evaluate(
        invocation,
        name,
        evaluate.opts<{ trust?: boolean }>(),
      ),
    ["<run>", "a run folder, or `last` for the newest in logs/"],
  ).option("--trust", "take an ae.pt that this program did not write, and run what is in it");
  const check: Command = command(
    "check",
    "look for bad, duplicate, odd-sized and nearly blank images in a folder",
    async (invocation, folder) =>
      (await import("./commands/check.js")).check(
        invocation,
        folder,
        check.opts<{ all?: boolean }>(),
      ),
    ["<dir>", "a folder of images: one folder a class, or a flat folder"],
  ).option("--all", "name every image found, not only the first of each kind");
  command("doctor", "check this installation", async (invocation) =>
    (await import("./commands/doctor.js")).doctor(invocation),
  );

  try {
    await program.parseAsync(rest, { from: "user" });
  } catch (error) {
    if (!(error instanceof CommanderError)) throw error;
    if (error.exitCode === 0) return 0;
    if (error.code === "commander.help") {
      throw configError(
        "No command was given: run, summary, bench, evaluate, check or doctor; see flexae --help",
      );
    }
    throw usageError(error);
  }
  return exitCode;
}
