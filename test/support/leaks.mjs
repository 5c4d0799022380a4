/**
 * Repeats one thing in this process, and tells what the process holds after each time, or a hundred times on the way:
 * a line of JSON each. Run with --expose-gc, by the tests of leaks.
 *
 *     node --expose-gc leaks.mjs WHAT TIMES DIGITS FOLDER
 */
import { readdirSync, readFileSync, rmSync } from "node:fs";
import { join } from "node:path";
import { setImmediate } from "node:timers/promises";
import { checkImages, createTraining, load, summary } from "flexible-autoencoder";

const [what, times, digits, folder] = process.argv.slice(2);
const count = Number(times);

const config = {
  trainDir: join(digits, "valid"),
  validDir: join(digits, "valid/digit_3"),
  imageShape: [28, 28],
  filters: [4, 8],
  kernelSize: [3],
  strides: [2],
  pooling: ["no"],
  dims: [16],
  optimizer: "adam",
  batchSize: 10,
  // Two, so that threads of OpenMP come and go with those of trainings.
  threads: 2,
  workers: 2,
  device: "cpu",
  trainEpochs: 2,
  saveDir: join(folder, "run"),
  overwrite: true,
};
const images = readdirSync(config.validDir).map((name) => join(config.validDir, name));

/** Resident memory that is this process's own, without what is mapped from files. */
function ownBytes() {
  const text = readFileSync("/proc/self/status", "utf8");
  return Number(/^RssAnon:\s+(\d+) kB$/m.exec(text)[1]) * 1024;
}

const interval = Math.ceil(count / 100);

function tell(time) {
  if (time % interval !== 0) return;
  global.gc();
  const { heapUsed, external } = process.memoryUsage();
  const sample = {
    time,
    own: ownBytes(),
    heap: heapUsed + external,
    descriptors: readdirSync("/proc/self/fd").length,
    threads: readdirSync("/proc/self/task").length,
  };
  process.stdout.write(`${JSON.stringify(sample)}\n`);
}

/** Finalizers of native objects run in later turns of the event loop. */
async function settle() {
  for (let turn = 0; turn < 3; turn++) {
    global.gc();
    await setImmediate();
  }
}

async function refused(work) {
  const kept = await work.then(
    () => true,
    () => false,
  );
  if (kept) throw new Error("an error was expected");
}

const once = {
  async model() {
    for (const name of ["ae.pt", "en.pt"]) {
      const model = await load(join(config.saveDir, name), { device: "cpu" });
      await model.encode(images);
      if (model.kind === "autoencoder") {
        await model.reconstruct(images);
        await model.evaluate(config.validDir);
      }
      model.dispose();
    }
  },
  async training() {
    await createTraining(config).result;
  },
  async failures() {
    summary(config);
    await checkImages(config.validDir, config);
    await refused(load(join(folder, "none.pt")));
    await refused(load(images[0]));
    await refused(createTraining({ ...config, trainDir: folder }).result);
    // A network that is given numbers that grow beyond all bounds.
    const wild = { ...config, optimizer: "sgd", learningRate: 1e30, trainEpochs: 50 };
    await refused(createTraining(wild).result);
    const cancelled = createTraining({ ...config, trainEpochs: 1000 });
    for await (const event of cancelled) if (event.type === "epoch") cancelled.cancel();
    if ((await cancelled.result).stopped !== "interrupted") throw new Error("not interrupted");
    rmSync(config.saveDir, { recursive: true });
  },
};

process.chdir(folder);
if (what === "epochs") {
  const settings = { ...config, trainEpochs: count, patience: count, period: count };
  await createTraining(settings, {
    onEvent(event) {
      if (event.type === "epoch") tell(event.epoch);
    },
  }).result;
} else {
  if (what === "model") await once.training();
  for (let time = 1; time <= count; time++) {
    await once[what]();
    await settle();
    tell(time);
  }
}
