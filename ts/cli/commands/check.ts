/** `flexae check`: what is wrong with a folder of images, before training on it. */
import { join, relative } from "node:path";
import { shownPath } from "../../files/paths.js";
import type { CheckCounts, CheckReport, OddImage } from "../../runs/check.js";
import type { CommandDescription } from "../command.js";
import { Counter } from "../counter.js";
import { grouped, table } from "../format.js";
import { interruptible } from "../interrupt.js";
import type { Invocation } from "../invocation.js";
import { print, printJson, warn } from "../output.js";
import { invokedSettings } from "../settings.js";

/** How many of each kind are named, and classes shown, without `--all`. */
const SHOWN = 10;
const SHOWN_CLASSES = 20;

const COLUMNS = ["images", "bad", "duplicate", "odd-sized", "blank"];

function cells({ images, bad, duplicate, odd, blank }: CheckCounts): string[] {
  return [images, bad, duplicate, odd, blank].map(grouped);
}

function percent(part: number, whole: number): string {
  const share = (100 * part) / whole;
  return `${share === 0 || share >= 1 ? share.toFixed(1) : share.toPrecision(2)}%`;
}

const WHY: Record<OddImage["why"][number], string> = {
  aspect: "of another shape than usual",
  small: "far smaller than usual",
  large: "far larger than usual",
  enlarged: "enlarged more than twice",
};

/** Says it all to a person. */
class TextReport {
  #report: CheckReport;
  #folder: string;
  #all: boolean;

  /** @param folder - As the user wrote it. */
  constructor(report: CheckReport, folder: string, all: boolean) {
    this.#report = report;
    this.#folder = folder;
    this.#all = all;
  }

  print(): void {
    const { counts, classes, usual, loose, others, advice } = this.#report;
    const inClasses = classes.length > 0 ? ` in ${grouped(classes.length)} classes` : "";
    print(
      `${shownPath(this.#folder)}: ${grouped(counts.images)} images${inClasses}` +
        (usual.width > 0 ? `, usually ${usual.width}×${usual.height} pixels` : ""),
    );
    print();
    this.#table();
    this.#lists();
    const left = (count: number, what: string) =>
      count === 0 ? [] : [`${grouped(count)} ${what}${count === 1 ? "" : "s"}`];
    for (const text of left(loose, "image")) {
      print(`Left out: ${text} beside the folders of the classes`);
    }
    for (const text of left(others, "file")) print(`Passed over: ${text} without an image's name`);
    for (const line of advice) print(line);
  }

  #table(): void {
    const { counts, classes } = this.#report;
    const found = classes.filter(({ bad, duplicate, odd, blank }) => bad + duplicate + odd + blank);
    const some = classes.length <= SHOWN_CLASSES || this.#all ? classes : found;
    const shown = this.#all ? some : some.slice(0, SHOWN_CLASSES);
    const rows = [["class", ...COLUMNS]];
    for (const entry of shown) rows.push([shownPath(entry.name), ...cells(entry)]);
    rows.push(["all", ...cells(counts)]);
    const flat = classes.length === 0;
    for (const line of table(flat ? rows.map((row) => row.slice(1)) : rows, [1, 2, 3, 4, 5])) {
      print(line);
    }
    if (shown.length < classes.length) {
      print(`${grouped(classes.length - shown.length)} more classes: --all shows them`);
    }
    print();
  }

  #lists(): void {
    const { counts, bad, duplicates, odd, blank } = this.#report;
    this.#list(
      `Cannot be used (${grouped(counts.bad)}, ${percent(counts.bad, counts.images)})`,
      bad,
      ({ file, reason }) => `${this.#name(file)}: ${reason}`,
    );
    this.#list(`Duplicate (${grouped(counts.duplicate)})`, duplicates, (group) => {
      const [first, ...others] = group.files.map((file) => this.#name(file));
      // A folder of ten thousand copies is one group.
      const some = this.#all ? others : others.slice(0, SHOWN);
      const rest = others.length - some.length;
      return (
        `${first} = ${some.join(" = ")}${rest > 0 ? ` and ${grouped(rest)} more` : ""}` +
        (group.acrossClasses ? ", in several classes" : "")
      );
    });
    this.#list(
      `Odd-sized (${grouped(counts.odd)})`,
      odd,
      ({ file, width, height, why }) =>
        `${this.#name(file)}: ${width}×${height}, ${why.map((w) => WHY[w]).join(", ")}`,
    );
    this.#list(`Nearly blank (${grouped(counts.blank)})`, blank, ({ file }) => this.#name(file));
  }

  #list<T>(title: string, entries: readonly T[], line: (entry: T) => string): void {
    if (entries.length === 0) return;
    print(title);
    for (const entry of this.#all ? entries : entries.slice(0, SHOWN)) print(`  ${line(entry)}`);
    const rest = entries.length - SHOWN;
    if (!this.#all && rest > 0) print(`  and ${grouped(rest)} more: --all shows them`);
    print();
  }

  #name(file: string): string {
    return shownPath(join(this.#folder, relative(this.#report.folder, file)));
  }
}

async function examine(invocation: Invocation): Promise<number> {
  const { checkFolder } = await import("../../runs/check.js");
  const folder = invocation.argument;
  const settings = await invokedSettings(invocation);
  const counter =
    process.stderr.isTTY === true && !invocation.json ? new Counter("checked") : undefined;
  const ended = await interruptible((signal) =>
    checkFolder(folder, settings, {
      signal,
      onProgress: (done, total) => counter?.update(done, total),
      onListing: (listing) => counter?.listing(listing),
    }),
  ).finally(() => counter?.clear());
  if ("exitCode" in ended) return ended.exitCode;
  const report = ended.result;
  if (invocation.json) printJson(report);
  else new TextReport(report, folder, invocation.options.all === true).print();
  if (report.ok) return 0;
  const { images, bad } = report.counts;
  warn(
    bad === images
      ? "none of these images can be used"
      : `${percent(bad, images)} of these images cannot be used, and --max-bad allows ${percent(settings.max_bad, 1)}: a training would stop`,
  );
  return 3;
}

export const check: CommandDescription = {
  name: "check",
  description: "look for bad, duplicate, odd-sized and nearly blank images in a folder",
  argument: [
    "<set>",
    "a folder of images, one folder a class or flat, a list of files, or a container such as a tar shard",
  ],
  options: [["--all", "name every image found, not only the first of each kind"]],
  takesConfig: true,
  run: examine,
};
