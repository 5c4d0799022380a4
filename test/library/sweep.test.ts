import { existsSync } from "node:fs";
import { join } from "node:path";
import { expect, inject, it } from "vitest";
import { type SweepEvent, sweep } from "../../ts/index.ts";
import { temporaryFolder } from "../support/cli.ts";

const config = () => ({
  trainDir: join(inject("digits"), "train"),
  validDir: join(inject("digits"), "valid"),
  imageShape: [28, 28] as [number, number],
  filters: [4],
  pooling: "no",
  optimizer: "adam",
  trainEpochs: 1,
});

it("sweeps from Node.js, and tells of what happens", async () => {
  const saveDir = join(temporaryFolder(), "sweep");
  const events: SweepEvent[] = [];
  const { best, trials, table, page, interrupted } = await sweep(
    { dims: [4, [8, 4]] },
    { ...config(), saveDir },
    { report: false, onEvent: (event) => events.push(event) },
  );
  expect(trials.map(({ state, settings }) => [state, settings.dims])).toEqual([
    ["finished", "4"],
    ["finished", "8,4"],
  ]);
  expect(best?.score).toBe(Math.min(...trials.map(({ score }) => score as number)));
  expect(interrupted).toBe(false);
  expect([table, page]).toEqual([join(saveDir, "sweep.csv"), join(saveDir, "sweep.html")]);
  expect(existsSync(join(trials[0]?.folder as string, "report.html"))).toBe(false);
  const types = events.map(({ type }) => type).filter((type) => type !== "progress");
  expect(types).toEqual(["start", "trial", "trial"]);
});

it("does not begin where it was ended before", async () => {
  const saveDir = join(temporaryFolder(), "sweep");
  const signal = AbortSignal.abort(new Error("no"));
  const begun = sweep({ dims: [4] }, { ...config(), saveDir }, { signal });
  await expect(begun).rejects.toThrow("no");
  expect(existsSync(saveDir)).toBe(false);
  await expect(sweep({}, config())).rejects.toThrow("Expected a setting to sweep");
  await expect(sweep({ dims: [0] }, config())).rejects.toThrow("for dims but received");
});
