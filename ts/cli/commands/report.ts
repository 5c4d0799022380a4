/** `flexae report RUN...`: a page about runs. */
import type { CommandDescription } from "../command.js";
import { bytes } from "../format.js";
import { interruptible } from "../interrupt.js";
import { type Invocation, optionText } from "../invocation.js";
import { nameFromHere, print, printJson, warn } from "../output.js";

async function write(invocation: Invocation): Promise<number> {
  const { report } = await import("../../report/report.js");
  const { argument, more, json } = invocation;
  const out = optionText(invocation, "out");
  const ended = await interruptible((signal) => report([argument, ...more], { out, signal }));
  if ("exitCode" in ended) {
    warn("interrupted; nothing was written");
    return ended.exitCode;
  }
  const { problems, ...rest } = ended.result;
  for (const problem of problems) warn(`not shown: ${problem}`);
  if (json) printJson({ event: "end", ...rest, problems });
  else print(`${nameFromHere(rest.out)}: ${bytes(rest.bytes)}, open it in a browser`);
  return 0;
}

export const report: CommandDescription = {
  name: "report",
  description: "write a page about a run, or several: verdict, curves, images, embedding",
  argument: ["<run>", "a run folder, or `last` for the newest in logs/"],
  more: ["[run...]", "more of them, in one page"],
  options: [["-o, --out <file>", "where to (report.html in the folder of the run)"]],
  run: write,
};
