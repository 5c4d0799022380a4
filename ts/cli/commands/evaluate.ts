/** `flexae evaluate RUN`: scores and pictures of a run that has ended. */
import { relative } from "node:path";
import { takenBy } from "../../config/parameters.js";
import type { EvaluateOverrides } from "../../runs/evaluate.js";
import type { CommandDescription } from "../command.js";
import { grouped, scoreText } from "../format.js";
import type { Invocation } from "../invocation.js";
import { print, printJson, warn } from "../output.js";
import { invokedSettings } from "../settings.js";
import { stepLine } from "../step_line.js";

async function score(invocation: Invocation): Promise<number> {
  const { evaluateRun } = await import("../../runs/evaluate.js");
  const { findRun } = await import("../../runs/folder.js");
  const trust = invocation.options.trust === true;
  const settings = await invokedSettings(invocation);
  const overrides = Object.fromEntries(
    takenBy("evaluate")
      .filter((parameter) => invocation.flags.has(parameter))
      .map((parameter) => [parameter, settings[parameter]]),
  ) as EvaluateOverrides;
  const line = stepLine(invocation.json);
  const result = await evaluateRun(await findRun(invocation.argument), {
    ...overrides,
    trust,
    onListing: (listing) => line?.listing(listing),
  }).finally(() => line?.clear());
  for (const message of result.warnings) warn(message);
  const { runDir, device, train, valid, pictures } = result;
  if (invocation.json) {
    printJson({ runDir, device, train, valid, pictures });
    return 0;
  }
  const folder = relative(process.cwd(), runDir) || ".";
  print(`Run ${folder}, on ${device}`);
  if (train !== null) {
    print(`  training    ${scoreText(train)}  (${grouped(train.images)} images)`);
  }
  if (valid !== null) {
    print(`  validation  ${scoreText(valid)}  (${grouped(valid.images)} images)`);
  }
  if (pictures.length > 0) print(`${pictures.length} pictures are in ${folder}`);
  return 0;
}

export const evaluate: CommandDescription = {
  name: "evaluate",
  description: "score a finished run again and rewrite its pictures",
  argument: ["<run>", "a run folder, or `last` for the newest in logs/"],
  options: [["--trust", "take an ae.pt that this program did not write, and run what is in it"]],
  run: score,
};
