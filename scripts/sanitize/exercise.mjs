// Uses every part of the addon once, well and wrongly, and ends as any program does. Run by sanitize.mjs.
//
//   node exercise.mjs IMAGES FOLDER

import { copyFileSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import path from "node:path";
import { Worker } from "node:worker_threads";
import { checkImages, createTraining, evaluate, load, summary, train } from "flexible-autoencoder";

const [images, folder] = process.argv.slice(2);
process.chdir(folder);

// A few images of each class; the sanitizers make all of it slow.
const data = path.join(folder, "data");
for (const name of readdirSync(images)) {
  mkdirSync(path.join(data, name), { recursive: true });
  for (const image of readdirSync(path.join(images, name)).slice(0, 4)) {
    copyFileSync(path.join(images, name, image), path.join(data, name, image));
  }
}
const [first] = readdirSync(data);
const files = readdirSync(path.join(data, first)).map((name) => path.join(data, first, name));
const bad = path.join(folder, "bad.png");
writeFileSync(bad, "no picture");

const config = {
  trainDir: data,
  validDir: path.join(data, first),
  imageShape: [28, 28],
  filters: [4, 8],
  kernelSize: [3],
  strides: [1, 2],
  pooling: ["avg", "max"],
  dims: [16, 8],
  optimizer: "adam",
  batchSize: 16,
  kernelRegularizer: "l2(0.001)",
  kernelConstraint: "max_norm(3)",
  device: "cpu",
  threads: 2,
  workers: 2,
  trainEpochs: 2,
};

function require(condition, what) {
  if (!condition) throw new Error(`expected ${what}`);
}

async function refused(code, work) {
  const error = await work.then(
    () => null,
    (error) => error,
  );
  require(error?.code === code, `${code}, not ${error}`);
}

// --- trainings: with each cache, to the end, gone on with, cancelled, failed
summary(config);
const { runDir } = await train({ ...config, saveDir: "run", cache: "disk" });
await train({ ...config, precision: "bf16", cache: "none" }, { save: false });
await train({ trainEpochs: 3 }, { resume: runDir });
const pixels = Uint8Array.from({ length: 8 * 28 * 28 }, (_, i) => (i * 7919) % 256);
await train({ ...config, mlp: false }, { save: false, images: { train: pixels, valid: pixels } });

const cancelled = createTraining({ ...config, trainEpochs: 10000, saveDir: "cancelled" });
for await (const event of cancelled) if (event.type === "epoch") cancelled.cancel();
require((await cancelled.result).stopped === "interrupted", "an interrupted training");

await refused("FLEXAE_DATA", train({ ...config, trainDir: path.join(folder, "none") }));
const wild = { ...config, optimizer: "sgd", learningRate: 1e30, trainEpochs: 100 };
await refused("FLEXAE_NAN", train(wild, { save: false }));
await refused("FLEXAE_CONFIG", train({ ...config, saveDir: "run" }));
const among = path.join(data, first, "bad.png");
copyFileSync(bad, among);
await refused("FLEXAE_DATA", train({ ...config, maxBad: 0 }, { save: false }));
await checkImages(data, config);
rmSync(among);

// --- models
const model = await load(path.join(runDir, "ae.pt"));
await Promise.all([model.encode(files), model.reconstruct(files.map((f) => readFileSync(f)))]);
await refused("FLEXAE_DATA", model.encode([files[0], bad]));
await model.evaluate(path.join(data, first));
const encoder = await load(path.join(runDir, "en.pt"), { device: "cpu" });
const pending = encoder.encode(new Float32Array(28 * 28));
encoder.dispose();
await pending.catch(() => {});
await refused("FLEXAE_DISPOSED", encoder.encode(files));
model.dispose();
// Left to the end of the process.
globalThis.kept = await load(path.join(runDir, "en.pt"));
await refused("FLEXAE_MODEL", load(bad));
await refused("FLEXAE_IO", load(path.join(folder, "none.pt")));
const checkpoint = readFileSync(path.join(runDir, "last.ckpt"));
checkpoint[checkpoint.length >> 1] ^= 1;
for (const name of ["last", "previous", "best"]) {
  writeFileSync(path.join(runDir, `${name}.ckpt`), checkpoint);
}
await train({ trainEpochs: 4 }, { resume: runDir });
await evaluate(runDir);

// --- a worker thread, which is ended while it trains
const script = `
  import { parentPort, workerData } from "node:worker_threads";
  import { createTraining } from ${JSON.stringify(import.meta.resolve("flexible-autoencoder"))};
  for await (const event of createTraining(workerData, { save: false })) {
    if (event.type === "epoch") parentPort.postMessage("epoch");
  }`;
const worker = new Worker(new URL(`data:text/javascript,${encodeURIComponent(script)}`), {
  workerData: { ...config, trainEpochs: 10000 },
});
await new Promise((resolve, reject) => worker.once("message", resolve).once("error", reject));
await worker.terminate();

console.log("done");
