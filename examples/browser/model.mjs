/** The model and the table of embeddings: no page, so that you can use it in one of your own. */
import * as ort from "./node_modules/onnxruntime-web/dist/ort.wasm.bundle.min.mjs";

// More threads want headers of the server that isolate the page from others (COOP and COEP).
ort.env.wasm.numThreads = 1;

async function fetched(url) {
  const response = await fetch(url);
  if (!response.ok) throw new Error(`${url} cannot be loaded (${response.status})`);
  return response;
}

/**
 * Loads an `ae.onnx`.
 *
 * @returns its `shape` [C, H, W] and `run`, which takes N×C×H×W floats in [0, 1] and gives
 *   `embedding` and `reconstruction`, a Float32Array each
 */
export async function loadModel(url) {
  const bytes = new Uint8Array(await (await fetched(url)).arrayBuffer());
  const session = await ort.InferenceSession.create(bytes);
  const [{ type, shape: batch }] = session.inputMetadata;
  if (type !== "float32") {
    throw new Error(`${url} takes ${type}: export it without --input and --with-resize`);
  }
  const shape = batch.slice(1);
  const size = shape.reduce((a, b) => a * b);
  return {
    shape,
    async run(floats) {
      const images = new ort.Tensor("float32", floats, [floats.length / size, ...shape]);
      const { embedding, reconstruction } = await session.run({ images });
      return { embedding: embedding.data, reconstruction: reconstruction.data };
    },
  };
}

/** Loads a table that `flexae embed … -o embeddings.jsonl` wrote: an object for each image. */
export async function loadTable(url) {
  const lines = (await (await fetched(url)).text()).split("\n").filter((line) => line !== "");
  return lines.map((line) => JSON.parse(line));
}

/** The `count` rows whose embeddings are nearest, each with its Euclidean `distance`. */
export function nearest(table, embedding, count) {
  const measured = table.map((row) => {
    let sum = 0;
    for (const [i, value] of row.embedding.entries()) sum += (value - embedding[i]) ** 2;
    return { ...row, distance: Math.sqrt(sum) };
  });
  return measured.sort((a, b) => a.distance - b.distance).slice(0, count);
}
