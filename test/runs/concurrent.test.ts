/** Many processes at once, on one table of scores and on one run folder. */
import { spawnSync } from "node:child_process";
import { existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { setTimeout } from "node:timers/promises";
import { parse } from "csv-parse/sync";
import { describe, expect, it } from "vitest";
import { parse as parseYaml } from "yaml";
import { callAddon } from "../../ts/addon/loader.ts";
import { flexae, jsonLines, main, root, smallRun, start, temporaryFolder } from "../support/cli.ts";
import { chosenSeed, LONG_FORM, seededRandom } from "../support/random.ts";

const HEADER = "Time,FolderName,train_loss,valid_loss,train_accuracy,valid_accuracy";

/** Longer than any test waits. */
const LONG = ["--train-epochs=1000000", "--patience=1000000", "--period=1000000"];

/** Lines of `text` that a person reads, each. */
function lines(text: string): string[] {
  return text.split("\n").filter((line) => line !== "");
}

describe("fifty processes and one aescore.csv", () => {
  it("lose nothing and mix nothing, though some are killed meanwhile", async () => {
    const random = seededRandom(chosenSeed("concurrent"));
    const folder = temporaryFolder();
    const path = join(folder, "logs/aescore.csv");
    const go = join(folder, "go");
    const script = join(folder, "append.mjs");
    const ROWS = LONG_FORM ? 200 : 12;
    writeFileSync(
      script,
      `import { existsSync } from "node:fs";
       import { setTimeout } from "node:timers/promises";
       const { appendScore } = await import(${JSON.stringify(join(root, "dist/runs/tables.js"))});
       const [name, rows] = process.argv.slice(2);
       console.log("ready");
       while (!existsSync(${JSON.stringify(go)})) await setTimeout(2);
       for (let i = 0; i < Number(rows); i++) {
         const scores = { loss: i, accuracy: 0.5 };
         const row = { time: new Date(), folder: name + "_" + i, train: scores, valid: scores };
         await appendScore(${JSON.stringify(path)}, row);
         console.log("wrote " + i);
       }`,
    );
    const writers = Array.from({ length: 50 }, (_, i) => {
      // Some go on until they are killed: a random while after a random row.
      const killAt = i % 10 === 0 ? Math.floor(random() * ROWS) : null;
      const rows = killAt === null ? ROWS : 1e9;
      return { name: `p${i}`, killAt, ...start([script, `p${i}`, String(rows)]) };
    });
    await Promise.all(writers.map(({ seen }) => seen(/ready/)));
    writeFileSync(go, "");
    const ends = await Promise.all(
      writers.map(async ({ killAt, child, ended, seen }) => {
        if (killAt !== null) {
          await seen(new RegExp(`wrote ${killAt}\n`));
          const delay = random() * 3;
          const from = performance.now();
          while (performance.now() - from < delay);
          child.kill("SIGKILL");
        }
        return await ended;
      }),
    );
    const text = readFileSync(path, "utf8");
    expect(text.endsWith("\n")).toBe(true);
    expect(text.startsWith(`${HEADER}\n`)).toBe(true);
    const rows: string[][] = parse(text, { from: 2 });
    const names = rows.map(([, name]) => name as string);
    expect(new Set(names).size).toBe(names.length);
    for (const [time, name, ...scores] of rows) {
      expect(time).toMatch(/^\d{4}-\d\d-\d\d \d\d:\d\d:\d\d$/);
      const row = name?.split("_")[1] as string;
      expect(scores).toEqual([row, row, "0.5", "0.5"]);
    }
    for (const [i, { name, killAt }] of writers.entries()) {
      const { code, stdout, stderr } = ends[i] as (typeof ends)[number];
      expect(code, stderr).toBe(killAt === null ? 0 : null);
      // Every row that its writer was told is written, in its order; of a killed writer, perhaps one more.
      const mine = names.filter((other) => other.startsWith(`${name}_`));
      const told = stdout.match(/wrote/g)?.length ?? 0;
      expect(mine).toEqual(mine.map((_, n) => `${name}_${n}`));
      expect(mine.length).toBeGreaterThanOrEqual(told);
      expect(mine.length).toBeLessThanOrEqual(told + (killAt === null ? 0 : 1));
      if (killAt === null) expect(told).toBe(ROWS);
    }
    expect(readdirSync(join(folder, "logs"))).toEqual(["aescore.csv"]);
  });

  it("wait for their turn, however long the addon took to load", async () => {
    const folder = temporaryFolder();
    const script = join(folder, "append.mjs");
    const path = join(folder, "logs/aescore.csv");
    mkdirSync(dirname(path));
    // The clock goes on by an hour while the addon is loaded.
    writeFileSync(
      script,
      `const { dlopen } = process;
       const now = performance.now.bind(performance);
       let loading = 0;
       performance.now = () => now() + loading;
       process.dlopen = (...all) => {
         loading = 3_600_000;
         console.log("loading");
         return dlopen.apply(process, all);
       };
       const { appendScore } = await import(${JSON.stringify(join(root, "dist/runs/tables.js"))});
       const row = { time: new Date(), folder: "run", train: null, valid: null };
       await appendScore(${JSON.stringify(path)}, row);`,
    );
    const lock = callAddon((addon) => addon.lockFolder(dirname(path)));
    const { seen, ended } = start([script]);
    await seen(/loading/);
    const left = await Promise.race([ended, setTimeout(3000)]);
    lock.release();
    expect(left).toBeUndefined();
    expect((await ended).code).toBe(0);
    expect(lines(readFileSync(path, "utf8"))).toHaveLength(2);
  });

  it("leave alone a file that is not theirs, and say so without failing", async () => {
    const cwd = temporaryFolder();
    mkdirSync(join(cwd, "logs"));
    writeFileSync(join(cwd, "logs/aescore.csv"), "name,score\nmine,1\n");
    const result = await flexae(smallRun("--json", "--save-dir=run"), { cwd });
    expect(result.code, result.stderr).toBe(0);
    expect(jsonLines(result.stdout).at(-1)).toMatchObject({ event: "end", stopped: "finished" });
    const [warning, ...more] = lines(result.stderr);
    expect(more).toEqual([]);
    expect(warning).toContain(
      `${join(cwd, "logs/aescore.csv")} is not this program's table of scores`,
    );
    expect(warning).toContain("move it away");
    expect(readFileSync(join(cwd, "logs/aescore.csv"), "utf8")).toBe("name,score\nmine,1\n");
    expect(readdirSync(join(cwd, "run"))).toEqual(expect.arrayContaining(["ae.pt", "en.pt"]));
  });
});

describe("one run folder", () => {
  /**
   * Starts `count` processes at once that all want to train for ever, and checks that one alone does; ends that one.
   *
   * @returns What the others said.
   */
  async function oneWins(cwd: string, count: number, args: string[]): Promise<string[]> {
    const all = Array.from({ length: count }, () => start([main, ...args, "--json"], { cwd }));
    const said: string[] = [];
    // Settles when one is left.
    await new Promise<void>((resolve, reject) => {
      for (const { ended } of all) {
        ended.then(({ code, stdout, stderr }) => {
          if (said.length === count - 1) return;
          if (code !== 2 || stdout !== "") reject(new Error(`ended with ${code}: ${stderr}`));
          if (said.push(stderr) === count - 1) resolve();
        }, reject);
      }
    });
    const [winner] = all.filter(({ child }) => child.exitCode === null);
    if (winner === undefined) throw new Error(`all of them lost: ${said.join("")}`);
    await winner.seen(/"event":"epoch"[\s\S]*"event":"epoch"/);
    winner.child.kill("SIGINT");
    const { code, stdout, stderr } = await winner.ended;
    expect(code, stderr).toBe(130);
    // Its files are whole: as many rows as it had epochs, models, the record of its end.
    const end = jsonLines(stdout).at(-1) as { runDir: string; epochs: number };
    const rows = lines(readFileSync(join(end.runDir, "metrics.csv"), "utf8"));
    expect(rows).toHaveLength(end.epochs + 1);
    expect(rows.slice(1).map((row) => Number(row.split(",")[0]))).toEqual(
      Array.from({ length: end.epochs }, (_, i) => i + 1),
    );
    const names = readdirSync(end.runDir);
    expect(names).toEqual(expect.arrayContaining(["ae.pt", "en.pt", "last.ckpt"]));
    expect(names.filter((name) => name.includes(".tmp"))).toEqual([]);
    const setting = parseYaml(readFileSync(join(end.runDir, "setting.yaml"), "utf8"));
    expect(setting.state).toBe("interrupted");
    return said;
  }

  const args = smallRun("--save-dir=run", ...LONG);

  it("goes to one of several runs that ask for it at once", async () => {
    const cwd = temporaryFolder();
    for (const said of await oneWins(cwd, 3, args)) {
      expect(lines(said).length).toBeLessThanOrEqual(2);
      expect(said).toMatch(/run (already holds files|is in use)/);
    }
  });

  it("goes to one of several that may overwrite it, and not while that trains", async () => {
    const cwd = temporaryFolder();
    const first = await flexae(smallRun("--save-dir=run", "--train-epochs=1"), { cwd });
    expect(first.code, first.stderr).toBe(0);
    writeFileSync(join(cwd, "run/notes.txt"), "mine");
    for (const said of await oneWins(cwd, 3, [...args, "--overwrite"])) {
      expect(lines(said)).toHaveLength(2);
      expect(said).toContain(`${join(cwd, "run")} is in use`);
    }
    expect(readFileSync(join(cwd, "run/notes.txt"), "utf8")).toBe("mine");
  });

  it("goes on for one of several that resume it, and for nobody while it trains", async () => {
    const cwd = temporaryFolder();
    const { child, ended, seen } = start([main, ...args, "--json"], { cwd });
    await seen(/"epoch":2,/);
    const early = await flexae(["run", "--resume=run"], { cwd });
    expect(early.code).toBe(2);
    expect(early.stderr).toContain(`${join(cwd, "run")} is in use`);
    child.kill("SIGKILL");
    await ended;
    for (const said of await oneWins(cwd, 3, ["run", "--resume=run"])) {
      expect(lines(said)).toHaveLength(2);
      expect(said).toContain(`${join(cwd, "run")} is in use`);
    }
  });
});

/** Where this machine lets a process see a folder that it cannot write to, whoever runs it. */
const READ_ONLY = [
  "unshare",
  "--map-root-user",
  "--mount",
  "sh",
  "-c",
  'mount --bind "$PWD" "$PWD" && mount -o remount,bind,ro "$PWD" && cd "$PWD" && exec "$@"',
  "sh",
];
const [probe, ...probeArguments] = READ_ONLY as [string, ...string[]];
const canBind = spawnSync(probe, [...probeArguments, "true"], { cwd: root }).status === 0;

// Needs unshare(1) and leave to make a mount namespace, which some containers do not give.
describe.skipIf(!canBind)("a current folder that is read-only", () => {
  it("is told of in one line, before anything is trained", async () => {
    const cwd = temporaryFolder();
    const { code, stdout, stderr } = await start([main, ...smallRun("--json")], {
      cwd,
      before: READ_ONLY,
    }).ended;
    expect(code, stderr).toBe(1);
    expect(stdout).toBe("");
    expect(lines(stderr)).toHaveLength(1);
    expect(stderr).toMatch(
      /^flexae: The run folder .*logs\/ae_\d+_\d+ cannot be made: the file system is read-only; .*--save-dir/,
    );
    expect(readdirSync(cwd)).toEqual([]);
  });

  it("keeps only the row of scores from a run that is saved elsewhere", async () => {
    const cwd = temporaryFolder();
    const elsewhere = join(temporaryFolder(), "run");
    const { code, stderr } = await start([main, ...smallRun("--json", `--save-dir=${elsewhere}`)], {
      cwd,
      before: READ_ONLY,
    }).ended;
    expect(code, stderr).toBe(0);
    expect(lines(stderr)).toHaveLength(1);
    expect(stderr).toContain(
      "aescore.csv cannot be written, so this run is not added to it: the file system is read-only",
    );
    expect(existsSync(join(elsewhere, "ae.pt"))).toBe(true);
  });
});
