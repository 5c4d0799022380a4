/** Kills `flexae embed` with SIGKILL, starts it again, and compares with one that nobody killed. */
import { linkSync, mkdirSync, readdirSync } from "node:fs";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { afterAll, beforeAll, describe, expect, inject, it } from "vitest";
import { type EmbeddingTable, readTable } from "../../ts/index.ts";
import { flexae, jsonLines, main, start, temporaryFolder, trainedRun } from "../support/cli.ts";
import { buildFaultLibrary, callsIn, type FaultLibrary } from "../support/faults.ts";
import { chosenSeed, LONG_FORM, seededRandom } from "../support/random.ts";

const trained = trainedRun("--train-epochs=1");

/** Rows that a part of a folder holds. */
const PART_ROWS = 65_536;

function embedding(run: string, set: string, out: string): string[] {
  return ["embed", run, set, "-o", out, "--json", "--precision=fp32"];
}

/** The same rows, in any order. */
function expectSameRows(one: EmbeddingTable, two: EmbeddingTable): void {
  const lines = ({ paths, embeddings, dims }: EmbeddingTable) =>
    paths.map((path, i) => `${path} ${embeddings.slice(i * dims, (i + 1) * dims)}`).sort();
  expect(lines(one)).toEqual(lines(two));
}

describe("a table whose writing is killed", () => {
  let faults: FaultLibrary;
  beforeAll(() => {
    faults = buildFaultLibrary();
  });
  afterAll(() => faults.remove());

  it.each(["table.parquet", "table.npy", "table"])(
    "at each step, is whole when it is written again: %s",
    async (name) => {
      const [run, set] = [trained(), join(inject("digits"), "train")];
      const cwd = temporaryFolder();
      const log = join(cwd, "calls.log");
      const into = (folder: string) => {
        mkdirSync(join(cwd, folder));
        return join(cwd, folder, name);
      };
      const whole = into("whole");
      const env = faults.environment(join(cwd, "whole"), "none", 0, log);
      const first = await flexae(embedding(run, set, whole), { cwd, env });
      expect(first.code, first.stderr).toBe(0);
      const expected = await readTable(whole);
      const calls = callsIn(log);
      expect(calls.length).toBeGreaterThan(3);
      const seed = chosenSeed(`kills at each step of ${name}`);
      for (const [i, call] of calls.entries()) {
        if (!LONG_FORM && (i + seed) % 3 !== 0) continue;
        const folder = `at_${i + 1}`;
        const out = into(folder);
        const fault = faults.environment(join(cwd, folder), "kill", i + 1);
        const killed = await flexae(embedding(run, set, out), { cwd, env: fault });
        expect(killed.signal, `call ${i + 1}: ${call}`).toBe("SIGKILL");
        const again = await flexae(embedding(run, set, out), { cwd });
        // Killed behind its last step, a folder is finished.
        if (again.code !== 0) expect(again.stderr).toMatch(/holds a finished table already/);
        expectSameRows(await readTable(out), expected);
        const names = readdirSync(join(cwd, folder), { recursive: true }) as string[];
        expect(names.filter((left) => left.endsWith(".tmp"))).toEqual([]);
      }
    },
    300_000,
  );

  it("at random instants, again and again, keeps the parts that were whole", async () => {
    const random = seededRandom(chosenSeed("kills of a table"));
    const run = trained();
    const cwd = temporaryFolder();
    const digits = join(inject("digits"), "train");
    const files = (readdirSync(digits, { recursive: true }) as string[]).filter((name) =>
      name.endsWith(".png"),
    );
    mkdirSync(join(cwd, "set"));
    const count = PART_ROWS * 2 + 1000;
    for (let i = 0; i < count; i++) {
      linkSync(join(digits, files[i % files.length] as string), join(cwd, "set", `${i}.png`));
    }
    let kept = 0;
    let kills = 0;
    for (; kills < (LONG_FORM ? 30 : 6); kills++) {
      const { child, ended } = start([main, ...embedding(run, "set", "out")], { cwd });
      const timer = sleep(1000 + random() * 6000).then(() => child.kill("SIGKILL"));
      const { code, signal, stderr } = await ended;
      await timer;
      if (signal !== "SIGKILL") {
        // Killed in its last moments, the one before had left all of it.
        if (kills === 0 || !/holds a finished table already/.test(stderr)) {
          expect(code, stderr).toBe(0);
        }
        break;
      }
    }
    if (kills > 0) {
      const { code, stdout, stderr } = await flexae(embedding(run, "set", "out"), { cwd });
      if (code === 0) {
        const end = jsonLines(stdout).at(-1) as { images: number; kept: number };
        kept = end.kept;
        expect(end.images + end.kept).toBe(count);
        expect(end.kept % PART_ROWS).toBe(0);
      } else {
        expect(stderr).toMatch(/holds a finished table already/);
      }
    }
    process.stdout.write(`killed ${kills} times, ${kept} rows kept\n`);
    const table = await readTable(join(cwd, "out"));
    expect(new Set(table.paths).size).toBe(count);
    expect(table.paths).toHaveLength(count);
    // Each digit was embedded hundreds of times, always alike.
    const { embeddings, dims, paths } = table;
    const first = new Map<number, string>();
    for (let row = 0; row < count; row += 997) {
      const digit = Number((paths[row] as string).replace(".png", "")) % files.length;
      const numbers = embeddings.slice(row * dims, (row + 1) * dims).join();
      expect(numbers, `row ${row}`).toBe(first.get(digit) ?? numbers);
      first.set(digit, numbers);
    }
    expect(readdirSync(join(cwd, "out")).filter((name) => name.endsWith(".tmp"))).toEqual([]);
  }, 600_000);
});
