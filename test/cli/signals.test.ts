import { existsSync, readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { parse } from "yaml";
import { jsonLines, main, smallRun, start, temporaryFolder } from "../support/cli.ts";

/** Longer than any test waits. */
const LONG = ["--train-epochs=1000000", "--patience=1000000", "--period=1000000"];

describe("signals", () => {
  it.each([
    ["SIGINT", 130],
    ["SIGTERM", 143],
  ] as const)("%s ends the training with models on disk and exit code %i", async (signal, code) => {
    const cwd = temporaryFolder();
    const args = smallRun("--json", "--save-dir=run", ...LONG);
    const { child, ended, seen } = start([main, ...args], { cwd });
    await seen(/"epoch":2,/);
    child.kill(signal);
    const result = await ended;
    expect(result.code, result.stderr).toBe(code);
    expect(result.signal).toBeNull();
    const end = jsonLines(result.stdout).at(-1) as Record<string, unknown>;
    expect(end).toMatchObject({ event: "end", stopped: "interrupted" });
    expect(end.validLoss).toBeGreaterThan(0);
    const names = readdirSync(join(cwd, "run"));
    expect(names).toEqual(expect.arrayContaining(["ae.pt", "en.pt", "metrics.csv"]));
    const setting = parse(readFileSync(join(cwd, "run/setting.yaml"), "utf8"));
    expect(setting.state).toBe("interrupted");
    const rows = readFileSync(join(cwd, "run/metrics.csv"), "utf8").trimEnd().split("\n");
    expect(rows).toHaveLength((end.epochs as number) + 1);
    expect(readFileSync(join(cwd, "logs/aescore.csv"), "utf8").split("\n")).toHaveLength(3);
  });

  it("a second signal ends the process at once", async () => {
    const cwd = temporaryFolder();
    // One batch an epoch of a network large enough that a batch takes a while.
    const args = smallRun(
      "--save-dir=run",
      "--image-shape=256,256",
      "--filters=64,64,64",
      "--strides=1,2,2",
      "--batch-size=200",
      ...LONG,
    );
    const { child, ended, seen } = start([main, ...args], { cwd });
    await seen(/Run folder/);
    child.kill("SIGINT");
    await seen(/stopping after this batch/);
    child.kill("SIGINT");
    const result = await ended;
    expect(result.code).toBe(130);
    expect(existsSync(join(cwd, "run/ae.pt"))).toBe(false);
  });
});
