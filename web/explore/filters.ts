/** Filters by columns: ranges of numbers by their histogram, and groups. */

import { counted, make } from "../elements.ts";
import type { CategoryColumn, Column, Data, NumberColumn } from "./data.ts";
import { figure } from "./data.ts";
import { groupName } from "./group_name.ts";

const BINS = 40;
/** Steps of a slider. */
const STEPS = 200;
/** Groups that are listed at a time. */
const LISTED = 200;

/** A bound as a field shows it. */
const shortText = (value: number) => String(Number(value.toPrecision(6)));

interface Range {
  kind: "number";
  column: NumberColumn;
  low: number;
  high: number;
}

interface Groups {
  kind: "category";
  column: CategoryColumn;
  codes: Set<number>;
}

type Filter = Range | Groups;

function extent(values: ArrayLike<number>): [number, number] {
  let [low, high] = [Infinity, -Infinity];
  for (let i = 0; i < values.length; i++) {
    const value = values[i] as number;
    if (value < low) low = value;
    if (value > high) high = value;
  }
  return [low, high];
}

/** All filters. Those of different columns hold together. */
export class Filters {
  readonly #data: Data;
  readonly #parent: HTMLElement;
  readonly #onChange: (columns: readonly string[]) => void;
  readonly #filters = new Map<string, Filter>();
  /** What shows a filter as it is. */
  readonly #refresh = new Map<string, () => void>();

  /** @param onChange - Called with the names of columns of which the filter is another now. */
  constructor(parent: HTMLElement, data: Data, onChange: (columns: readonly string[]) => void) {
    this.#data = data;
    this.#parent = parent;
    this.#onChange = onChange;
    for (const column of data.columns) {
      if (column.kind !== "text") this.#add(column);
    }
  }

  get active(): boolean {
    return this.#filters.size > 0;
  }

  /** Whether a group of a column is shown. */
  shows(column: CategoryColumn, code: number): boolean {
    const filter = this.#filters.get(column.name);
    return filter?.kind !== "category" || filter.codes.has(code);
  }

  /** Whether a column is filtered by. */
  has(column: Column): boolean {
    return this.#filters.has(column.name);
  }

  /** Shows a group, or no longer; without any, all are shown. */
  toggle(column: CategoryColumn, code: number): void {
    const old = this.#filters.get(column.name);
    const codes = new Set(old?.kind === "category" ? old.codes : []);
    if (!codes.delete(code)) codes.add(code);
    if (codes.size === 0) this.#filters.delete(column.name);
    else this.#filters.set(column.name, { kind: "category", column, codes });
    this.#changed(column.name);
  }

  clear(): void {
    const names = [...this.#filters.keys()];
    this.#filters.clear();
    for (const name of names) this.#refresh.get(name)?.();
    this.#onChange(names);
  }

  /** 1 of rows that all filters leave; null where there are none. */
  mask(): Uint8Array | null {
    if (!this.active) return null;
    const mask = new Uint8Array(this.#data.rows).fill(1);
    for (const filter of this.#filters.values()) {
      if (filter.kind === "category") {
        const { codes } = filter.column;
        for (let i = 0; i < mask.length; i++) {
          if (mask[i] === 1 && !filter.codes.has(codes[i] as number)) mask[i] = 0;
        }
      } else {
        const { low, high } = filter;
        const { values } = filter.column;
        for (let i = 0; i < mask.length; i++) {
          const value = values[i] as number;
          // Also false of NaN.
          if (!(value >= low && value <= high)) mask[i] = 0;
        }
      }
    }
    return mask;
  }

  #changed(name: string): void {
    this.#refresh.get(name)?.();
    this.#onChange([name]);
  }

  #add(column: NumberColumn | CategoryColumn): void {
    const state = make("span", { class: "dim" });
    const details = make(
      "details",
      { "data-column": column.name },
      make("summary", {}, make("span", { class: "file" }, column.name), " ", state),
    );
    this.#refresh.set(column.name, () => {
      const filter = this.#filters.get(column.name);
      state.textContent =
        filter === undefined
          ? ""
          : filter.kind === "number"
            ? `${figure(filter.low)} to ${figure(filter.high)}`
            : counted(filter.codes.size, "group");
    });
    // Most are never opened: a histogram goes over all rows.
    details.addEventListener(
      "toggle",
      () => {
        const isNumber = column.kind === "number";
        details.append(isNumber ? this.#range(column) : this.#groups(column));
      },
      { once: true },
    );
    this.#parent.append(details);
  }

  #range(column: NumberColumn): HTMLElement {
    const { values, name } = column;
    const [least, most] = extent(values);
    if (least === most) {
      const text = `${figure(least)}, wherever there is one.`;
      return make("p", { class: "dim" }, text);
    }
    const span = most - least;
    const bins = new Uint32Array(BINS);
    let missing = 0;
    for (const value of values) {
      if (Number.isNaN(value)) missing++;
      else {
        const bin = Math.min(BINS - 1, Math.floor(((value - least) / span) * BINS));
        bins[bin] = (bins[bin] as number) + 1;
      }
    }
    const tallest = Math.max(...bins);
    const bars = make("div", { class: "bars", "aria-hidden": "true" });
    const all = Array.from(bins, (count) => {
      const bar = make("div", { class: "bar", style: `height: ${(100 * count) / tallest}%` });
      if (count > 0) bar.classList.add("some");
      bars.append(bar);
      return bar;
    });
    const slider = (label: string, value: number) =>
      make("input", { type: "range", min: 0, max: STEPS, value, "aria-label": `${label} ${name}` });
    const field = (label: string) =>
      make("input", { type: "number", step: "any", "aria-label": `${label} ${name}, exactly` });
    const [from, to] = [slider("Least", 0), slider("Greatest", STEPS)];
    const [low, high] = [field("Least"), field("Greatest")];
    // The ends themselves, which steps would miss by a rounding.
    const at = (step: number) =>
      step === 0 ? least : step === STEPS ? most : least + (step / STEPS) * span;
    const stepOf = (value: number) =>
      Math.min(STEPS, Math.max(0, Math.round(((value - least) / span) * STEPS)));
    const show = () => {
      const filter = this.#filters.get(name);
      const bounds = filter?.kind === "number" ? filter : { low: least, high: most };
      from.value = String(stepOf(bounds.low));
      to.value = String(stepOf(bounds.high));
      low.value = shortText(bounds.low);
      high.value = shortText(bounds.high);
      from.setAttribute("aria-valuetext", figure(bounds.low));
      to.setAttribute("aria-valuetext", figure(bounds.high));
      for (const [i, bar] of all.entries()) {
        const [begin, end] = [least + (i / BINS) * span, least + ((i + 1) / BINS) * span];
        bar.classList.toggle("out", end <= bounds.low || begin > bounds.high);
      }
    };
    // 0.1 is the number of single precision that is called so.
    const exact = (bound: number) => (values instanceof Float32Array ? Math.fround(bound) : bound);
    const set = (wanted: { low: number; high: number }) => {
      const bounds = { low: exact(wanted.low), high: exact(wanted.high) };
      const isAll = bounds.low <= least && bounds.high >= most;
      if (isAll) this.#filters.delete(name);
      else this.#filters.set(name, { kind: "number", column, ...bounds });
      this.#changed(name);
    };
    const moved = (slid: HTMLInputElement) => {
      const [a, b] = [Number(from.value), Number(to.value)];
      // One takes the other along.
      set(
        slid === from
          ? { low: at(a), high: at(Math.max(a, b)) }
          : { low: at(Math.min(a, b)), high: at(b) },
      );
    };
    from.addEventListener("input", () => moved(from));
    to.addEventListener("input", () => moved(to));
    const typed = () => {
      const bound = (text: string, without: number) => (text === "" ? without : Number(text));
      set({ low: bound(low.value, least), high: bound(high.value, most) });
    };
    low.addEventListener("change", typed);
    high.addEventListener("change", typed);
    const refresh = this.#refresh.get(name);
    this.#refresh.set(name, () => {
      refresh?.();
      show();
    });
    show();
    const rest = `${counted(missing, "image")} without one.`;
    return make(
      "div",
      { class: "range" },
      bars,
      from,
      to,
      make("div", { class: "bounds" }, low, "to", high),
      missing > 0 && make("p", { class: "dim" }, rest),
    );
  }

  #groups(column: CategoryColumn): HTMLElement {
    const counts = new Uint32Array(column.names.length + 1);
    for (const code of column.codes) counts[code] = (counts[code] as number) + 1;
    const boxes = new Map<number, HTMLInputElement>();
    const list = make("ul", { class: "groups" });
    const codes = column.names.slice(0, LISTED).map((_, i) => i + 1);
    for (const code of (counts[0] as number) > 0 ? [...codes, 0] : codes) {
      const box = make("input", { type: "checkbox" });
      box.addEventListener("change", () => this.toggle(column, code));
      boxes.set(code, box);
      const count = (counts[code] as number).toLocaleString("en");
      const label = make("label", { class: "check" }, box, " ", groupName(column, code));
      label.append(make("span", { class: "dim" }, ` ${count}`));
      list.append(make("li", {}, label));
    }
    const rest = column.names.length - LISTED;
    if (rest > 0) list.append(make("li", { class: "dim" }, `and ${counted(rest, "group")} more`));
    const refresh = this.#refresh.get(column.name);
    this.#refresh.set(column.name, () => {
      refresh?.();
      const filter = this.#filters.get(column.name);
      for (const [code, box] of boxes) {
        box.checked = filter?.kind === "category" && filter.codes.has(code);
      }
    });
    this.#refresh.get(column.name)?.();
    return list;
  }
}
