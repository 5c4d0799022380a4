/** Kills processes that train together: the others end, say who is gone, and the run goes on. */
import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { describe, expect, it } from "vitest";
import { parse } from "yaml";
import { type Ended, flexae, main, smallRun, start, temporaryFolder } from "../support/cli.ts";
import { freePort, rankEnvironment } from "../support/processes.ts";
import { chosenSeed, LONG_FORM, seededRandom } from "../support/random.ts";

/** No process may outlive another by more. */
const MOST_SECONDS = 30;

const ARGS = [
  "--batch-size=16",
  "--train-epochs=40",
  "--optimizer=sgd",
  "--learning-rate=0.05",
  "--precision=fp32",
  "--drop-rate=0.2",
  "--no-report",
  "--join-timeout=6",
];
/** Longer than any test waits. */
const LONG = ["--train-epochs=1000000", "--patience=1000000", "--period=1000000"];

interface Started {
  rank: number;
  process: ReturnType<typeof start>;
}

async function startAll(size: number, args: readonly string[], cwd: string): Promise<Started[]> {
  const port = await freePort();
  return Array.from({ length: size }, (_, rank) => ({
    rank,
    process: start([main, ...args], { cwd, env: rankEnvironment(rank, size, port) }),
  }));
}

/** How the others ended; they must, in time. */
async function endsOf(others: readonly Started[]): Promise<Ended[]> {
  const late = new AbortController();
  const deadline = sleep(MOST_SECONDS * 1000, "late", { signal: late.signal }).catch(() => "");
  const ended = Promise.all(others.map(({ process }) => process.ended));
  const first = await Promise.race([ended, deadline]);
  late.abort();
  if (first === "late") {
    for (const { process } of others) process.child.kill("SIGKILL");
    throw new Error(`processes outlived another by ${MOST_SECONDS} s`);
  }
  return await ended;
}

/** The losses of the run's table, by epoch. */
function lossesOf(folder: string): number[][] {
  const [head = "", ...rows] = readFileSync(join(folder, "metrics.csv"), "utf8").trim().split("\n");
  const names = head.split(",");
  const columns = [names.indexOf("loss"), names.indexOf("val_loss")];
  return rows.map((row) => columns.map((column) => Number(row.split(",")[column])));
}

describe("processes that train together", () => {
  it("end when one is killed at a random instant, and go on as if it had not been", async () => {
    const random = seededRandom(chosenSeed("kills of processes at random instants"));
    const cwd = temporaryFolder();
    const whole = await flexae(smallRun(...ARGS, "--save-dir=whole"), { cwd });
    expect(whole.code, whole.stderr).toBe(0);
    let kills = 0;
    for (let round = 0; round < (LONG_FORM ? 40 : 6); round++) {
      const setting = join(cwd, "run/setting.yaml");
      const hasBegun = existsSync(setting) && readFileSync(setting, "utf8") !== "";
      const args = hasBegun
        ? ["run", "--resume", "run", "--no-report", "--join-timeout=6"]
        : smallRun(...ARGS, "--save-dir=run", ...(existsSync(setting) ? ["--overwrite"] : []));
      const all = await startAll(2 + Math.floor(random() * 2), args, cwd);
      await sleep(200 + random() * 2300);
      const victim = all[Math.floor(random() * all.length)] as Started;
      victim.process.child.kill("SIGKILL");
      const others = await endsOf(all.filter((one) => one !== victim));
      // Too late for it.
      const { signal, code, stderr } = await victim.process.ended;
      if (signal !== "SIGKILL") {
        expect(code, stderr).toBe(0);
        break;
      }
      kills++;
      for (const other of others) {
        // It may have been done before.
        if (other.code === 0) continue;
        expect(other.code, other.stderr).toBe(1);
        // Before it was known, it did not come; or it took the store with it, or rank 0 did, which
        // ends when it has told whoever answers in time: on a busy machine not all do.
        expect(other.stderr).toMatch(
          new RegExp(
            `rank ${victim.rank} .*(was lost|did not come)|cannot reach rank 0|Rank 0 did not come|store (it had )?at .* (was lost|is gone)`,
          ),
        );
      }
    }
    expect(kills).toBeGreaterThan(0);
    const last = await flexae(["run", "--resume", "run", "--no-report", "--processes=2"], { cwd });
    if (last.code !== 0) expect(last.stderr).toContain("is finished");
    const got = lossesOf(join(cwd, "run"));
    const expected = lossesOf(join(cwd, "whole"));
    expect(got).toHaveLength(expected.length);
    for (const [i, row] of got.entries()) {
      for (const [k, value] of row.entries()) {
        expect(Math.abs(value / ((expected[i] as number[])[k] as number) - 1)).toBeLessThan(1e-5);
      }
    }
  }, 300_000);

  it.each([
    ["a worker", 1],
    ["rank 0, which has the store", 0],
  ])("say who it was: %s", async (_, rank) => {
    const cwd = temporaryFolder();
    const all = await startAll(3, smallRun(...ARGS, ...LONG, "--save-dir=run"), cwd);
    await (all[0] as Started).process.seen(/epoch {7}3\//);
    const victim = all[rank] as Started;
    victim.process.child.kill("SIGKILL");
    const others = await endsOf(all.filter((one) => one !== victim));
    for (const { code, stderr } of others) {
      expect(code).toBe(1);
      expect(stderr).toContain(`rank ${rank} (`);
      expect(stderr).toContain(`process ${victim.process.child.pid}) was lost`);
    }
    const setting = parse(readFileSync(join(cwd, "run/setting.yaml"), "utf8"));
    if (rank === 0) return;
    expect(setting.state).toBe("failed");
    expect(setting.error).toContain("rank 1 (");
    expect(others[0]?.stderr).toContain(`run --resume ${join(cwd, "run")}`);
  });

  it("end when one is frozen", async () => {
    const cwd = temporaryFolder();
    const all = await startAll(2, smallRun(...ARGS, ...LONG, "--save-dir=run"), cwd);
    const [first, second] = all as [Started, Started];
    await first.process.seen(/epoch {7}3\//);
    second.process.child.kill("SIGSTOP");
    try {
      const [{ code, stderr }] = (await endsOf([first])) as [Ended];
      expect(code).toBe(1);
      expect(stderr).toMatch(/rank 1 \(.*\) was lost: it gave no sign of life/);
    } finally {
      second.process.child.kill("SIGKILL");
      await second.process.ended;
    }
  }, 60_000);

  it("end with whoever started them", async () => {
    const cwd = temporaryFolder();
    const args = smallRun(...ARGS, ...LONG, "--json", "--save-dir=run", "--processes=2");
    const { child, ended, seen } = start([main, ...args], { cwd });
    await seen(/"epoch":2,/);
    child.kill("SIGKILL");
    // Its output is theirs, too: it ends with the last of them.
    await ended;
    const setting = parse(readFileSync(join(cwd, "run/setting.yaml"), "utf8"));
    expect(setting.state).toBe("interrupted");
  }, 60_000);
});
