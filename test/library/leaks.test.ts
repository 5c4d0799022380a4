/**
 * What is repeated leaves nothing behind: memory, file descriptors and threads stay as they are. FLEXAE_LONG=1 repeats
 * it as often as a long training does.
 */
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, inject, it } from "vitest";
import { jsonLines, root, start, temporaryFolder } from "../support/cli.ts";
import { LONG_FORM } from "../support/random.ts";

interface Sample {
  time: number;
  /** Bytes. */
  own: number;
  heap: number;
  descriptors: number;
  threads: number;
}

const MIB = 2 ** 20;

/**
 * Bytes that the least of the last quarter of the samples may be above the most of the second quarter; the first is the
 * warming up. Allocators keep freed pages and the garbage collector sizes its spaces by what it met, so that samples
 * differ by some megabytes, but what is flat meets again where it was. And an epoch is remembered by a row of
 * metrics.csv and of every checkpoint, which takes half a kilobyte. The smallest thing worth the name of a leak, what one
 * batch takes here, has a hundred kilobytes.
 */
const TOLERANCE = { own: 3 * MIB, heap: MIB, descriptors: 0, threads: 0 };

async function repeat(what: string, times: number): Promise<void> {
  const program = join(root, "test/support/leaks.mjs");
  const args = ["--expose-gc", program, what, String(times), inject("digits"), temporaryFolder()];
  // Threads come with every training, and malloc gives each an arena of its own, up to eight a core, which keeps what was
  // freed there: memory would grow for dozens of trainings until all are warm.
  const { code, stdout, stderr } = await start(args, { env: { MALLOC_ARENA_MAX: "1" } }).ended;
  expect(code, stderr).toBe(0);
  const samples = jsonLines(stdout) as unknown as Sample[];
  expect(samples.at(-1)?.time).toBe(times);
  expect(samples.length).toBe(Math.min(times, 100));
  const quarter = samples.length >> 2;
  const figures = (["own", "heap", "descriptors", "threads"] as const).map((key) => {
    const values = samples.map((sample) => sample[key]);
    const before = Math.max(...values.slice(quarter, 2 * quarter));
    const after = Math.min(...values.slice(-quarter));
    const shown = (value: number) => (value < MIB ? value : `${(value / MIB).toFixed(1)} MiB`);
    return { key, grown: after - before, text: `${key} ${shown(before)} → ${shown(after)}` };
  });
  const told = `${what} × ${times}: ${figures.map(({ text }) => text).join(", ")}`;
  if (LONG_FORM) process.stdout.write(`${told}\n`);
  for (const { key, grown } of figures) expect(grown, told).toBeLessThanOrEqual(TOLERANCE[key]);
}

describe("memory, descriptors and threads stay as they are", () => {
  it("over the epochs of a training", () => repeat("epochs", LONG_FORM ? 2000 : 300));

  it("over models loaded, run and disposed of", () => repeat("model", LONG_FORM ? 200 : 40));

  it("over trainings to their end", () => repeat("training", LONG_FORM ? 200 : 20));

  it("over what fails, is refused or is cancelled", () => repeat("failures", LONG_FORM ? 200 : 12));
});

describe("the process ends by itself", () => {
  /** Runs `body` as a program with `config` and the package in scope; it must come to its end without process.exit. */
  async function endsAfter(body: string): Promise<void> {
    const folder = temporaryFolder();
    const digits = inject("digits");
    const script = join(folder, "script.mjs");
    writeFileSync(
      script,
      `import { createTraining, load } from ${JSON.stringify(join(root, "dist/index.js"))};
       const config = {
         trainDir: ${JSON.stringify(join(digits, "valid"))},
         validDir: ${JSON.stringify(join(digits, "valid/digit_3"))},
         imageShape: [28, 28], filters: [4], pooling: "no", dims: [8], optimizer: "adam",
         threads: 1, trainEpochs: 2, saveDir: "run",
       };
       // What keeps the event loop alive, besides the pipes of this test.
       const held = () => process.getActiveResourcesInfo().filter((name) => !name.startsWith("Pipe"));
       ${body}
       // Node closes files in a later turn of the loop than it says so.
       for (let turn = 0; turn < 100 && held().length > 0; turn++) {
         await new Promise((resolve) => setTimeout(resolve, 10));
       }
       console.log("done", JSON.stringify(held()));`,
    );
    const { child, ended, seen } = start([script], { cwd: folder });
    await seen(/done/);
    // It has nothing left to do.
    const timer = setTimeout(() => child.kill("SIGKILL"), 100_000);
    const { code, signal, stdout, stderr } = await ended;
    clearTimeout(timer);
    expect(signal, "it did not end").toBeNull();
    expect(code, stderr).toBe(0);
    expect(stdout).toContain("done []");
  }

  it("after a training and a model that was disposed of", () =>
    endsAfter(`
      const { runDir } = await createTraining(config).result;
      const model = await load(runDir + "/ae.pt");
      await model.reconstruct(new Float32Array(28 * 28));
      model.dispose();
    `));

  it("after models that the garbage collector found, whose threads went with them", () =>
    endsAfter(`
      const { readdirSync } = await import("node:fs");
      const { setFlagsFromString } = await import("node:v8");
      setFlagsFromString("--expose-gc");
      const gc = (await import("node:vm")).runInNewContext("gc");
      const { runDir } = await createTraining(config).result;
      const threads = () => readdirSync("/proc/self/task").length;
      const use = async () => {
        const model = await load(runDir + "/en.pt");
        await model.encode(new Float32Array(28 * 28));
      };
      await use();
      const before = threads();
      for (let i = 0; i < 8; i++) await use();
      for (let turn = 0; turn < 200 && threads() > before; turn++) {
        gc();
        await new Promise((resolve) => setTimeout(resolve, 10));
      }
      if (threads() > before) throw new Error(threads() + " threads, " + before + " before");
    `));

  it("after OpenMP's threads ended, which came with images given from memory and a model now idle", () =>
    endsAfter(`
      const { readdirSync } = await import("node:fs");
      const threads = () => readdirSync("/proc/self/task").length;
      const fewer = async (wanted) => {
        for (let turn = 0; turn < 500 && threads() > wanted; turn++) {
          await new Promise((resolve) => setTimeout(resolve, 10));
        }
        if (threads() > wanted) throw new Error(threads() + " threads, not " + wanted);
      };
      await createTraining({ ...config, threads: 2 }).result;
      const before = threads();
      const images = new Uint8Array(64 * 28 * 28);
      const memory = { images: { train: images, valid: images } };
      const { runDir } = await createTraining({ ...config, threads: 2, overwrite: true }, memory).result;
      await fewer(before);
      const model = await load(runDir + "/en.pt");
      await model.encode(new Float32Array(64 * 28 * 28));
      await fewer(before + 1);
      await model.encode(new Float32Array(64 * 28 * 28));
      model.dispose();
      await fewer(before);
    `));

  it("by process.exit while models compute", async () => {
    const folder = temporaryFolder();
    const script = join(folder, "script.mjs");
    writeFileSync(
      script,
      `import { train, load } from ${JSON.stringify(join(root, "dist/index.js"))};
       const images = new Uint8Array(64 * 28 * 28).map((_, i) => i);
       const config = {
         imageShape: [28, 28], filters: [4], pooling: "no", dims: [8], threads: 1, trainEpochs: 1, saveDir: "run",
       };
       const { runDir } = await train(config, { images: { train: images, valid: images } });
       const model = await load(runDir + "/en.pt", { batchSize: 4096 });
       const batch = new Float32Array(4096 * 28 * 28);
       for (let i = 0; i < 20; i++) model.encode(batch);
       await model.encode(batch.subarray(0, 28 * 28));
       for (let i = 0; i < 20; i++) model.encode(batch);
       console.log("leaving");
       setImmediate(() => process.exit(3));`,
    );
    const { code, signal, stdout, stderr } = await start([script], { cwd: folder }).ended;
    expect(stdout, stderr).toContain("leaving");
    expect([code, signal], stderr).toEqual([3, null]);
  });

  it("after a model that nobody disposed of", () =>
    endsAfter(`
      const { runDir } = await createTraining(config).result;
      globalThis.model = await load(runDir + "/en.pt");
      await globalThis.model.encode(new Float32Array(28 * 28));
    `));

  it("after a cancelled training whose events nobody took", () =>
    endsAfter(`
      const onEvent = ({ type }) => type === "epoch" && training.cancel();
      const training = createTraining({ ...config, trainEpochs: 1000000 }, { onEvent });
      await training.result;
    `));

  it("after a training that failed, and one that was never begun", () =>
    endsAfter(`
      await createTraining({ ...config, trainDir: "/nowhere" }).result.catch(() => {});
      const wild = { ...config, optimizer: "sgd", learningRate: 1e30, trainEpochs: 100 };
      await createTraining(wild).result.catch((error) => {
        if (error.code !== "FLEXAE_NAN") throw error;
      });
      await createTraining(config, { signal: AbortSignal.abort() }).result.catch(() => {});
    `));
});
