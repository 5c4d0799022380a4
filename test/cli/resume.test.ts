import { existsSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { describe, expect, it } from "vitest";
import { parse } from "yaml";
import { flexae, jsonLines, main, smallRun, start, temporaryFolder } from "../support/cli.ts";
import { expectSameRun } from "../support/runs.ts";

function training(folder: string, ...more: string[]): string[] {
  return smallRun("--drop-rate=0.3", "--cache=none", `--save-dir=${folder}`, ...more);
}

async function ok(args: readonly string[], cwd: string) {
  const ended = await flexae(args, { cwd });
  expect(ended.code, ended.stderr).toBe(0);
  return ended;
}

/** Lets a run go until `pattern` shows, then sends it a signal. */
async function interrupted(args: readonly string[], cwd: string, pattern: RegExp) {
  const { child, ended, seen } = start([main, ...args], { cwd });
  await seen(pattern);
  child.kill("SIGINT");
  return await ended;
}

function flipByte(path: string, at: number): void {
  const bytes = readFileSync(path);
  const index = at < 0 ? bytes.length + at : at;
  bytes[index] = (bytes[index] as number) ^ 0x04;
  // As rot does it: in place, in every name the file has.
  writeFileSync(path, bytes);
}

describe("flexae run --resume", () => {
  it("goes on after SIGINT, from within an epoch, to the same end", async () => {
    const cwd = temporaryFolder();
    const epochs = "--train-epochs=60";
    await ok(training(join(cwd, "whole"), epochs), cwd);
    const folder = join(cwd, "logs", "part");
    const first = await interrupted(
      training(folder, epochs, "--json"),
      cwd,
      /"event":"epoch","epoch":3,/,
    );
    expect(first.code, first.stderr).toBe(130);
    expect(readdirSync(folder)).toEqual(expect.arrayContaining(["ae.pt", "en.pt", "last.ckpt"]));
    const done = jsonLines(first.stdout).at(-1) as { epochs: number };
    const second = await ok(["run", "--resume", "last", "--json"], cwd);
    const [begin] = jsonLines(second.stdout) as { epochsDone: number; runDir: string }[];
    expect(begin).toMatchObject({ runDir: folder, epochsDone: done.epochs });
    expectSameRun(folder, join(cwd, "whole"));
    const setting = parse(readFileSync(join(folder, "setting.yaml"), "utf8"));
    expect(setting).toMatchObject({ state: "finished", epochs: 60 });
    expect(setting.resumed).toHaveLength(1);
    expect(setting.resumed[0].epoch).toBe(done.epochs);
  });

  it("may be given more epochs, and says what changed", async () => {
    const cwd = temporaryFolder();
    await ok(training(join(cwd, "whole"), "--train-epochs=4"), cwd);
    const folder = join(cwd, "part");
    await ok(training(folder), cwd);
    const none = await flexae(["run", "--resume", folder], { cwd });
    expect(none.code).toBe(2);
    expect(none.stderr).toBe(
      `flexae: ${folder} is finished: its 2 epochs are trained; ask for more with --train-epochs\n`,
    );
    const more = await ok(["run", `--resume=${folder}`, "--train-epochs=4"], cwd);
    expect(more.stderr).toContain("changed on resuming: train_epochs 2 → 4\n");
    expect(more.stdout).toContain("Going on after 2 epochs\n");
    // What the two were asked for differs, and stands in their models.
    const scores = (name: string) =>
      parse(readFileSync(join(cwd, name, "setting.yaml"), "utf8")).scores;
    expect(scores("part")).toEqual(scores("whole"));
  });

  it("refuses another network, showing the difference, and changes nothing", async () => {
    const cwd = temporaryFolder();
    const folder = join(cwd, "run");
    await ok(training(folder), cwd);
    const before = readFileSync(join(folder, "last.ckpt"));
    const ended = await flexae(
      ["run", "--resume", folder, "--train-epochs=9", "--dims=20,4", "--batch-size=7"],
      { cwd },
    );
    expect(ended.code).toBe(2);
    expect(ended.stderr).toBe(
      `flexae: ${folder} cannot go on with another dims [16] → [20,4], batch_size 32 → 7\n` +
        "Leave that out, or start a new run.\n",
    );
    expect(readFileSync(join(folder, "last.ckpt")).equals(before)).toBe(true);
    const elsewhere = await flexae(["run", "--resume", folder, "--save-dir=other"], { cwd });
    expect(elsewhere.code).toBe(2);
    expect(elsewhere.stderr).toContain("--save-dir means nothing to a run that goes on");
    const nowhere = await flexae(["run", "--resume", "none"], { cwd });
    expect(nowhere.code).toBe(2);
    expect(nowhere.stderr).toContain("There is no run folder none");
  });

  it("names a damaged checkpoint, and takes the one before", async () => {
    const cwd = temporaryFolder();
    await ok(training(join(cwd, "whole"), "--train-epochs=5"), cwd);
    for (const at of [3, 200, 20_000, -1]) {
      const folder = join(cwd, `flipped_${at}`);
      await ok(training(folder, "--train-epochs=3"), cwd);
      flipByte(join(folder, "last.ckpt"), at);
      const ended = await ok(["run", "--resume", folder, "--train-epochs=5"], cwd);
      expect(ended.stderr).toContain(join(folder, "last.ckpt"));
      expect(ended.stderr).toContain("an earlier checkpoint is used");
      // Whoever watches is told as well.
      const events = readFileSync(join(folder, "events.jsonl"), "utf8");
      expect(events).toContain("an earlier checkpoint is used");
      expect(ended.stdout).toContain("Going on after 2 epochs");
      expect(existsSync(join(folder, "last.ckpt.damaged"))).toBe(true);
      const rows = readFileSync(join(folder, "metrics.csv"), "utf8").trimEnd().split("\n");
      expect(rows.map((row) => row.split(",")[0])).toEqual(["epoch", "1", "2", "3", "4", "5"]);
    }
  });

  it("is refused while the run is under training", async () => {
    const cwd = temporaryFolder();
    const folder = join(cwd, "run");
    const long = ["--train-epochs=1000000", "--patience=1000000"];
    const { child, ended, seen } = start([main, ...training(folder, ...long)], { cwd });
    await seen(/epoch +2\//);
    for (const args of [["run", "--resume", folder], training(folder, "--overwrite")]) {
      const second = await flexae(args, { cwd });
      expect(second.code).toBe(2);
      expect(second.stderr).toContain(`${folder} is in use: another process trains there`);
    }
    child.kill("SIGTERM");
    expect((await ended).code).toBe(143);
  });

  it("checkpoints within an epoch, by minutes", async () => {
    const cwd = temporaryFolder();
    const folder = join(cwd, "run");
    // Epochs of about ten seconds.
    const args = training(
      folder,
      "--checkpoint-minutes=0.005",
      "--image-shape=128,128",
      "--filters=32,32",
      "--strides=1",
      "--batch-size=8",
    );
    const { child, ended } = start([main, ...args], { cwd });
    for (let i = 0; i < 600 && !existsSync(join(folder, "previous.ckpt")); i++) await sleep(100);
    child.kill("SIGKILL");
    await ended;
    const second = await interrupted(["run", "--resume", folder, "--json"], cwd, /"start"/);
    const [begin] = jsonLines(second.stdout) as { epochsDone: number; batchesDone: number }[];
    expect(begin?.epochsDone).toBe(0);
    expect(begin?.batchesDone).toBeGreaterThan(0);
  });
});

describe("models", () => {
  it("are refused with one flipped byte, by name", async () => {
    const cwd = temporaryFolder();
    const folder = join(cwd, "run");
    await ok(training(folder), cwd);
    for (const at of [0, 5000, 60_000, -40, -1]) {
      const whole = readFileSync(join(folder, "ae.pt"));
      flipByte(join(folder, "ae.pt"), at);
      const ended = await flexae(["evaluate", folder], { cwd });
      expect(ended.code).toBe(1);
      expect(ended.stderr).toContain(`${join(folder, "ae.pt")} is damaged`);
      writeFileSync(join(folder, "ae.pt"), whole);
    }
    // A model that is lost is made again.
    rmSync(join(folder, "ae.pt"));
    await ok(["run", "--resume", folder], cwd);
    await ok(["evaluate", folder], cwd);
  });
});

describe("numbers that are not finite", () => {
  const wild = ["--optimizer=sgd", "--learning-rate=1e30", "--train-epochs=3"];

  it("stop the run with epoch, batch and advice", async () => {
    const cwd = temporaryFolder();
    const folder = join(cwd, "run");
    await ok(training(folder), cwd);
    const before = readFileSync(join(folder, "best.ckpt"));
    const ended = await flexae(
      ["run", "--resume", folder, "--train-epochs=4", "--learning-rate=1e30", "--json"],
      { cwd },
    );
    expect(ended.code).toBe(1);
    expect(ended.stderr).toMatch(
      /(The loss|A gradient) is no longer a finite number in epoch 3, batch \d+\.\nUse a smaller learning_rate/,
    );
    expect(readFileSync(join(folder, "best.ckpt")).equals(before)).toBe(true);
    const setting = parse(readFileSync(join(folder, "setting.yaml"), "utf8"));
    expect(setting.state).toBe("failed");
    await ok(["run", "--resume", folder, "--train-epochs=4", "--learning-rate=0.001"], cwd);
  });

  it("with --on-nan skip, take it back three times at half the learning rate", async () => {
    const cwd = temporaryFolder();
    const ended = await flexae(training(join(cwd, "run"), "--on-nan=skip", ...wild), { cwd });
    expect(ended.code).toBe(1);
    expect(ended.stderr.match(/going on from the beginning with learning_rate/g)).toHaveLength(3);
    expect(ended.stderr).toContain("even after halving the learning rate 3 times");
  });
});

describe("memory that runs out", () => {
  it("ends in advice", async () => {
    const cwd = temporaryFolder();
    const args = training(
      join(cwd, "run"),
      "--image-shape=2048,2048",
      "--filters=512",
      "--strides=1",
      "--batch-size=200",
      "--dims=8",
    );
    const { ended } = start([main, ...args], { cwd });
    const result = await ended;
    expect(result.code, result.stderr).toBe(1);
    expect(result.stderr).toMatch(
      /Memory ran out: training with batch_size 200 and imageShape 2048,2048 takes about [\d.]+ GB\. Use a smaller --batch-size/,
    );
  });
});
