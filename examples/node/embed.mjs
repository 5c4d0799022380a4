/**
 * Embeds image files with an exported encoder. It needs no libtorch and nothing of this program but
 * `area_resize.mjs`, which is to be copied along.
 *
 *     npx flexae export RUN --to onnx -o exported
 *     npm ci --ignore-scripts --prefix examples/node
 *     node examples/node/embed.mjs exported/en.onnx IMAGE...
 *
 * Prints a line an image: its path, and the numbers.
 */
import { InferenceSession, Tensor } from "onnxruntime-node";
import sharp from "sharp";
import { modelInput } from "../browser/area_resize.mjs";

/** An image file, upright, in bytes. Colour profiles are passed over, as in training. */
async function readImage(path) {
  const file = sharp(path, { ignoreIcc: true }).autoOrient();
  const { data, info } = await file.raw().toBuffer({ resolveWithObject: true });
  return { data, width: info.width, height: info.height, channels: info.channels };
}

const [model, ...paths] = process.argv.slice(2);
if (paths.length === 0) {
  console.error("usage: node embed.mjs EN.ONNX IMAGE...");
  process.exit(2);
}
const session = await InferenceSession.create(model);
const shape = session.inputMetadata[0].shape.slice(1);
for (const path of paths) {
  const images = new Tensor("float32", modelInput(await readImage(path), shape), [1, ...shape]);
  const { embedding } = await session.run({ images });
  console.log(path, [...embedding.data].join(" "));
}
