/** What runs leave, to be compared. */
import { createHash } from "node:crypto";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { expect } from "vitest";
import { scoresOf, tensorsOf } from "../../scripts/compat/contents.mjs";

export { scoresOf, tensorsOf };

function digest(path: string): string {
  return createHash("sha256").update(readFileSync(path)).digest("hex");
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
