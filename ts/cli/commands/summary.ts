/** `flexae summary`: the network, without training it. */
import type { CommandDescription } from "../command.js";
import { slowLines, summaryLines } from "../format.js";
import type { Invocation } from "../invocation.js";
import { print, printJson } from "../output.js";
import { invokedSettings } from "../settings.js";

async function show(invocation: Invocation): Promise<number> {
  const { summarize } = await import("../../runs/plan.js");
  const settings = await invokedSettings(invocation);
  const result = summarize(settings);
  if (!invocation.json) {
    for (const line of summaryLines(result, settings.batch_size)) print(line);
    for (const line of slowLines(result)) print(line);
    return 0;
  }
  const batch = settings.batch_size;
  printJson({
    input: [batch, ...result.inputShape],
    layers: result.layers.map(({ name, type, outputShape, parameters, macs, fastPath }) => ({
      name,
      type,
      outputShape: [batch, ...outputShape],
      parameters,
      macs,
      fastPath,
    })),
    parameters: result.parameters,
    encoder: {
      parameters: result.encoder.parameters,
      outputShape: [batch, ...result.encoder.outputShape],
    },
    macs: result.macs,
    trainingBytes: result.trainingBytes,
  });
  return 0;
}

export const summary: CommandDescription = {
  name: "summary",
  description: "show the layers and costs of a model",
  takesConfig: true,
  takesRunLine: true,
  run: show,
};
