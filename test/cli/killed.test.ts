/** Kills trainings with SIGKILL, goes on with them, and compares with one that nobody killed. */
import { existsSync, readdirSync } from "node:fs";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { flexae, main, smallRun, start, temporaryFolder } from "../support/cli.ts";
import { buildFaultLibrary, callsIn, type FaultLibrary } from "../support/faults.ts";
import { chosenSeed, LONG_FORM, seededRandom } from "../support/random.ts";
import { expectSameRun } from "../support/runs.ts";

const ARGS = ["--drop-rate=0.3", "--horizontal-flip", "--cache=none", "--preTrain_verbose=2"];

function training(folder: string, ...more: string[]): string[] {
  return smallRun(...ARGS, `--save-dir=${folder}`, ...more);
}

/** Goes on until the run is finished, from the beginning if it has not begun. */
async function finish(folder: string, cwd: string, fresh: string[]): Promise<void> {
  // Killed before it had written its settings, a run has nothing to go on with; it is begun again.
  let ended = await flexae(["run", "--resume", folder], { cwd });
  if (
    ended.code === 2 &&
    /neither a checkpoint nor the settings|no run folder/.test(ended.stderr)
  ) {
    ended = await flexae([...fresh, "--overwrite"], { cwd });
  }
  // Killed among its last pictures, it was finished.
  if (ended.code === 2 && /is finished/.test(ended.stderr)) return;
  expect(ended.code, ended.stderr).toBe(0);
}

function expectNoLeftovers(folder: string): void {
  expect(readdirSync(folder).filter((name) => name.endsWith(".tmp"))).toEqual([]);
}

describe("a run that is killed", () => {
  let faults: FaultLibrary;
  beforeAll(() => {
    faults = buildFaultLibrary();
  });
  afterAll(() => faults.remove());

  it("at random instants, again and again, ends as if it had not been", async () => {
    const random = seededRandom(chosenSeed("kills at random instants"));
    const cwd = temporaryFolder();
    const epochs = LONG_FORM ? "--train-epochs=200" : "--train-epochs=100";
    const whole = await flexae(training(join(cwd, "whole"), epochs), { cwd });
    expect(whole.code, whole.stderr).toBe(0);

    const folder = join(cwd, "killed");
    let args = training(folder, epochs);
    let kills = 0;
    for (; kills < (LONG_FORM ? 100 : 12); kills++) {
      const { child, ended } = start([main, ...args], { cwd });
      // The first half second is Node's start; a training takes over after it.
      const timer = sleep(400 + random() * 900).then(() => child.kill("SIGKILL"));
      const { code, signal, stderr } = await ended;
      await timer;
      if (signal === "SIGKILL") {
        args = existsSync(join(folder, "setting.yaml")) ? ["run", "--resume", folder] : args;
        if (stderr.includes("neither a checkpoint")) args = training(folder, epochs, "--overwrite");
        continue;
      }
      if (code === 2 && /is finished/.test(stderr)) break;
      if (code === 2 && /neither a checkpoint/.test(stderr)) {
        args = training(folder, epochs, "--overwrite");
        continue;
      }
      expect(code, stderr).toBe(0);
      break;
    }
    expect(kills).toBeGreaterThan(0);
    await finish(folder, cwd, training(folder, epochs));
    expectSameRun(folder, join(cwd, "whole"));
    expectNoLeftovers(folder);
  }, 600_000);

  it("at each step of writing a file, ends as if it had not been", async () => {
    const cwd = temporaryFolder();
    const log = join(cwd, "calls.log");
    const whole = join(cwd, "whole");
    const env = faults.environment(whole, "none", 0, log);
    const first = await flexae(training(whole, "--period=1"), { cwd, env });
    expect(first.code, first.stderr).toBe(0);
    const calls = callsIn(log);

    // Every boundary of every file but the pictures; of the many writes that fill one, the first.
    const points: number[] = [];
    for (const [i, call] of calls.entries()) {
      if (call.includes("_image_") || call.includes("comparison")) break;
      if (call.startsWith("write") && calls[i - 1]?.startsWith("write")) continue;
      points.push(i + 1);
    }
    expect(points.length).toBeGreaterThan(30);
    const seed = chosenSeed("kills at each step");
    const chosen = LONG_FORM ? points : points.filter((_, i) => (i + seed) % 4 === 0);
    for (const at of chosen) {
      const folder = join(cwd, `at_${at}`);
      const args = training(folder, "--period=1");
      const killed = await flexae(args, { cwd, env: faults.environment(folder, "kill", at) });
      expect(killed.signal, `call ${at}: ${calls[at - 1]}`).toBe("SIGKILL");
      await finish(folder, cwd, args);
      expectSameRun(folder, whole);
      expectNoLeftovers(folder);
    }
  }, 900_000);
});
