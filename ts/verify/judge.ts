/** Whether outputs are near enough to those of the native pass. */
import { FlexaeError } from "../addon/errors.js";
import {
  type NativeOutputs,
  type OutputDifference,
  outputDifference,
} from "../export/native_outputs.js";
import type { Reference } from "../export/reference.js";

/** A file that cannot be shown to compute what it should. `why` follows its name. */
export function verifyError(file: string, why: string, cause?: unknown): FlexaeError {
  return new FlexaeError(
    "FLEXAE_INTERNAL",
    `${file} ${why}. Nothing was kept of the export: please report it, or export without this format`,
    { cause },
  );
}

/**
 * How far outputs are from those that are meant.
 *
 * @throws FlexaeError `FLEXAE_INTERNAL` naming the file if that is too far.
 */
export function judge(
  file: string,
  found: NativeOutputs,
  meant: NativeOutputs & Pick<Reference, "tolerance">,
): OutputDifference {
  const difference = outputDifference(found, meant);
  const { embedding, reconstruction } = difference;
  const of = (share: number) => (Number.isNaN(share) ? "what is no number" : share.toPrecision(2));
  const problem = !(embedding <= meant.tolerance.embedding)
    ? `an embedding differs by ${of(embedding)} of the largest number`
    : !(reconstruction <= meant.tolerance.reconstruction)
      ? `a pixel differs by ${of(reconstruction)}`
      : undefined;
  if (problem === undefined) return difference;
  throw verifyError(file, `computes something else than the native pass: ${problem}`);
}
