/** `flexae similar TABLE IMAGE...`: which images are like these. */
import { extname, resolve } from "node:path";
import type { Similar } from "../../embeddings/similar.js";
import { beside, shownPath } from "../../files/paths.js";
import type { CommandDescription } from "../command.js";
import { drawSheets, NO_SHEETS, sheetWish } from "../contact_sheets.js";
import { table as columns, duration, grouped } from "../format.js";
import { interruptible } from "../interrupt.js";
import { type Invocation, optionText } from "../invocation.js";
import { nameFromHere, print, printJson, warn } from "../output.js";
import { optionChoice, optionCount } from "../own_options.js";
import { invokedSettings } from "../settings.js";
import { stepLine } from "../step_line.js";

/** Images, and matches of each, that a person is told of. */
const SHOWN_IMAGES = 3;
const SHOWN_MATCHES = 10;

function show(found: readonly Similar[]): void {
  for (const { image, row, matches } of found.slice(0, SHOWN_IMAGES)) {
    print(`${shownPath(image)}${row === null ? "" : ` (row ${grouped(row + 1)} of the table)`}`);
    const lines = matches
      .slice(0, SHOWN_MATCHES)
      .map(({ distance, path, class: ofClass }) => [
        `  ${distance.toPrecision(4)}`,
        shownPath(path),
        ofClass ?? "",
      ]);
    for (const line of columns(lines, [0])) print(line);
  }
}

async function look(invocation: Invocation): Promise<number> {
  const { configError } = await import("../../addon/errors.js");
  const { similar } = await import("../../embeddings/similar.js");
  const files = await import("../../embeddings/similar_files.js");
  const { tableOf } = await import("../../embeddings/run_table.js");
  const { argument, more, json } = invocation;
  const text = (name: string) => optionText(invocation, name);
  const out = text("out") ?? "similar.csv";
  if (extname(out).toLowerCase() !== ".csv") {
    throw configError(`Expected a name that ends in .csv for out but received ${out}`);
  }
  const settings = await invokedSettings(invocation);
  const how = {
    n: optionCount(invocation, "number"),
    metric: optionChoice(invocation, "metric", ["euclidean", "cosine"]),
    search: optionChoice(invocation, "search", ["auto", "exact", "index"]),
    model: text("model"),
    device: settings.device,
    maxPixels: settings.max_pixels,
  };
  const { drawn: wanted } = sheetWish(invocation);
  const sheet = beside(out, ".png");
  const line = stepLine(json);
  const began = performance.now();
  const ended = await interruptible(async (signal) => {
    const table = await tableOf(argument, {
      signal,
      onProgress: (done, total) => line?.update("embedding", done / total),
    });
    const found = await similar(table, more, {
      ...how,
      signal,
      onProgress: (step, share) => line?.update(step, share),
    });
    signal.throwIfAborted();
    await files.writeMatches(out, found);
    const drawn = wanted
      ? await drawSheets(() => files.writeMatchSheet(sheet, table, found, signal), signal)
      : NO_SHEETS;
    return { found, rows: table.paths.length, ...drawn };
  }).finally(() => line?.clear());
  if ("exitCode" in ended) return ended.exitCode;
  const { found, rows, sheet: drawn, warning } = ended.result;
  if (warning !== null) warn(warning);
  const seconds = (performance.now() - began) / 1000;
  if (json) {
    for (const { image, row, matches } of found) {
      printJson({ event: "similar", image: shownPath(image), row, matches });
    }
    printJson({
      event: "end",
      out: resolve(out),
      sheet: drawn === null ? null : resolve(drawn),
      images: found.length,
      rows,
      seconds,
    });
    return 0;
  }
  show(found);
  const places =
    drawn === null ? nameFromHere(out) : `${nameFromHere(out)} and ${nameFromHere(drawn)}`;
  const asked = found.length === 1 ? "1 image" : `${grouped(found.length)} images`;
  print(`${places}: ${asked} looked for among ${grouped(rows)}, ${duration(seconds)}`);
  return 0;
}

export const similar: CommandDescription = {
  name: "similar",
  description: "find the images that are like given ones, by their embeddings",
  argument: [
    "<table>",
    "a table of embeddings (see embed), or a run folder or `last`, whose training images are embedded first",
  ],
  more: ["<image...>", "image files, in the table or not"],
  options: [
    ["-n, --number <n>", "images found for each (20)"],
    ["-o, --out <file>", "image, rank, path, set, class, distance; .csv (similar.csv)"],
    ["--metric <name>", "how embeddings are compared: euclidean or cosine (euclidean)"],
    [
      "--search <name>",
      "auto, exact, or index: an index by usearch that is kept beside the table (auto)",
    ],
    ["--model <run>", "what encodes images that are not in the table (as the table says)"],
    ["--no-sheets", "draw no contact sheet"],
  ],
  takes: ["device", "max_pixels"],
  run: look,
};
