/** `flexae duplicates TABLE`: which images are the same, or nearly so. */
import { extname, resolve } from "node:path";
import type { Duplicates } from "../../embeddings/duplicates.js";
import { beside, shownPath } from "../../files/paths.js";
import type { CommandDescription } from "../command.js";
import { drawSheets, NO_SHEETS, sheetOptions, sheetWish } from "../contact_sheets.js";
import { duration, grouped } from "../format.js";
import { interruptible } from "../interrupt.js";
import { type Invocation, optionText } from "../invocation.js";
import { nameFromHere, print, printJson, warn } from "../output.js";
import { COMPUTE_DEVICE, computeDevice, optionChoice, optionNumber } from "../own_options.js";
import { invokedSettings } from "../settings.js";
import { stepLine } from "../step_line.js";

/** Groups, and images of each, that a person is told of. */
const SHOWN_GROUPS = 5;
const SHOWN_IMAGES = 4;

function show(paths: readonly string[], { groups, surplus, copies }: Duplicates): void {
  if (groups.length === 0) {
    print("no duplicates");
    return;
  }
  print(
    `${grouped(groups.length)} ${groups.length === 1 ? "group" : "groups"}; ${grouped(surplus)} images could go, ${grouped(copies)} of them copies of a file that stays`,
  );
  for (const { kind, rows } of groups.slice(0, SHOWN_GROUPS)) {
    const names = rows.slice(0, SHOWN_IMAGES).map((row) => shownPath(paths[row] as string));
    const more = rows.length > SHOWN_IMAGES ? `, … (${grouped(rows.length)})` : "";
    print(`  ${kind}: ${names.join(", ")}${more}`);
  }
}

async function look(invocation: Invocation): Promise<number> {
  const { configError } = await import("../../addon/errors.js");
  const { duplicates } = await import("../../embeddings/duplicates.js");
  const files = await import("../../embeddings/duplicate_files.js");
  const { joinTables } = await import("../../embeddings/join_tables.js");
  const { isRun, tableOf } = await import("../../embeddings/run_table.js");
  const { argument, more, options, json } = invocation;
  const out = optionText(invocation, "out") ?? "duplicates.csv";
  if (extname(out).toLowerCase() !== ".csv") {
    throw configError(`Expected a name that ends in .csv for out but received ${out}`);
  }
  const leaks = options.leaks === true;
  const { drawn, images } = sheetWish(invocation);
  const how = {
    threshold: optionNumber(invocation, "threshold", { most: 1 }),
    metric: optionChoice(invocation, "metric", ["euclidean", "cosine"]),
    seed: (await invokedSettings(invocation)).seed,
    device: computeDevice(invocation),
    leaks,
  };
  const line = stepLine(json);
  const began = performance.now();
  const ended = await interruptible(async (signal) => {
    const reading = {
      signal,
      onProgress: (done: number, total: number) => line?.update("embedding", done / total),
    };
    const tables = [];
    for (const name of [argument, ...more]) tables.push(await tableOf(name, reading));
    // What leaks into a run's validation.
    if (leaks && more.length === 0 && (await isRun(argument))) {
      tables.push(await tableOf(argument, { ...reading, set: "valid" }));
    }
    const table = joinTables(tables);
    const found = await duplicates(table, {
      ...how,
      signal,
      onProgress: (step, share) => line?.update(step, share),
    });
    signal.throwIfAborted();
    await files.writeGroups(out, table, found.groups);
    const sheet = beside(out, ".png");
    const pictures =
      drawn && found.groups.length > 0
        ? await drawSheets(
            () => files.writeGroupSheet(sheet, table, found.groups, { images, signal }),
            signal,
          )
        : NO_SHEETS;
    return { table, found, ...pictures };
  }).finally(() => line?.clear());
  if ("exitCode" in ended) return ended.exitCode;
  const { table, found, sheet, warning } = ended.result;
  if (warning !== null) warn(warning);
  const seconds = (performance.now() - began) / 1000;
  const { paths, sets, classes } = table;
  if (json) {
    for (const { kind, rows, distances, copyOf } of found.groups) {
      const members = rows.map((row, i) => ({
        row,
        path: paths[row],
        set: sets[row],
        class: classes[row],
        distance: distances[i],
        copyOf: copyOf[i] ?? null,
      }));
      printJson({ event: "group", kind, images: members });
    }
    printJson({
      event: "end",
      out: resolve(out),
      sheet: sheet === null ? null : resolve(sheet),
      images: paths.length,
      groups: found.groups.length,
      surplus: found.surplus,
      copies: found.copies,
      distance: found.distance,
      seconds,
    });
    return 0;
  }
  show(paths, found);
  const places =
    sheet === null ? nameFromHere(out) : `${nameFromHere(out)} and ${nameFromHere(sheet)}`;
  print(`${places}: ${grouped(paths.length)} images compared, ${duration(seconds)}`);
  return 0;
}

export const duplicates: CommandDescription = {
  name: "duplicates",
  description: "find images that are the same or nearly so, and what leaks between sets",
  argument: [
    "<table>",
    "a table of embeddings (see embed), or a run folder or `last`, whose training images are embedded first",
  ],
  more: ["[table...]", "more tables, of the same model"],
  options: [
    [
      "-o, --out <file>",
      "group, kind, keep, path, set, class, distance, copy_of; .csv (duplicates.csv)",
    ],
    [
      "--threshold <n>",
      "how near nearly the same is, 0 to 1, as a share of the usual distance of two images (0.1)",
    ],
    COMPUTE_DEVICE,
    ["--metric <name>", "how embeddings are compared: euclidean or cosine (euclidean)"],
    [
      "--leaks",
      "only groups with images of several sets; of a run, of its training and validation images",
    ],
    ...sheetOptions("images shown, group by group (100)"),
  ],
  takes: ["seed"],
  run: look,
};
