/** Filters by columns: ranges of numbers by their histogram, and groups. */
import type { CategoryColumn, Column, Data, NumberColumn } from "./data.ts";
import { figure } from "./data.ts";
import { counted, make } from "./elements.ts";

const BINS = 40;
/** Steps of a slider. */
const STEPS = 200;
/** Groups that are listed at a time. */
const LISTED = 200;

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
  readonly #onChange: () => void;
  readonly #filters = new Map<string, Filter>();
  /** What shows a filter as it is. */
  readonly #refresh = new Map<string, () => void>();

  constructor(parent: HTMLElement, data: Data, onChange: () => void) {
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
    this.#onChange();
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
    this.#onChange();
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
      make("input", {
        type: "range",
        min: 0,
        max: STEPS,
        value,
        "aria-label": `${label} ${name}`,
      });
    const [from, to] = [slider("Least", 0), slider("Greatest", STEPS)];
    const texts = make("p", { class: "dim" });
    const at = (step: number) => least + (step / STEPS) * span;
    const show = () => {
      const [low, high] = [Number(from.value), Number(to.value)];
      for (const [i, bar] of all.entries()) {
        const isIn = (i + 1) / BINS > low / STEPS && i / BINS < high / STEPS;
        bar.classList.toggle("out", !isIn);
      }
      const rest = missing > 0 ? `, ${counted(missing, "image")} without` : "";
      texts.textContent = `${figure(at(low))} to ${figure(at(high))}${rest}`;
      from.setAttribute("aria-valuetext", figure(at(low)));
      to.setAttribute("aria-valuetext", figure(at(high)));
    };
    const change = (moved: HTMLInputElement, other: HTMLInputElement) => {
      const isLow = moved === from;
      const [value, limit] = [Number(moved.value), Number(other.value)];
      if (isLow ? value > limit : value < limit) other.value = moved.value;
      const [low, high] = [Number(from.value), Number(to.value)];
      if (low === 0 && high === STEPS) this.#filters.delete(name);
      else {
        // The ends themselves, which steps may miss by a rounding.
        const bounds = { low: low === 0 ? least : at(low), high: high === STEPS ? most : at(high) };
        this.#filters.set(name, { kind: "number", column, ...bounds });
      }
      show();
      this.#changed(name);
    };
    from.addEventListener("input", () => change(from, to));
    to.addEventListener("input", () => change(to, from));
    const refresh = this.#refresh.get(name);
    this.#refresh.set(name, () => {
      refresh?.();
      if (!this.#filters.has(name)) {
        from.value = "0";
        to.value = String(STEPS);
      }
      show();
    });
    show();
    return make("div", { class: "range" }, bars, from, to, texts);
  }

  #groups(column: CategoryColumn): HTMLElement {
    const counts = new Uint32Array(column.names.length + 1);
    for (const code of column.codes) counts[code] = (counts[code] as number) + 1;
    const boxes: HTMLInputElement[] = [];
    const list = make("ul", { class: "groups" });
    for (const [i, name] of column.names.slice(0, LISTED).entries()) {
      const box = make("input", { type: "checkbox" });
      box.addEventListener("change", () => this.toggle(column, i + 1));
      boxes.push(box);
      const count = make(
        "span",
        { class: "dim" },
        ` ${(counts[i + 1] as number).toLocaleString("en")}`,
      );
      list.append(make("li", {}, make("label", { class: "check file" }, box, ` ${name}`, count)));
    }
    const rest = column.names.length - LISTED;
    if (rest > 0) list.append(make("li", { class: "dim" }, `and ${counted(rest, "group")} more`));
    const refresh = this.#refresh.get(column.name);
    this.#refresh.set(column.name, () => {
      refresh?.();
      const filter = this.#filters.get(column.name);
      for (const [i, box] of boxes.entries()) {
        box.checked = filter?.kind === "category" && filter.codes.has(i + 1);
      }
    });
    this.#refresh.get(column.name)?.();
    return list;
  }
}
