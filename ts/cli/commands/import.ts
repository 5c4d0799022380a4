import { PARAMETERS, type ParameterName } from "../../config/parameters.js";
import type { CommandDescription } from "../command.js";
import { duration } from "../format.js";
import { interruptible } from "../interrupt.js";
import { type Invocation, optionText } from "../invocation.js";
import { nameFromHere, print, printJson, warn } from "../output.js";
import { givenSettings } from "../settings.js";

async function take(invocation: Invocation): Promise<number> {
  const { importModel } = await import("../../import/import.js");
  const { argument, json } = invocation;
  const given = await givenSettings(invocation);
  const out = optionText(invocation, "out");
  const ended = await interruptible((signal) => importModel(argument, given, { out, signal }));
  if ("exitCode" in ended) {
    warn("interrupted; nothing was written");
    return ended.exitCode;
  }
  const { runDir, format, notes, summary, modelSha256, seconds } = ended.result;
  const { parameters, encoder, inputShape } = summary;
  const shape = encoder.outputShape;
  if (json) {
    printJson({
      event: "end",
      out: runDir,
      format,
      notes,
      parameters: parameters.total,
      inputShape,
      embeddingShape: shape,
      modelSha256,
      seconds,
    });
    return 0;
  }
  for (const note of notes) warn(note);
  print(`${format}: ${parameters.total} parameters, images ${inputShape.join("×")}`);
  print(`${nameFromHere(runDir)}: imported, ${duration(seconds)}`);
  return 0;
}

/** What a file may not say. */
const NETWORK: ParameterName[] = PARAMETERS.filter(({ part }) => part === "network").map(
  ({ name }) => name,
);

export const importCommand: CommandDescription = {
  name: "import",
  description: "make a run of a model of Keras or PyTorch, to evaluate, embed, export or train on",
  argument: ["<file>", "a .keras, .h5, .safetensors or state-dict file, or an ae.pt"],
  options: [["-o, --out <run>", "the run's folder, new or empty (logs/ae_<time>)"]],
  takesConfig: true,
  takes: [...NETWORK, "interpolation", "save_prefix", "train_dir", "valid_dir"],
  run: take,
};
