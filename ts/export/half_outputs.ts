/** What a model gives with weights in fp16, beside what it gives with its own. */
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { FlexaeError } from "../addon/errors.js";
import { awaitAddon } from "../addon/loader.js";
import type { TensorEntry } from "../addon/types.js";
import type { ExportSource } from "./format.js";
import { fromHalf, isHalved, toHalf } from "./half.js";
import {
  type NativeOutputs,
  nativeOutputs,
  type OutputDifference,
  outputDifference,
  syntheticLevels,
} from "./native_outputs.js";

/** On so many synthetic images weights in fp16 are compared with those that they were. */
const IMAGES = 16;

/**
 * Runs the model with both weights.
 *
 * @param levels - Images for which outputs of the rounded weights are wanted, N×C×H×W.
 * @throws FlexaeError `FLEXAE_IO` if there is no room for a model in the folder of temporary files,
 *   `FLEXAE_MODEL` if rounded weights give numbers that are not finite.
 */
export async function halfOutputs(
  { path, model }: Pick<ExportSource, "path" | "model">,
  levels: Uint8Array,
): Promise<{ difference: OutputDifference; outputs: NativeOutputs }> {
  const weights = model.layers.flatMap((layer) =>
    layer.weights.map(({ name, shape, values }): [string, TensorEntry] => {
      const kept = isHalved({ shape }) ? Float32Array.from(toHalf(values), fromHalf) : values;
      return [name, { shape, values: kept }];
    }),
  );
  const folder = await mkdtemp(join(tmpdir(), "flexae-half-"));
  try {
    await awaitAddon((addon) =>
      addon.writeModel(folder, model.configJson, Object.fromEntries(weights)),
    );
    const images = syntheticLevels(IMAGES, model.inputShape as [number, number, number]);
    const halved = join(folder, "ae.pt");
    const difference = outputDifference(
      await nativeOutputs(halved, images),
      await nativeOutputs(path, images),
    );
    if (!Number.isFinite(difference.embedding) || !Number.isFinite(difference.reconstruction)) {
      throw new FlexaeError(
        "FLEXAE_MODEL",
        "With weights in fp16 it gives numbers that are not finite: export without half",
      );
    }
    return { difference, outputs: await nativeOutputs(halved, levels) };
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}
