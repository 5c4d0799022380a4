import {
  copyFileSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { parse } from "csv-parse/sync";
import { afterAll, beforeAll, describe, expect, it, onTestFinished } from "vitest";
import type { ListedRun } from "../../ts/index.ts";
import { flexae, jsonLines, main, smallRun, start, temporaryFolder } from "../support/cli.ts";

type Line = ListedRun & { event: string };

describe("flexae runs", () => {
  let cwd: string;
  const logs = () => join(cwd, "logs");

  beforeAll(async () => {
    cwd = mkdtempSync(join(tmpdir(), "flexae-runs-"));
    const trainings = [
      ["small", "--dims=4", "--train-epochs=3"],
      ["large", "--dims=32", "--train-epochs=4"],
      ["sweep/one", "--dims=4", "--filters=4,8", "--learning-rate=0.01"],
    ];
    for (const [name, ...more] of trainings) {
      // Runs that began within a second are in the order of their names.
      await sleep(1000 - (Date.now() % 1000));
      const args = smallRun("--no-report", `--save-dir=${join(logs(), name as string)}`, ...more);
      const { code, stderr } = await flexae(args);
      expect(code, stderr).toBe(0);
    }
    // What is inside a run is none, and what is not to be read hides no other.
    mkdirSync(join(logs(), "small/copy"));
    copyFileSync(join(logs(), "small/setting.yaml"), join(logs(), "small/copy/setting.yaml"));
    mkdirSync(join(logs(), "spoilt"));
    writeFileSync(join(logs(), "spoilt/setting.yaml"), "state: [\n");
    writeFileSync(join(logs(), "aescore.csv"), "Time\n");
  });
  afterAll(() => rmSync(cwd, { recursive: true, force: true }));

  async function listed(...args: string[]): Promise<Line[]> {
    const { code, stdout, stderr } = await flexae(["runs", ...args, "--json"], { cwd });
    expect(code, stderr).toBe(0);
    const lines = jsonLines(stdout) as unknown as Line[];
    expect(lines.pop()).toMatchObject({ event: "end", runs: lines.length, of: 4 });
    return lines;
  }
  const names = async (...args: string[]) => (await listed(...args)).map(({ name }) => name);

  it("lists runs below logs, the newest last, and those below another folder", async () => {
    expect(await names()).toEqual(["spoilt", "small", "large", "sweep/one"]);
    const [, small] = await listed(logs());
    expect(small).toMatchObject({
      folder: join(logs(), "small"),
      state: "finished",
      epochs: 3,
      trainImages: 200,
      settings: { dims: "4", filters: "8, 16", optimizer: "adam" },
    });
    const recorded = readFileSync(join(logs(), "small/setting.yaml"), "utf8");
    const loss = /valid:\n {4}loss: ([\d.]+)/.exec(recorded)?.[1];
    expect(small?.valid?.loss).toBe(Number(loss));
    const { stdout } = await flexae(["runs", "logs/sweep"], { cwd });
    expect(stdout.split("\n")).toHaveLength(3);
  });

  it("shows a table with the settings that differ", async () => {
    const { code, stdout } = await flexae(["runs"], { cwd });
    expect(code).toBe(0);
    const [head, spoilt, small, large, one] = stdout
      .split("\n")
      .map((line) => line.split(/\s{2,}/));
    expect(head).toEqual(
      "run,state,started,epochs,best,val_loss,val_accuracy,val_psnr,time,parameters,filters,dims,train_epochs,learning_rate".split(
        ",",
      ),
    );
    expect(spoilt?.slice(0, 2)).toEqual(["spoilt", "unreadable"]);
    expect(small?.slice(-4)).toEqual(["8, 16", "4", "3", "the optimizer's"]);
    expect(large?.slice(-3)).toEqual(["32", "4", "the optimizer's"]);
    expect(one?.[0]).toBe("sweep/one");
  });

  it("sorts by columns and settings, and those without one come last", async () => {
    const byLoss = await listed("--sort=val_loss");
    const losses = byLoss.map(({ valid }) => valid?.loss);
    expect(losses.pop()).toBeUndefined();
    expect(losses).toEqual([...losses].sort((a, b) => (a as number) - (b as number)));
    expect(byLoss.at(-1)?.name).toBe("spoilt");
    const reversed = await names("--sort=val_loss", "--reverse");
    expect(reversed).toEqual([
      ...byLoss
        .slice(0, 3)
        .map(({ name }) => name)
        .reverse(),
      "spoilt",
    ]);
    expect((await names("--sort=dims", "--reverse"))[0]).toBe("large");
    expect((await names("--sort=train-epochs"))[0]).toBe("sweep/one");
  });

  it("filters by conditions", async () => {
    expect(await names("--filter=dims=4")).toEqual(["small", "sweep/one"]);
    expect(await names("--filter", "dims=4 and filters=8,16")).toEqual(["small"]);
    expect(await names("--filter", "dims >= 32")).toEqual(["large"]);
    expect(await names("--filter", "epochs<4 AND state = finished")).toEqual([
      "small",
      "sweep/one",
    ]);
    expect(await names("--filter=run~sweep")).toEqual(["sweep/one"]);
    expect(await names("--filter=state!=finished")).toEqual(["spoilt"]);
    // What a run does not have is equal to nothing.
    expect(await names("--filter=val_loss>0")).not.toContain("spoilt");
    expect(await names("--filter=dims!=4")).toEqual(["spoilt", "large"]);
    // The optimizer's rate is not said in numbers.
    expect(await names("--filter=learning-rate>0.001")).toEqual(["sweep/one"]);
    expect(await names("--filter=imageShape=28,28 and dropRate=0 and trainEpochs=4")).toEqual([
      "large",
    ]);
    expect(await names("--filter", 'save_dir~" and "')).toEqual([]);
    const quoted = await flexae(["runs", "--filter", 'run~"a and b=c"'], { cwd });
    expect(quoted.stderr).toContain("none of the 4 runs in logs is meant");
    const none = await flexae(["runs", "--filter=dims=5"], { cwd });
    expect([none.code, none.stdout]).toEqual([0, ""]);
    expect(none.stderr).toContain("none of the 4 runs in logs is meant");
  });

  it("names the best", async () => {
    const all = await listed("--sort=val_loss");
    expect(await names("--best")).toEqual([all[0]?.name]);
    expect(await names("--best=2")).toEqual(all.slice(0, 2).map(({ name }) => name));
    expect(await names("--best=10", "--filter=dims=4")).toHaveLength(2);
  });

  it("writes all columns and settings as CSV", async () => {
    const out = join(temporaryFolder(), "runs.csv");
    const { code, stdout } = await flexae(["runs", "-o", out, "--sort=dims"], { cwd });
    expect(code).toBe(0);
    expect(stdout).toContain("runs.csv: 4 runs\n");
    const rows = parse(readFileSync(out, "utf8"), { columns: true }) as Record<string, string>[];
    expect(rows.map(({ run }) => run)).toEqual(["small", "sweep/one", "large", "spoilt"]);
    expect(rows[1]).toMatchObject({ dims: "4", filters: "4, 8", learning_rate: "0.01" });
    expect(rows[3]).toMatchObject({ state: "unreadable", val_loss: "", dims: "" });
  });

  it("says how runs differ", async () => {
    const args = ["runs", "diff", "logs/small", "logs/sweep/one"];
    const { code, stdout } = await flexae(args, { cwd });
    expect(code).toBe(0);
    const lines = stdout
      .trimEnd()
      .split("\n")
      .map((line) => line.split(/\s{2,}/));
    expect(lines[0]).toEqual(["", "logs/small", "logs/sweep/one"]);
    expect(lines).toContainEqual(["state", "finished", "finished"]);
    expect(lines).toContainEqual(["filters", "8, 16", "4, 8"]);
    expect(lines).toContainEqual(["learning_rate", "the optimizer's", "0.01"]);
    expect(lines.map(([name]) => name)).not.toContain("dims");
    const json = await flexae([...args, "logs/large", "--json"], { cwd });
    expect(jsonLines(json.stdout)[0]).toMatchObject({
      settings: { dims: ["4", "4", "32"] },
      scores: { epochs: [3, 2, 4] },
    });
    const same = await flexae(["runs", "diff", "logs/small", "logs/small"], { cwd });
    expect(same.stdout).toContain("all settings are alike");
  });

  it("tells a run that goes on from one that was killed", async () => {
    const folder = join(temporaryFolder(), "logs");
    const run = smallRun("--train-epochs=10000", "--patience=10000", `--save-dir=${folder}/run`);
    const { child, ended, seen } = start([main, ...run, "--json"]);
    onTestFinished(() => void child.kill("SIGKILL"));
    await seen(/"epoch":3/);
    const state = async () => {
      const { stdout, code, stderr } = await flexae(["runs", folder, "--json"]);
      expect(code, stderr).toBe(0);
      return jsonLines(stdout)[0] as unknown as Line;
    };
    const running = await state();
    expect(running.state).toBe("running");
    expect(running.epochs).toBeGreaterThanOrEqual(2);
    expect(running.valid?.loss).toBeGreaterThan(0);
    expect(running.seconds).toBeGreaterThan(0);
    child.kill("SIGKILL");
    await ended;
    expect((await state()).state).toBe("killed");
  });

  it.each([
    [["nowhere"], "There is no folder nowhere: name one that runs are in"],
    [["--sort=speed"], "Expected a column (run, state, "],
    [["--filter=dims"], "Expected a condition such as val_loss<0.1"],
    [["--filter=speed>1"], "or a setting but received speed"],
    [["--filter=val_loss==0.1"], "Expected a condition such as val_loss<0.1"],
    [["--filter=dims=>4"], "Expected a condition such as val_loss<0.1"],
    [["--filter=val_loss<"], "Expected a condition such as val_loss<0.1"],
    [["--filter=val_loss<0,1"], "Expected a number for val_loss but received 0,1"],
    [["logs/small", "logs/large"], "Expected one folder with runs in it but received 2"],
    [["diff", "logs/small", "logs/spoilt"], "logs/spoilt cannot be compared: the settings in its"],
    [["--best=0"], "Expected an integer of at least 1 for best but received 0"],
    [["--best", "--sort=dims"], "--best sorts by val_loss"],
    [["--reverse"], "--reverse means nothing without --sort"],
    [["-o", "runs.json"], "Expected a name that ends in .csv for out but received runs.json"],
    [["diff", "logs/small"], "Expected two runs at least"],
    [["diff", "logs/small", "logs/none"], "There is no run folder logs/none"],
    [["diff", "logs/small", "logs/large", "--sort=dims"], "--sort means nothing to `runs diff`"],
  ])("refuses %j", async (args, message) => {
    const { code, stdout, stderr } = await flexae(["runs", ...args], { cwd });
    expect([code, stdout]).toEqual([2, ""]);
    expect(stderr).toContain(message);
  });

  it("follows links, shows what names have in them, and takes no empty file for defaults", async () => {
    const folder = temporaryFolder();
    symlinkSync(join(logs(), "small"), join(folder, "link"));
    symlinkSync(folder, join(folder, "circle"));
    mkdirSync(join(folder, "\u001b[31mred\nline"));
    writeFileSync(join(folder, "\u001b[31mred\nline", "setting.yaml"), "");
    const { code, stdout } = await flexae(["runs", folder]);
    expect(code).toBe(0);
    expect(stdout).not.toContain("\u001b");
    expect(stdout).toContain("\\n");
    const json = await flexae(["runs", folder, "--json"]);
    const runs = jsonLines(json.stdout) as unknown as Line[];
    expect(runs.filter(({ name }) => name?.endsWith("link"))).toHaveLength(1);
    expect(runs.find(({ name }) => name?.includes("red"))?.settings).toEqual({});
  });

  it("says that there are none", async () => {
    const empty = temporaryFolder();
    const { code, stdout, stderr } = await flexae(["runs", empty]);
    expect([code, stdout]).toEqual([0, ""]);
    expect(stderr).toMatch(/holds no runs\n$/);
  });
});
