import { readdirSync } from "node:fs";
import { describe, expect, it } from "vitest";
import { flexae, jsonLines, temporaryFolder } from "../support/cli.ts";

const SMALL = ["--image-shape=16,16", "--filters=4,8", "--pooling=no", "--dims=8", "--threads=1"];

/** Runs `flexae bench --json` and reads its one line. */
async function bench(...more: string[]): Promise<Record<string, number>> {
  const { code, stdout, stderr } = await flexae(["bench", ...SMALL, "--json", ...more]);
  expect(stderr).toBe("");
  expect(code).toBe(0);
  const lines = jsonLines(stdout);
  expect(lines).toHaveLength(1);
  return lines[0] as Record<string, number>;
}

describe("flexae bench", () => {
  it("prints the median step and what it follows from as one JSON object", async () => {
    const result = await bench("--steps=12", "--batch-size=4", "--precision=fp32");
    expect(result).toMatchObject({
      precision: "fp32",
      batchSize: 4,
      steps: 12,
      device: "cpu",
      threads: 1,
      kernels: expect.stringMatching(/^(baseline|avx2|avx512|avx512bf16)$/),
      deviceName: expect.stringMatching(/./),
    });
    const { msPerStep, msPerStepP10, msPerStepP90 } = result as Record<string, number>;
    expect(msPerStepP10).toBeGreaterThan(0);
    expect(msPerStep).toBeGreaterThanOrEqual(msPerStepP10 as number);
    expect(msPerStepP90).toBeGreaterThanOrEqual(msPerStep as number);
    expect(result.imagesPerSecond).toBeCloseTo(4000 / (msPerStep as number), 6);
    expect(result.encodeImagesPerSecond).toBeGreaterThan(0);
  });

  it("really trains", async () => {
    const settings = [
      "--optimizer=adam",
      "--learning-rate=0.01",
      "--drop-rate=0",
      "--no-vertical-flip",
    ];
    const few = await bench("--steps=1", ...settings);
    const many = await bench("--steps=60", ...settings);
    expect(many.loss).toBeLessThan(few.loss as number);
  });

  it("times as many steps as fit when not told how many", async () => {
    const { steps } = await bench("--batch-size=2", "--filters=2", "--kernel-size=3");
    expect(steps).toBeGreaterThan(100);
  });

  it("repeats from the seed", async () => {
    const first = await bench("--steps=5", "--seed=3");
    const second = await bench("--steps=5", "--seed=3");
    const other = await bench("--steps=5", "--seed=4");
    expect(second.loss).toBe(first.loss);
    expect(other.loss).not.toBe(first.loss);
  });

  it("shows a table to people, and leaves nothing behind", async () => {
    const cwd = temporaryFolder();
    const { code, stdout } = await flexae(["bench", ...SMALL, "--steps=3"], { cwd });
    expect(code).toBe(0);
    expect(stdout).toMatch(/^Training +[\d,.]+ images\/s$/m);
    expect(stdout).toMatch(/^Encoding +[\d,.]+ images\/s$/m);
    expect(readdirSync(cwd)).toEqual([]);
  });

  it.each([
    [["--steps=0"], /from 1 to 1000000 for --steps but received "0"/],
    [["--steps=many"], /for --steps but received "many"/],
    [["--image-shape=8,8", "--filters=4,4,4,4,4", "--pooling=max"], /conv_\d|layer \d/i],
    [["--device=cuda:999"], /device cuda:999 /],
  ])("%j ends with 2 and says why", async (args, message) => {
    const { code, stdout, stderr } = await flexae(["bench", ...args]);
    expect(stderr).toMatch(message);
    expect(code).toBe(2);
    expect(stdout).toBe("");
    expect(stderr.trimEnd().split("\n").length).toBeLessThanOrEqual(2);
  });

  it("takes --steps alone among the commands", async () => {
    const { code, stderr } = await flexae(["summary", "--steps=3"]);
    expect(stderr).toMatch(/Unknown option '--steps/);
    expect(code).toBe(2);
  });
});
