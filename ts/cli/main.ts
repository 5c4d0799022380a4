import { FlexaeError } from "../addon/errors.js";
import { SETUP_COMMAND, setupNotice } from "../addon/setup.js";
import { watchOutput } from "./output.js";
import { runProgram } from "./program.js";

/** Wrong usage or settings. */
const USAGE = 2;
/** Images cannot be used. */
const DATA = 3;
const FAILED = 1;

function exitCodeOf(error: unknown): number {
  if (!(error instanceof FlexaeError)) return FAILED;
  if (error.code === "FLEXAE_CONFIG") return USAGE;
  return error.code === "FLEXAE_DATA" ? DATA : FAILED;
}

/** One or two lines; with `--debug`, the stack and what caused it. */
function report(error: unknown, debug: boolean): void {
  let text: string;
  if (debug && error instanceof Error) {
    text = error.stack ?? error.message;
    for (let cause = error.cause; cause instanceof Error; cause = cause.cause) {
      text += `\ncaused by ${cause.stack ?? cause.message}`;
    }
  } else if (error instanceof FlexaeError) {
    text = error.message.split("\n").slice(0, 2).join("\n");
  } else {
    const message = error instanceof Error ? error.message : String(error);
    text = `unexpected error: ${message.split("\n", 1)[0]}\nRun it again with --debug to see where.`;
  }
  process.stderr.write(`flexae: ${text}\n`);
}

watchOutput();
let said = "";
try {
  process.exitCode = await runProgram(process.argv.slice(2));
} catch (error) {
  report(error, process.argv.includes("--debug"));
  process.exitCode = exitCodeOf(error);
  if (error instanceof FlexaeError) said = error.message;
}
// Whatever was asked for, whoever has just installed the package wants to know this.
const notice = setupNotice();
const told = said.includes(SETUP_COMMAND) || said === notice;
if (notice !== null && !told) process.stderr.write(`flexae: ${notice}\n`);
