import { mkdirSync } from "node:fs";
import { join } from "node:path";
import { beforeAll, describe, expect, inject, it } from "vitest";
import { flexae, jsonLines, smallRun } from "../support/cli.ts";

describe("--precision bf16 ends within 1 % of fp32's validation loss", () => {
  let cwd: string;

  beforeAll(() => {
    cwd = join(inject("digits"), "precision");
    mkdirSync(cwd);
  });

  async function train(precision: string, settings: string[]) {
    const ended = await flexae(
      smallRun(
        "--json",
        `--precision=${precision}`,
        "--batch-size=20",
        // The moving statistics follow within so few steps.
        "--batch-norm-momentum=0.8",
        ...settings,
      ),
      { cwd },
    );
    expect(ended.code, ended.stderr).toBe(0);
    const lines = jsonLines(ended.stdout);
    expect(lines[0]).toMatchObject({ event: "start", precision });
    expect(lines.at(-1)).toMatchObject({ event: "end", stopped: "finished" });
    return {
      first: lines.find(({ event }) => event === "epoch")?.validLoss as number,
      final: lines.at(-1)?.validLoss as number,
    };
  }

  async function compare(...settings: string[]) {
    const fp32 = await train("fp32", settings);
    const bf16 = await train("bf16", settings);
    // Something was learned that could have been learned otherwise.
    expect(fp32.final).toBeLessThan(0.85 * fp32.first);
    expect(Math.abs(bf16.final / fp32.final - 1)).toBeLessThan(0.01);
    // Narrow factors leave their mark, or there were none.
    expect(bf16.final).not.toBe(fp32.final);
  }

  it("with strides, by Adam", () =>
    compare("--train-epochs=20", "--optimizer=adam", "--learning-rate=0.002"));

  it("with pooling, upsampling and dropout, by Adadelta", () =>
    compare(
      "--train-epochs=15",
      "--optimizer=adadelta",
      "--pooling=avg",
      "--strides=1",
      "--drop-rate=0.2",
    ));
});
