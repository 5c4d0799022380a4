/**
 * A project that depends on the package: imports it, trains with pictures and embeds an image.
 * Prints what came of it as JSON.
 *
 *     node consumer.mjs IMAGES
 */
import { join } from "node:path";
import { createTraining, load } from "flexible-autoencoder";

const [images] = process.argv.slice(2);

const training = createTraining({
  trainDir: images,
  validDir: images,
  imageShape: [28, 28],
  filters: [4, 8],
  kernelSize: [3],
  strides: [2],
  pooling: ["no"],
  dims: [16],
  optimizer: "adam",
  trainEpochs: 1,
  threads: 1,
  saveDir: "run",
  overwrite: true,
});
const warnings = [];
for await (const event of training) if (event.type === "warning") warnings.push(event.message);
const { runDir, pictures, stopped } = await training.result;

const encoder = await load(join(runDir, "en.pt"));
const { shape } = await encoder.encode([join(runDir, "valid_eval_orig_image_0.png")]);
encoder.dispose();

process.stdout.write(
  JSON.stringify({ node: process.versions.node, stopped, runDir, pictures, warnings, shape }),
);
