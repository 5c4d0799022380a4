/** Trainings that begin with the weights of another. */
import { copyFileSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { parse } from "csv-parse/sync";
import { beforeEach, describe, expect, inject, it } from "vitest";
import { createTraining, load, type TrainingEvent } from "../../ts/index.ts";
import { type Ended, flexae, smallRun, temporaryFolder, trainedRun } from "../support/cli.ts";

const trained = trainedRun("--train-epochs=3");
let before: string;
let cwd: string;

beforeEach(() => {
  before = trained();
  cwd = temporaryFolder();
});

const out = () => join(cwd, "run");

function start(...args: string[]): Promise<Ended> {
  return flexae(smallRun(`--save-dir=${out()}`, ...args), { cwd });
}

/** Rows of metrics.csv. */
function metrics(run: string): Record<string, string>[] {
  return parse(readFileSync(join(run, "metrics.csv")), { columns: true });
}

async function embeddings(file: string): Promise<number[]> {
  using model = await load(file, { precision: "fp32" });
  const { data } = await model.encode(join(inject("digits"), "valid/digit_4/000.png"));
  return Array.from(data);
}

/** Trains hardly at all: what comes out is what went in. */
const STILL = ["--learning-rate=1e-12", "--train-epochs=1", "--batch-norm-momentum=0.999999"];

describe("flexae run --weights", () => {
  it.each(["the run", "its ae.pt"])("begins where %s ended", async (which) => {
    const weights = which === "the run" ? before : join(before, "ae.pt");
    const { code, stderr } = await start("--weights", weights, ...STILL);
    expect(code, stderr).toBe(0);
    const [first] = metrics(out());
    const best = Math.min(...metrics(before).map((row) => Number(row.val_loss)));
    expect(Number(first?.val_loss)).toBeCloseTo(best, 2);
    const [were, are] = [
      await embeddings(join(before, "en.pt")),
      await embeddings(join(out(), "en.pt")),
    ];
    const scale = Math.max(...were.map(Math.abs));
    for (const [i, value] of were.entries())
      expect(Math.abs((are[i] as number) - value)).toBeLessThan(0.01 * scale);
    expect(readFileSync(join(out(), "setting.yaml"), "utf8")).toMatch(
      new RegExp(
        `weights:\\n  file: ${join(before, "ae.pt")}\\n  sha256: [0-9a-f]{64}\\n  partial: false`,
      ),
    );
  });

  it("names what differs, and takes the rest where that is wanted", async () => {
    const refused = await start("--weights", before, "--dims=12", ...STILL);
    expect(refused.code).toBe(1);
    expect(refused.stderr).toMatch(/The weights in .*ae\.pt are of another network: encoder\.\w+ /);
    expect(refused.stderr).toMatch(/--partial takes the rest, and leaves these layers new/);
    const taken = await start(
      "--weights",
      before,
      "--partial",
      "--dims=12",
      ...STILL,
      "--overwrite",
    );
    expect(taken.code, taken.stderr).toBe(0);
    expect(taken.stderr + taken.stdout).toMatch(
      /encoder\.\w+ begins new: .*ae\.pt has no such weights/,
    );
    // What is in front of the layers that differ is as it was.
    const fresh = await flexae(
      smallRun(`--save-dir=${join(cwd, "fresh")}`, "--dims=12", ...STILL),
      { cwd },
    );
    expect(fresh.code, fresh.stderr).toBe(0);
    expect(Number(metrics(out())[0]?.loss)).not.toBe(Number(metrics(join(cwd, "fresh"))[0]?.loss));
  });

  it("gives an encoder's weights to a new decoder", async () => {
    const { code, stderr } = await start("--weights", join(before, "en.pt"), "--partial", ...STILL);
    expect(code, stderr).toBe(0);
    const [were, are] = [
      await embeddings(join(before, "en.pt")),
      await embeddings(join(out(), "en.pt")),
    ];
    const scale = Math.max(...were.map(Math.abs));
    for (const [i, value] of were.entries())
      expect(Math.abs((are[i] as number) - value)).toBeLessThan(0.01 * scale);
  });

  it("is as repeatable as any other training", async () => {
    const losses: number[][] = [];
    for (const name of ["one", "two"]) {
      const events: TrainingEvent[] = [];
      const settings = {
        trainDir: join(inject("digits"), "train"),
        validDir: join(inject("digits"), "valid"),
        imageShape: "28,28",
        filters: "8,16",
        kernelSize: "3",
        strides: "2",
        pooling: "no",
        dims: "16",
        optimizer: "adam",
        threads: 1,
        trainEpochs: 2,
        saveDir: join(cwd, name),
      };
      const training = createTraining(settings, { weights: before });
      for await (const event of training) events.push(event);
      await training.result;
      losses.push(events.flatMap((event) => (event.type === "epoch" ? [event.train.loss] : [])));
    }
    expect(losses[0]).toHaveLength(2);
    expect(losses[1]).toEqual(losses[0]);
  });

  it("goes on as it began, also if it ended before its first checkpoint", async () => {
    const whole = await start("--weights", before);
    expect(whole.code, whole.stderr).toBe(0);
    const expected = metrics(out());
    // As a process leaves it that is killed before a checkpoint.
    const setting = readFileSync(join(out(), "setting.yaml"), "utf8");
    const again = join(cwd, "run");
    for (const name of ["last.ckpt", "previous.ckpt", "best.ckpt", "ae.pt", "en.pt"]) {
      rmSync(join(again, name), { force: true });
    }
    writeFileSync(join(again, "setting.yaml"), setting.replace(/^state: .*$/m, "state: running"));
    const { code, stderr } = await flexae(["run", "--resume", again], { cwd });
    expect(code, stderr).toBe(0);
    const losses = (rows: Record<string, string>[]) => rows.map((row) => row.loss);
    expect(losses(metrics(again))).toEqual(losses(expected));
  });

  it.each([
    [["--partial"], /partial means nothing without weights/],
    [["--weights", "nowhere"], /nowhere/],
    [["--weights", "nowhere.pt"], /nowhere\.pt cannot be read: no such file/],
    [["--weights", "stranger.pt"], /stranger\.pt was not written by this program/],
    [["--weights", "spoilt.pt"], /spoilt\.pt/],
  ])("refuses %j", async (args, message) => {
    writeFileSync(join(cwd, "stranger.pt"), "PK");
    copyFileSync(join(before, "ae.pt"), join(cwd, "spoilt.pt"));
    const bytes = readFileSync(join(cwd, "spoilt.pt"));
    bytes[bytes.length >> 1] = (bytes[bytes.length >> 1] as number) ^ 1;
    writeFileSync(join(cwd, "spoilt.pt"), bytes);
    const { code, stderr } = await start(...args);
    expect(code).toBeGreaterThan(0);
    expect(stderr).toMatch(message);
  });

  it("does not go together with --resume", async () => {
    const { code, stderr } = await flexae(["run", "--resume", before, "--weights", before], {
      cwd,
    });
    expect(code).toBe(2);
    expect(stderr).toMatch(/weights mean nothing to a run that goes on with its own/);
  });
});
