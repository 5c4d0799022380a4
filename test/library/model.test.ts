import { readdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { load, type Model, type ModelManifest, train } from "flexible-autoencoder";
import { afterAll, beforeAll, describe, expect, inject, it } from "vitest";
import { loadAddon } from "../../ts/addon/loader.ts";
import { jsonKeys } from "../../ts/config/network.ts";
import { PARAMETERS } from "../../ts/config/parameters.ts";
import { root, start, temporaryFolder } from "../support/cli.ts";

describe("load", () => {
  let runDir: string;
  let files: string[];
  let model: Model;
  let encoder: Model;

  beforeAll(async () => {
    const digits = inject("digits");
    runDir = join(digits, "model-run");
    await train({
      trainDir: join(digits, "train"),
      validDir: join(digits, "valid"),
      imageShape: [28, 28],
      filters: [8, 16],
      kernelSize: [3],
      strides: [2],
      pooling: ["no"],
      dims: [16],
      optimizer: "adam",
      trainEpochs: 8,
      dropRate: 0,
      threads: 1,
      horizontalFlip: false,
      verticalFlip: false,
      saveDir: runDir,
      overwrite: true,
    });
    const folder = join(digits, "valid/digit_3");
    files = readdirSync(folder).map((name) => join(folder, name));
    model = await load(join(runDir, "ae.pt"));
    encoder = await load(join(runDir, "en.pt"), { batchSize: 2 });
  });

  afterAll(() => {
    model?.dispose();
    encoder?.dispose();
  });

  it("tells what the model is", () => {
    expect(model.kind).toBe("autoencoder");
    expect(encoder.kind).toBe("encoder");
    expect(encoder.inputShape).toEqual([1, 28, 28]);
    expect(encoder.embeddingShape).toEqual([16]);
    expect(model.device).toBe("cpu");
    expect(encoder.config?.model).toMatchObject({ height: 28, filters: [8, 16], dims: [16] });
    expect(model.config?.settings).toMatchObject({ optimizer: "adam", train_epochs: 8 });
  });

  it("holds each setting once", () => {
    const { format, name, model: network, settings } = model.config as ModelManifest;
    expect(format).toBe(2);
    expect(name).toBe("AE");
    const described = PARAMETERS.filter(({ part }) => part === "network");
    expect(Object.keys(network)).toEqual(described.flatMap(jsonKeys));
    const carried = PARAMETERS.filter(({ part, local }) => part !== "network" && !local);
    expect(Object.keys(settings)).toEqual(carried.map(({ name }) => name));
    expect(settings).not.toHaveProperty("filters");
    expect(settings).not.toHaveProperty("save_prefix");
  });

  it("takes what version 0.1.0 wrote, which held the network's settings twice", async () => {
    const earlier = await load(join(root, "native/fuzz/seeds/model/autoencoder"));
    try {
      const { format, model: network, settings } = earlier.config as ModelManifest;
      expect(format).toBe(1);
      expect(settings.filters).toEqual(network.filters);
      const size = network.channels * network.height * network.width;
      const { shape } = await earlier.encode(new Float32Array(size).fill(0.5));
      expect(shape).toEqual([1, ...earlier.embeddingShape]);
    } finally {
      earlier.dispose();
    }
  });

  it("names the folder it cannot evaluate as its argument", async () => {
    const error = await model.evaluate("/nowhere").catch((error: Error) => error);
    expect(error).toMatchObject({
      code: "FLEXAE_DATA",
      message:
        "folder /nowhere cannot be used: no such file or folder; put images there or name another folder",
    });
  });

  it("encodes paths, encoded images and floats alike", async () => {
    const byPath = await encoder.encode(files);
    expect(byPath.shape).toEqual([5, 16]);
    expect(byPath.data).toHaveLength(80);
    expect(new Set(byPath.data).size).toBeGreaterThan(20);
    const buffers = files.map((file) => readFileSync(file));
    expect((await encoder.encode(buffers)).data).toEqual(byPath.data);
    const one = await encoder.encode(files[0] as string);
    expect(one.shape).toEqual([1, 16]);
    for (const [i, value] of one.data.entries()) {
      expect(value).toBeCloseTo(byPath.data[i] as number, 4);
    }
    const throughAutoencoder = await model.encode(files);
    for (const [i, value] of throughAutoencoder.data.entries()) {
      expect(value).toBeCloseTo(byPath.data[i] as number, 4);
    }
  });

  it("computes on the calling thread what it computes on its own", async () => {
    const floats = Float32Array.from({ length: 5 * 784 }, (_, i) => ((i * 31) % 256) / 255);
    expect(encoder.encodeSync(floats)).toEqual(await encoder.encode(floats));
    expect(model.reconstructSync(floats)).toEqual(await model.reconstruct(floats));
    expect(encoder.encodeSync(new Float32Array())).toEqual({
      data: new Float32Array(),
      shape: [0, 16],
    });
    expect(() => encoder.encodeSync(floats.subarray(1))).toThrow(/Expected N×1×28×28 floats/);
    expect(() => encoder.encodeSync([] as unknown as Float32Array)).toThrow(/a Float32Array/);
    expect(() => encoder.reconstructSync(floats)).toThrow(/is an encoder and cannot reconstruct/);
  });

  it("computes on the calling thread only when its own is done", async () => {
    const one = new Float32Array(300 * 784).fill(0.25);
    const other = new Float32Array(300 * 784).fill(0.75);
    const handle = await loadAddon().loadModel(join(runDir, "en.pt"), "cpu", {
      trust: false,
      precision: "fp32",
    });
    const both = [await handle.encode(one), await handle.encode(other)];
    expect(both[0]).not.toEqual(both[1]);
    for (let round = 0; round < 20; round++) {
      const under = Array.from({ length: 4 }, () => handle.encode(one));
      expect(handle.encodeSync(other)).toEqual(both[1]);
      for (const result of await Promise.all(under)) expect(result).toEqual(both[0]);
    }
    const last = handle.encode(one);
    handle.dispose();
    expect(() => handle.encodeSync(other)).toThrow(
      expect.objectContaining({ code: "FLEXAE_DISPOSED" }),
    );
    expect(await last).toEqual(both[0]);
  });

  it("encodes in bf16 where it is asked to, with fewer digits", async () => {
    const narrow = await load(join(runDir, "en.pt"), { precision: "bf16" });
    expect([encoder.precision, narrow.precision]).toEqual(["fp32", "bf16"]);
    const { data } = await narrow.encode(files);
    const expected = (await encoder.encode(files)).data;
    const length = (values: Iterable<number>) => Math.hypot(...values);
    const difference = data.map((value, i) => value - (expected[i] as number));
    expect(length(difference)).toBeGreaterThan(0);
    expect(length(difference)).toBeLessThan(0.02 * length(expected));
    narrow.dispose();
    await expect(
      load(join(runDir, "en.pt"), { precision: "fp16" as "fp32" }),
    ).rejects.toMatchObject({
      code: "FLEXAE_CONFIG",
      message: expect.stringMatching(/auto, fp32 or bf16/),
    });
  });

  it("reconstructs images, as well as its scores say", async () => {
    const { data, shape } = await model.reconstruct(files);
    expect(shape).toEqual([5, 1, 28, 28]);
    for (const value of data) {
      expect(value).toBeGreaterThanOrEqual(0);
      expect(value).toBeLessThanOrEqual(1);
    }
    const load = { interpolation: "area", workers: 1, cache: "none", maxPixels: 1e8 } as const;
    const size = { height: 28, width: 28, channels: 1 };
    const bytes = await loadAddon().decodeImages(files, size, load);
    const floats = Float32Array.from(bytes, (value) => value / 255);
    const again = await model.reconstruct(floats);
    let squares = 0;
    for (const [i, value] of data.entries()) {
      expect(again.data[i]).toBeCloseTo(value, 5);
      squares += (value - (floats[i] as number)) ** 2;
    }
    const { mse } = await model.evaluate(join(inject("digits"), "valid/digit_3"));
    expect(squares / data.length).toBeCloseTo(mse, 5);
    await expect(encoder.reconstruct(files)).rejects.toMatchObject({ code: "FLEXAE_MODEL" });
  });

  it("scores a folder", async () => {
    const scores = await model.evaluate(join(inject("digits"), "valid"));
    expect(scores.loss).toBeGreaterThan(0);
    expect(scores.psnr).toBeCloseTo(-10 * Math.log10(scores.mse), 4);
  });

  it("names what it cannot use", async () => {
    const folder = temporaryFolder();
    const bad = join(folder, "bad.png");
    writeFileSync(bad, "no picture");
    await expect(encoder.encode([files[0] as string, bad])).rejects.toMatchObject({
      code: "FLEXAE_DATA",
      message: expect.stringContaining("bad.png"),
    });
    await expect(encoder.encode(new Float32Array(5))).rejects.toMatchObject({
      code: "FLEXAE_CONFIG",
      message: "Expected N×1×28×28 floats for images but received 5",
    });
    await expect(encoder.encode(7 as never)).rejects.toMatchObject({ code: "FLEXAE_CONFIG" });
    await expect(load(join(folder, "none.pt"))).rejects.toMatchObject({
      code: "FLEXAE_IO",
      message: expect.stringContaining("none.pt"),
    });
    await expect(load(bad)).rejects.toMatchObject({
      code: "FLEXAE_MODEL",
      message: expect.stringContaining("bad.png"),
    });
  });

  it("can be disposed of twice, and not used after", async () => {
    const other = await load(join(runDir, "en.pt"));
    other.dispose();
    other[Symbol.dispose]();
    await expect(other.encode(files)).rejects.toMatchObject({ code: "FLEXAE_DISPOSED" });
  });

  it("finishes what is under way when it is disposed of", async () => {
    const other = await load(join(runDir, "en.pt"), { batchSize: 4096 });
    const images = new Float32Array(4096 * 28 * 28);
    const calls = Array.from({ length: 12 }, () => other.encode(images));
    await calls[0];
    other.dispose();
    for (const result of await Promise.allSettled(calls)) {
      if (result.status === "fulfilled") expect(result.value.shape).toEqual([4096, 16]);
      else expect(result.reason).toMatchObject({ code: "FLEXAE_DISPOSED" });
    }
  });

  it("survives the end of a worker thread that encodes", async () => {
    const script = join(temporaryFolder(), "worker.mjs");
    writeFileSync(
      script,
      `import { parentPort, workerData } from "node:worker_threads";
       import { load } from ${JSON.stringify(join(root, "dist/index.js"))};
       const model = await load(workerData, { batchSize: 4096 });
       const images = new Float32Array(4096 * 28 * 28);
       parentPort.postMessage("loaded");
       for (;;) await Promise.all([model.encode(images), model.encode(images)]);`,
    );
    // In a process of its own: what fails here is an abort.
    const main = join(temporaryFolder(), "main.mjs");
    writeFileSync(
      main,
      `import { Worker } from "node:worker_threads";
       for (let i = 0; i < 5; ++i) {
         const worker = new Worker(${JSON.stringify(script)}, { workerData: process.argv[2] });
         await new Promise((resolve, reject) => worker.once("message", resolve).once("error", reject));
         await new Promise((resolve) => setTimeout(resolve, 20 * i));
         await worker.terminate();
       }
       console.log("alive");`,
    );
    const { code, stdout, stderr } = await start([main, join(runDir, "en.pt")]).ended;
    expect(stdout, stderr).toContain("alive");
    expect(code).toBe(0);
  });

  it("serves the example", async () => {
    const example = join(root, "examples/embed-and-cluster.mjs");
    const args = [example, join(runDir, "en.pt"), join(inject("digits"), "valid"), "10"];
    const { code, stdout, stderr } = await start(args).ended;
    expect(code, stderr).toBe(0);
    expect(stdout).toContain("50 images embedded, 16 numbers each");
    const sizes = [...stdout.matchAll(/^cluster \d+: (\d+) images \(digit_/gm)].map((m) =>
      Number(m[1]),
    );
    expect(sizes).toHaveLength(10);
    expect(sizes.reduce((a, b) => a + b, 0)).toBe(50);
  });
});
