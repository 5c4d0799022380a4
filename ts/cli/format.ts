/** Numbers and tables for people. */
import type { Scores, Summary } from "../addon/types.js";
import { bytes, scaled } from "../files/size_text.js";
import { grouped } from "../report/format.js";

export { bytes, grouped, scaled };

/** Seconds: 3725 → `1h02m05s`. */
export function duration(seconds: number): string {
  if (!Number.isFinite(seconds)) return "?";
  if (seconds < 10) return `${seconds.toFixed(1)}s`;
  const whole = Math.round(seconds);
  const two = (n: number) => String(n).padStart(2, "0");
  const [h, m, s] = [Math.floor(whole / 3600), Math.floor((whole % 3600) / 60), whole % 60];
  if (h > 0) return `${h}h${two(m)}m${two(s)}s`;
  return m > 0 ? `${m}m${two(s)}s` : `${s}s`;
}

/** Images a second. */
export function rate(value: number): string {
  return value >= 100 ? grouped(value) : value.toFixed(1);
}

/** A table with columns as wide as their widest cell; those named in `right` are right-aligned. */
export function table(rows: readonly string[][], right: readonly number[] = []): string[] {
  const widths: number[] = [];
  for (const row of rows) {
    for (const [i, text] of row.entries()) widths[i] = Math.max(widths[i] ?? 0, text.length);
  }
  return rows.map((row) =>
    row
      .map((text, i) =>
        right.includes(i) ? text.padStart(widths[i] as number) : text.padEnd(widths[i] as number),
      )
      .join("  ")
      .trimEnd(),
  );
}

/** The summary of a network, as Keras shows it. */
export function summaryLines(summary: Summary, batchSize: number): string[] {
  const rows = [["Layer", "Type", "Output shape", "Parameters"]];
  for (const layer of summary.layers) {
    rows.push([
      layer.name,
      layer.type,
      `(${layer.outputShape.join(", ")})`,
      grouped(layer.parameters),
    ]);
  }
  const lines = table(rows, [3]);
  const rule = "─".repeat(Math.max(...lines.map((line) => line.length)));
  const { parameters, encoder } = summary;
  return [
    lines[0] as string,
    rule,
    ...lines.slice(1),
    rule,
    `Input              (${summary.inputShape.join(", ")})`,
    `Embedding          (${encoder.outputShape.join(", ")})`,
    `Parameters         ${grouped(parameters.total)} (${grouped(parameters.trainable)} trainable, ${grouped(parameters.nonTrainable)} not), encoder ${grouped(encoder.parameters)}`,
    `Multiply-adds      ${scaled(summary.macs)} an image`,
    `Training memory    about ${bytes(summary.trainingBytes)} at batch size ${batchSize}`,
  ];
}

/** The line of the layers that have no fast path; none if all have one. A training warns of them. */
export function slowLines(summary: Summary): string[] {
  const slow = summary.layers.filter((layer) => !layer.fastPath).map((layer) => layer.name);
  return slow.length > 0 ? [`No fast path       ${slow.join(", ")}`] : [];
}

function number(value: number, digits: number): string {
  return Number.isFinite(value) ? value.toFixed(digits) : String(value);
}

/** One line of scores. */
export function scoreText(scores: Scores): string {
  return `loss ${number(scores.loss, 5)}  accuracy ${number(scores.accuracy, 4)}  mse ${number(scores.mse, 5)}  psnr ${number(scores.psnr, 2)} dB`;
}
