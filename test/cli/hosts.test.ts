/** Processes that train together on several hosts, which are network namespaces of this machine. */
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { afterEach, describe, expect, it } from "vitest";
import {
  type Ended,
  flexae,
  jsonLines,
  main,
  smallRun,
  start,
  temporaryFolder,
} from "../support/cli.ts";
import { Hosts, hostsProblem } from "../support/hosts.ts";

const ARGS = [
  "--json",
  "--batch-size=16",
  "--train-epochs=4",
  "--optimizer=sgd",
  "--learning-rate=0.05",
  "--precision=fp32",
  "--drop-rate=0.2",
  "--no-report",
  "--join-timeout=20",
];
const LONG = ["--train-epochs=1000000", "--patience=1000000", "--period=1000000"];
const MOST_SECONDS = 30;

const problem = hostsProblem();
if (problem !== null) {
  process.stdout.write(`processes on several hosts are not tested: ${problem}\n`);
}

/** A network that delays and loses. Without netem in the kernel: one that is narrow, whose short queue loses. */
const NETEM = ["netem", "delay", "2ms", "1ms", "loss", "1%"];
const NARROW = ["tbf", "rate", "200mbit", "burst", "16kb", "limit", "30kb"];
const without = problem === null ? hostsProblem(NETEM) : null;
if (without !== null) process.stdout.write(`a narrow network stands in for netem: ${without}\n`);
const BAD = without === null ? NETEM : NARROW;

describe.skipIf(problem !== null)("processes on several hosts", () => {
  let hosts: Hosts | undefined;
  afterEach(() => {
    hosts?.remove();
    hosts = undefined;
  });

  function startOn(made: Hosts, size: number, args: readonly string[], cwd: string) {
    return Array.from({ length: size }, (_, rank) =>
      start([main, ...args], {
        cwd,
        before: made.on(rank),
        env: {
          RANK: String(rank),
          WORLD_SIZE: String(size),
          LOCAL_RANK: "0",
          LOCAL_WORLD_SIZE: "1",
          MASTER_ADDR: made.address(0),
          MASTER_PORT: "29500",
        },
      }),
    );
  }

  async function inTime(ended: Promise<Ended>): Promise<Ended> {
    const late = sleep(MOST_SECONDS * 1000).then(() => {
      throw new Error(`it did not end within ${MOST_SECONDS} s`);
    });
    late.catch(() => {});
    return await Promise.race([ended, late]);
  }

  it.each([
    [2, []],
    [3, BAD],
  ])(
    "%i train as one does, over a network of %o",
    async (size, queue) => {
      const cwd = temporaryFolder();
      const alone = await flexae(smallRun(...ARGS, "--save-dir=alone"), { cwd });
      expect(alone.code, alone.stderr).toBe(0);
      hosts = new Hosts(size, queue);
      const all = startOn(hosts, size, smallRun(...ARGS, "--save-dir=run"), cwd);
      const [first] = (await Promise.all(all.map(({ ended }) => ended))) as [Ended];
      expect(first.code, first.stderr).toBe(0);
      const epochs = (text: string) =>
        jsonLines(text).filter(({ event }) => event === "epoch") as Record<string, number>[];
      const expected = epochs(alone.stdout);
      expect(epochs(first.stdout)).toHaveLength(4);
      for (const [i, epoch] of epochs(first.stdout).entries()) {
        for (const name of ["loss", "validLoss"]) {
          const ratio = (epoch[name] as number) / (expected[i]?.[name] as number);
          expect(Math.abs(ratio - 1)).toBeLessThan(1e-5);
        }
      }
    },
    120_000,
  );

  it.each([0, 1])(
    "end when the cable of host %i is pulled",
    async (unplugged) => {
      const cwd = temporaryFolder();
      hosts = new Hosts(2);
      const all = startOn(
        hosts,
        2,
        smallRun(...ARGS, ...LONG, `--save-dir=${join(cwd, "run")}`),
        cwd,
      );
      await all[0]?.seen(/"epoch":3,/);
      hosts.unplug(unplugged);
      const ends = await Promise.all(all.map(({ ended }) => inTime(ended)));
      for (const { code } of ends) expect(code).toBe(1);
      expect(ends[0]?.stderr).toMatch(/rank 1 \(.*\) was lost: it gave no sign of life/);
      expect(ends[1]?.stderr).toMatch(
        /the store at 10\.231\.0\.1:29500 does not answer; rank 0 \(.*\), or the network to it, is gone/,
      );
    },
    60_000,
  );
});
