import { existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { Worker } from "node:worker_threads";
import {
  createTraining,
  FlexaeError,
  resolveConfig,
  summary,
  type TrainingConfig,
  type TrainingEvent,
  train,
} from "flexible-autoencoder";
import { describe, expect, inject, it } from "vitest";
import { root, start, temporaryFolder } from "../support/cli.ts";

function config(more: TrainingConfig = {}): TrainingConfig {
  const digits = inject("digits");
  return {
    trainDir: join(digits, "train"),
    validDir: join(digits, "valid"),
    imageShape: [28, 28],
    filters: [8, 16],
    kernelSize: [3],
    strides: [2],
    pooling: ["no"],
    dims: [16],
    optimizer: "adam",
    dropRate: 0,
    threads: 1,
    trainEpochs: 2,
    horizontalFlip: false,
    verticalFlip: false,
    ...more,
  };
}

/** More epochs than any test waits for. */
const LONG = { trainEpochs: 1_000_000, patience: 1_000_000, period: 1_000_000 };

describe("settings", () => {
  it("takes both spellings, and refuses what is wrong", () => {
    expect(resolveConfig({ train_epochs: 3 }).train_epochs).toBe(3);
    expect(resolveConfig({ trainEpochs: "3", mlp: false })).toMatchObject({
      train_epochs: 3,
      AutoencoderMLP_switch: false,
    });
    expect(() => createTraining({ trainEpochs: 0 })).toThrow(FlexaeError);
    expect(() => createTraining({ trainEpoch: 3 } as TrainingConfig)).toThrow(
      "Unknown parameter trainEpoch: did you mean train_epochs?",
    );
  });

  it("summarizes", () => {
    expect(summary().parameters).toEqual({
      total: 10042901,
      trainable: 10041491,
      nonTrainable: 1410,
    });
    expect(() => summary({ imageShape: [8, 8], filters: [4, 4, 4, 4, 4], pooling: "max" })).toThrow(
      expect.objectContaining({ code: "FLEXAE_CONFIG" }),
    );
  });
});

describe("createTraining", () => {
  it("gives events while it trains, and a result", async () => {
    const saveDir = join(temporaryFolder(), "run");
    const training = createTraining(config({ saveDir }));
    const events: TrainingEvent[] = [];
    for await (const event of training) events.push(event);
    const result = await training.result;
    const types = events.map(({ type }) => type).filter((type) => type !== "batch");
    const kept = types.filter((type) => type !== "reconstructions");
    expect(kept).toEqual(["start", "epoch", "epoch", "finishing"]);
    // After the last epoch, and after others as time allows.
    expect(types.at(-2)).toBe("reconstructions");
    const made = events.findLast((event) => event.type === "reconstructions");
    expect(made).toMatchObject({ epoch: 2, shape: [8, 28, 28, 1] });
    expect(made?.reconstructions.length).toBe(8 * 28 * 28);
    expect(events[0]).toMatchObject({ runDir: saveDir, trainImages: 200, epochs: 2 });
    expect(result).toMatchObject({ stopped: "finished", epochs: 2, runDir: saveDir });
    expect(result.valid?.loss).toBeGreaterThan(0);
    expect(existsSync(join(saveDir, "en.pt"))).toBe(true);
  });

  it("keeps no more than the newest images for a loop that does not read", async () => {
    const training = createTraining(config({ trainEpochs: 4 }), { save: false });
    await training.result;
    const epochs: number[] = [];
    for await (const event of training) {
      if (event.type === "reconstructions") epochs.push(event.epoch);
    }
    // The first epoch has some, too.
    expect(epochs).toEqual([4]);
  });

  it("writes nothing when told not to save", async () => {
    const cwd = process.cwd();
    const folder = temporaryFolder();
    process.chdir(folder);
    try {
      const result = await train(config(), { save: false });
      expect(result.runDir).toBeNull();
      expect(readdirSync(folder)).toEqual([]);
    } finally {
      process.chdir(cwd);
    }
  });

  it("gives the same losses for the same seed, and others for another", async () => {
    const losses = async (seed: number) => {
      const all: number[] = [];
      await train(config({ seed, dropRate: 0.5, horizontalFlip: true }), {
        save: false,
        onEvent: (event) => {
          if (event.type === "epoch") all.push(event.train.loss, event.valid.loss);
        },
      });
      return all;
    };
    const first = await losses(5);
    expect(await losses(5)).toEqual(first);
    expect(await losses(6)).not.toEqual(first);
  });

  it("trains on images in memory", async () => {
    const images = new Uint8Array(64 * 28 * 28).map((_, i) => (i * 7919) % 256);
    const result = await train(config({ trainDir: "/nowhere", validDir: "/nowhere" }), {
      save: false,
      images: { train: images, valid: images.subarray(0, 16 * 28 * 28) },
    });
    expect(result.epochs).toBe(2);
    await expect(
      train(config(), { save: false, images: { train: images.subarray(1) } }),
    ).rejects.toThrow(/Expected N×1×28×28 bytes for trainImages/);
  });

  it("ends early by an AbortSignal, with the models of the best weights", async () => {
    const saveDir = join(temporaryFolder(), "run");
    const controller = new AbortController();
    const training = createTraining(config({ saveDir, ...LONG }), { signal: controller.signal });
    for await (const event of training) {
      if (event.type === "epoch" && event.epoch === 2) controller.abort();
    }
    const result = await training.result;
    expect(result.stopped).toBe("interrupted");
    expect(result.epochs).toBeGreaterThanOrEqual(2);
    expect(result.train).toBeNull();
    expect(result.valid?.loss).toBeGreaterThan(0);
    expect(existsSync(join(saveDir, "ae.pt"))).toBe(true);
  });

  it("rejects with the signal's reason when that was aborted before, leaving nothing", async () => {
    const saveDir = join(temporaryFolder(), "run");
    const signal = AbortSignal.abort(new Error("changed my mind"));
    await expect(train(config({ saveDir }), { signal })).rejects.toThrow("changed my mind");
    expect(existsSync(saveDir)).toBe(false);
  });

  it("rejects, and throws from the iteration, what is found later", async () => {
    const training = createTraining(config({ trainDir: "/nowhere" }));
    const walk = async () => {
      for await (const _ of training);
    };
    await expect(walk()).rejects.toMatchObject({ code: "FLEXAE_DATA" });
    await expect(training.result).rejects.toMatchObject({ code: "FLEXAE_DATA" });
  });

  it("stops when a file of the run cannot be written", async () => {
    const saveDir = join(temporaryFolder(), "run");
    const training = createTraining(config({ saveDir, ...LONG }), {
      onEvent: (event) => {
        if (event.type === "start") mkdirSync(join(saveDir, "metrics.csv"));
      },
    });
    await expect(training.result).rejects.toMatchObject({ code: "FLEXAE_IO" });
  });

  it("leaves the event loop free", async () => {
    let turns = 0;
    const timer = setInterval(() => turns++, 5);
    // Every batch takes many times five milliseconds.
    const training = createTraining(
      config({ imageShape: [64, 64], filters: [16, 16], strides: [1], batchSize: 100 }),
      { save: false },
    );
    await training.result;
    clearInterval(timer);
    expect(turns).toBeGreaterThan(20);
  });

  it("runs two trainings side by side, each as if alone", async () => {
    const losses = async (seed: number) => {
      const result = await train(config({ seed }), { save: false });
      return [result.train?.loss, result.valid?.loss];
    };
    const alone = [await losses(1), await losses(2)];
    expect(await Promise.all([losses(1), losses(2)])).toEqual(alone);
  });

  it("runs in a worker thread, beside one in the main thread", async () => {
    const folder = temporaryFolder();
    const script = join(folder, "worker.mjs");
    const index = JSON.stringify(join(root, "dist/index.js"));
    writeFileSync(
      script,
      `import { parentPort, workerData } from "node:worker_threads";
       import { load, train } from ${index};
       const result = await train(workerData);
       const model = await load(result.runDir + "/ae.pt");
       const { shape } = await model.reconstruct(new Float32Array(2 * 28 * 28));
       model.dispose();
       parentPort.postMessage({ stopped: result.stopped, shape });`,
    );
    const inWorker = new Promise((resolve, reject) => {
      const workerData = config({ saveDir: join(folder, "worker-run") });
      const worker = new Worker(script, { workerData });
      let message: unknown;
      worker.on("message", (value) => {
        message = value;
      });
      worker.on("error", reject);
      worker.on("exit", (code) => resolve({ code, message }));
    });
    const [here, there] = await Promise.all([train(config(), { save: false }), inWorker]);
    expect(here.stopped).toBe("finished");
    expect(there).toEqual({ code: 0, message: { stopped: "finished", shape: [2, 1, 28, 28] } });
    expect(existsSync(join(folder, "worker-run/valid_comparison.png"))).toBe(true);
  });

  it("survives the end of a worker thread that trains", async () => {
    const folder = temporaryFolder();
    const script = join(folder, "worker.mjs");
    writeFileSync(
      script,
      `import { parentPort, workerData } from "node:worker_threads";
       import { createTraining } from ${JSON.stringify(join(root, "dist/index.js"))};
       for await (const event of createTraining(workerData, { save: false })) {
         if (event.type === "epoch") parentPort.postMessage("epoch");
       }`,
    );
    const worker = new Worker(script, { workerData: config(LONG) });
    await new Promise((resolve, reject) => worker.once("message", resolve).once("error", reject));
    await worker.terminate();
    expect((await train(config(), { save: false })).stopped).toBe("finished");
  });

  it.each([
    ["process.exit", "process.exit(7)", 7],
    ["an uncaught error", "throw new Error('mine')", 1],
  ])("ends cleanly with %s during training", async (_, last, code) => {
    const folder = temporaryFolder();
    mkdirSync(join(folder, "cwd"));
    const script = join(folder, "exit.mjs");
    writeFileSync(
      script,
      `import { createTraining } from ${JSON.stringify(join(root, "dist/index.js"))};
       createTraining(${JSON.stringify(config(LONG))}, {
         save: false,
         onEvent: (event) => { if (event.type === "epoch") { ${last}; } },
       });`,
    );
    const ended = await start([script], { cwd: join(folder, "cwd") }).ended;
    expect(ended.signal).toBeNull();
    expect(ended.code, ended.stderr).toBe(code);
    if (code === 1) expect(ended.stderr).toContain("mine");
  });
});

describe("the package", () => {
  it("declares its whole surface in types", () => {
    const types = readFileSync(join(root, "dist/index.d.ts"), "utf8");
    for (const name of ["createTraining", "train", "summary", "load", "resolveConfig"]) {
      expect(types).toContain(name);
    }
  });
});
