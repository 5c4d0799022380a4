/** Several processes, one training: by `--processes`, and by what launchers set. */
import { cpSync, existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { createServer } from "node:net";
import { join } from "node:path";
import { beforeAll, describe, expect, inject, it } from "vitest";
import { parse } from "yaml";
import {
  type Ended,
  flexae,
  jsonLines,
  main,
  smallRun,
  start,
  temporaryFolder,
} from "../support/cli.ts";
import { freePort, rankEnvironment, runRanks } from "../support/processes.ts";

/** 208 steps, the last of an epoch of 8 images. In fp32, on the same images every time. */
const ARGS = [
  "--batch-size=16",
  "--train-epochs=16",
  "--optimizer=sgd",
  "--learning-rate=0.05",
  "--precision=fp32",
  "--drop-rate=0.2",
  "--horizontal-flip",
  "--no-report",
];

type Row = Record<string, number>;

function epochsOf({ stdout }: Ended): Row[] {
  return jsonLines(stdout).filter(({ event }) => event === "epoch") as Row[];
}

/** The greatest relative distance of two trainings' losses. */
function distance(a: Row[], b: Row[]): number {
  expect(a.length).toBe(b.length);
  return Math.max(
    ...a.flatMap((row, i) =>
      ["loss", "validLoss", "mse"].map((name) =>
        Math.abs((row[name] as number) / ((b[i] as Row)[name] as number) - 1),
      ),
    ),
  );
}

/** Longer than any test waits. */
const LONG = ["--train-epochs=1000000", "--patience=1000000", "--period=1000000"];

describe("flexae run --processes", () => {
  let cwd: string;
  let alone: Ended;
  beforeAll(async () => {
    cwd = join(inject("digits"), "processes");
    mkdirSync(cwd);
    alone = await flexae(smallRun(...ARGS, "--json", "--save-dir=alone"), { cwd });
    expect(alone.code, alone.stderr).toBe(0);
  });

  it.each([2, 4])("%i train as one does", async (count) => {
    const folder = `by-${count}`;
    const ended = await flexae(
      smallRun(...ARGS, "--json", `--save-dir=${folder}`, `--processes=${count}`),
      { cwd },
    );
    expect(ended.code, ended.stderr).toBe(0);
    expect(ended.stderr).toBe("");
    expect(distance(epochsOf(ended), epochsOf(alone))).toBeLessThan(1e-5);
    // Rank 0's words alone, and one run folder with all that a run has.
    const events = jsonLines(ended.stdout).map(({ event }) => event);
    expect(events).toEqual(["start", ...Array<string>(16).fill("epoch"), "end"]);
    const end = jsonLines(ended.stdout).at(-1) as { traffic: Row; trainLoss: number };
    const whole = jsonLines(alone.stdout).at(-1) as { trainLoss: number };
    expect(end.trainLoss / whole.trainLoss).toBeCloseTo(1, 5);
    expect(end.traffic.gradientBytes).toBeGreaterThan(208 * 4 * 10_000);
    const kinds = (name: string) =>
      readdirSync(join(cwd, name)).map((n) => n.replace(/^ep.*ckpt/, "ep"));
    expect(new Set(kinds(folder))).toEqual(new Set(kinds("alone")));
    expect(readdirSync(join(cwd, "logs"))).toEqual(["aescore.csv"]);
  });

  it("says how many compute, and shares the threads out", async () => {
    const ended = await flexae(
      smallRun("--save-dir=told", "--processes=2", "--threads=0", "--no-report"),
      { cwd },
    );
    expect(ended.code, ended.stderr).toBe(0);
    expect(ended.stdout).toMatch(/\(cpu, \d+ threads?, \w+\) in each of 2 processes/);
  });

  it("a run goes on with another number of them", async () => {
    const more = await flexae(
      smallRun(...ARGS, "--train-epochs=6", "--save-dir=goes-on", "--processes=2"),
      { cwd },
    );
    expect(more.code, more.stderr).toBe(0);
    const go = async (epochs: number, ...how: string[]) => {
      const ended = await flexae(
        ["run", "--resume", "goes-on", `--train-epochs=${epochs}`, "--json", "--no-report", ...how],
        { cwd },
      );
      expect(ended.code, ended.stderr).toBe(0);
      return epochsOf(ended);
    };
    const rest = [...(await go(11, "--processes=3")), ...(await go(16))];
    expect(rest.map(({ epoch }) => epoch)).toEqual([7, 8, 9, 10, 11, 12, 13, 14, 15, 16]);
    expect(distance(rest, epochsOf(alone).slice(6))).toBeLessThan(1e-5);
  });

  it("tells of bad images, whoever met them", async () => {
    const images = join(cwd, "some-bad");
    cpSync(join(inject("digits"), "train"), images, { recursive: true });
    const files = readdirSync(images, { recursive: true, encoding: "utf8" })
      .filter((name) => name.endsWith(".png"))
      .sort();
    const bad = files.filter((_, i) => i % 29 === 3).map((name) => join(images, name));
    for (const file of bad) writeFileSync(file, "no image");
    const train = (...more: string[]) =>
      flexae(smallRun("--json", "--no-report", ...more, `--train-dir=${images}`), { cwd });
    const ended = await train("--save-dir=bad", "--processes=3", "--max-bad=0.5");
    expect(ended.code, ended.stderr).toBe(0);
    expect(jsonLines(ended.stdout).at(-1)).toMatchObject({ badImages: bad.length });
    const table = readFileSync(join(cwd, "bad/bad_images.csv"), "utf8");
    for (const file of bad) expect(table).toContain(file.slice(images.length + 1));
    expect(table.trimEnd().split("\n")).toHaveLength(bad.length + 1);
    // Together they are too many, though to nobody alone.
    const many = await train("--save-dir=too-bad", "--processes=3", "--max-bad=0.02");
    expect(many.code).toBe(3);
    expect(many.stderr).toMatch(
      /5 of the 200 train images \(2\.5%\) cannot be used, and --max-bad allows 2%/,
    );
  });

  it("stops by a signal after a batch, and goes on", async () => {
    const args = smallRun(...ARGS, ...LONG, "--json", "--save-dir=stopped", "--processes=2");
    const { child, ended, seen } = start([main, ...args], { cwd });
    await seen(/"epoch":2,/);
    child.kill("SIGINT");
    const result = await ended;
    expect(result.code, result.stderr).toBe(130);
    expect(jsonLines(result.stdout).at(-1)).toMatchObject({ stopped: "interrupted" });
    expect(parse(readFileSync(join(cwd, "stopped/setting.yaml"), "utf8")).state).toBe(
      "interrupted",
    );
    const epochs = epochsOf(result).length;
    const again = await flexae(
      ["run", "--resume", "stopped", `--train-epochs=${epochs + 1}`, "--no-report"],
      { cwd },
    );
    expect(again.code, again.stderr).toBe(0);
  });

  it("stops when somebody leaves the file stop", async () => {
    const args = smallRun(...LONG, "--json", "--save-dir=asked", "--processes=2", "--no-report");
    const { ended, seen } = start([main, ...args], { cwd });
    await seen(/"epoch":1,/);
    writeFileSync(join(cwd, "asked/stop"), "");
    const result = await ended;
    expect(result.code, result.stderr).toBe(130);
    expect(jsonLines(result.stdout).at(-1)).toMatchObject({ stopped: "interrupted" });
  });

  it("says a wrong setting once, and makes nothing", async () => {
    const ended = await flexae(
      smallRun("--save-dir=never", "--processes=2", "--train-dir=/nowhere"),
      { cwd },
    );
    expect(ended.code).toBe(3);
    expect(ended.stderr.trimEnd().split("\n")).toHaveLength(1);
    expect(ended.stderr).toContain("/nowhere");
    expect(existsSync(join(cwd, "never"))).toBe(false);
  });

  it.each([
    ["--processes=0", /Expected an integer from 1 to 1024 for --processes but received "0"/],
    ["--processes=two", /Expected an integer from 1 to 1024 for --processes but received "two"/],
    ["--join-timeout=-1", /Expected an integer from 1 to 86400 for --join-timeout/],
  ])("refuses %s", async (argument, message) => {
    const ended = await flexae(smallRun(argument), { cwd });
    expect(ended.code).toBe(2);
    expect(ended.stderr).toMatch(message);
  });
});

describe("processes that a launcher started", () => {
  it("end once more when they are started again after the end", async () => {
    const cwd = temporaryFolder();
    const args = () => smallRun("--train-epochs=3", "--no-report", "--json", "--save-dir=run");
    const ranks = async (restarts: number) =>
      await runRanks(2, args, {
        cwd,
        env: {
          TORCHELASTIC_MAX_RESTARTS: "3",
          TORCHELASTIC_RESTART_COUNT: String(restarts),
        },
      });
    const endOf = (ended: Ended[]) => {
      for (const { code, stderr } of ended) expect(code, stderr).toBe(0);
      return jsonLines((ended[0] as Ended).stdout).at(-1);
    };
    const { trainLoss, validLoss, bestEpoch } = endOf(await ranks(0)) as Record<string, unknown>;
    const metrics = readFileSync(join(cwd, "run/metrics.csv"), "utf8");
    expect(endOf(await ranks(1))).toMatchObject({ event: "end", validLoss, trainLoss, bestEpoch });
    expect(readFileSync(join(cwd, "run/metrics.csv"), "utf8")).toBe(metrics);
    expect(parse(readFileSync(join(cwd, "run/setting.yaml"), "utf8")).state).toBe("finished");
  });

  it("refuse another setting on one of them, naming it", async () => {
    const cwd = temporaryFolder();
    const all = await runRanks(
      3,
      (rank) => smallRun("--save-dir=run", `--batch-size=${rank === 2 ? 16 : 32}`),
      { cwd },
    );
    for (const { code, stderr } of all) {
      expect(code).toBe(2);
      expect(stderr).toContain("rank 2 has another batch_size than rank 0: 16, not 32");
    }
    expect(existsSync(join(cwd, "run"))).toBe(false);
  });

  it("refuse other images on one of them, naming it", async () => {
    const cwd = temporaryFolder();
    const other = join(cwd, "other");
    cpSync(join(inject("digits"), "train"), other, { recursive: true });
    const file = readdirSync(other, { recursive: true, encoding: "utf8" }).find((name) =>
      name.endsWith(".png"),
    ) as string;
    cpSync(join(other, file), join(other, file.replace(".png", "_again.png")));
    const all = await runRanks(
      2,
      (rank) => smallRun("--save-dir=run", ...(rank === 1 ? [`--train-dir=${other}`] : [])),
      { cwd },
    );
    for (const { code, stderr } of all) {
      expect(code).toBe(2);
      expect(stderr).toMatch(/rank 1 has another set of training images than rank 0: 201 images/);
    }
  });

  it("end with the reason of one that cannot begin", async () => {
    const cwd = temporaryFolder();
    const all = await runRanks(
      2,
      (rank) => smallRun("--save-dir=run", ...(rank === 1 ? ["--valid-dir=/nowhere"] : [])),
      { cwd },
    );
    expect(all.map(({ code }) => code)).toEqual([3, 3]);
    expect(all[0]?.stderr).toMatch(/rank 1 of the training failed: .*\/nowhere/);
    expect(all[1]?.stderr).toContain("/nowhere");
  });

  it("end in time where one never comes", async () => {
    const cwd = temporaryFolder();
    const { code, stderr } = await flexae(smallRun("--join-timeout=2"), {
      cwd,
      env: rankEnvironment(0, 3, await freePort()),
    });
    expect(code).toBe(1);
    expect(stderr).toMatch(/Of 3 processes, rank 1, 2 did not come to 127\.0\.0\.1:\d+ within 2 s/);
    const late = await flexae(smallRun("--join-timeout=2"), {
      cwd,
      env: rankEnvironment(1, 3, await freePort()),
    });
    expect(late.code).toBe(1);
    expect(late.stderr).toMatch(/Rank 1 cannot reach rank 0 at 127\.0\.0\.1:\d+ within 2 s/);
  });

  it("say that a port is in use", async () => {
    const server = createServer().listen(0);
    await new Promise((resolve) => server.once("listening", resolve));
    const { port } = server.address() as { port: number };
    const { code, stderr } = await flexae(smallRun(), { env: rankEnvironment(0, 2, port) });
    server.close();
    expect(code).toBe(2);
    expect(stderr).toContain(`Port ${port} is in use`);
  });

  it("say that two have one rank, or another number of processes", async () => {
    const cwd = temporaryFolder();
    const port = await freePort();
    const run = (rank: number, size: number) =>
      flexae(smallRun("--join-timeout=3"), { cwd, env: rankEnvironment(rank, size, port) });
    const all = await Promise.all([run(0, 3), run(1, 3), run(1, 3)]);
    expect(all.map(({ stderr }) => stderr).join("")).toMatch(/Two processes are rank 1/);
    for (const { code } of all) expect(code).toBeGreaterThan(0);
    const other = await freePort();
    const sizes = await Promise.all(
      [2, 3].map((size, rank) =>
        flexae(smallRun("--join-timeout=3"), { cwd, env: rankEnvironment(rank, size, other) }),
      ),
    );
    expect(sizes.map(({ stderr }) => stderr).join("")).toMatch(
      /rank 1 \(.*\) has a WORLD_SIZE of 3, and rank 0 one of 2/,
    );
    for (const { code } of sizes) expect(code).toBeGreaterThan(0);
  });

  it("refuse --processes, and variables that make no sense", async () => {
    const env = rankEnvironment(0, 2, 29_500);
    const twice = await flexae(smallRun("--processes=2"), { env });
    expect(twice.code).toBe(2);
    expect(twice.stderr).toContain("this is rank 0 of 2 already");
    const outside = await flexae(smallRun(), { env: { ...env, RANK: "2" } });
    expect(outside.code).toBe(2);
    expect(outside.stderr).toContain('Expected a number from 0 to 1 for RANK but received "2"');
  });

  it("one of one is a training as ever", async () => {
    const cwd = temporaryFolder();
    const ended = await flexae(smallRun("--json", "--save-dir=run", "--no-report"), {
      cwd,
      env: { RANK: "0", WORLD_SIZE: "1" },
    });
    expect(ended.code, ended.stderr).toBe(0);
    expect(jsonLines(ended.stdout).at(-1)).not.toHaveProperty("traffic");
  });
});
