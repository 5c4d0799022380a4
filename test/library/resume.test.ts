import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { createTraining, load, type TrainingConfig, train } from "flexible-autoencoder";
import { describe, expect, inject, it } from "vitest";
import { temporaryFolder } from "../support/cli.ts";
import { expectSameRun } from "../support/runs.ts";

function config(saveDir: string): TrainingConfig {
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
    optimizer: "nadam",
    dropRate: 0.3,
    threads: 1,
    trainEpochs: 30,
    cache: "none",
    saveDir,
  };
}

describe("a training ended by an AbortSignal", () => {
  it("goes on to the same end", async () => {
    const folder = temporaryFolder();
    await train(config(join(folder, "whole")));
    const part = join(folder, "part");
    const stop = new AbortController();
    const first = await train(config(part), {
      signal: stop.signal,
      onEvent: (event) => {
        if (event.type === "epoch" && event.epoch === 4) stop.abort();
      },
    });
    expect(first.stopped).toBe("interrupted");
    const second = createTraining({}, { resume: part });
    const done: number[] = [];
    for await (const event of second) {
      if (event.type === "start") expect(event.epochsDone).toBe(first.epochs);
      if (event.type === "epoch") done.push(event.epoch);
    }
    expect(done[0]).toBe(first.epochs + 1);
    expect(await second.result).toMatchObject({ stopped: "finished", epochs: 30, runDir: part });
    expectSameRun(part, join(folder, "whole"));
  });

  it("refuses what contradicts resuming", async () => {
    const folder = temporaryFolder();
    const none = createTraining({}, { resume: join(folder, "none") });
    await expect(none.result).rejects.toMatchObject({ code: "FLEXAE_CONFIG" });
    const unsaved = createTraining({}, { resume: folder, save: false });
    await expect(unsaved.result).rejects.toMatchObject({ code: "FLEXAE_CONFIG" });
  });
});

describe("TorchScript of other origin", () => {
  it("is run only when it is trusted", async () => {
    const folder = temporaryFolder();
    const run = join(folder, "run");
    await train({ ...config(run), trainEpochs: 1 });
    const own = await load(join(run, "ae.pt"));
    // The same archive without the seal, as torch.jit.save would write it anew.
    const sealed = readFileSync(join(run, "ae.pt"));
    const end = sealed.lastIndexOf("PK\u0005\u0006", undefined, "latin1");
    const bare = Buffer.from(sealed.subarray(0, end + 22));
    bare.writeUInt16LE(0, end + 20);
    const foreign = join(folder, "foreign.pt");
    writeFileSync(foreign, bare);
    await expect(load(foreign)).rejects.toMatchObject({
      code: "FLEXAE_MODEL",
      message: expect.stringMatching(/nothing in it was run.\n.*--trust/),
    });
    const trusted = await load(foreign, { trust: true });
    const images = new Float32Array(2 * 28 * 28).map((_, i) => (i % 29) / 29);
    const [a, b] = [await own.reconstruct(images), await trusted.reconstruct(images)];
    expect(a.shape).toEqual(b.shape);
    for (const [i, value] of a.data.entries()) expect(b.data[i]).toBeCloseTo(value, 5);
    own.dispose();
    trusted.dispose();
  });
});
