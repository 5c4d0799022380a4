import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { report } from "../../ts/index.ts";
import { temporaryFolder, trainedRun } from "../support/cli.ts";

describe("report", () => {
  const run = trainedRun("--no-report");

  it("writes a page of one run or several", async () => {
    const out = join(temporaryFolder(), "both.html");
    const both = await report([run(), run()], { out });
    expect(both).toEqual({
      out,
      runs: [run(), run()],
      bytes: readFileSync(out).length,
      problems: [],
    });
    expect((await report(run())).out).toBe(join(run(), "report.html"));
  });

  it("refuses what is no run, and several without a file", async () => {
    await expect(report([])).rejects.toMatchObject({ code: "FLEXAE_CONFIG" });
    await expect(report([run(), run()])).rejects.toThrow(/-o FILE\.html/);
    await expect(report("nowhere")).rejects.toThrow(/no run folder nowhere/);
  });

  it("ends with its signal, and leaves nothing", async () => {
    const out = join(temporaryFolder(), "page.html");
    const reason = new Error("enough");
    await expect(report(run(), { out, signal: AbortSignal.abort(reason) })).rejects.toBe(reason);
    expect(existsSync(out)).toBe(false);
  });
});
