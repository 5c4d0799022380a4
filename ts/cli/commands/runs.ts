/** `flexae runs [LOGS]`, `flexae runs diff A B`: runs beside each other. */

import { shownPath } from "../../files/paths.js";
import type { ListedRun } from "../../runs/list.js";
import type { CommandDescription } from "../command.js";
import { table as columns, duration, grouped } from "../format.js";
import { type Invocation, optionText } from "../invocation.js";
import { nameFromHere, print, printJson, warn } from "../output.js";

/** Settings beside a run that a person is told of; a file has all. */
const SHOWN_SETTINGS = 5;

const shown = (value: number, digits: number) =>
  Number.isFinite(value) ? value.toFixed(digits) : "–";

/** What a table for people has of each run. */
const SHOWN: readonly (readonly [title: string, (run: ListedRun) => string])[] = [
  ["run", ({ name }) => name],
  ["state", ({ state }) => state],
  ["started", ({ started }) => started],
  ["epochs", ({ epochs }) => grouped(epochs)],
  ["best", ({ bestEpoch }) => shown(bestEpoch, 0)],
  ["val_loss", ({ valid }) => shown(valid?.loss ?? NaN, 5)],
  ["val_accuracy", ({ valid }) => shown(valid?.accuracy ?? NaN, 4)],
  ["val_psnr", ({ valid }) => shown(valid?.psnr ?? NaN, 2)],
  ["time", ({ seconds }) => (Number.isFinite(seconds) ? duration(seconds) : "–")],
  ["parameters", ({ parameters }) => (Number.isFinite(parameters) ? grouped(parameters) : "–")],
];
/** Columns of texts: all others are numbers, to the right. */
const TEXTS = 3;

/** Names and settings are anybody's: what moves a terminal's cursor is spelled out. */
const cells = (rows: readonly string[][]) => rows.map((row) => row.map(shownPath));

function show(runs: readonly ListedRun[], differing: readonly string[]): void {
  const named = differing.slice(0, SHOWN_SETTINGS);
  const head = [...SHOWN.map(([title]) => title), ...named];
  const rows = runs.map((run) => [
    ...SHOWN.map(([, text]) => text(run)),
    ...named.map((name) => run.settings[name] ?? "–"),
  ]);
  const right = SHOWN.map((_, i) => i).slice(TEXTS);
  for (const line of columns(cells([head, ...rows]), right)) print(line);
  const rest = differing.slice(SHOWN_SETTINGS);
  if (rest.length > 0) print(`Also differing: ${rest.join(", ")}`);
}

function plain({ settings, ...run }: ListedRun, best: boolean): Record<string, unknown> {
  return { event: "run", ...run, ...(best ? { best } : {}), settings };
}

async function list(invocation: Invocation): Promise<number> {
  const { configError } = await import("../../addon/errors.js");
  const { differingSettings, listRuns, RUN_COLUMNS, runValue } = await import("../../runs/list.js");
  const { filterRuns, knownName, sortRuns } = await import("../../runs/select.js");
  const { argument, more, json, options } = invocation;
  if (more.length > 0) {
    throw configError(
      `Expected one folder with runs in it but received ${more.length + 1}: compare runs with \`flexae runs diff A B\``,
    );
  }
  const text = (name: string) => optionText(invocation, name);
  const [sort, filter, out] = [text("sort"), text("filter"), text("out")];
  const isBest = options.best !== undefined;
  const most = typeof options.best === "string" ? Number(options.best) : 1;
  if (!Number.isInteger(most) || most < 1) {
    throw configError(`Expected an integer of at least 1 for best but received ${options.best}`);
  }
  if (isBest && sort !== undefined) {
    throw configError("--best sorts by val_loss: leave --best or --sort out");
  }
  if (options.reverse === true && sort === undefined) {
    throw configError("--reverse means nothing without --sort: name a column");
  }
  if (out !== undefined && !out.toLowerCase().endsWith(".csv")) {
    throw configError(`Expected a name that ends in .csv for out but received ${out}`);
  }
  const all = await listRuns(argument === "" ? undefined : argument);
  const filtered = filter === undefined ? { runs: all, names: [] } : filterRuns(all, filter);
  let { runs } = filtered;
  if (isBest) {
    const scored = runs.filter((run) => runValue(run, "val_loss") !== null);
    runs = sortRuns(scored, "val_loss").slice(0, most);
  } else if (sort !== undefined) {
    runs = sortRuns(runs, sort, options.reverse === true);
  }
  const differing = differingSettings(runs);
  // What was asked about is shown, too, and first.
  const asked = [...(sort === undefined ? [] : [knownName(sort)]), ...filtered.names];
  const first = asked.filter((name) => !Object.hasOwn(RUN_COLUMNS, name));
  if (out !== undefined) {
    const { stringify } = await import("csv-stringify/sync");
    const { writeFileAtomic } = await import("../../files/atomic.js");
    const settings = [...new Set(all.flatMap((run) => Object.keys(run.settings)))];
    const head = [...Object.keys(RUN_COLUMNS), ...settings];
    const rows = runs.map((run) => head.map((name) => runValue(run, name)));
    await writeFileAtomic(out, stringify([head, ...rows]));
  }
  if (json) {
    for (const run of runs) printJson(plain(run, isBest));
    printJson({ event: "end", runs: runs.length, of: all.length, differing, out: out ?? null });
    return 0;
  }
  if (runs.length > 0) show(runs, [...new Set([...first, ...differing])]);
  const folder = argument === "" ? "logs" : nameFromHere(argument);
  if (all.length === 0) warn(`${folder} holds no runs`);
  else if (runs.length === 0) warn(`none of the ${grouped(all.length)} runs in ${folder} is meant`);
  if (out !== undefined) print(`${nameFromHere(out)}: ${grouped(runs.length)} runs`);
  return 0;
}

/** A number to six digits. */
function scoreText(value: string | number | null): string {
  if (typeof value !== "number") return value ?? "–";
  return Number.isInteger(value) ? grouped(value) : String(Number(value.toPrecision(6)));
}

async function diff(invocation: Invocation): Promise<number> {
  const { configError } = await import("../../addon/errors.js");
  const { compareRuns } = await import("../../runs/list.js");
  const { more, json, options } = invocation;
  const given = Object.keys(options)[0];
  if (given !== undefined) {
    throw configError(`--${given} means nothing to \`runs diff\`: leave it out`);
  }
  if (more.length < 2) throw configError("Expected two runs at least: flexae runs diff A B");
  const { runs, settings, scores } = await compareRuns(more);
  if (json) {
    printJson({ event: "end", runs: runs.map(({ folder }) => folder), settings, scores });
    return 0;
  }
  const names = runs.map(({ name }) => name);
  const rows = Object.entries(scores).map(([name, values]) => [
    name,
    ...values.map((value) => scoreText(value)),
  ]);
  const changed = Object.entries(settings).map(([name, values]) => [
    name,
    ...values.map((value) => value ?? "–"),
  ]);
  const rule = changed.length === 0 ? [["all settings are alike"]] : changed;
  for (const line of columns(cells([["", ...names], ...rows, [""], ...rule]))) print(line);
  return 0;
}

export const runs: CommandDescription = {
  name: "runs",
  description: "list the runs below a folder, or say how some differ (runs diff A B)",
  argument: ["[logs]", "a folder with runs in it (logs), or `diff`"],
  more: ["[run...]", "of `diff`: folders of runs, or `last`"],
  options: [
    ["--sort <name>", "by a column or a setting, the least first (started)"],
    ["--reverse", "the greatest first"],
    ["--filter <text>", 'such as "val_loss<0.1 and filters=32,64 and run~digits"'],
    ["--best [n]", "the n with the least val_loss (1)"],
    ["-o, --out <file>", "write all columns and settings, too; .csv"],
  ],
  run: (invocation) => (invocation.argument === "diff" ? diff(invocation) : list(invocation)),
};
