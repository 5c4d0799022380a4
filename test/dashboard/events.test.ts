import {
  appendFileSync,
  mkdirSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { COLUMN_NAMES, drawnEpochs, RunEvents } from "../../ts/dashboard/events.ts";
import { type Line, Tail } from "../../ts/dashboard/tail.ts";
import { AppendedLines } from "../../ts/files/appended.ts";
import { temporaryFolder } from "../support/cli.ts";
import { chosenSeed, seededRandom } from "../support/random.ts";

const line = (event: string, rest: object = {}) => JSON.stringify({ time: 1, event, ...rest });
const epoch = (number: number, loss: number, best = false) =>
  line("epoch", { epoch: number, best, train: { loss }, valid: { loss: loss + 1 }, seconds: 2 });

describe("the events of a run", () => {
  it("are those of its last beginning, after the epochs that it keeps", () => {
    const events = new RunEvents();
    events.take(line("start", { epochs: 9, epochsDone: 0, device: "cpu", threads: 2 }));
    for (let i = 1; i <= 5; i++) events.take(epoch(i, 1 / i, true));
    const before = events.generation;
    events.take(line("start", { epochs: 12, epochsDone: 3, device: "cpu", threads: 1 }));
    expect(events.epochs.map((one) => one.epoch)).toEqual([1, 2, 3]);
    expect(events.generation).not.toBe(before);
    expect(events.start).toMatchObject({ epochs: 12, device: "CPU, 1 thread" });
    // After numbers that were not finite, epochs come again.
    events.take(epoch(4, 0.2));
    events.take(epoch(3, 0.9));
    expect(events.epochs.map((one) => one.epoch)).toEqual([1, 2, 3]);
    expect(events.epochs[2]?.values[COLUMN_NAMES.indexOf("loss")]).toBe(0.9);
    expect(events.epochs[2]?.values[COLUMN_NAMES.indexOf("val_loss")]).toBe(1.9);
    expect(events.epochs[2]?.values[COLUMN_NAMES.indexOf("mse")]).toBeNaN();
  });

  it("are not believed blindly", () => {
    const events = new RunEvents();
    const nonsense = [
      "",
      "{",
      "null",
      "[]",
      "7",
      '"start"',
      "{}",
      line("start", { epochs: "many", device: 7, host: {} }),
      line("batch", { epoch: "1", load: "high" }),
      line("batch", { load: { cores: "2" } }),
      line("epoch", { epoch: -1 }),
      line("epoch", { epoch: 1e99 }),
      line("epoch", { epoch: 2, train: "none" }),
      line("warning", { message: { toString: 1 } }),
      '{"event":"__proto__","time":1}',
      '{"event":"constructor"}',
    ];
    for (const text of nonsense) events.take(text);
    expect(events.loads).toEqual([]);
    expect(JSON.parse(JSON.stringify(drawnEpochs(events.epochs, "k"))).epoch).toEqual([2]);
    for (let i = 0; i < 1000; i++) {
      events.take(line("warning", { message: `${i}` }));
      events.take(line("batch", { load: { cores: 1, machine: 1, memory: 1, free: 1 } }));
    }
    expect(events.warnings).toHaveLength(100);
    expect(events.warnings.at(-1)?.message).toBe("999");
    expect(events.loads.length).toBeLessThanOrEqual(300);
  });

  it("of very many epochs are drawn in part, never without the best and the last", () => {
    const events = new RunEvents();
    for (let i = 1; i <= 12_345; i++) events.take(epoch(i, i, i === 7_001));
    const { epoch: drawn, columns } = drawnEpochs(events.epochs, "k");
    expect(drawn.length).toBeLessThan(1100);
    expect(drawn).toContain(7001);
    expect(drawn.at(-1)).toBe(12_345);
    expect(drawn).toEqual([...drawn].sort((a, b) => a - b));
    expect(columns.loss).toEqual(drawn);
  });
});

describe("a file that grows", () => {
  it("is read line by line, however it is written", async () => {
    const random = seededRandom(chosenSeed("a file that grows"));
    const path = join(temporaryFolder(), "events.jsonl");
    const tail = new Tail(path);
    const seen: Line[] = [];
    const read = () =>
      tail.read(
        (one) => seen.push(one),
        () => {
          seen.length = 0;
        },
      );
    await read();
    const text = Array.from({ length: 300 }, (_, i) => `${i} ${"ü".repeat(random() * 200)}`);
    const bytes = Buffer.from(`${text.join("\n")}\n`);
    for (let at = 0; at < bytes.length; ) {
      const end = at + 1 + Math.floor(random() * 900);
      appendFileSync(path, bytes.subarray(at, end));
      at = end;
      await read();
    }
    expect(seen.map((one) => one.text)).toEqual(text);
    for (const one of seen) {
      expect(bytes.toString("utf8", one.at, one.at + one.length)).toBe(one.text);
    }
    // Cut, replaced, gone.
    writeFileSync(path, "new\n");
    await read();
    expect(seen.map((one) => one.text)).toEqual(["new"]);
    rmSync(path);
    await read();
    expect(seen).toEqual([]);
    mkdirSync(path);
    await read();
    rmSync(path, { recursive: true });
    const secret = join(temporaryFolder(), "secret");
    writeFileSync(secret, "secret\n");
    symlinkSync(secret, path);
    await read();
    expect(seen).toEqual([]);
  });

  it("passes over a line that is none of ours, in bounded memory", async () => {
    const path = join(temporaryFolder(), "events.jsonl");
    writeFileSync(path, `one\n${"x".repeat(40 << 20)}\ntwo\n`);
    const seen: string[] = [];
    await new Tail(path).read(
      ({ text }) => seen.push(text),
      () => {},
    );
    expect(seen).toEqual(["one", "two"]);
  });

  it("is begun with a line of its own after one that was cut short", async () => {
    const path = join(temporaryFolder(), "events.jsonl");
    const failures: unknown[] = [];
    writeFileSync(path, '{"a":1}\n{"b":');
    const lines = new AppendedLines(path, (error) => failures.push(error));
    for (let i = 0; i < 100; i++) lines.add(`${i}`);
    await lines.close();
    lines.add("too late");
    const expected = Array.from({ length: 100 }, (_, i) => `${i}\n`).join("");
    expect(readFileSync(path, "utf8")).toBe(`{"a":1}\n{"b":\n${expected}`);
    expect(failures).toEqual([]);
    const nowhere = new AppendedLines(join(path, "none"), (error) => failures.push(error));
    nowhere.add("1");
    await nowhere.close();
    nowhere.add("2");
    expect(failures).toHaveLength(1);
  });
});
