/** `flexae run --tensorboard` and `flexae tensorboard`, read back by TensorBoard. */
import { randomBytes } from "node:crypto";
import {
  chmodSync,
  cpSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  writeFileSync,
} from "node:fs";
import { basename, join } from "node:path";
import { afterAll, beforeAll, describe, expect, inject, it, onTestFinished } from "vitest";
import { encodeGrayPng } from "../../scripts/setup/png.mjs";
import { createTraining, readTable, writeTensorBoard } from "../../ts/index.ts";
import { readRunFiles } from "../../ts/runs/record.ts";
import type { TrainingEvent } from "../../ts/runs/training_event.ts";
import { stepsIn } from "../../ts/tracking/event_file.ts";
import { TensorBoardRecorder } from "../../ts/tracking/tensorboard.ts";
import {
  flexae,
  jsonLines,
  main,
  smallRun,
  start,
  temporaryFolder,
  trainedRun,
  withoutPrivileges,
} from "../support/cli.ts";
import { buildFaultLibrary, type FaultLibrary } from "../support/faults.ts";
import { readImage } from "../support/pixels.ts";
import { expectSameRun } from "../support/runs.ts";
import {
  hasTrackers,
  metricsOf,
  type PythonServer,
  type ReadEvents,
  readEvents,
  startTensorBoard,
  stepsOf,
  until,
} from "../support/tracking.ts";

const there = describe.skipIf(!hasTrackers("test/tracking/tensorboard.test.ts"));

/** Curves and the columns of `metrics.csv` that they are. */
const CURVES = {
  train: {
    epoch_loss: "loss",
    epoch_accuracy: "accuracy",
    epoch_mse: "mse",
    epoch_psnr: "psnr",
    epoch_images_per_second: "images_per_second",
    epoch_learning_rate: "learning_rate",
  },
  validation: {
    epoch_loss: "val_loss",
    epoch_accuracy: "val_accuracy",
    epoch_mse: "val_mse",
    epoch_psnr: "val_psnr",
  },
} as const;

/** Every epoch of the run once, in its order, with the numbers of `metrics.csv`. */
async function expectCurves(
  folder: string,
  run: string,
): Promise<Record<"train" | "validation", ReadEvents>> {
  const read = await readEvents(folder, "train", "validation");
  const rows = metricsOf(run);
  expect(rows.length).toBeGreaterThan(0);
  for (const part of ["train", "validation"] as const) {
    const { scalars } = read[part];
    expect(Object.keys(scalars).sort()).toEqual(Object.keys(CURVES[part]).sort());
    for (const [tag, column] of Object.entries(CURVES[part])) {
      const points = scalars[tag]?.map(([step, value]) => [step, value]);
      const expected = rows.map((row) => [row.epoch, Math.fround(row[column] as number)]);
      expect(points, `${part} ${tag}`).toEqual(expected);
    }
  }
  return read;
}

const names = (folder: string) => readdirSync(folder, { recursive: true }) as string[];

there("flexae run --tensorboard", () => {
  const run = trainedRun("--train-epochs=3", "--tensorboard");
  let server: PythonServer;
  beforeAll(async () => {
    server = await startTensorBoard(join(run(), ".."));
  });
  afterAll(() => server?.kill());

  async function ask<T>(path: string, body?: object): Promise<T> {
    const request =
      body === undefined
        ? {}
        : {
            method: "POST",
            headers: { "content-type": "application/json" },
            body: JSON.stringify(body),
          };
    const answer = await fetch(`${server.url}/data/plugin/${path}`, request);
    expect(answer.status, path).toBe(200);
    return (await answer.json()) as T;
  }

  it("writes the curves that metrics.csv has, with times", async () => {
    const { train } = await expectCurves(join(run(), "tensorboard"), run());
    const times = train.scalars.epoch_loss?.map(([, , time]) => time) as number[];
    expect(times).toEqual(times.toSorted((a, b) => a - b));
    const now = Date.now() / 1000;
    for (const time of times) expect(now - time).toBeGreaterThan(0);
    for (const time of times) expect(now - time).toBeLessThan(600);
  });

  it("shows validation images, and what the model makes of them, to the last epoch", async () => {
    const { validation } = await readEvents(join(run(), "tensorboard"), "validation");
    const { images } = validation;
    const [[step, width, height, pixels]] = images["originals/1"] as [
      [number, number, number, number[]],
    ];
    expect([step, width, height]).toEqual([1, 28, 28]);
    expect(stepsOf(images["reconstructions/1"])?.at(-1)).toBe(3);
    const valid = join(inject("digits"), "valid");
    const files = names(valid).filter((name) => name.endsWith(".png"));
    const digits = await Promise.all(files.map((name) => readImage(join(valid, name))));
    const isShown = digits.map((digit) =>
      pixels.every((value, i) => {
        const pixel = Math.floor(i / 3);
        return digit.at(pixel % 28, Math.floor(pixel / 28))[i % 3] === value;
      }),
    );
    expect(isShown.filter(Boolean)).toHaveLength(1);
  });

  it("shows them, the settings and how the run compares, in TensorBoard", async () => {
    const tags = await ask<Record<string, object>>("scalars/tags");
    expect(Object.keys(tags).sort()).toEqual([
      "run/tensorboard/train",
      "run/tensorboard/validation",
    ]);
    const query = `run=${encodeURIComponent("run/tensorboard/validation")}&tag=epoch_loss`;
    const points = await ask<[number, number, number][]>(`scalars/scalars?${query}`);
    expect(points.map(([, step, value]) => [step, value])).toEqual(
      metricsOf(run()).map((row) => [row.epoch, Math.fround(row.val_loss as number)]),
    );
    expect(await ask("text/tags")).toEqual({ "run/tensorboard": ["settings"] });
    const [{ text }] = await ask<[{ text: string }]>(
      `text/text?run=${encodeURIComponent("run/tensorboard")}&tag=settings`,
    );
    // As HTML, which TensorBoard makes of Markdown; what differs from its default is bold.
    expect(text).toContain("<td><strong>8, 16</strong></td>");
    expect(text).toContain("<td>seed</td>");
    const request = {
      startIndex: 0,
      sliceSize: 10,
      allowedStatuses: ["STATUS_UNKNOWN", "STATUS_SUCCESS", "STATUS_FAILURE", "STATUS_RUNNING"],
      colParams: [],
    };
    const { sessionGroups } = await ask<{
      sessionGroups: {
        hparams: Record<string, unknown>;
        sessions: { status: string; metricValues: { name: object; value: number }[] }[];
      }[];
    }>("hparams/session_groups", request);
    expect(sessionGroups).toHaveLength(1);
    expect(sessionGroups[0]?.hparams).toMatchObject({
      optimizer: "adam",
      dims: 16,
      use_bias: true,
    });
    const session = sessionGroups[0]?.sessions[0];
    expect(session?.status).toBe("STATUS_SUCCESS");
    const last = metricsOf(run()).at(-1) as Record<string, number>;
    expect(session?.metricValues).toContainEqual(
      expect.objectContaining({
        name: { group: "validation", tag: "epoch_loss" },
        value: Math.fround(last.val_loss as number),
      }),
    );
  });

  it("changes nothing in the run, and a run that replaces it leaves no old curves", async () => {
    const cwd = temporaryFolder();
    const plain = join(cwd, "plain");
    const args = smallRun("--train-epochs=2", `--save-dir=${plain}`);
    expect((await flexae([...args, "--no-report"], { cwd })).code).toBe(0);
    const followed = join(cwd, "followed");
    cpSync(run(), followed, { recursive: true });
    writeFileSync(join(followed, "tensorboard/mine.txt"), "");
    const again = smallRun("--train-epochs=2", `--save-dir=${followed}`, "--overwrite");
    const ended = await flexae([...again, "--no-report", "--tensorboard"], { cwd });
    expect(ended.code, ended.stderr).toBe(0);
    expect(ended.stderr).toBe("");
    expectSameRun(followed, plain);
    await expectCurves(join(followed, "tensorboard"), followed);
    const own = names(join(followed, "tensorboard")).filter((name) => name.endsWith(".flexae"));
    expect(own).toHaveLength(3);
    // Somebody else's.
    expect(names(followed)).toContain("tensorboard/mine.txt");
  });

  it("puts runs side by side in a folder that is named", async () => {
    const cwd = temporaryFolder();
    for (const name of ["a", "b"]) {
      const args = smallRun(`--save-dir=${name}`, "--train-epochs=1", "--tensorboard=tb");
      expect((await flexae([...args, "--no-report"], { cwd })).code).toBe(0);
      await expectCurves(join(cwd, "tb", name), join(cwd, name));
    }
    expect(readdirSync(join(cwd, "tb")).sort()).toEqual(["a", "b"]);
    expect(readdirSync(join(cwd, "a"))).not.toContain("tensorboard");
  });
});

there("a run that is killed", () => {
  it("leaves a whole beginning, and goes on with every epoch once", async () => {
    const cwd = temporaryFolder();
    const folder = join(cwd, "run");
    // Epochs after the last fourth are trained, and followed, twice.
    const args = smallRun(`--save-dir=${folder}`, "--train-epochs=9000", "--checkpoint-epochs=4");
    const { child, ended, seen } = start(
      [main, ...args, "--tensorboard", "--no-report", "--preTrain_verbose=2"],
      { cwd },
    );
    await seen(/epoch +7\//);
    // Epochs of milliseconds are told before their files are begun.
    await until(() => existsSync(join(folder, "tensorboard/train")));
    child.kill("SIGKILL");
    const { stdout } = await ended;
    const told = [...stdout.matchAll(/^epoch +(\d+)/gm)].length;
    const before = await readEvents(join(folder, "tensorboard"), "train", "validation");
    for (const { scalars } of Object.values(before)) {
      const steps = stepsOf(scalars.epoch_loss) ?? [];
      // What was told last may have been on its way.
      expect(steps).toEqual(steps.map((_, i) => i + 1));
    }
    const epochs = 4 * Math.ceil(told / 4) + 2;
    const more = ["run", "--resume", folder, `--train-epochs=${epochs}`, "--no-report"];
    const resumed = await flexae([...more, "--tensorboard"], { cwd });
    expect(resumed.code, resumed.stderr).toBe(0);
    expect(resumed.stdout).toMatch(/Going on after \d+ epochs/);
    expect(metricsOf(folder)).toHaveLength(epochs);
    await expectCurves(join(folder, "tensorboard"), folder);
    // TensorBoard itself has another reader, in Rust.
    const server = await startTensorBoard(cwd);
    onTestFinished(() => server.kill());
    const query = `run=${encodeURIComponent("run/tensorboard/train")}&tag=epoch_loss`;
    const answer = await fetch(`${server.url}/data/plugin/scalars/scalars?${query}`);
    const points = (await answer.json()) as [number, number, number][];
    expect(points.map(([, step]) => step)).toEqual(metricsOf(folder).map(({ epoch }) => epoch));
  });

  it("that nobody followed is followed from its first epoch on", async () => {
    const cwd = temporaryFolder();
    const folder = join(cwd, "run");
    const first = smallRun(`--save-dir=${folder}`, "--train-epochs=2", "--no-report");
    expect((await flexae(first, { cwd })).code).toBe(0);
    const more = ["run", "--resume", folder, "--train-epochs=4", "--no-report", "--tensorboard"];
    expect((await flexae(more, { cwd })).code).toBe(0);
    await expectCurves(join(folder, "tensorboard"), folder);
  });
});

there("where nothing can be written", () => {
  let faults: FaultLibrary;
  beforeAll(() => {
    faults = buildFaultLibrary();
  });
  afterAll(() => faults.remove());
  const whole = trainedRun("--train-epochs=4");

  it("says so once, and the run is the same", async () => {
    const cwd = temporaryFolder();
    mkdirSync(join(cwd, "locked"));
    chmodSync(join(cwd, "locked"), 0o555);
    const folder = join(cwd, "run");
    const args = smallRun("--train-epochs=4", `--save-dir=${folder}`);
    const ended = await flexae([...args, "--tensorboard=locked"], {
      cwd,
      before: withoutPrivileges(),
    });
    expect(ended.code, ended.stderr).toBe(0);
    expect(ended.stderr.trimEnd().split("\n")).toHaveLength(1);
    expect(ended.stderr).toContain(`${join(cwd, "locked", "run")} cannot be written: permission`);
    expectSameRun(folder, whole());
  });

  it("does so on a full disk, with whole records before", async () => {
    const cwd = temporaryFolder();
    for (const at of [1, 4]) {
      const folder = join(cwd, `run_${at}`);
      const args = smallRun("--train-epochs=4", `--save-dir=${folder}`, "--tensorboard=tb");
      const env = faults.environment(join(cwd, "tb"), "full", at);
      const ended = await flexae([...args, "--no-report"], { cwd, env });
      expect(ended.code, ended.stderr).toBe(0);
      expect(ended.stderr.trimEnd().split("\n"), ended.stderr).toHaveLength(1);
      expect(ended.stderr).toContain("no space left on the device");
      expectSameRun(folder, whole());
      const { train } = await readEvents(join(cwd, "tb", `run_${at}`), "train");
      const steps = stepsOf(train.scalars.epoch_loss) ?? [];
      expect(steps).toEqual(steps.map((_, i) => i + 1));
    }
  });
});

/** Two images of 3×2 pixels, each value another. */
function batch(channels: 1 | 3, first: number): Uint8Array {
  return Uint8Array.from({ length: 2 * 3 * 2 * channels }, (_, i) => (first + 7 * i) % 256);
}

function reconstructions(epoch: number, channels: 1 | 3): TrainingEvent {
  return {
    type: "reconstructions",
    epoch,
    shape: [2, 3, 2, channels],
    originals: batch(channels, 0),
    reconstructions: batch(channels, epoch),
  };
}

function epoch(number: number): TrainingEvent {
  const scores = { loss: 1, accuracy: 1, mse: 1, psnr: 1 };
  return { type: "epoch", epoch: number, train: scores, valid: scores } as TrainingEvent;
}

function begin(runDir: string, epochsDone: number): TrainingEvent {
  return {
    type: "start",
    runDir,
    epochsDone,
    batchesDone: 0,
    batches: 10,
    epochs: 9,
  } as TrainingEvent;
}

describe("the loss within an epoch", () => {
  it("is a point each five seconds of an epoch, none of shorter ones", async () => {
    const folder = temporaryFolder();
    const recorder = new TensorBoardRecorder(folder, (message) => expect.fail(message));
    const batch = (epoch: number, batch: number) =>
      ({ type: "batch", phase: "train", epoch, batch, batches: 10, loss: 1 }) as TrainingEvent;
    const told: [number, TrainingEvent][] = [
      [0, begin(join(folder, "none"), 0)],
      [4000, batch(1, 9)],
      [4500, epoch(1)],
      [8500, batch(2, 4)],
      [9600, batch(2, 5)],
      [12_000, batch(2, 7)],
      [15_000, batch(2, 9)],
    ];
    for (const [time, event] of told) await recorder.record(event, time);
    await recorder.end({ error: new Error("killed") }, 16_000);
    const part = join(folder, "none", "batches");
    expect(await stepsIn(names(part).map((name) => join(part, name)))).toEqual([15, 19]);
  });
});

there("images", () => {
  const run = trainedRun("--train-epochs=3", "--no-report");

  /** What a picture is to be: red, green and blue of each pixel. */
  const colours = (pixels: Uint8Array, image: number, channels: 1 | 3) => {
    const length = 6 * channels;
    const own = [...pixels.subarray(image * length, (image + 1) * length)];
    return channels === 3 ? own : own.flatMap((value) => [value, value, value]);
  };

  for (const channels of [1, 3] as const) {
    it(`of ${channels} channels are pictures, the originals once however often it goes on`, async () => {
      const folder = temporaryFolder();
      const warnings: string[] = [];
      const epochs = (from: number, to: number) =>
        [1, 2, 3, 4].slice(from - 1, to).flatMap((n) => [epoch(n), reconstructions(n, channels)]);
      const record = async (events: TrainingEvent[]) => {
        const recorder = new TensorBoardRecorder(folder, (message) => warnings.push(message));
        for (const event of events) await recorder.record(event, Date.now());
        await recorder.end({ error: new Error("killed") }, Date.now());
      };
      await record([begin(run(), 0), ...epochs(1, 3)]);
      await record([begin(run(), 2), ...epochs(3, 4)]);
      expect(warnings).toEqual([]);
      const { validation } = await readEvents(join(folder, basename(run())), "validation");
      expect(Object.keys(validation.images).sort()).toEqual([
        "originals/1",
        "originals/2",
        "reconstructions/1",
        "reconstructions/2",
      ]);
      for (const image of [0, 1]) {
        expect(validation.images[`originals/${image + 1}`]).toEqual([
          [1, 2, 3, colours(batch(channels, 0), image, channels)],
        ]);
        expect(validation.images[`reconstructions/${image + 1}`]).toEqual(
          [1, 2, 3, 4].map((n) => [n, 2, 3, colours(batch(channels, n), image, channels)]),
        );
      }
    });
  }

  it("of a run that nobody followed at first have originals, whatever was killed since", async () => {
    const folder = temporaryFolder();
    for (const events of [
      [epoch(3), reconstructions(3, 1)],
      [],
      [epoch(3), reconstructions(3, 1)],
    ]) {
      const recorder = new TensorBoardRecorder(folder, (message) => expect.fail(message));
      for (const event of [begin(run(), 2), ...events]) await recorder.record(event, Date.now());
      await recorder.end({ error: new Error("killed") }, Date.now());
    }
    const { validation } = await readEvents(join(folder, basename(run())), "validation");
    expect(stepsOf(validation.scalars.epoch_loss)).toEqual([1, 2, 3]);
    expect(stepsOf(validation.images["originals/1"])).toEqual([3]);
    expect(stepsOf(validation.images["reconstructions/2"])).toEqual([3]);
  });

  it("become fewer where there are many large ones, but for the last", async () => {
    const folder = temporaryFolder();
    const recorder = new TensorBoardRecorder(folder, (message) => expect.fail(message));
    await recorder.record(begin(run(), 0), Date.now());
    const noise = randomBytes(8 * 128 * 128 * 3);
    const shape = [8, 128, 128, 3] as const;
    for (let n = 1; n <= 59; n++) {
      const event = { epoch: n, shape, originals: noise, reconstructions: noise };
      await recorder.record({ type: "reconstructions", ...event }, Date.now());
    }
    await recorder.end({ error: new Error("killed") }, Date.now());
    const part = join(folder, basename(run()), "validation");
    const files = names(part).map((name) => join(part, name));
    const steps = await stepsIn(files, "reconstructions/1");
    expect(steps.slice(0, 5)).toEqual([1, 2, 3, 4, 5]);
    expect(steps.length).toBeLessThan(40);
    expect(steps.at(-1)).toBe(59);
  });
});

there("flexae tensorboard RUN", () => {
  const run = trainedRun("--train-epochs=3", "--no-report");

  it("writes what the run's files tell, however often", async () => {
    const cwd = temporaryFolder();
    const folder = join(cwd, "run");
    cpSync(run(), folder, { recursive: true });
    const line = (epoch: number, grey: number) => {
      const png = encodeGrayPng(Uint8Array.of(grey, 100, 200, 255), 2, 2);
      return JSON.stringify({ epoch, png: Buffer.from(png).toString("base64") });
    };
    // The second epoch was trained twice, and the last line is cut short.
    const lines = [line(0, 0), line(1, 1), line(2, 99), line(2, 2), line(3, 3)];
    writeFileSync(join(folder, "reconstructions.jsonl"), `${lines.join("\n")}\n{"epoch": 4, "pn`);
    for (let i = 0; i < 2; i++) {
      const { code, stdout, stderr } = await flexae(["tensorboard", folder, "--json"], { cwd });
      expect(code, stderr).toBe(0);
      expect(stderr).toBe("");
      expect(jsonLines(stdout)[0]).toMatchObject({ epochs: 3, pictures: 3, rows: 0, problems: [] });
    }
    const own = names(join(folder, "tensorboard")).filter((name) => name.endsWith(".flexae"));
    expect(own).toHaveLength(3);
    const { validation, train } = await expectCurves(join(folder, "tensorboard"), folder);
    const picture = (n: number) => [
      n,
      ...[2, 2, [n, n, n, 100, 100, 100, 200, 200, 200, 255, 255, 255]],
    ];
    expect(validation.images.originals).toEqual([picture(0)]);
    expect(validation.images.reconstructions).toEqual([1, 2, 3].map(picture));
    // Of the time of the run, not of its reading.
    const { started } = await readRunFiles(folder, { network: false });
    const [, , time] = (train.scalars.epoch_loss as [number, number, number][])[0] as number[];
    const began = new Date(started.replace(" ", "T")).getTime() / 1000;
    expect((time as number) - began).toBeGreaterThan(0);
    expect((time as number) - began).toBeLessThan(60);
  });

  it("leaves what was there when it is ended", async () => {
    const out = temporaryFolder();
    const { out: folder } = await writeTensorBoard(run(), { out });
    const before = names(folder).sort();
    const signal = AbortSignal.abort();
    await expect(writeTensorBoard(run(), { out, signal })).rejects.toThrow(signal.reason);
    expect(names(folder).sort()).toEqual(before);
  });

  it("names what is no run and no table", async () => {
    const { code, stderr } = await flexae(["tensorboard", "nothing.parquet"]);
    expect(code).toBe(3);
    expect(stderr).toContain("nothing.parquet cannot be read");
  });

  it.each([
    { option: "--tensorboard", more: [] },
    { option: "--tensorboard=tb", more: ["-o", "tb"] },
  ])("leaves a run alone that writes there itself, by $option", async ({ option, more }) => {
    const cwd = temporaryFolder();
    const args = smallRun("--save-dir=run", "--train-epochs=90000", option, "--no-report");
    const { child, ended, seen } = start([main, ...args, "--preTrain_verbose=2"], { cwd });
    await seen(/epoch +2\//);
    // Epochs of milliseconds are told before their files are begun.
    await until(() =>
      existsSync(join(cwd, more.length > 0 ? "tb/run" : "run/tensorboard", "train")),
    );
    const refused = await flexae(["tensorboard", "run", ...more], { cwd });
    expect(refused.code).toBe(2);
    expect(refused.stderr).toContain("is in use");
    for (let i = 0; i < 2; i++) {
      const elsewhere = await flexae(["tensorboard", "run", "-o", "other"], { cwd });
      expect(elsewhere.code, elsewhere.stderr).toBe(0);
    }
    child.kill("SIGKILL");
    await ended;
    const { train } = await readEvents(join(cwd, "other/run"), "train");
    expect(stepsOf(train.scalars.epoch_loss)?.[0]).toBe(1);
  });
});

there("flexae tensorboard TABLE", () => {
  const run = trainedRun("--train-epochs=1", "--no-report");

  it("shows embeddings, names and thumbnails in the projector", async () => {
    const cwd = temporaryFolder();
    const table = join(cwd, "digits.parquet");
    const valid = join(inject("digits"), "valid");
    const embedded = await flexae(["embed", run(), valid, "-o", table], { cwd });
    expect(embedded.code, embedded.stderr).toBe(0);
    const ended = await flexae(["tensorboard", table], { cwd });
    expect(ended.code, ended.stderr).toBe(0);
    expect(ended.stdout).toBe(
      "digits.tensorboard: 50 embeddings; tensorboard --logdir digits.tensorboard\n",
    );
    const server = await startTensorBoard(join(cwd, "digits.tensorboard"));
    onTestFinished(() => server.kill());
    const get = async (path: string) => {
      const answer = await fetch(`${server.url}/data/plugin/projector/${path}`);
      expect(answer.status, path).toBe(200);
      return answer;
    };
    expect(await (await get("runs")).json()).toEqual(["."]);
    const info = (await (await get("info?run=.")).json()) as {
      embeddings: { tensorName: string; tensorShape: number[]; sprite: object }[];
    };
    const { embeddings, dims, paths, classes } = await readTable(table);
    expect(info.embeddings[0]).toMatchObject({
      tensorName: "embeddings",
      tensorShape: [50, dims],
      sprite: { singleImageDim: [28, 28] },
    });
    const query = "run=.&name=embeddings";
    const bytes = await (await get(`tensor?${query}`)).arrayBuffer();
    expect(new Float32Array(bytes)).toEqual(embeddings);
    const lines = (await (await get(`metadata?${query}`)).text()).split("\n");
    expect(lines.slice(0, 2)).toEqual(["path\tclass\tset", `${paths[0]}\t${classes[0]}\t${valid}`]);
    expect(lines).toHaveLength(52);
    const sprite = Buffer.from(await (await get(`sprite_image?${query}`)).arrayBuffer());
    writeFileSync(join(cwd, "sprite"), sprite);
    const image = await readImage(join(cwd, "sprite"));
    expect([image.width, image.height]).toEqual([8 * 28, 7 * 28]);
    // The twelfth is the fourth of the second line.
    const twelfth = await readImage(join(valid, paths[11] as string));
    for (let y = 0; y < 28; y++) {
      for (let x = 0; x < 28; x++) {
        const [shown] = image.at(3 * 28 + x, 28 + y);
        expect(Math.abs(shown - twelfth.at(x, y)[0])).toBeLessThan(40);
      }
    }
  });

  it("takes names of any kind, and images that are not there", async () => {
    const cwd = temporaryFolder();
    const odd = ["a\tb.png", "c\nd.png", "e\u2028f.png", "plain.png"];
    const rows = odd.map((path, i) => JSON.stringify({ path, embedding: [i, 0.1, -1e-7] }));
    writeFileSync(join(cwd, "odd.jsonl"), rows.join("\n"));
    const { out, problems } = await writeTensorBoard(join(cwd, "odd.jsonl"));
    expect(problems).toEqual([expect.stringContaining("no image can be read")]);
    const metadata = readFileSync(join(out, "metadata.tsv"), "utf8");
    // One column has no header.
    expect(metadata).toBe("a\\tb.png\nc\\nd.png\ne\\u2028f.png\nplain.png\n");
    const second = readFileSync(join(out, "tensors.tsv"), "utf8").split("\n")[1];
    expect(second).toBe("1\t0.100000001\t-1.00000001e-7");
    expect(readFileSync(join(out, "projector_config.pbtxt"), "utf8")).not.toContain("sprite");
  });

  it("of a run lies beside its curves", async () => {
    const cwd = temporaryFolder();
    const train = join(inject("digits"), "train");
    const table = join(run(), "embeddings.parquet");
    expect((await flexae(["embed", run(), train, "-o", table], { cwd })).code).toBe(0);
    const ended = await flexae(["tensorboard", run(), "-o", "tb", "--no-thumbnails"], { cwd });
    expect(ended.code, ended.stderr).toBe(0);
    expect(ended.stdout).toContain("tb/run: 1 epoch, 1 picture, 200 embeddings");
    const server = await startTensorBoard(join(cwd, "tb"));
    onTestFinished(() => server.kill());
    const runs = await fetch(`${server.url}/data/plugin/projector/runs`);
    expect(await runs.json()).toEqual(["run"]);
  });
});

there("createTraining({}, { tensorboard })", () => {
  it("settles when the files are written, and warns by an event", async () => {
    const cwd = temporaryFolder();
    const digits = inject("digits");
    const config = {
      trainDir: join(digits, "train"),
      validDir: join(digits, "valid"),
      imageShape: [28, 28] as [number, number],
      filters: [4],
      pooling: ["no" as const],
      dims: [4],
      trainEpochs: 2,
      threads: 1,
    };
    const saveDir = join(cwd, "run");
    await createTraining({ ...config, saveDir }, { tensorboard: true }).result;
    await expectCurves(join(saveDir, "tensorboard"), saveDir);
    writeFileSync(join(cwd, "file"), "");
    const warnings: string[] = [];
    const training = createTraining(config, { tensorboard: join(cwd, "file"), save: false });
    for await (const event of training) {
      if (event.type === "warning") warnings.push(event.message);
    }
    expect((await training.result).epochs).toBe(2);
    expect(warnings).toEqual([expect.stringContaining("cannot be written")]);
  });
});
