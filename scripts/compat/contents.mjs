// What a run left, without what differs between two runs that are alike: times.

import { createHash } from "node:crypto";
import { readFileSync } from "node:fs";
import path from "node:path";

/** `metrics.csv` without the columns of time. */
export function scoresOf(folder) {
  return readFileSync(path.join(folder, "metrics.csv"), "utf8")
    .trimEnd()
    .split("\n")
    .map((row) => {
      const cells = row.split(",");
      return [...cells.slice(0, 9), cells.at(-1)].join(",");
    });
}

/**
 * The tensors of a checkpoint, hashed: its metadata and its history hold times.
 * @returns {Record<string, string>}
 */
export function tensorsOf(file) {
  const bytes = readFileSync(file);
  const length = Number(bytes.readBigUInt64LE(0));
  const header = JSON.parse(bytes.subarray(8, 8 + length).toString("utf8"));
  const tensors = {};
  for (const [name, entry] of Object.entries(header)) {
    if (name === "__metadata__" || name === "history") continue;
    const [begin, end] = entry.data_offsets;
    const data = bytes.subarray(8 + length + begin, 8 + length + end);
    tensors[name] = createHash("sha256").update(data).digest("hex");
  }
  return tensors;
}
