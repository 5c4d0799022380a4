import { existsSync, mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { basename, join } from "node:path";
import { parse } from "csv-parse/sync";
import { afterAll, beforeAll, describe, expect, it, onTestFinished } from "vitest";
import type { SweepTrial } from "../../ts/index.ts";
import { parseOver } from "../../ts/sweep/dimensions.ts";
import { randomPoints } from "../../ts/sweep/points.ts";
import { flexae, jsonLines, main, smallRun, start, temporaryFolder } from "../support/cli.ts";
import { expectSameRun } from "../support/runs.ts";

/** The line of a small run, with what is swept besides. */
function sweepLine(folder: string, ...more: string[]): string[] {
  const [, ...settings] = smallRun(...more);
  const swept = more.map((text) => /^--over=([^=]+)=/.exec(text)?.[1]);
  const left = settings.filter((text) => !swept.includes(/^--([^=]+)/.exec(text)?.[1]));
  return ["sweep", ...left, `--save-dir=${folder}`];
}

type Row = Record<string, string>;

function rowsOf(folder: string): Row[] {
  return parse(readFileSync(join(folder, "sweep.csv"), "utf8"), { columns: true });
}

/** What two sweeps have in common if both trained the same: all but times. */
function timeless(folder: string): Row[] {
  return rowsOf(folder).map(({ Time, seconds, ...rest }) => rest);
}

/** Processes that a process has started. */
function childrenOf(pid: number): number[] {
  const text = readFileSync(`/proc/${pid}/task/${pid}/children`, "utf8").trim();
  return text === "" ? [] : text.split(" ").map(Number);
}

/** How long to wait for what must happen. */
const SOON = { timeout: 60_000 };

/** By halving, one trial at a time: what is trained, and in which order, follows from the seed. */
const HALVING = [
  "--over=learning_rate=0.0001,0.001,0.01,0.03",
  "--train-epochs=9",
  "--halving",
  "--eta=3",
  "--min-epochs=1",
  "--jobs=1",
];

describe("flexae sweep", () => {
  let cwd: string;
  const at = (name: string) => join(cwd, name);
  const run = (...args: string[]) => flexae(args, { cwd });

  beforeAll(async () => {
    cwd = mkdtempSync(join(tmpdir(), "flexae-sweep-"));
    // Never disturbed: others are compared with it.
    const { code, stderr } = await run(...sweepLine(at("halved"), ...HALVING, "--no-report"));
    expect([code, stderr]).toEqual([0, ""]);
  });
  afterAll(() => rmSync(cwd, { recursive: true, force: true }));

  it("trains a grid, tells of each trial, and leaves out what cannot be trained or fails", async () => {
    const folder = at("logs/grid");
    const over = ["--over=dims=4,16", "--over=filters=4;4,4,4,4", "--over=learning_rate=0.01,1e30"];
    const { code, stdout, stderr } = await run(
      ...sweepLine(folder, ...over, "--jobs=2", "--pooling=avg"),
      "--json",
    );
    expect(code, stderr).toBe(0);
    const [begin, ...lines] = jsonLines(stdout);
    expect(begin).toMatchObject({ event: "start", folder, trials: 8, invalid: 4, jobs: 2 });
    const end = lines.pop() as Record<string, unknown>;
    expect(end).toMatchObject({ event: "end", folder, metric: "val_loss", trials: 8 });
    const trials = lines as unknown as (SweepTrial & { event: string })[];
    expect(trials.map(({ event }) => event)).toEqual(Array(8).fill("trial"));
    const told = (wanted: string) => trials.filter(({ state }) => state === wanted);
    expect(told("invalid")).toHaveLength(4);
    expect(told("invalid")[0]?.problem).toContain("imageShape [28, 28] is too small");
    expect(told("failed")).toHaveLength(2);
    expect(told("failed")[0]?.problem).toContain("no longer a finite number");
    expect(told("finished")).toHaveLength(2);

    const text = readFileSync(join(folder, "sweep.csv"), "utf8");
    expect(text.split("\n")[0]).toBe(
      "Time,FolderName,train_loss,valid_loss,train_accuracy,valid_accuracy,trial,state,epochs," +
        "best_epoch,val_loss,seconds,dims,filters,learning_rate,problem",
    );
    const rows = rowsOf(folder);
    expect(rows.map(({ trial }) => Number(trial))).toEqual([1, 2, 3, 4, 5, 6, 7, 8]);
    const finished = rows.filter(({ state }) => state === "finished");
    const losses = finished.map(({ valid_loss }) => Number(valid_loss));
    const best = end.best as SweepTrial;
    expect(best.score).toBe(Math.min(...losses));
    expect(finished.map(({ val_loss }) => Number(val_loss))).toEqual(losses);
    expect(rows[1]).toMatchObject({ state: "failed", learning_rate: "1e+30", epochs: "0" });
    expect(rows[1]?.problem).toContain("no longer a finite number");

    // The trials are runs like any others, and the best again is the same to the last bit.
    const listed = jsonLines((await run("runs", "logs", "--json")).stdout);
    expect(listed.filter(({ event }) => event === "run")).toHaveLength(4);
    const again = (end.repeat as string).split(" ").slice(1);
    const repeated = await run(...again, `--save-dir=${at("again")}`, "--no-report");
    expect(repeated.code, repeated.stderr).toBe(0);
    expectSameRun(best.folder, at("again"));
    expect(existsSync(join(best.folder, "report.html"))).toBe(true);
    const page = readFileSync(join(folder, "sweep.html"), "utf8");
    expect(page).toContain(`href="${basename(best.folder)}/report.html"`);
    expect(end.page).toBe(join(folder, "sweep.html"));

    // Nothing is left to do, and failed trials are not tried again.
    const done = await run("sweep", "--resume", folder);
    expect(done.code, done.stderr).toBe(0);
    expect(done.stdout).not.toMatch(/%/);
    expect(rowsOf(folder)).toEqual(rows);
    const retried = await run("sweep", "--resume", folder, "--retry", "--json");
    const failed = jsonLines(retried.stdout).filter(({ state }) => state === "failed");
    expect(failed).toHaveLength(2);
  });

  it("draws the same points from the same seed", async () => {
    const over = ["dims=2..40", "learning_rate=log:1e-3..1e-1"];
    const folder = at("drawn");
    const { code, stderr } = await run(
      ...sweepLine(folder, ...over.map((text) => `--over=${text}`), "--search=random"),
      "--trials=3",
      "--seed=5",
      "--train-epochs=1",
      "--no-report",
      "--metric=val-psnr",
    );
    expect(code, stderr).toBe(0);
    const rows = rowsOf(folder);
    const points = rows.map(({ dims, learning_rate }) => ({ dims, learning_rate }));
    expect(points).toEqual(randomPoints(over.map(parseOver), 3, 5));
    for (const { val_psnr } of rows) expect(Number(val_psnr)).toBeGreaterThan(1);
  });

  it("by halving trains fewer epochs, and its winner as if it had not been stopped", async () => {
    const rows = rowsOf(at("halved"));
    const epochs = rows.map((row) => Number(row.epochs));
    expect(Math.max(...epochs)).toBe(9);
    expect(epochs.reduce((a, b) => a + b)).toBeLessThanOrEqual(4 * 9 - 18);
    expect(rows.filter(({ state }) => state === "stopped").length).toBeGreaterThanOrEqual(2);
    const winner = rows.find((row) => row.epochs === "9") as Row;
    const whole = at("whole");
    const args = smallRun(
      `--learning-rate=${winner.learning_rate}`,
      // Models carry it, although it changes nothing.
      "--workers=1",
      "--train-epochs=9",
      `--save-dir=${whole}`,
      "--no-report",
    );
    const { code, stderr } = await run(...args);
    expect(code, stderr).toBe(0);
    expectSameRun(at(`halved/${winner.FolderName}`), whole);
  });

  it("killed, with its trials or without, ends as if it had not been", async () => {
    const folder = at("killed");
    let args = sweepLine(folder, ...HALVING, "--no-report");
    for (const [i, seen] of [/"epochs":1,/, /"epochs":3,/, /"event":"start"/].entries()) {
      const { child, ended, seen: until } = start([main, ...args, "--json"], { cwd });
      onTestFinished(() => void child.kill("SIGKILL"));
      await until(seen);
      // Once it has just written a file, and twice while a trial is at work.
      if (i > 0) await new Promise((done) => setTimeout(done, 400 * i));
      const trials = childrenOf(child.pid as number);
      child.kill("SIGKILL");
      // The last one is left to itself: it ends after its batch, and the next sweep waits for that.
      if (i < 2) for (const pid of trials) process.kill(pid, "SIGKILL");
      await ended;
      args = ["sweep", "--resume", folder];
    }
    const { code, stdout, stderr } = await run(...args);
    expect(code, stderr).toBe(0);
    expect(stdout).toContain("Best: val_loss");
    expect(timeless(folder)).toEqual(timeless(at("halved")));
    for (const { FolderName } of rowsOf(folder)) {
      expectSameRun(join(folder, FolderName as string), at(`halved/${FolderName}`));
    }
  });

  it("is driven by one process, which Ctrl-C ends after a batch, and a later one goes on with", async () => {
    const folder = at("interrupted");
    const args = sweepLine(folder, "--over=dims=4,8", "--train-epochs=400", "--jobs=2");
    const { child, ended, seen } = start([main, ...args, "--no-report"], { cwd });
    onTestFinished(() => void child.kill("SIGKILL"));
    await seen(/In interrupted/);
    // Both trials have begun.
    await expect.poll(() => existsSync(join(folder, "trial_0002/metrics.csv")), SOON).toBe(true);
    const second = await run("sweep", "--resume", folder);
    expect([second.code, second.stdout]).toEqual([2, ""]);
    expect(second.stderr).toContain("is in use");
    child.kill("SIGINT");
    const first = await ended;
    expect(first.code, first.stderr).toBe(130);
    expect(first.stdout).toContain("Next: flexae sweep --resume interrupted");
    expect(rowsOf(folder).map(({ state }) => state)).toEqual(["interrupted", "interrupted"]);
    const before = rowsOf(folder).map((row) => Number(row.epochs));

    // The second signal ends all at once, whatever they are doing.
    const again = start([main, "sweep", "--resume", folder], { cwd });
    await expect.poll(() => childrenOf(again.child.pid as number), SOON).toHaveLength(2);
    const trials = childrenOf(again.child.pid as number);
    again.child.kill("SIGTERM");
    again.child.kill("SIGTERM");
    expect((await again.ended).code).toBe(143);
    const isThere = (pid: number) => existsSync(`/proc/${pid}/exe`);
    await expect.poll(() => trials.filter(isThere), SOON).toEqual([]);
    const { stdout } = await run("runs", folder, "--json");
    // By name: they are listed by when they began, which was at once.
    const runs = new Map(jsonLines(stdout).map(({ name, epochs }) => [name, epochs]));
    for (const [i, epochs] of before.entries()) {
      expect(runs.get(`trial_000${i + 1}`)).toBeGreaterThanOrEqual(epochs);
    }
  });

  it("takes early stopping for what it is: no rung trains on from there", async () => {
    const folder = at("early");
    const { code, stdout, stderr } = await run(
      // So fast that the second epoch is no better than the first, by far.
      ...sweepLine(folder, "--over=learning_rate=0.3,0.5", "--halving", "--min-epochs=3"),
      "--train-epochs=9",
      "--eta=3",
      "--patience=1",
      "--no-report",
    );
    expect(code, stderr).toBe(0);
    expect(stdout).not.toContain("failed");
    const rows = rowsOf(folder);
    expect(rows.map(({ state }) => state)).toEqual(["early", "early"]);
    // The better of them would go on, but has no further to go.
    for (const { epochs, best_epoch } of rows) {
      expect(Number(epochs)).toBeLessThan(9);
      expect(Number(epochs) - Number(best_epoch)).toBe(1);
    }
  });

  it("says once what its trials warn of", async () => {
    const folder = at("tracked");
    const over = ["--over=dims=4,8", "--train-epochs=1", "--no-report", "--tensorboard"];
    // No server is ever asked at that port.
    const { code, stderr } = await run(
      ...sweepLine(folder, ...over),
      "--mlflow=http://127.0.0.1:1",
    );
    expect(code, stderr).toBe(0);
    expect(stderr.match(/trial [12]: MLflow at http:\/\/127\.0\.0\.1:1 has not all/g)).toHaveLength(
      1,
    );
    expect(existsSync(join(folder, "trial_0002/tensorboard"))).toBe(true);
  });

  it("says why none of its trials came to anything", async () => {
    const { code, stdout, stderr } = await run(
      ...sweepLine(at("none"), "--over=learning_rate=1e30,1e31", "--train-epochs=1"),
    );
    expect(code).toBe(1);
    expect(stdout).toContain("2 trials failed; sweep.csv says why");
    expect(stderr).toContain("no trial has a result: The loss is no longer a finite number");
  });

  it.each([
    [["--over=dimz=1"], 2, "Unknown parameter --over dimz: did you mean dims?"],
    [["--over=dims=1", "--over=dims=2"], 2, "dims is swept twice"],
    [["--over", "dims=1,x"], 2, "for --over dims but received"],
    [["nowhere.yaml"], 2, "The sweep's file nowhere.yaml cannot be read"],
    [["--over=dims=4", "--dims=8"], 2, "--dims cannot be given where dims is swept"],
    [["--over=dims=4", "--jobs=0"], 2, "Expected an integer of at least 1 for jobs"],
    [["--over=dims=4", "--search=bayes"], 2, "Expected grid, random for search"],
    [["--over=dims=4", "--retry"], 2, "--retry means nothing without --resume"],
    [["--over=dims=4", "--overwrite"], 2, "--overwrite means nothing to flexae sweep"],
    [["--over=dims=4", "--train-dir=nowhere"], 3, "/nowhere cannot be used"],
    [["--over=filters=4,4,4,4,4,4;4,4,4,4,4,4,4", "--image-shape=8,8"], 2, "None of 2 trials"],
    [["--resume=nowhere"], 2, "There is no sweep in nowhere"],
    [["--resume=halved", "--eta=4"], 2, "--eta means nothing to a sweep that goes on"],
    [["--resume=halved", "--no-report"], 2, "--no-report means nothing to a sweep that goes on"],
    [["my.yaml", "--resume=halved"], 2, "The file my.yaml means nothing to a sweep that goes on"],
    [["--resume=halved", "--dims=4"], 2, "--dims means nothing to a sweep that goes on"],
    [["--over=dims=4", "--save-dir=halved"], 2, "save_dir halved holds a sweep: go on with it"],
  ])("refuses %j", async (args, wanted, message) => {
    const { code, stdout, stderr } = await run("sweep", ...args);
    expect([code, stdout]).toEqual([wanted, ""]);
    expect(stderr).toContain(message);
  });

  it("leaves nothing behind where it did not begin", async () => {
    const empty = temporaryFolder();
    await flexae(["sweep", "--over=dims=4", "--train-dir=nowhere"], { cwd: empty });
    const { code, stderr } = await flexae(["sweep", "--resume=last"], { cwd: empty });
    expect(code).toBe(2);
    expect(stderr).toContain("There is no sweep in logs/: begin one with `flexae sweep");
    expect(existsSync(join(empty, "logs"))).toBe(false);
  });
});
