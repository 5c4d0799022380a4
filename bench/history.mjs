// Speeds of this machine over time: a file of JSON Lines, one record a line.

import { appendFileSync, existsSync, readFileSync } from "node:fs";
import { quantile } from "./peers/statistics.mjs";

/** What is slower by more than this share of the usual is named. */
export const NOTABLE = 0.05;

/**
 * @typedef {{ cpu: string, cores: number, kernels: string }} Machine
 * @typedef {{ machine: Machine, speeds: Record<string, number> }} SpeedRecord it says more, such as
 *   when it was made; speeds are images a second, by what was timed
 */

/** All records of a file; none if there is none. A line that was cut off is left out. */
export function readRecords(file) {
  if (!existsSync(file)) return [];
  const parsed = readFileSync(file, "utf8")
    .split("\n")
    .map((line) => {
      try {
        return JSON.parse(line);
      } catch {
        return null;
      }
    });
  return parsed.filter((record) => record?.machine !== undefined && record.speeds !== undefined);
}

/** Appends a record, in one write: others may append at the same time. */
export function appendRecord(file, record) {
  appendFileSync(file, `${JSON.stringify(record)}\n`);
}

const sameMachine = (a, b) => a.cpu === b.cpu && a.cores === b.cores && a.kernels === b.kernels;

/**
 * Each speed beside the median of earlier records of the same machine.
 * @returns {{ name: string, speed: number, usual: number | null, change: number | null,
 *   records: number, fell: boolean }[]} `change` is a share: -0.1 is a tenth slower
 */
export function compareWithHistory(record, earlier) {
  const own = earlier.filter(({ machine }) => sameMachine(machine, record.machine));
  return Object.entries(record.speeds).map(([name, speed]) => {
    const speeds = own.map((one) => one.speeds[name]).filter((value) => value > 0);
    const usual = speeds.length > 0 ? quantile(speeds, 0.5) : null;
    const change = usual === null ? null : speed / usual - 1;
    const fell = change !== null && change < -NOTABLE;
    return { name, speed, usual, change, records: speeds.length, fell };
  });
}
