import {
  copyFileSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  writeFileSync,
} from "node:fs";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import {
  commandIn,
  flexae,
  jsonLines,
  main,
  smallRun,
  start,
  temporaryFolder,
  trainedRun,
} from "../support/cli.ts";

describe("flexae report", () => {
  const run = trainedRun("--no-report");
  const command = commandIn(run, "report");

  it("writes report.html into the run's folder", async () => {
    const out = join(run(), "report.html");
    const { bytes, ...end } = await command.end(run());
    expect(end).toEqual({ event: "end", out, runs: [run()], problems: [] });
    expect(statSync(out).size).toBe(bytes);
    const page = readFileSync(out, "utf8");
    expect(page).toMatch(/^<!doctype html>/);
    expect(page).toContain("The learning rate of adam was 0.001 in all epochs.");
  });

  it("says what it cannot show of a run that has no model, and shows the rest", async () => {
    const folder = temporaryFolder();
    for (const name of ["setting.yaml", "metrics.csv"]) {
      copyFileSync(join(run(), name), join(folder, name));
    }
    const { code, stderr } = await flexae(["report", folder]);
    expect(code).toBe(0);
    expect(stderr).toMatch(/not shown: .*images and embedding: .*ae\.pt/);
    const page = readFileSync(join(folder, "report.html"), "utf8");
    expect(page).toContain("Not shown: images and embedding");
    expect(page).toContain(">Curves</h3>");
    expect(page).not.toContain(">Embedding</h3>");
  });

  it("says so where images, metrics or settings are gone or spoilt", async () => {
    const folder = temporaryFolder();
    copyFileSync(join(run(), "ae.pt"), join(folder, "ae.pt"));
    const setting = readFileSync(join(run(), "setting.yaml"), "utf8");
    const elsewhere = setting.replace(/_dir: .*(train|valid)$/gm, "_dir: /nowhere");
    writeFileSync(join(folder, "setting.yaml"), elsewhere);
    const gone = await flexae(["report", folder, "--json"]);
    expect(gone.stderr).toMatch(/images and embedding: .*\/nowhere cannot be used/);
    writeFileSync(join(folder, "setting.yaml"), "config: {dims: many}\n");
    writeFileSync(join(folder, "metrics.csv"), 'epoch,loss\n"1');
    const spoilt = await flexae(["report", folder]);
    expect(spoilt.code).toBe(0);
    expect(spoilt.stderr).toMatch(/settings cannot be read: .*dims/);
    expect(spoilt.stderr).toMatch(/metrics\.csv cannot be read/);
  });

  it("tells of a run that was interrupted", async () => {
    const folder = join(temporaryFolder(), "run");
    const { child, ended, seen } = start([
      main,
      ...smallRun("--train-epochs=100000", `--save-dir=${folder}`),
    ]);
    await seen(/^epoch +2\//m);
    child.kill("SIGINT");
    const { code, stderr } = await ended;
    expect(code, stderr).toBe(130);
    const page = readFileSync(join(folder, "report.html"), "utf8");
    expect(page).toMatch(/<p class="lead">Interrupted after \d+ epochs/);
    expect(page).toContain(">Before and after</h3>");
  });

  it("wants a run, and a file for several", async () => {
    expect(await command.start("nowhere")).toMatchObject({
      code: 2,
      stderr: expect.stringMatching(/no run folder nowhere/),
    });
    expect(await command.start(run(), run())).toMatchObject({
      code: 2,
      stderr: expect.stringMatching(/-o FILE\.html/),
    });
  });

  it("leaves the run well where its page cannot be written", async () => {
    const folder = join(temporaryFolder(), "run");
    const first = await flexae(smallRun("--no-report", `--save-dir=${folder}`));
    expect(first.code, first.stderr).toBe(0);
    expect(first.stdout).not.toMatch(/report\.html/);
    mkdirSync(join(folder, "report.html"));
    const { code, stderr, stdout } = await flexae(["run", "--resume", folder, "--train-epochs=3"]);
    expect(code, stderr).toBe(0);
    expect(stderr).toMatch(/report\.html could not be written/);
    expect(stdout).not.toMatch(/report\.html {2}/);
    rmSync(join(folder, "report.html"), { recursive: true });
    const slower = ["--train-epochs=4", "--learning-rate=0.0005"];
    const again = await flexae(["run", "--resume", folder, ...slower]);
    expect(again.code, again.stderr).toBe(0);
    expect(again.stdout).toMatch(/report\.html {2}/);
    const page = readFileSync(join(folder, "report.html"), "utf8");
    expect(page).toContain("The learning rate of adam was 0.001 at first, and 0.0005 at the end.");
    const metrics = readFileSync(join(folder, "metrics.csv"), "utf8").trimEnd().split("\n");
    const rates = metrics.map((row) => row.split(",").at(-1));
    expect(rates).toEqual(["learning_rate", "0.001", "0.001", "0.001", "0.0005"]);
  });

  it("tells of a run that failed, and nothing of before that a run goes on", async () => {
    const folder = join(temporaryFolder(), "run");
    const first = await flexae(smallRun(`--save-dir=${folder}`, "--json"));
    expect(first.code, first.stderr).toBe(0);
    const page = join(folder, "report.html");
    expect(jsonLines(first.stdout).at(-1)).toMatchObject({ event: "end", report: page });
    expect(readFileSync(page, "utf8")).not.toContain("The run failed");
    const wild = ["run", "--resume", folder, "--train-epochs=4", "--learning-rate=1e30"];
    const failed = await flexae(wild);
    expect(failed.code).toBe(1);
    expect(failed.stderr).toMatch(/no longer a finite number/);
    expect(readFileSync(page, "utf8")).toMatch(
      /<strong>The run failed\.<\/strong> .* no longer a finite number/,
    );
    expect((await flexae([...wild, "--no-report"])).code).toBe(1);
    expect(existsSync(page)).toBe(false);
  });

  it("is left out by Ctrl-C, which the run outlives", async () => {
    const folder = join(temporaryFolder(), "run");
    const { child, ended, seen } = start([main, ...smallRun(`--save-dir=${folder}`)]);
    await seen(/^Writing report\.html/m);
    child.kill("SIGINT");
    const { code, stdout, stderr } = await ended;
    expect(code, stderr).toBe(130);
    expect(stderr).toMatch(/leaving report\.html out; once more stops at once/);
    expect(stdout).toMatch(/^Finished after 2 epochs/m);
    expect(readdirSync(folder).filter((name) => name.includes("report"))).toEqual([]);
    expect(existsSync(join(folder, "ae.pt"))).toBe(true);
  });
});
