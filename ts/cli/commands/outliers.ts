/** `flexae outliers RUN SET...`: which images are unlike what the run was trained on. */
import { join, resolve } from "node:path";
import type { Outliers } from "../../embeddings/outliers.js";
import { shownPath } from "../../files/paths.js";
import { BadImages } from "../bad_images.js";
import type { CommandDescription } from "../command.js";
import { drawSheets, NO_SHEETS, sheetOptions, sheetWish } from "../contact_sheets.js";
import { duration, grouped, table } from "../format.js";
import { interruptible } from "../interrupt.js";
import { type Invocation, optionText } from "../invocation.js";
import { nameFromHere, print, printJson, warn } from "../output.js";
import { optionCount } from "../own_options.js";
import { invokedSettings } from "../settings.js";
import { stepLine } from "../step_line.js";

/** How many outliers are named to a person. */
const SHOWN = 10;

/** The most unusual images with their numbers. */
function lines(found: Outliers): string[] {
  const number = (value: number | undefined) => Number(value).toFixed(4);
  const rows = found.paths
    .slice(0, SHOWN)
    .map((path, i) => [
      Number(found.scores[i]).toFixed(1),
      number(found.losses[i]),
      number(found.neighbourDistances[i]),
      shownPath(join(found.sets[i] as string, path)),
    ]);
  return table([["score", "loss", "neighbour distance", "image"], ...rows], [0, 1, 2]);
}

async function search(invocation: Invocation): Promise<number> {
  const { checkOutliersName, writeOutliers } = await import("../../embeddings/outlier_files.js");
  const { writeOutlierSheet } = await import("../../embeddings/outlier_sheet.js");
  const { outliers } = await import("../../embeddings/outliers.js");
  const { argument, more, options, json } = invocation;
  const out = optionText(invocation, "out") ?? "outliers.csv";
  checkOutliersName(out);
  const nNeighbors = optionCount(invocation, "nNeighbors");
  const { drawn, images } = sheetWish(invocation);
  const settings = await invokedSettings(invocation);
  const how = {
    device: settings.device,
    precision: settings.precision,
    maxPixels: settings.max_pixels,
    trust: options.trust === true,
  };
  const line = stepLine(json);
  const began = performance.now();
  const bad = new BadImages(json, line);
  const ended = await interruptible(async (signal) => {
    const found = await outliers(argument, {
      ...how,
      sets: more,
      nNeighbors,
      batchSize: settings.batch_size,
      workers: settings.workers,
      signal,
      onProgress: (step, share) => line?.update(step, share),
      onListing: (listing) => line?.listing(listing),
      onBad: (file, reason) => bad.add(file, reason),
    });
    signal.throwIfAborted();
    await writeOutliers(out, found);
    const drawing = {
      ...how,
      images,
      signal,
      onProgress: (share: number) => line?.update("contact sheet", share),
    };
    const picture = drawn
      ? await drawSheets(() => writeOutlierSheet(out, found, drawing), signal)
      : NO_SHEETS;
    return { found, ...picture };
  }).finally(() => line?.clear());
  if ("exitCode" in ended) return ended.exitCode;
  const { found, sheet, warning } = ended.result;
  for (const message of found.warnings) warn(message);
  if (warning !== null) warn(warning);
  const seconds = (performance.now() - began) / 1000;
  if (json) {
    printJson({
      event: "end",
      out: resolve(out),
      sheet: sheet === null ? null : resolve(sheet),
      images: found.paths.length,
      bad: found.bad,
      outliers: found.outliers,
      threshold: found.threshold,
      reference: found.reference,
      seconds,
    });
    return 0;
  }
  bad.end();
  const left = found.bad > 0 ? `, ${grouped(found.bad)} left out` : "";
  print(
    `${nameFromHere(out)}: ${grouped(found.paths.length)} images${left}, ${grouped(found.outliers)} of them outliers (score above ${found.threshold}), ${duration(seconds)}`,
  );
  if (sheet !== null) print(`contact sheet ${nameFromHere(sheet)}`);
  for (const text of lines(found)) print(text);
  return 0;
}

export const outliers: CommandDescription = {
  name: "outliers",
  description: "find images that are unlike what a run was trained on",
  argument: ["<run>", "a run folder, `last` for the newest in logs/, or an ae.pt"],
  more: [
    "<set...>",
    "sets of images: folders, one a class or flat, lists of files, or containers such as tar shards",
  ],
  options: [
    [
      "-o, --out <file>",
      "all images with loss, neighbour distance and score, the most unusual first; .csv or .parquet (outliers.csv)",
    ],
    ["--n-neighbors <n>", "training images whose mean distance counts (10)"],
    ...sheetOptions("images shown in the .png beside it, the most unusual first (50)"),
    ["--trust", "take a model that this program did not write, and run what is in it"],
  ],
  takes: ["device", "precision", "batch_size", "workers", "max_pixels"],
  run: search,
};
