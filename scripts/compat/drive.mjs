// Lets one build of the library do a job, in a process of its own that may be killed:
//
//   node scripts/compat/drive.mjs DIST JOB
//
// DIST is the folder of its index.js, JOB is JSON. Prints JSON.

import { createHash } from "node:crypto";
import path from "node:path";
import { pathToFileURL } from "node:url";
import { makeImages } from "./images.mjs";

const [dist, text] = process.argv.slice(2);
const job = JSON.parse(text);
const library = await import(pathToFileURL(path.join(dist, "index.js")).href);

const images = (sets) =>
  sets && {
    train: makeImages(sets.train, sets.side, 1),
    valid: makeImages(sets.valid, sets.side, 2),
  };

/** Trains; with `killAfter`, until some milliseconds after the end of that epoch. */
async function train({ config, resume, killAfter, memory }) {
  const options = memory ? { images: images(memory) } : {};
  if (resume) options.resume = resume;
  const training = library.createTraining(config, options);
  const events = [];
  for await (const event of training) {
    if (event.type === "batch") continue;
    events.push(event);
    if (event.type === "epoch" && event.epoch === killAfter) {
      setTimeout(() => process.kill(process.pid, "SIGKILL"), 3);
    }
  }
  const { stopped, train, valid } = await training.result;
  const [{ epochsDone, batchesDone }] = events;
  const losses = events
    .filter(({ type }) => type === "epoch")
    .map((event) => [event.epoch, event.train.loss, event.valid.loss]);
  return { stopped, train, valid, epochsDone, batchesDone, losses };
}

const digest = ({ data, shape }) => ({
  shape,
  sha256: createHash("sha256").update(new Uint8Array(data.buffer)).digest("hex"),
});

/** Loads a run's models and computes with them: scores, and what comes out of them. */
async function look({ runDir, memory, numbers }) {
  const { valid } = images(memory);
  const floats = Float32Array.from(valid, (value) => value / 255);
  const found = {};
  for (const [file, method] of [
    ["en.pt", "encode"],
    ["ae.pt", "reconstruct"],
  ]) {
    const model = await library.load(path.join(runDir, file), { device: "cpu" });
    const output = await model[method](floats);
    found[method] = numbers ? { shape: output.shape, data: [...output.data] } : digest(output);
    model.dispose();
  }
  return found;
}

const jobs = { train, look };
process.stdout.write(`${JSON.stringify(await jobs[job.what](job))}\n`);
