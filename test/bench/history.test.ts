import { appendFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { appendRecord, compareWithHistory, readRecords } from "../../bench/history.mjs";
import { temporaryFolder } from "../support/cli.ts";

const machine = { cpu: "A processor", cores: 2, kernels: "avx2" };
const record = (speeds: Record<string, number>, more = {}) => ({
  machine: { ...machine, ...more },
  speeds,
});

describe("the history of speeds", () => {
  it("names what fell by more than 5 % of the median of the same machine's records", () => {
    const earlier = [
      record({ train: 100, encode: 1000 }),
      record({ train: 90, encode: 1000 }),
      record({ train: 500 }),
      // Others, which do not count.
      record({ train: 9999 }, { cores: 4 }),
      record({ train: 9999 }, { kernels: "avx512" }),
      record({ train: 9999 }, { cpu: "Another" }),
    ];
    const now = record({ train: 94, encode: 951, new: 7 });
    const [train, encode, fresh] = compareWithHistory(now, earlier);
    expect(train).toMatchObject({ name: "train", usual: 100, records: 3, fell: true });
    expect(train?.change).toBeCloseTo(-0.06);
    expect(encode).toMatchObject({ usual: 1000, records: 2, fell: false });
    expect(fresh).toMatchObject({ speed: 7, usual: null, change: null, records: 0, fell: false });
  });

  it("is read back, without what was cut off", () => {
    const file = join(temporaryFolder(), "speeds.jsonl");
    expect(readRecords(file)).toEqual([]);
    appendRecord(file, record({ train: 1 }));
    appendFileSync(file, '{"machine":{"cpu"\n');
    appendFileSync(file, "{}\n");
    appendRecord(file, record({ train: 2 }));
    expect(readRecords(file)).toEqual([record({ train: 1 }), record({ train: 2 })]);
  });
});
