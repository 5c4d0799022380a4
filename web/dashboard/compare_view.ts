/** Runs beside each other: curves in one chart, and what differs. */

import uPlot from "uplot";
import type { Epochs, LiveRun } from "../../ts/dashboard/wire.ts";
import { shortNumber, type Values } from "../charts/line_chart.ts";
import { LiveChart } from "../charts/live_chart.ts";
import { drawParallel, type ParallelAxis, type ParallelPlot } from "../charts/parallel.ts";
import { byId, counted, make } from "../elements.ts";
import type { CurveStore } from "./curve_store.ts";
import { setAttribute, setText } from "./live.ts";
import { differingSettings } from "./settings.ts";
import { fill, fillCells } from "./tables.ts";
import { epochsText, figure, scoreOf } from "./words.ts";

/** Runs that are compared at most. */
export const MOST = 20;
const COLOURS = 10;
/** Of the first ten lines and the second ten. */
const DASHES: readonly (readonly number[] | undefined)[] = [undefined, [7, 4]];
/** Settings that have an axis. */
const MOST_AXES = 9;
/** Lines that a browser draws at ease. */
const MOST_LINES = 1000;
const HEIGHT = 320;

/** The variable of a colour. */
export const colourOf = (slot: number): string => `--c${slot % COLOURS}`;
const dashOf = (slot: number) => DASHES[Math.floor(slot / COLOURS) % DASHES.length];

/** A run that is compared. Its slot, from 0, gives it colour and dashes, and stays the same. */
export interface Compared {
  run: LiveRun;
  slot: number;
}

/** A piece of a run's line. */
function keyOf(slot: number): HTMLElement {
  const style = dashOf(slot) === undefined ? "solid" : "dashed";
  return make("span", { class: "key", style: `border-top: 3px ${style} var(${colourOf(slot)})` });
}

/** Where a value of a setting lies on an axis. */
function axisValue(text: string | undefined): string | number | null {
  if (text === undefined || text === "") return null;
  return Number.isFinite(Number(text)) ? Number(text) : text;
}

/** The panel of the comparison. */
export class CompareView {
  readonly #curveStore: CurveStore;
  readonly #column = make("select", { id: "compare-column" });
  readonly #logarithmic = make("input", { type: "checkbox", id: "compare-log" });
  readonly #place = make("div", { class: "chart", role: "img", "aria-label": "Curves" });
  readonly #legend = make("ul", { class: "legend" });
  readonly #at = make("p", { class: "dim" });
  readonly #chart: LiveChart;
  readonly #head = make("tr");
  readonly #body = make("tbody");
  readonly #alike = make("p", { class: "dim" });
  readonly #score = make("select", { id: "parallel-score" });
  readonly #parallelPlace = make("div", { id: "parallel" });
  readonly #parallelSaid = make("p", { class: "dim" });
  readonly #onChoose: (name: string) => void;
  #plot: ParallelPlot | undefined;
  #parallelKey = "";
  #parallelNames: string[] = [];
  #compared: readonly Compared[] = [];
  #shown: readonly LiveRun[] = [];
  #picked: string | null = null;
  /** What the chart shows, for the values beside the legend. */
  #drawn: { compared: readonly Compared[]; along: readonly number[]; values: readonly Values[] } = {
    compared: [],
    along: [],
    values: [],
  };
  #cursor: number | null = null;

  constructor(curveStore: CurveStore, onChoose: (name: string) => void) {
    this.#curveStore = curveStore;
    this.#onChoose = onChoose;
    const curves = make(
      "section",
      { "aria-labelledby": "compare-title" },
      make("h2", { id: "compare-title" }, "Comparison"),
      make(
        "div",
        { class: "bar" },
        make("label", {}, "Curves of ", this.#column),
        make("label", { class: "check" }, this.#logarithmic, " logarithmic"),
        this.#at,
      ),
      this.#place,
      this.#legend,
    );
    const table = make(
      "section",
      { "aria-labelledby": "differ-title" },
      make("h3", { id: "differ-title" }, "Settings that differ, and scores"),
      this.#alike,
      make(
        "div",
        { class: "scroll", role: "region", "aria-label": "Table of differences", tabindex: 0 },
        make("table", { class: "differ" }, make("thead", {}, this.#head), this.#body),
      ),
    );
    const all = make(
      "section",
      { "aria-labelledby": "parallel-title" },
      make("h3", { id: "parallel-title" }, "All runs of the list"),
      make("div", { class: "bar" }, make("label", {}, "Score ", this.#score), this.#parallelSaid),
      this.#parallelPlace,
    );
    byId("compare").append(curves, table, all);
    this.#chart = new LiveChart(this.#place, {
      height: HEIGHT,
      along: "epoch",
      hasLegend: false,
      onCursor: (index) => {
        this.#cursor = index;
        this.#showValues();
      },
    });
    this.#column.addEventListener("change", () => this.showCurves());
    this.#logarithmic.addEventListener("change", () => this.showCurves());
    this.#score.addEventListener("change", () => this.#showParallel());
  }

  /**
   * Shows runs as they are now.
   *
   * @param shown - All that are in the list.
   */
  update(compared: readonly Compared[], shown: readonly LiveRun[]): void {
    this.#compared = compared;
    this.#shown = shown;
    this.#showLegend();
    this.showCurves();
    this.#showTable();
    this.#showParallel();
  }

  /** Shows what is known of their curves. */
  showCurves(): void {
    const known = this.#compared.flatMap((one) => {
      const epochs = this.#curveStore.get(one.run);
      return epochs === undefined ? [] : [{ ...one, epochs }];
    });
    const names = [...new Set(known.flatMap(({ epochs }) => Object.keys(epochs.columns)))];
    offer(this.#column, names, "val_loss");
    const column = this.#column.value;
    const drawn = known.filter(({ epochs }) => epochs.columns[column] !== undefined);
    const [along, ...values] = drawn.length === 0 ? [[]] : join(drawn, column);
    this.#drawn = { compared: drawn, along, values };
    this.#chart.update({
      along,
      values,
      lines: () =>
        drawn.map(({ run, slot }) => {
          const dash = dashOf(slot);
          const line = { name: run.name, colour: colourOf(slot) };
          return dash === undefined ? line : { ...line, dash };
        }),
      isLogarithmic: this.#logarithmic.checked,
    });
    const said = drawn.map(({ run }, i) => `${run.name} ${newest(values[i] ?? [])}`);
    const text = `${column} of ${counted(drawn.length, "run")} over epochs, now ${said.join(", ")}`;
    setAttribute(this.#place, "aria-label", drawn.length === 0 ? "No curves yet" : text);
    this.#pick(this.#picked);
    this.#showValues();
  }

  // The legend: names, and values at the cursor.

  #showLegend(): void {
    const create = () => {
      const name = make("bdi", { class: "cell" });
      const value = make("span", { class: "value" });
      const button = make(
        "button",
        { type: "button", "aria-pressed": "false" },
        make("span"),
        name,
        value,
      );
      button.addEventListener("click", () => {
        const own = button.dataset.run ?? "";
        this.#pick(this.#picked === own ? null : own);
      });
      return make("li", {}, button);
    };
    fill(this.#legend, this.#compared, create, (item, { run, slot }) => {
      const button = item.firstElementChild as HTMLButtonElement;
      if (button.dataset.run === run.name && button.dataset.slot === String(slot)) return;
      button.dataset.run = run.name;
      button.dataset.slot = String(slot);
      button.title = run.name;
      button.firstElementChild?.replaceWith(keyOf(slot));
      setText(button.children[1] as Element, run.name);
    });
  }

  #pick(name: string | null): void {
    const isThere = this.#compared.some(({ run }) => run.name === name);
    this.#picked = isThere ? name : null;
    for (const button of this.#legend.querySelectorAll("button")) {
      setAttribute(button, "aria-pressed", String(button.dataset.run === this.#picked));
    }
    const line = this.#drawn.compared.findIndex(({ run }) => run.name === this.#picked);
    this.#chart.pick(line < 0 ? null : line);
    const inList = this.#parallelNames.indexOf(this.#picked ?? "");
    this.#plot?.highlight(this.#picked === null || inList < 0 ? null : inList);
  }

  #showValues(): void {
    const { compared, along, values } = this.#drawn;
    const texts = new Map<string, string>();
    for (const [i, { run }] of compared.entries()) {
      const all = values[i] ?? [];
      const here = this.#cursor === null ? undefined : all[this.#cursor];
      texts.set(run.name, this.#cursor === null ? newest(all) : textOf(here));
    }
    const epoch = this.#cursor === null ? undefined : along[this.#cursor];
    setText(this.#at, epoch === undefined ? "newest values" : `epoch ${epoch}`);
    for (const button of this.#legend.querySelectorAll("button")) {
      setText(button.children[2] as Element, texts.get(button.dataset.run ?? "") ?? "–");
    }
  }

  #showTable(): void {
    const runs = this.#compared.map(({ run }) => run);
    const scores = scoreNames(runs);
    const settings = differingSettings(runs);
    const heads = ["Run", "State", "Epochs", ...settings, ...scores];
    const createHead = () => make("th", { scope: "col", class: "cell" });
    fill(this.#head, heads, createHead, (cell, text) => setText(cell, text));
    const create = () =>
      make("tr", {}, make("th", { scope: "row", class: "cell" }, make("span"), make("bdi")));
    fill(this.#body, this.#compared, create, (row, { run, slot }) => {
      const head = row.firstElementChild as HTMLElement;
      head.firstElementChild?.replaceWith(keyOf(slot));
      setText(head.children[1] as Element, run.name);
      head.title = run.name;
      const cells = [
        run.state,
        epochsText(run),
        ...settings.map((name) => run.settings[name] ?? "–"),
        ...scores.map((name) => figure(scoreOf(run, name))),
      ];
      fillCells(row, cells, 1);
    });
    const isAlike = settings.length === 0 && runs.length > 0;
    this.#alike.hidden = !isAlike;
    setText(this.#alike, "Their settings are all alike.");
  }

  // All runs of the list.

  #showParallel(): void {
    const runs = this.#shown.slice(0, MOST_LINES);
    offer(this.#score, scoreNames(runs), "val_loss");
    const score = this.#score.value;
    const differing = differingSettings(runs);
    const settings = differing.slice(0, MOST_AXES);
    const isDrawn = runs.length > 1 && settings.length > 0 && score !== "";
    const left = differing.length - settings.length;
    const said = !isDrawn
      ? "An axis a setting is drawn here as soon as settings differ and there are scores."
      : left > 0
        ? `The first ${settings.length} of ${differing.length} settings that differ.`
        : "A line a run: drag along an axis to filter, click a line to look at its run.";
    setText(this.#parallelSaid, said);
    this.#parallelPlace.hidden = !isDrawn;
    if (!isDrawn) return;
    const axes: ParallelAxis[] = settings.map((name) => ({
      name,
      values: runs.map((run) => axisValue(run.settings[name])),
    }));
    axes.push({ name: score, values: runs.map((run) => scoreOf(run, score)) });
    const labels = runs.map(({ name }) => name);
    // It is drawn anew with each update: only when there is something else to see.
    const key = JSON.stringify([axes, labels]);
    if (key === this.#parallelKey) return;
    this.#parallelKey = key;
    this.#parallelNames = labels;
    const data = { axes, labels, colourBy: axes.length - 1 };
    if (this.#plot !== undefined) {
      this.#plot.update(data);
      return;
    }
    this.#plot = drawParallel(this.#parallelPlace, {
      ...data,
      onChoose: (line) => {
        const name = this.#parallelNames[line];
        if (name !== undefined) this.#onChoose(name);
      },
    });
  }
}

const textOf = (value: number | null | undefined) =>
  value === null || value === undefined ? "–" : shortNumber(value);
const newest = (values: Values) =>
  textOf(values.findLast((value) => value !== null && value !== undefined));

/** Names of scores that runs have. */
const scoreNames = (runs: readonly LiveRun[]): string[] => [
  ...new Set(runs.flatMap(({ scores }) => scores.map(({ name }) => name))),
];

/** Makes a choice of names; what was chosen stays. */
function offer(select: HTMLSelectElement, names: readonly string[], preferred: string): void {
  const there = Array.from(select.options, ({ value }) => value);
  if (names.length === 0 || names.join("\n") === there.join("\n")) return;
  const before = select.value === "" ? preferred : select.value;
  select.replaceChildren(...names.map((name) => make("option", { value: name }, name)));
  select.value = names.includes(before) ? before : (names[0] as string);
}

/** Runs' values along all epochs that one of them has. */
function join(
  runs: readonly { epochs: Epochs }[],
  column: string,
): [number[], ...(readonly Values[])] {
  const tables = runs.map(
    ({ epochs }) => [epochs.epoch, epochs.columns[column]] as unknown as uPlot.AlignedData,
  );
  return uPlot.join(tables) as unknown as [number[], ...(readonly Values[])];
}
