/** `flexae outliers RUN SET...`: which images are unlike what the run was trained on. */
import { join, relative, resolve } from "node:path";
import type { OutlierSheetOptions } from "../../embeddings/outlier_sheet.js";
import type { Outliers } from "../../embeddings/outliers.js";
import { shownPath } from "../../files/paths.js";
import type { CommandDescription } from "../command.js";
import { duration, grouped, table } from "../format.js";
import { interruptible } from "../interrupt.js";
import { type Invocation, optionText } from "../invocation.js";
import { print, printJson, warn } from "../output.js";
import { optionCount, optionNumber } from "../own_options.js";
import { invokedSettings } from "../settings.js";
import { stepLine } from "../step_line.js";

/** How many outliers, and how many bad images, are named to a person. */
const SHOWN = 10;
/** Images of a sheet: a larger picture opens hardly anywhere. */
const LARGEST_SHEET = 1000;

/** The table is safe on disk by now: what goes wrong here is said, not thrown. */
async function drawSheet(
  out: string,
  found: Outliers,
  options: OutlierSheetOptions,
): Promise<{ sheet: string | null; warning: string | null }> {
  const { translateError } = await import("../../addon/errors.js");
  const { writeOutlierSheet } = await import("../../embeddings/outlier_sheet.js");
  try {
    const { sheet, images, unreadable } = await writeOutlierSheet(out, found, options);
    const warning = `${grouped(unreadable)} of the ${grouped(images)} images on the contact sheet cannot be read any more: their places are grey`;
    return { sheet, warning: unreadable > 0 ? warning : null };
  } catch (error) {
    if (options.signal?.aborted) throw error;
    const { message } = translateError(error);
    return { sheet: null, warning: `The contact sheet could not be made: ${message}` };
  }
}

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
  const { configError } = await import("../../addon/errors.js");
  const { checkOutliersName, writeOutliers } = await import("../../embeddings/outlier_files.js");
  const { outliers } = await import("../../embeddings/outliers.js");
  const { argument, more, options, json } = invocation;
  const out = optionText(invocation, "out") ?? "outliers.csv";
  checkOutliersName(out);
  const nNeighbors = optionCount(invocation, "nNeighbors");
  const images = optionNumber(invocation, "sheetSize", {
    least: 1,
    most: LARGEST_SHEET,
    integer: true,
  });
  const drawn = options.sheets !== false;
  if (!drawn && images !== undefined) {
    throw configError("--sheet-size means nothing with --no-sheets: leave one of them out");
  }
  const settings = await invokedSettings(invocation);
  const how = {
    device: settings.device,
    precision: settings.precision,
    maxPixels: settings.max_pixels,
    trust: options.trust === true,
  };
  const line = stepLine(json);
  const began = performance.now();
  let bad = 0;
  const ended = await interruptible(async (signal) => {
    const found = await outliers(argument, {
      ...how,
      sets: more,
      nNeighbors,
      batchSize: settings.batch_size,
      workers: settings.workers,
      signal,
      onProgress: (step, share) => line?.update(step, share),
      onBad: (file, reason) => {
        bad += 1;
        if (json) printJson({ event: "bad", file: shownPath(file), reason });
        else if (bad <= SHOWN) {
          line?.clear();
          warn(`left out ${shownPath(file)}: ${reason}`);
        }
      },
    });
    signal.throwIfAborted();
    await writeOutliers(out, found);
    const picture = drawn
      ? await drawSheet(out, found, {
          ...how,
          images,
          signal,
          onProgress: (share) => line?.update("contact sheet", share),
        })
      : { sheet: null, warning: null };
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
  if (bad > SHOWN) warn(`left out ${grouped(bad - SHOWN)} more images: --json names all`);
  const name = (path: string) => shownPath(relative(process.cwd(), resolve(path)));
  const left = found.bad > 0 ? `, ${grouped(found.bad)} left out` : "";
  print(
    `${name(out)}: ${grouped(found.paths.length)} images${left}, ${grouped(found.outliers)} of them outliers (score above ${found.threshold}), ${duration(seconds)}`,
  );
  if (sheet !== null) print(`contact sheet ${name(sheet)}`);
  for (const text of lines(found)) print(text);
  return 0;
}

export const outliers: CommandDescription = {
  name: "outliers",
  description: "find images that are unlike what a run was trained on",
  argument: ["<run>", "a run folder, `last` for the newest in logs/, or an ae.pt"],
  more: ["<set...>", "folders of images: one folder a class, or flat folders"],
  options: [
    [
      "-o, --out <file>",
      "all images with loss, neighbour distance and score, the most unusual first; .csv or .parquet (outliers.csv)",
    ],
    ["--n-neighbors <n>", "training images whose mean distance counts (10)"],
    ["--sheet-size <n>", "images shown in the .png beside it, the most unusual first (50)"],
    ["--no-sheets", "draw no contact sheet"],
    ["--trust", "take a model that this program did not write, and run what is in it"],
  ],
  takes: ["device", "precision", "batch_size", "workers", "max_pixels"],
  run: search,
};
