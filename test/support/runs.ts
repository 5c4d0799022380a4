/** What runs leave, to be compared. */
import { createHash } from "node:crypto";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { expect } from "vitest";

/** `metrics.csv` without the columns of time. */
export function scoresOf(folder: string): string[] {
  return readFileSync(join(folder, "metrics.csv"), "utf8")
    .trimEnd()
    .split("\n")
    .map((row) => {
      const cells = row.split(",");
      return [...cells.slice(0, 9), cells.at(-1)].join(",");
    });
}

function digest(path: string): string {
  return createHash("sha256").update(readFileSync(path)).digest("hex");
}

/** The tensors of a checkpoint, hashed: its metadata and its history hold times. */
export function tensorsOf(path: string): Record<string, string> {
  const bytes = readFileSync(path);
  const length = Number(bytes.readBigUInt64LE(0));
  const header = JSON.parse(bytes.subarray(8, 8 + length).toString("utf8")) as Record<
    string,
    { data_offsets: [number, number] }
  >;
  const tensors: Record<string, string> = {};
  for (const [name, entry] of Object.entries(header)) {
    if (name === "__metadata__" || name === "history") continue;
    const [begin, end] = entry.data_offsets;
    const data = bytes.subarray(8 + length + begin, 8 + length + end);
    tensors[name] = createHash("sha256").update(data).digest("hex");
  }
  return tensors;
}

/** Bit for bit: models, the state of the training, and every epoch's scores once. */
export function expectSameRun(folder: string, whole: string): void {
  expect(scoresOf(folder)).toEqual(scoresOf(whole));
  expect(tensorsOf(join(folder, "last.ckpt"))).toEqual(tensorsOf(join(whole, "last.ckpt")));
  expect(tensorsOf(join(folder, "best.ckpt"))).toEqual(tensorsOf(join(whole, "best.ckpt")));
  for (const model of ["ae.pt", "en.pt"]) {
    expect(digest(join(folder, model)), model).toBe(digest(join(whole, model)));
  }
}
