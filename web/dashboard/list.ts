/** The table of runs. */
import type { LiveRun } from "../../ts/dashboard/wire.ts";
import { byId, counted, make } from "../elements.ts";
import { parseFilter } from "./filter.ts";
import { setAttribute, setChildren, setText } from "./live.ts";
import type { Runs } from "./runs.ts";
import {
  duration,
  epochsText,
  figure,
  isRunning,
  left,
  scoreOf,
  shareDone,
  toneOf,
} from "./words.ts";

interface Column {
  title: string;
  /** Of a narrow column, what it is in full. */
  hint?: string;
  isNumber?: boolean;
  /** By what runs are sorted; null comes last. */
  value(run: LiveRun): string | number | null;
  /** What the cell says, where that is all there is in it. */
  text?(run: LiveRun): string;
}

/** By it the list is sorted at first, the newest run first, which is the server's order. */
const STARTED: Column = {
  title: "Started",
  value: ({ started }) => (started === "" ? null : started),
  text: ({ started }) => started || "–",
};

const COLUMNS: readonly Column[] = [
  { title: "Run", value: ({ name }) => name },
  { title: "State", value: ({ state }) => state },
  { title: "Progress", value: shareDone },
  { title: "Epochs", isNumber: true, value: ({ epochs }) => epochs, text: epochsText },
  {
    title: "val_loss",
    hint: "Validation loss of the best epoch",
    isNumber: true,
    value: (run) => scoreOf(run, "val_loss"),
    text: (run) => figure(scoreOf(run, "val_loss")),
  },
  {
    title: "Took",
    isNumber: true,
    value: ({ seconds }) => seconds,
    text: ({ seconds }) => (seconds === null ? "–" : duration(seconds)),
  },
  STARTED,
];

/** Begins with the greatest where it is sorted by for the first time. */
const GREATEST_FIRST: readonly string[] = ["Started", "Progress", "Epochs"];

function compare(a: string | number, b: string | number): number {
  return typeof a === "number" && typeof b === "number"
    ? a - b
    : COLLATOR.compare(String(a), String(b));
}
const COLLATOR = new Intl.Collator("en", { numeric: true });

/** What the list tells of. */
export interface ListListener {
  /** A run's name was clicked. */
  chosen(name: string): void;
  /** A run is to be compared, or no longer. Whether it is now. */
  ticked(name: string, isTicked: boolean): boolean;
  /** Other runs are shown, or in another order. */
  shown(): void;
}

/** A run's row. It changes what is other than it was. */
class Row {
  readonly element: HTMLTableRowElement;
  readonly #tick: HTMLInputElement;
  readonly #name: HTMLButtonElement;
  readonly #state = make("span", { class: "state" });
  readonly #fill = make("span", { class: "fill" });
  readonly #bar = make("span", { class: "progress" }, this.#fill);
  readonly #left = make("span", { class: "left" });
  readonly #texts: [HTMLElement, (run: LiveRun) => string][] = [];
  #run: LiveRun | undefined;

  constructor(name: string, listener: ListListener) {
    this.#tick = make("input", {
      type: "checkbox",
      "aria-label": `Compare ${name}`,
      onchange: () => {
        this.#tick.checked = listener.ticked(name, this.#tick.checked);
      },
    });
    this.#name = make(
      "button",
      { type: "button", class: "name", onclick: () => listener.chosen(name) },
      make("bdi", { class: "file" }, name),
    );
    this.element = make(
      "tr",
      {},
      make("td", { class: "tick" }, make("label", {}, this.#tick)),
      make("th", { scope: "row", title: name }, this.#name),
      make("td", {}, this.#state),
      make("td", { class: "how-far" }, this.#bar, this.#left),
    );
    for (const { text, isNumber = false } of COLUMNS) {
      if (text === undefined) continue;
      const cell = make("td", isNumber ? { class: "number" } : {});
      this.#texts.push([cell, text]);
      this.element.append(cell);
    }
  }

  update(run: LiveRun): void {
    if (run === this.#run) return;
    this.#run = run;
    setText(this.#state, run.state);
    setAttribute(this.#state, "class", `state ${toneOf(run.state)}`);
    const share = shareDone(run);
    this.#bar.hidden = share === null;
    const width = `${(100 * (share ?? 0)).toFixed(1)}%`;
    if (this.#fill.style.width !== width) this.#fill.style.width = width;
    this.#bar.classList.toggle("going", isRunning(run));
    setText(this.#left, left(run));
    for (const [cell, text] of this.#texts) setText(cell, text(run));
  }

  mark(isChosen: boolean, isTicked: boolean, colour: string | null): void {
    setAttribute(this.#name, "aria-current", isChosen ? "true" : null);
    this.element.classList.toggle("chosen", isChosen);
    this.#tick.checked = isTicked;
    if (colour === null) this.element.style.removeProperty("--own");
    else this.element.style.setProperty("--own", `var(${colour})`);
  }
}

/** The table, sorted and filtered. */
export class RunList {
  readonly #runs: Runs;
  readonly #listener: ListListener;
  readonly #rows = new Map<string, Row>();
  readonly #heads = new Map<Column, HTMLTableCellElement>();
  readonly #body = document.querySelector("#runs tbody") as HTMLElement;
  readonly #filter = byId<HTMLInputElement>("filter");
  #sorted: { by: Column; isReversed: boolean } = { by: STARTED, isReversed: true };
  #shown: LiveRun[] = [];
  #chosen: string | null = null;
  #colours: ReadonlyMap<string, string> = new Map();

  constructor(runs: Runs, listener: ListListener) {
    this.#runs = runs;
    this.#listener = listener;
    const head = document.querySelector("#runs thead tr") as HTMLElement;
    head.append(make("td", { class: "tick" }, make("span", { class: "unseen" }, "Compare")));
    for (const column of COLUMNS) {
      const { title, hint, isNumber = false } = column;
      const button = make(
        "button",
        { type: "button", ...(hint === undefined ? {} : { title: hint }) },
        title,
      );
      button.addEventListener("click", () => this.#sortBy(column));
      const cell = make("th", { scope: "col", ...(isNumber ? { class: "number" } : {}) }, button);
      this.#heads.set(column, cell);
      head.append(cell);
    }
    this.#showSorting();
    this.#filter.addEventListener("input", () => {
      this.update();
      this.#listener.shown();
    });
    this.#body.addEventListener("keydown", (event) => this.#onKey(event));
  }

  /** The runs that the filter leaves, in the order of the list. */
  get shown(): readonly LiveRun[] {
    return this.#shown;
  }

  get filter(): string {
    return this.#filter.value;
  }

  set filter(text: string) {
    if (this.#filter.value !== text) this.#filter.value = text;
  }

  /** @param colours - Of runs that are compared, by their names. */
  mark(chosen: string | null, colours: ReadonlyMap<string, string>): void {
    this.#chosen = chosen;
    this.#colours = colours;
    for (const [name, row] of this.#rows) this.#markRow(name, row);
  }

  /** Shows the runs as they are now. */
  update(): void {
    const all = this.#runs.all();
    const shown = all.filter(parseFilter(this.#filter.value));
    this.#shown = this.#inOrder(shown);
    for (const name of this.#rows.keys()) {
      if (this.#runs.get(name) === undefined) this.#rows.delete(name);
    }
    const rows = this.#shown.map((run) => this.#rowOf(run));
    setChildren(this.#body, rows);
    const count =
      shown.length === all.length
        ? counted(all.length, "run")
        : `${shown.length.toLocaleString("en")} of ${counted(all.length, "run")}`;
    setText(byId("shown-count"), count);
    byId<HTMLButtonElement>("compare-shown").disabled = shown.length < 2;
  }

  #rowOf(run: LiveRun): HTMLTableRowElement {
    let row = this.#rows.get(run.name);
    if (row === undefined) {
      row = new Row(run.name, this.#listener);
      this.#rows.set(run.name, row);
      this.#markRow(run.name, row);
    }
    row.update(run);
    return row.element;
  }

  #markRow(name: string, row: Row): void {
    row.mark(name === this.#chosen, this.#colours.has(name), this.#colours.get(name) ?? null);
  }

  #inOrder(runs: LiveRun[]): LiveRun[] {
    const { by, isReversed } = this.#sorted;
    if (by === STARTED && isReversed) return runs;
    return runs
      .map((run) => ({ run, value: by.value(run) }))
      .sort(({ value: a }, { value: b }) => {
        if (a === null || b === null) return Number(a === null) - Number(b === null);
        return isReversed ? compare(b, a) : compare(a, b);
      })
      .map(({ run }) => run);
  }

  #sortBy(column: Column): void {
    const { by, isReversed } = this.#sorted;
    const isFirst = by !== column;
    this.#sorted = {
      by: column,
      isReversed: isFirst ? GREATEST_FIRST.includes(column.title) : !isReversed,
    };
    this.#showSorting();
    this.update();
    this.#listener.shown();
  }

  #showSorting(): void {
    const { by, isReversed } = this.#sorted;
    for (const [column, cell] of this.#heads) {
      const order = isReversed ? "descending" : "ascending";
      setAttribute(cell, "aria-sort", column === by ? order : null);
    }
  }

  /** Arrow keys go from row to row; the tab key would take very long. */
  #onKey(event: KeyboardEvent): void {
    const from = event.target as HTMLElement;
    const row = from.closest("tr");
    if (row === null || event.ctrlKey || event.altKey || event.metaKey) return;
    const to = {
      ArrowDown: row.nextElementSibling,
      ArrowUp: row.previousElementSibling,
      Home: this.#body.firstElementChild,
      End: this.#body.lastElementChild,
    }[event.key];
    if (to === undefined) return;
    event.preventDefault();
    const same = from instanceof HTMLInputElement ? "input" : "button";
    to?.querySelector<HTMLElement>(same)?.focus();
  }
}
