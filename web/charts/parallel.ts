/**
 * A parallel-coordinates plot (Inselberg, 1985): an upright axis a column, a line a row. Dragging
 * along an axis filters by it, and so do its two handles, by the arrow keys. The lines are one stop
 * of the tab key; arrow keys go from one to the next in the order of the column that colours them.
 */
import "./parallel.css";
import { type AxisScale, type AxisValue, axisScale, shortNumber } from "./axis_scale.ts";

export type { AxisValue };

/** A column. */
export interface ParallelAxis {
  /** What stands above the axis. */
  name: string;
  /** A value a line, in the order of the labels; null where there is none. */
  values: readonly AxisValue[];
}

/** What is drawn. */
export interface ParallelData {
  axes: readonly ParallelAxis[];
  /** A name a line. */
  labels: readonly string[];
  /** Index of the axis by which lines are coloured. */
  colourBy: number;
}

/** What is drawn, and who is told of what is done with it. */
export interface ParallelOptions extends ParallelData {
  /** A line is pointed at or has the focus; null: none any more. */
  onHover?: ((line: number | null) => void) | undefined;
  /** A line was clicked, or has the focus and Enter was pressed. */
  onChoose?: ((line: number) => void) | undefined;
  /** Which lines the filters leave, in their order. */
  onFilter?: ((lines: readonly number[]) => void) | undefined;
}

/** A plot that was drawn. */
export interface ParallelPlot {
  /** Draws other data; what is left out stays. Filters stay with axes of the same name. */
  update(changed: Partial<ParallelData>): void;
  /** Shows a line as if it were pointed at; null: none. `onHover` is not told. */
  highlight(line: number | null): void;
  /** Empties the place, and listens to nothing any more. */
  destroy(): void;
}

type Range = readonly [least: number, most: number];

const SVG = "http://www.w3.org/2000/svg";
/** Of the place where lines without a value go, below the axis, as a share of it. */
const BELOW = 0.12;
/** Half of an axis's strip that can be dragged along, and of a handle's height, in pixels. */
const REACH = 12;
/** A drag over fewer pixels is a click. */
const CLICK = 4;
/** Places this near to each other are the same. */
const SAME = 1e-9;
/** Letters of a name or a mark that are shown. */
const LONGEST = 22;

function svg(
  name: string,
  attributes: Readonly<Record<string, string | number>> = {},
  ...children: readonly Node[]
): SVGElement {
  const element = document.createElementNS(SVG, name);
  for (const [key, value] of Object.entries(attributes)) element.setAttribute(key, String(value));
  element.append(...children);
  return element;
}

/** Text is put in as text: names are anybody's. */
function textElement(text: string, attributes: Readonly<Record<string, string | number>>): Node {
  const element = svg("text", attributes);
  element.textContent = cut(text);
  return element;
}

const cut = (text: string) => (text.length > LONGEST ? `${text.slice(0, LONGEST - 1)}…` : text);

function valueText(value: AxisValue | undefined): string {
  if (value === null || value === undefined || Number.isNaN(value)) return "–";
  return typeof value === "number" ? shortNumber(value) : value;
}

/** One axis as it is drawn. */
interface DrawnAxis {
  name: string;
  scale: AxisScale;
  x: number;
}

class Parallel implements ParallelPlot {
  readonly #place: HTMLElement;
  readonly #options: ParallelOptions;
  #data: ParallelData;
  #axes: DrawnAxis[] = [];
  /** By the names of axes: from 0 to 1. */
  #filters = new Map<string, Range>();
  #marked: number | null = null;
  /** The line that the tab key comes to. */
  #current = 0;
  #top = 0;
  #height = 0;
  #width = 0;
  readonly #root = document.createElement("div");
  readonly #frame = document.createElement("div");
  readonly #told = document.createElement("p");
  readonly #count = document.createElement("p");
  readonly #all = document.createElement("button");
  #svg = svg("svg") as SVGSVGElement;
  #lines = svg("g");
  #observer: ResizeObserver;
  #drag: { axis: string; from: number; y: number } | null = null;

  constructor(place: HTMLElement, options: ParallelOptions) {
    this.#place = place;
    this.#options = options;
    this.#data = options;
    this.#root.className = "parallel";
    this.#frame.className = "parallel-frame";
    const foot = document.createElement("div");
    foot.className = "parallel-foot";
    this.#count.setAttribute("role", "status");
    this.#count.className = "dim";
    // The same is said by the name of the line that has the focus.
    this.#told.setAttribute("aria-hidden", "true");
    this.#all.type = "button";
    this.#all.textContent = "Show all";
    this.#all.addEventListener("click", () => {
      this.#filters.clear();
      this.#filtered();
      this.#focusLine(this.#current);
    });
    foot.append(this.#count, this.#all, this.#told);
    this.#root.append(this.#frame, foot);
    place.replaceChildren(this.#root);
    const frame = this.#frame;
    frame.addEventListener("pointerover", (event) => this.#hover(lineOf(event.target)));
    frame.addEventListener("pointerleave", () => this.#hover(null));
    frame.addEventListener("focusin", (event) => {
      const line = lineOf(event.target);
      if (line === null) return;
      this.#current = line;
      this.#hover(line);
    });
    frame.addEventListener("focusout", () => this.#hover(null));
    frame.addEventListener("click", (event) => {
      const line = lineOf(event.target);
      if (line !== null) this.#options.onChoose?.(line);
    });
    frame.addEventListener("keydown", (event) => this.#onKey(event));
    frame.addEventListener("pointerdown", (event) => this.#onDown(event));
    frame.addEventListener("pointermove", (event) => this.#onMove(event));
    for (const end of ["pointerup", "pointercancel"] as const) {
      frame.addEventListener(end, (event) => this.#onUp(event));
    }
    this.#observer = new ResizeObserver(() => {
      if (this.#frame.clientWidth !== this.#width) this.#draw();
    });
    this.#draw();
    this.#observer.observe(place);
  }

  update(changed: Partial<ParallelData>): void {
    const { axes, labels, colourBy } = { ...this.#data, ...changed };
    this.#data = { axes, labels, colourBy };
    const names = new Set(axes.map(({ name }) => name));
    for (const name of this.#filters.keys()) if (!names.has(name)) this.#filters.delete(name);
    if (this.#current >= labels.length) this.#current = 0;
    if (this.#marked !== null && this.#marked >= labels.length) this.#marked = null;
    this.#draw();
  }

  highlight(line: number | null): void {
    if (line === this.#marked) return;
    this.#marked = line;
    this.#showMarked();
  }

  destroy(): void {
    this.#observer.disconnect();
    this.#place.replaceChildren();
  }

  // What is shown.

  #isShown(line: number): boolean {
    return this.#axes.every(({ name, scale }, i) => {
      const range = this.#filters.get(name);
      if (range === undefined) return true;
      const at = scale.place(this.#data.axes[i]?.values[line] ?? null);
      return at !== null && at >= range[0] - SAME && at <= range[1] + SAME;
    });
  }

  #draw(): void {
    const { axes, labels } = this.#data;
    const focused = this.#focusKey();
    this.#width = this.#frame.clientWidth;
    const rem = Number.parseFloat(getComputedStyle(document.documentElement).fontSize);
    const font = 0.8 * rem;
    // Wider than most: what is not measured must not be cut off.
    const letter = 0.64 * font;
    const scales = axes.map(({ values }) => axisScale(values));
    const widths = axes.map(({ name }, i) => {
      const marks = (scales[i] as AxisScale).ticks.map(({ text }) => cut(text).length);
      return { name: letter * 1.1 * cut(name).length, marks: letter * Math.max(0, ...marks) };
    });
    // Marks stand to the right of their axis.
    const last = widths.at(-1);
    const left = Math.max(REACH + 4, (widths[0]?.name ?? 0) / 2 + 2);
    const right = Math.max(REACH + 4, (last?.name ?? 0) / 2 + 2, (last?.marks ?? 0) + 14);
    const least = Math.max(
      4 * font,
      ...widths.map(({ name, marks }, i) =>
        Math.max(marks + 2 * REACH, (name + (widths[i + 1]?.name ?? 0)) / 2 + font),
      ),
    );
    const steps = Math.max(axes.length - 1, 1);
    const width = Math.max(this.#width, left + right + least * steps);
    const hasMissing = axes.some(({ values }, i) =>
      labels.some((_, line) => scales[i]?.place(values[line] ?? null) === null),
    );
    this.#top = 2.6 * font + REACH;
    this.#height = 20 * rem - this.#top;
    const bottom = this.#top + this.#height * (hasMissing ? 1 + BELOW : 1) + 2 * REACH + 4;
    this.#axes = axes.map(({ name }, i) => ({
      name,
      scale: scales[i] as AxisScale,
      x: left + (i * (width - left - right)) / steps,
    }));
    this.#svg = svg("svg", {
      width,
      height: bottom,
      viewBox: `0 0 ${width} ${bottom}`,
      role: "group",
      "aria-label": `${labels.length} lines over ${axes.map(({ name }) => name).join(", ")}`,
      "font-size": font,
    }) as SVGSVGElement;
    this.#lines = svg("g", { role: "listbox", "aria-label": "Lines" });
    for (const line of labels.keys()) this.#lines.append(this.#drawLine(line));
    if (labels.length === 0) this.#lines.removeAttribute("role");
    this.#svg.append(this.#lines, ...this.#axes.map((axis) => this.#drawAxis(axis, font)));
    this.#frame.replaceChildren(this.#svg);
    this.#filtered(false);
    this.#showMarked();
    if (focused !== null) this.#svg.querySelector<SVGElement>(focused)?.focus();
  }

  #y(at: number | null): number {
    return this.#top + this.#height * (at === null ? 1 + BELOW : 1 - at);
  }

  #drawLine(line: number): SVGElement {
    const { axes, labels, colourBy } = this.#data;
    const points = this.#axes.map(({ scale, x }, i) => {
      const y = this.#y(scale.place(axes[i]?.values[line] ?? null));
      return `${x.toFixed(1)},${y.toFixed(1)}`;
    });
    // A single axis has a short dash in place of a line.
    const d = points.length === 1 ? `M${points[0]}h30` : `M${points.join("L")}`;
    const seen = svg("path", { class: "seen", d });
    const coloured = this.#axes[colourBy];
    const share = coloured?.scale.place(axes[colourBy]?.values[line] ?? null) ?? null;
    if (share !== null) seen.style.stroke = colourAt(share);
    const values = axes.map(({ name, values }) => `${name} ${valueText(values[line])}`);
    return svg(
      "g",
      {
        class: "line",
        role: "option",
        "aria-selected": "false",
        "aria-label": `${labels[line]}: ${values.join(", ")}`,
        tabindex: -1,
        "data-line": line,
      },
      svg("path", { class: "hit", d }),
      seen,
    );
  }

  #drawAxis({ name, scale, x }: DrawnAxis, font: number): SVGElement {
    const coloured = this.#axes[this.#data.colourBy];
    const group = svg("g", { "data-axis": name });
    group.append(
      svg("line", { class: "axis", x1: x, x2: x, y1: this.#y(1), y2: this.#y(0) }),
      textElement(name, { class: "name", x, y: font + 1 }),
    );
    if (coloured?.name === name && scale.stops.length > 1) {
      // What the colours mean.
      const parts = 24;
      for (let i = 0; i < parts; i++) {
        const y = this.#y((i + 1) / parts);
        const height = this.#height / parts + 0.5;
        const part = svg("rect", { x: x - 3, y, width: 6, height });
        part.style.fill = colourAt((i + 0.5) / parts);
        group.append(part);
      }
    }
    for (const { at, text } of scale.ticks) {
      const y = this.#y(at);
      group.append(
        svg("line", { class: "axis", x1: x, x2: x + 6, y1: y, y2: y }),
        textElement(text, { x: x + 9, y: y + 0.35 * font }),
      );
    }
    const values = this.#data.axes.find((axis) => axis.name === name)?.values ?? [];
    if (values.some((value) => scale.place(value) === null)) {
      group.append(textElement("none", { x: x + 9, y: this.#y(null) + 0.35 * font }));
    }
    group.append(
      svg("rect", {
        class: "brush",
        x: x - REACH,
        y: this.#y(1) - REACH,
        width: 2 * REACH,
        height: this.#height + 2 * REACH,
      }),
      svg("rect", { class: "range", x: x - 5, y: 0, width: 10, height: 0 }),
    );
    // Without two values there is nothing to choose from.
    if (scale.stops.length > 1) {
      for (const end of ["least", "most"] as const) {
        const grip = end === "least" ? "M-7 3h14l-7 8z" : "M-7-3h14l-7-8z";
        const area = { class: "area", x: -REACH, y: -REACH, width: 2 * REACH, height: 2 * REACH };
        group.append(
          svg(
            "g",
            {
              class: "handle",
              role: "slider",
              tabindex: 0,
              "data-end": end,
              "aria-label": `${name}: the ${end} that is shown`,
              "aria-orientation": "vertical",
              "aria-valuemin": 0,
              "aria-valuemax": scale.stops.length - 1,
            },
            svg("rect", area),
            svg("path", { class: "grip", d: grip }),
          ),
        );
      }
    }
    return group;
  }

  /** Shows what the filters leave. */
  #filtered(tell = true): void {
    const shown: number[] = [];
    for (const element of this.#lineElements()) {
      const line = Number(element.dataset.line);
      const isShown = this.#isShown(line);
      element.classList.toggle("out", !isShown);
      if (isShown) shown.push(line);
    }
    if (!shown.includes(this.#current) && shown.length > 0) this.#current = this.#order()[0] ?? 0;
    this.#placeTabStop();
    for (const group of this.#svg.querySelectorAll<SVGElement>("[data-axis]")) {
      this.#showFilter(group);
    }
    const { length } = this.#data.labels;
    this.#count.textContent = this.#filters.size === 0 ? "" : `${shown.length} of ${length} shown`;
    this.#all.hidden = this.#filters.size === 0;
    if (tell) this.#options.onFilter?.(shown);
  }

  #showFilter(group: SVGElement): void {
    const axis = this.#axes.find(({ name }) => name === group.dataset.axis);
    if (axis === undefined) return;
    const range = this.#filters.get(axis.name);
    const [least, most] = range ?? [0, 1];
    const band = group.querySelector(".range") as SVGElement;
    const height = range === undefined ? 0 : Math.max(this.#y(least) - this.#y(most), 4);
    band.setAttribute("y", String(this.#y(most) - (height === 4 ? 2 : 0)));
    band.setAttribute("height", String(height));
    const { stops } = axis.scale;
    for (const handle of group.querySelectorAll<SVGElement>(".handle")) {
      const isLeast = handle.dataset.end === "least";
      const at = isLeast ? least : most;
      // Beyond its end of the range, so that two at one value stand one above the other.
      const y = this.#y(at) + (isLeast ? REACH : -REACH);
      handle.setAttribute("transform", `translate(${axis.x} ${y})`);
      handle.setAttribute("aria-valuenow", String(stopAt(stops, at, isLeast)));
      handle.setAttribute("aria-valuetext", axis.scale.textAt(at));
    }
  }

  #showMarked(): void {
    const line = this.#marked;
    this.#svg.classList.toggle("marked", line !== null);
    for (const element of this.#lineElements()) {
      const isMarked = Number(element.dataset.line) === line;
      element.classList.toggle("marked", isMarked);
      element.setAttribute("aria-selected", String(isMarked));
    }
    const element = line === null ? null : this.#lineElement(line);
    this.#told.textContent = element?.getAttribute("aria-label") ?? "";
  }

  #hover(line: number | null): void {
    if (this.#drag !== null) return;
    // The focus stays on a line when the pointer leaves another.
    const focused = lineOf(document.activeElement);
    const wanted = line ?? (this.#frame.contains(document.activeElement) ? focused : null);
    if (wanted === this.#marked) return;
    this.highlight(wanted);
    this.#options.onHover?.(wanted);
  }

  // Lines, by keys.

  #lineElements(): Iterable<SVGElement> {
    return this.#lines.querySelectorAll<SVGElement>("[data-line]");
  }

  #lineElement(line: number): SVGElement | null {
    return this.#lines.querySelector<SVGElement>(`[data-line="${line}"]`);
  }

  /** Those that filters leave, by the column that colours them, the least first. */
  #order(): number[] {
    const { labels, axes, colourBy } = this.#data;
    const scale = this.#axes[colourBy]?.scale;
    const at = (line: number) => scale?.place(axes[colourBy]?.values[line] ?? null) ?? 2;
    return [...labels.keys()].filter((line) => this.#isShown(line)).sort((a, b) => at(a) - at(b));
  }

  #placeTabStop(): void {
    for (const element of this.#lineElements()) {
      const isStop = Number(element.dataset.line) === this.#current;
      element.setAttribute("tabindex", isStop ? "0" : "-1");
    }
  }

  #focusLine(line: number): void {
    this.#current = line;
    this.#placeTabStop();
    this.#lineElement(line)?.focus();
  }

  /** Finds what has the focus again after all is drawn anew. */
  #focusKey(): string | null {
    const active = document.activeElement;
    if (!(active instanceof SVGElement) || !this.#frame.contains(active)) return null;
    const { line, end } = active.dataset;
    if (line !== undefined) return `[data-line="${line}"]`;
    const axis = active.closest<SVGElement>("[data-axis]")?.dataset.axis ?? "";
    return end === undefined ? null : `[data-axis="${CSS.escape(axis)}"] [data-end="${end}"]`;
  }

  #onKey(event: KeyboardEvent): void {
    const target = event.target as SVGElement;
    if (event.key === "Escape" && this.#filters.size > 0) {
      this.#filters.clear();
      this.#filtered();
      event.preventDefault();
      return;
    }
    const line = lineOf(target);
    if (line !== null) this.#onLineKey(event, line);
    else if (target.dataset.end !== undefined) this.#onHandleKey(event, target);
  }

  #onLineKey(event: KeyboardEvent, line: number): void {
    if (event.key === "Enter" || event.key === " ") {
      event.preventDefault();
      this.#options.onChoose?.(line);
      return;
    }
    const order = this.#order();
    const at = order.indexOf(line);
    const next = {
      ArrowDown: at - 1,
      ArrowLeft: at - 1,
      ArrowUp: at + 1,
      ArrowRight: at + 1,
      Home: 0,
      End: order.length - 1,
    }[event.key];
    if (next === undefined) return;
    event.preventDefault();
    const wanted = order[Math.min(Math.max(next, 0), order.length - 1)];
    if (wanted !== undefined) this.#focusLine(wanted);
  }

  #onHandleKey(event: KeyboardEvent, handle: SVGElement): void {
    const axis = this.#axisOf(handle);
    if (axis === undefined) return;
    const { stops } = axis.scale;
    const isLeast = handle.dataset.end === "least";
    const [least, most] = this.#filters.get(axis.name) ?? [0, 1];
    const [low, high] = [stopAt(stops, least, true), stopAt(stops, most, false)];
    const here = isLeast ? low : high;
    const page = Math.max(1, Math.round(stops.length / 10));
    const next = {
      ArrowUp: here + 1,
      ArrowRight: here + 1,
      ArrowDown: here - 1,
      ArrowLeft: here - 1,
      PageUp: here + page,
      PageDown: here - page,
      Home: 0,
      End: stops.length - 1,
    }[event.key];
    if (next === undefined) return;
    event.preventDefault();
    const [from, to] = isLeast ? [0, high] : [low, stops.length - 1];
    const moved = stops[Math.min(Math.max(next, from), to)] as number;
    this.#setFilter(axis.name, isLeast ? [moved, most] : [least, moved]);
  }

  // Filters, by the pointer.

  #axisOf(element: Element): DrawnAxis | undefined {
    const name = element.closest<SVGElement>("[data-axis]")?.dataset.axis;
    return this.#axes.find((axis) => axis.name === name);
  }

  #setFilter(name: string, [least, most]: Range): void {
    if (least <= SAME && most >= 1 - SAME) this.#filters.delete(name);
    else this.#filters.set(name, [least, most]);
    this.#filtered();
  }

  #atPointer(event: PointerEvent): number {
    const box = this.#svg.getBoundingClientRect();
    const y = ((event.clientY - box.top) * this.#svg.viewBox.baseVal.height) / box.height;
    return Math.min(Math.max(1 - (y - this.#top) / this.#height, 0), 1);
  }

  #onDown(event: PointerEvent): void {
    const target = event.target as Element;
    const axis = this.#axisOf(target);
    if (axis === undefined || event.button !== 0) return;
    const handle = target.closest<SVGElement>(".handle");
    const at = this.#atPointer(event);
    const [least, most] = this.#filters.get(axis.name) ?? [0, 1];
    // A handle moves its end, and the other one stays.
    const from = handle === null ? at : handle.dataset.end === "least" ? most : least;
    this.#drag = { axis: axis.name, from, y: handle === null ? event.clientY : Number.NaN };
    this.#frame.setPointerCapture(event.pointerId);
    event.preventDefault();
    handle?.focus();
  }

  #onMove(event: PointerEvent): void {
    const drag = this.#drag;
    if (drag === null || Math.abs(event.clientY - drag.y) < CLICK) return;
    const at = this.#atPointer(event);
    this.#setFilter(drag.axis, [Math.min(at, drag.from), Math.max(at, drag.from)]);
  }

  #onUp(event: PointerEvent): void {
    const drag = this.#drag;
    if (drag === null) return;
    this.#drag = null;
    // A click lets go of the filter.
    if (Math.abs(event.clientY - drag.y) < CLICK) this.#setFilter(drag.axis, [0, 1]);
  }
}

/** From the least to the most, in colours that all kinds of colour vision tell apart. */
function colourAt(share: number): string {
  return `color-mix(in oklab, var(--most) ${(100 * share).toFixed(1)}%, var(--least))`;
}

/** The line that an element belongs to. */
function lineOf(element: EventTarget | null): number | null {
  if (!(element instanceof Element)) return null;
  const line = element.closest<SVGElement>("[data-line]")?.dataset.line;
  return line === undefined ? null : Number(line);
}

/** The first stop from a place upwards, or the last one up to it. */
function stopAt(stops: readonly number[], at: number, isLeast: boolean): number {
  const found = isLeast
    ? stops.findIndex((stop) => stop >= at - SAME)
    : stops.findLastIndex((stop) => stop <= at + SAME);
  return found < 0 ? (isLeast ? stops.length - 1 : 0) : found;
}

/** Draws a parallel-coordinates plot into a place, in which nothing else stays. */
export function drawParallel(place: HTMLElement, options: ParallelOptions): ParallelPlot {
  return new Parallel(place, options);
}
