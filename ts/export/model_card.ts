/** `MODEL_CARD.md`: what an exported model is, what it takes, and how well it does. */
import { dirname } from "node:path";
import type { Scores } from "../addon/types.js";
import { recordedRun } from "../runs/setting.js";
import { VERSION } from "../version.js";
import { inputContract } from "./contract.js";
import type { ExportFormat, ExportSource } from "./format.js";
import type { OutputDifference } from "./native_outputs.js";

/** Classes that are named. */
const CLASSES_NAMED = 20;

const times = (sizes: readonly (number | string)[]) => sizes.join("×");

function scoreTable(scores: { train?: Partial<Scores> | null; valid?: Partial<Scores> | null }) {
  const number = (value: unknown) => (typeof value === "number" ? value.toPrecision(6) : "–");
  const rows = (["train", "valid"] as const).flatMap((set) => {
    const of = scores[set];
    if (of === null || of === undefined) return [];
    const cells = [of.loss, of.accuracy, of.mse, of.psnr].map(number);
    return [`| ${set === "train" ? "training" : "validation"} | ${cells.join(" | ")} |`];
  });
  if (rows.length === 0) return "No scores were recorded.";
  return [
    "| images | loss (binary cross-entropy, nats) | binary accuracy | MSE | PSNR (dB) |",
    "|---|---|---|---|---|",
    ...rows,
  ].join("\n");
}

/** Text of others, in one line and without Markdown of its own. */
function inline(value: unknown): string {
  return String(value)
    .replace(/\p{Control}+/gu, " ")
    .replace(/[\\`*_[\]<>|#]/g, "\\$&");
}

/** What is said of weights in fp16. */
function precision({ half }: ExportSource, outputs: OutputDifference | undefined): string {
  if (half === undefined || outputs === undefined) return "";
  return `
## Precision

Weights of convolutions and dense layers were rounded to fp16; biases and batch normalizations are
fp32, and all is computed in fp32. No number changed by more than ${half.absolute.toPrecision(3)}
(\`${half.absoluteOf}\`), no weight by more than ${half.relative.toPrecision(3)} of its norm
(\`${half.relativeOf}\`). On 16 synthetic images no embedding changed by more than
${outputs.embedding.toPrecision(3)} of their largest number, and no reconstructed pixel by more than
${outputs.reconstruction.toPrecision(3)}. The scores below are those of the weights before.
`;
}

/** What a card says besides what the model itself tells. */
interface CardDetails {
  formats: readonly ExportFormat[];
  license: string;
  /** Of weights in fp16. */
  outputs: OutputDifference | undefined;
}

/** The text of the card. Folders of the data are not named, since it travels. */
export function modelCard(
  source: ExportSource,
  { formats, license, outputs }: CardDetails,
): string {
  const { model, manifest, path } = source;
  const run = recordedRun(dirname(path));
  const { data, scores } = run;
  const weights = model.layers.flatMap((layer) => layer.weights);
  const numbers = weights.reduce((sum, { values }) => sum + values.length, 0);
  const classes = Array.isArray(data?.classes) ? data.classes : [];
  const named = classes.slice(0, CLASSES_NAMED).map(inline).join(", ");
  const { input: type, withResize } = source;
  const contract = inputContract(model, manifest, { type, withResize });
  const trained =
    typeof run.epochs === "number" && typeof run.best_epoch === "number"
      ? `Trained for ${run.epochs} epochs; the weights are those of epoch ${run.best_epoch}.`
      : "How long it was trained was not recorded.";
  const origin =
    manifest.imported === undefined
      ? `trained by version\n${inline(manifest.version)}`
      : `imported from a ${inline(manifest.imported.format)}\nby version ${inline(manifest.version)}`;
  const count = (value: unknown) => (typeof value === "number" ? `${value}` : "not recorded");
  const others = withResize
    ? `N×${times(model.inputShape)} (NCHW), resized, of bytes divided by 255`
    : "bytes divided by 255";
  const graph = type === "uint8" ? ` That is of the ONNX files; others take ${others}.` : "";
  const files = formats.map(({ name, files }) => {
    return `- ${name}: ${files.map((file) => `\`${file}\``).join(", ")}`;
  });
  const more = classes.length > CLASSES_NAMED ? ", …" : "";
  const known =
    classes.length === 0
      ? "No classes were recorded; none are used."
      : `${classes.length} classes, which the training does not use: ${named}${more}.`;
  const terms =
    license === "unknown"
      ? "Not stated: whoever passes the model on is to say what may be done with it."
      : inline(license);
  return `---
license: ${JSON.stringify(license)}
tags: [autoencoder, image-embedding, flexible-autoencoder]
---

# ${inline(manifest.name)}

A convolutional autoencoder of images: an encoder gives an embedding of
${times(model.embeddingShape)} numbers, and a decoder reconstructs the image from it.
${model.layers.length} layers, ${numbers} numbers. Exported by flexible-autoencoder ${VERSION}, ${origin}.

Made from an \`ae.pt\` with the SHA-256 \`${source.sha256}\`.

## Files

${files.join("\n")}
- \`SHA256SUMS\`: checksums, for \`sha256sum -c SHA256SUMS\`

## Input

\`${contract.name}\`: N×${times(contract.shape)} (${contract.layout}), ${contract.type},
from ${contract.range.join(" to ")}, ${contract.channels}.${graph} Of an image file:

${contract.steps.map((step, i) => `${i + 1}. ${step}`).join("\n")}

An input that is resized in another way gives another embedding. \`flexae embed\` does all of this.

## Output

- \`embedding\`: N×${times(model.embeddingShape)} floats.
- \`reconstruction\`: N×${times(model.inputShape)} floats in [0, 1], of the autoencoder alone.
${precision(source, outputs)}
## Data

Images to train on: ${count(data?.train_images)}; to validate: ${count(data?.valid_images)}.
${known}

## Scores

${trained}

${scoreTable(scores ?? {})}

## Licence

${terms}
`;
}
