/** Full disks: a clear error, the old files whole, and a run that goes on once there is room. */
import { spawnSync } from "node:child_process";
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { parse } from "yaml";
import { flexae, main, smallRun, temporaryFolder } from "../support/cli.ts";
import { buildFaultLibrary, callsIn, type FaultLibrary } from "../support/faults.ts";
import { expectSameRun } from "../support/runs.ts";

/** Whether this user may mount file systems of its own. */
const mounts =
  spawnSync("unshare", ["-rm", "sh", "-c", "mount -t tmpfs tmpfs /mnt"], { stdio: "ignore" })
    .status === 0;

function training(folder: string): string[] {
  return smallRun("--cache=none", "--train-epochs=4", `--save-dir=${folder}`);
}

describe("a full disk", () => {
  let faults: FaultLibrary;
  beforeAll(() => {
    faults = buildFaultLibrary();
  });
  afterAll(() => faults.remove());

  it("stops a run with one clear error, and the run goes on once there is room", async () => {
    const cwd = temporaryFolder();
    const log = join(cwd, "calls.log");
    const whole = join(cwd, "whole");
    const env = faults.environment(whole, "none", 0, log);
    expect((await flexae(training(whole), { cwd, env })).code).toBe(0);
    const calls = callsIn(log);
    const second = calls.findIndex((call) => /rename .*last\.ckpt/.test(call)) + 1;
    const models = calls.findIndex((call) => /open .*ae\.pt/.test(call)) + 1;
    // While the second checkpoint, and while the models are written.
    for (const at of [second + 8, models]) {
      const folder = join(cwd, `full_${at}`);
      const ended = await flexae(training(folder), {
        cwd,
        env: faults.environment(folder, "full", at),
      });
      expect(ended.code, ended.stderr).toBe(1);
      expect(ended.signal).toBeNull();
      expect(ended.stderr).toMatch(/No space left on device|no space left on the device/);
      expect(ended.stderr).toContain(folder);
      expect(ended.stderr.trimEnd().split("\n").length).toBeLessThanOrEqual(2);
      expect(readdirSync(folder).filter((name) => name.endsWith(".tmp"))).toEqual([]);
      const resumed = await flexae(["run", "--resume", folder], { cwd });
      expect(resumed.code, resumed.stderr).toBe(0);
      expectSameRun(folder, whole);
    }
  });

  it.runIf(mounts)("in a file system of a few hundred kilobytes does the same", async () => {
    const cwd = temporaryFolder();
    const whole = join(cwd, "whole");
    expect((await flexae(training(whole), { cwd })).code).toBe(0);
    const checkpoint = readFileSync(join(whole, "last.ckpt")).length;
    // Room for one and a half checkpoints: the second epoch does not fit beside the first.
    const kilobytes = Math.ceil((checkpoint * 1.5) / 1024) + 40;
    const disk = join(cwd, "disk");
    const kept = join(cwd, "kept");
    const script = `mkdir "$1" && mount -t tmpfs -o size=${kilobytes}k tmpfs "$1" && shift
"$@"; code=$?; cp -a ${disk}/run ${kept}; exit $code`;
    const command = [process.execPath, main, ...training(join(disk, "run"))];
    const child = spawnSync("unshare", ["-rm", "sh", "-c", script, "sh", disk, ...command], {
      cwd,
      encoding: "utf8",
      env: { ...process.env, NO_COLOR: "1" },
    });
    expect(child.status, child.stderr).toBe(1);
    expect(child.stderr).toMatch(/No space left on device|no space left on the device/);
    expect(readdirSync(kept).filter((name) => name.endsWith(".tmp"))).toEqual([]);
    const resumed = await flexae(["run", "--resume", kept], { cwd });
    expect(resumed.code, resumed.stderr).toBe(0);
    expectSameRun(kept, whole);
  });

  it("keeps the models of a finished run when it is written over and fails", async () => {
    const cwd = temporaryFolder();
    const folder = join(cwd, "run");
    expect((await flexae(training(folder), { cwd })).code).toBe(0);
    const before = readFileSync(join(folder, "ae.pt"));
    // Going on with more epochs, on a disk that is full from the first byte.
    const ended = await flexae(["run", "--resume", folder, "--train-epochs=6"], {
      cwd,
      env: faults.environment(folder, "full", 1),
    });
    expect(ended.code).toBe(1);
    expect(ended.stderr).toMatch(/no space left/i);
    expect(readFileSync(join(folder, "ae.pt")).equals(before)).toBe(true);
    expect(parse(readFileSync(join(folder, "setting.yaml"), "utf8")).state).toBe("finished");
  });
});
