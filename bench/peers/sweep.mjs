// What is made of a sweep's samples: a row each network, sorted by how far this program is ahead,
// with the share of the processor's peak that each of the two reaches.

import { spawnSync } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { fileURLToPath } from "node:url";
import { root } from "../../scripts/setup/paths.mjs";
import { SetupError } from "../../scripts/setup/steps.mjs";
import { fastest, quantile } from "./statistics.mjs";
import { digits, showTable } from "./table.mjs";

/**
 * What a core multiplies and adds at most: 10⁹ operations a second in each precision, a
 * multiplication and an addition being two.
 *
 * @returns {{ fp32: number, bf16: number }} bf16 is 0 where the processor has no such products.
 */
export function measurePeak() {
  const folder = mkdtempSync(path.join(tmpdir(), "flexae-peak-"));
  try {
    const program = path.join(folder, "peak");
    const source = fileURLToPath(new URL("peak.cpp", import.meta.url));
    const flags = ["-O3", "-march=native", "-ffp-contract=fast", "-std=c++20"];
    flags.push("-I", path.join(root, "native"));
    const run = (command, args) => {
      const { status, stdout, stderr, error } = spawnSync(command, args, { encoding: "utf8" });
      if (status !== 0) throw new SetupError(error?.message ?? stderr);
      return stdout;
    };
    run(process.env.CXX ?? "c++", [...flags, source, "-o", program]);
    const [fp32, bf16] = run(program, []).trim().split(" ").map(Number);
    return { fp32, bf16 };
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

/**
 * Operations of a training step for one image, as a direct convolution needs them: forward, and
 * backward for weights and inputs, of which the first layer's input needs none.
 */
export function trainingOperations({ macs, layers }) {
  const first = layers.find((layer) => layer.macs > 0)?.macs ?? 0;
  return 2 * (3 * macs - first);
}

/** This program and PyTorch's faster layout, of the compared lines of one clock. */
function against(lines) {
  const ours = lines.find(({ ratio }) => ratio === null);
  return { ours, peer: fastest(lines) };
}

/** The rows of a precision, the least lead by the first clock first; `peak` in 10⁹ operations a second. */
export function sweepRows(networks, precision, clocks, peak) {
  const rows = networks.flatMap(({ name, title, operations, training }) => {
    const found = training.find((entry) => entry.precision === precision);
    const all = clocks.map((clock) => against(found?.[clock] ?? []));
    if (all.some(({ peer }) => peer === undefined)) return [];
    const share = (line) => (line.imagesPerSecond.median * operations) / (peak * 1e9);
    const shares = all.map(({ ours, peer }) => ({ ours: share(ours), peer: share(peer) }));
    return [{ name, title, clocks: all, shares }];
  });
  return rows.sort((a, b) => a.clocks[0].peer.ratio.median - b.clocks[0].peer.ratio.median);
}

const times = (value) => `${value.toFixed(2)}×`;
const percent = (value) => `${(100 * value).toFixed(0)} %`;
const layout = (line) => (line.name.includes("channels_last") ? "last" : "nchw");

export function showSweep(networks, { precisions, clocks, threads }, peak) {
  const heads = { cpu: "one thread", wall: "all threads" };
  // By processor time one core, by the clock all of them.
  const cores = { cpu: 1, wall: threads };
  for (const precision of precisions) {
    const rows = sweepRows(networks, precision, clocks, peak[precision]);
    if (rows.length === 0) continue;
    const head = (clock) => [
      `${heads[clock]}: ours`,
      "PyTorch",
      "",
      "ours is",
      "(spread)",
      "of peak",
      "PyTorch",
    ];
    const table = [["images/s", ...clocks.flatMap(head)]];
    for (const row of rows) {
      const cells = row.clocks.flatMap(({ ours, peer }, i) => [
        digits(ours.imagesPerSecond.median),
        digits(peer.imagesPerSecond.median),
        layout(peer),
        times(peer.ratio.median),
        `${peer.ratio.min.toFixed(2)}–${peer.ratio.max.toFixed(2)}`,
        percent(row.shares[i].ours / cores[clocks[i]]),
        percent(row.shares[i].peer / cores[clocks[i]]),
      ]);
      table.push([row.name, ...cells]);
    }
    showTable(
      `training, ${precision}, against PyTorch's faster layout; a core's peak is ${peak[precision].toFixed(0)} GFLOP/s`,
      table,
    );
    const medians = clocks.map((clock, i) => {
      const leads = rows.map((row) => row.clocks[i].peer.ratio.median);
      return `${times(quantile(leads, 0.5))} with ${heads[clock]}`;
    });
    process.stdout.write(`  median lead: ${medians.join(", ")}\n\n`);
  }
}
