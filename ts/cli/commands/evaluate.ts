/** `flexae evaluate RUN`: scores and pictures of a run that has ended. */
import { relative } from "node:path";
import { EVALUATE_PARAMETERS, type EvaluateOverrides, evaluateRun } from "../../runs/evaluate.js";
import { findRun } from "../../runs/folder.js";
import { grouped, scoreText } from "../format.js";
import type { Invocation } from "../invocation.js";
import { print, printJson, warn } from "../output.js";
import { settingsOf } from "../settings.js";

export async function evaluate(
  invocation: Invocation,
  name: string,
  { trust = false }: { trust?: boolean },
): Promise<number> {
  const settings = settingsOf(invocation);
  const overrides = Object.fromEntries(
    EVALUATE_PARAMETERS.filter((parameter) => invocation.flags.has(parameter)).map((parameter) => [
      parameter,
      settings[parameter],
    ]),
  ) as EvaluateOverrides;
  const result = await evaluateRun(await findRun(name), { ...overrides, trust });
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
