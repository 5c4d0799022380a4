/** The page as a whole: what is looked at, filtered and selected, and who is told when it changes. */

import { byId, counted, make } from "../elements.ts";
import { type Colouring, colourBy, type Palette } from "./colours.ts";
import { toCsv } from "./csv.ts";
import { type CategoryColumn, type Column, type Data, valueText } from "./data.ts";
import { Filters } from "./filters.ts";
import { PathSearch } from "./find.ts";
import { drawImage, imageButton, neighboursOf } from "./image.ts";
import { drawLegend } from "./legend.ts";
import { type Mode, PointMap } from "./map.ts";
import { Pictures } from "./pictures.ts";
import { type Joining, rowsOf, Selection } from "./selection.ts";
import type { Source } from "./source.ts";
import { Thumbnails } from "./thumbnails.ts";
import { showTip } from "./tip.ts";
import { watchTouch } from "./touch.ts";

/** --c0 to --c9 of `theme.css`. */
const GROUP_COLOURS = 10;
/** Rows that a list shows. */
const LISTED = 50;
const MODES: readonly Mode[] = ["move", "lasso", "box"];
/** Letters that choose a mode. */
const MODE_KEYS: Readonly<Record<string, Mode>> = { m: "move", l: "lasso", b: "box" };

/** A colour of `theme.css`, as light or dark as the page is now. */
const themeValue = (name: string) =>
  getComputedStyle(document.documentElement).getPropertyValue(name).trim();

/** By what points are coloured first. */
function usualColumn(columns: readonly Column[]): Column | undefined {
  // Of one group alone all points would be alike.
  const groups = columns.filter(({ kind }) => kind === "category") as CategoryColumn[];
  const several = groups.filter(({ names }) => names.length > 1);
  const named = (name: string) => several.find((column) => column.name === name);
  const loss = columns.find((column) => column.name === "loss" && column.kind === "number");
  return named("class") ?? named("cluster") ?? several[0] ?? loss;
}

/** Everything on the page. */
export class Explorer {
  readonly #data: Data;
  readonly #source: Source;
  readonly #thumbnails: Thumbnails | null;
  readonly #map: PointMap | null;
  readonly #pictures: Pictures | null;
  readonly #filters: Filters;
  readonly #selection: Selection;
  readonly #search: PathSearch;
  readonly #dark = matchMedia("(prefers-color-scheme: dark)");
  #column: Column | undefined;
  #mask: Uint8Array | null = null;
  #current: number | null = null;
  /** The point under the pointer, and the thumbnail. */
  #hovered: number | null = null;
  #hoveredPicture: number | null = null;
  /** Columns whose filters were changed since they were applied. */
  readonly #changedFilters = new Set<string>();
  #filterFrame: number | undefined;

  constructor(data: Data, source: Source) {
    this.#data = data;
    this.#source = source;
    this.#thumbnails = Thumbnails.of(source, data, () => this.#pictures?.draw());
    this.#selection = new Selection(data.rows);
    this.#search = new PathSearch(data);
    this.#filters = new Filters(byId("filters"), data, (names) => this.#filterChanged(names));
    this.#column = usualColumn(data.columns);
    this.#map = this.#makeMap();
    this.#pictures =
      this.#map &&
      new Pictures(byId<HTMLCanvasElement>("pictures"), this.#map, data, this.#thumbnails, (row) =>
        this.#selection.has(row),
      );
    this.#watch();
    this.#showSelection();
    this.#showFilters();
  }

  /** Draws the points. */
  async begin(): Promise<void> {
    this.#setTheme();
    await this.#colour();
    await this.#map?.reset();
    this.#pictures?.look();
    if (this.#map !== null) byId("state").hidden = true;
  }

  #makeMap(): PointMap | null {
    try {
      return new PointMap(byId<HTMLCanvasElement>("points"), this.#data, {
        onHover: (row) => {
          this.#hovered = row;
          this.#hover(this.#hoveredPicture ?? row);
        },
        onClick: (point, x, y) => {
          const row = this.#pictures?.at(x, y) ?? point;
          if (row === null) return;
          void this.#pick(row);
          // A finger leaves with the tap: what it was on is shown still.
          this.#hover(row);
        },
        onSelect: (rows, how) => this.#select(rows, how),
        onMove: () => {
          showTip(byId("tip"), this.#data, null, null);
          this.#pictures?.moved();
        },
      });
    } catch {
      byId("state").textContent =
        "The map wants WebGL, which this browser does not have or has turned off. Search, filters and lists work without it.";
      return null;
    }
  }

  #setTheme(): void {
    this.#map?.setTheme(themeValue("--card"), themeValue("--text"));
  }

  async #colour(): Promise<void> {
    const column = this.#column;
    const isShown = (code: number) =>
      column?.kind !== "category" || this.#filters.shows(column, code);
    const colouring: Colouring = colourBy(this.#data, column, this.#palette(), isShown);
    drawLegend(byId("legend"), colouring.legend, this.#filters);
    if (this.#pictures !== null) this.#pictures.colours = colouring;
    await this.#map?.colour(colouring);
  }

  #palette(): Palette {
    return {
      isDark: this.#dark.matches,
      groups: Array.from({ length: GROUP_COLOURS }, (_, i) => themeValue(`--c${i}`)),
      none: themeValue("--none"),
      plain: themeValue("--accent"),
    };
  }

  /** Applies filters with the next frame: a slider that is dragged tells more often. */
  #filterChanged(names: readonly string[]): void {
    for (const name of names) this.#changedFilters.add(name);
    this.#filterFrame ??= requestAnimationFrame(() => {
      this.#filterFrame = undefined;
      this.#filtered();
    });
  }

  #filtered(): void {
    this.#mask = this.#filters.mask();
    const shown = this.#mask === null ? null : rowsOf(this.#mask);
    this.#showFilters();
    this.#showSelection();
    // Colours follow which groups are shown, and nothing else.
    const recolours = this.#column !== undefined && this.#changedFilters.has(this.#column.name);
    this.#changedFilters.clear();
    if (recolours && this.#column?.kind === "category") void this.#colour();
    void this.#map?.filter(shown).then(() => {
      if (this.#pictures !== null) this.#pictures.shown = shown;
    });
  }

  #showFilters(): void {
    const all = this.#data.rows;
    const left = this.#shownCount();
    byId("filter-count").textContent =
      left === all
        ? `All ${counted(all, "image")} are shown.`
        : `${left.toLocaleString("en")} of ${counted(all, "image")} are shown.`;
    const clear = byId("filters-clear");
    // What is hidden has no focus any more: it goes to what tells of it.
    if (!this.#filters.active && clear === document.activeElement) byId("filter-count").focus();
    clear.hidden = !this.#filters.active;
  }

  /** Thumbnails lie above points. */
  #hoverPicture({ clientX, clientY, buttons }: MouseEvent): void {
    const box = byId("points").getBoundingClientRect();
    const isDrag = buttons !== 0;
    const found = isDrag ? null : this.#pictures?.at(clientX - box.left, clientY - box.top);
    const row = found ?? null;
    if (row === this.#hoveredPicture) return;
    this.#hoveredPicture = row;
    this.#hover(row ?? this.#hovered);
  }

  #hover(row: number | null): void {
    const place = row === null ? undefined : this.#map?.position(row);
    const at = row === null || place === undefined ? null : { row, place, column: this.#column };
    showTip(byId("tip"), this.#data, this.#thumbnails, at);
  }

  async #pick(row: number): Promise<void> {
    this.#current = row;
    const inPanel = document.activeElement?.closest("#image") != null;
    byId("image-said").textContent = `Image ${this.#data.path(row)}`;
    const { neighbours } = this.#data.header;
    // A server takes a moment: the image itself is there before.
    if (neighbours.rows === null) this.#showImage(row, [], inPanel);
    try {
      const near = await neighboursOf(this.#data, this.#source, row);
      if (this.#current === row) this.#showImage(row, near, inPanel);
      // What was wrong is not any more.
      if (this.#map !== null) byId("state").hidden = true;
    } catch (error) {
      this.#say(`The neighbours cannot be had: ${(error as Error).message}`);
    }
  }

  /** Something that is wrong, above the map. */
  #say(text: string): void {
    const state = byId("state");
    state.textContent = text;
    state.hidden = false;
  }

  #showImage(row: number, neighbours: readonly number[], inPanel: boolean): void {
    const parts = { data: this.#data, source: this.#source, thumbnails: this.#thumbnails };
    drawImage(byId("image"), row, parts, neighbours, {
      onPick: (other) => void this.#pick(other),
      onShow: (shown) => void this.#map?.show(shown),
      onSelect: (rows) => this.#select(rows, "add"),
    });
    // The button that had the focus is gone.
    if (inPanel) byId("image").querySelector("button")?.focus();
    this.#pictures?.mark(row, neighbours);
  }

  /** Rows that filters leave. */
  #left(rows: readonly number[]): number[] {
    const mask = this.#mask;
    return mask === null ? [...rows] : rows.filter((row) => mask[row] === 1);
  }

  #select(rows: readonly number[], how: Joining): void {
    this.#selection.change(this.#left(rows), how);
    this.#showSelection();
  }

  #showSelection(): void {
    const { rows } = this.#selection;
    const left = this.#left(rows);
    this.#map?.select(left);
    const isNone = rows.length === 0;
    const hidden = rows.length - left.length;
    byId("selection-count").textContent = isNone
      ? "Nothing is selected: saving and copying take all that is shown."
      : `${counted(rows.length, "image")} selected${hidden > 0 ? `, ${hidden.toLocaleString("en")} of them hidden by filters` : ""}.`;
    const clear = byId<HTMLButtonElement>("select-clear");
    if (isNone && clear === document.activeElement) byId("selection-count").focus();
    clear.disabled = isNone;
    byId("selection-images").replaceChildren(
      ...left
        .slice(0, LISTED)
        .map((row) => imageButton(this.#data, this.#thumbnails, row, (r) => void this.#pick(r))),
    );
    const taken = isNone ? this.#shownCount() : left.length;
    for (const [id, verb, what] of [
      ["export", "Save", "as CSV"],
      ["copy", "Copy", taken === 1 ? "path" : "paths"],
    ] as const) {
      const button = byId<HTMLButtonElement>(id);
      button.textContent = `${verb} ${taken.toLocaleString("en")} ${what}`;
      button.disabled = taken === 0;
    }
    byId("export-state").textContent = "";
    this.#pictures?.draw();
  }

  #shownCount(): number {
    const mask = this.#mask;
    return mask === null ? this.#data.rows : mask.reduce((sum, value) => sum + value, 0);
  }

  /** What is saved and copied: what is selected and shown, or without a selection what is shown. */
  #taken(): number[] {
    const { rows } = this.#selection;
    if (rows.length > 0) return this.#left(rows);
    return this.#mask === null ? Array.from(this.#data.x.keys()) : rowsOf(this.#mask);
  }

  #save(): void {
    const rows = this.#taken();
    const url = URL.createObjectURL(toCsv(this.#data, rows));
    make("a", { href: url, download: "selection.csv" }).click();
    setTimeout(() => URL.revokeObjectURL(url), 60_000);
    byId("export-state").textContent = `${counted(rows.length, "row")} saved as selection.csv.`;
  }

  async #copy(): Promise<void> {
    const rows = this.#taken();
    const text = rows.map((row) => this.#file(row)).join("\n");
    const said = byId("export-state");
    try {
      await navigator.clipboard.writeText(text);
      said.textContent = `${counted(rows.length, "path")} copied.`;
    } catch {
      said.textContent = "The browser did not let the paths be copied: save them as CSV.";
    }
  }

  /** The path of an image, behind that of its set where the table has one. */
  #file(row: number): string {
    const path = this.#data.path(row);
    const sets = this.#data.columns.find(({ name }) => name === "set");
    const set = sets === undefined ? "" : valueText(sets, row);
    return set === "" ? path : `${set.replace(/\/+$/, "")}/${path}`;
  }

  #find(part: string): void {
    const { rows, count } = this.#search.find(part, LISTED);
    byId("search-select").hidden = count === 0;
    byId("search-count").textContent =
      part === ""
        ? ""
        : `${counted(count, "image")}${count > LISTED ? `, the first ${LISTED}` : ""}`;
    const pick = (row: number) => {
      void this.#pick(row);
      void this.#map?.show(row);
    };
    byId("search-results").replaceChildren(
      ...rows.map((row) =>
        make(
          "li",
          {},
          make(
            "button",
            { type: "button", class: "row file", onclick: () => pick(row) },
            this.#data.path(row),
          ),
        ),
      ),
    );
  }

  #setMode(mode: Mode): void {
    for (const other of MODES) byId(other).setAttribute("aria-pressed", String(other === mode));
    if (this.#map !== null) this.#map.mode = mode;
  }

  /** The image nearest to the middle of the map. */
  #pickMiddle(): void {
    const map = this.#map;
    if (map === null) return;
    const { width, height } = map.canvas.getBoundingClientRect();
    let [nearest, least] = [-1, Infinity];
    for (const row of this.#left(map.inView())) {
      const place = map.position(row);
      if (place === undefined) continue;
      const distance = Math.hypot(place[0] - width / 2, place[1] - height / 2);
      if (distance < least) [nearest, least] = [row, distance];
    }
    if (nearest >= 0) void this.#pick(nearest);
  }

  #watch(): void {
    const on = (id: string, work: () => void) => byId(id).addEventListener("click", work);
    for (const mode of MODES) on(mode, () => this.#setMode(mode));
    on("zoom-in", () => this.#map?.zoom(1.6));
    on("zoom-out", () => this.#map?.zoom(1 / 1.6));
    on("reset", () => void this.#map?.reset());
    on("filters-clear", () => this.#filters.clear());
    on("search-select", () => {
      const { rows } = this.#search.find(byId<HTMLInputElement>("search").value, Infinity);
      this.#select(rows, "add");
    });
    on("select-shown", () => this.#selectInView());
    on("select-invert", () => {
      this.#selection.invert(this.#mask);
      this.#showSelection();
    });
    on("select-clear", () => this.#select([], "replace"));
    on("export", () => this.#save());
    on("copy", () => void this.#copy());
    const search = byId<HTMLInputElement>("search");
    search.addEventListener("input", () => this.#find(search.value));
    this.#watchColour();
    const size = byId<HTMLInputElement>("point-size");
    const usual = Math.min(9, Math.max(2, 14 - 2.3 * Math.log10(this.#data.rows + 1)));
    size.value = String(Math.round(2 * usual) / 2);
    const resize = () => {
      if (this.#map !== null) this.#map.pointSize = Number(size.value);
    };
    size.addEventListener("input", resize);
    resize();
    document.getElementById("show-thumbnails")?.addEventListener("change", (event) => {
      const { checked } = event.target as HTMLInputElement;
      if (this.#pictures !== null) this.#pictures.wanted = checked;
    });
    this.#dark.addEventListener("change", () => {
      this.#setTheme();
      void this.#colour();
      this.#pictures?.draw();
    });
    const canvas = byId<HTMLCanvasElement>("points");
    watchTouch(canvas, () => this.#map?.cancelLasso());
    canvas.addEventListener("mousemove", (event) => this.#hoverPicture(event));
    canvas.addEventListener("mouseleave", () => {
      this.#hoveredPicture = null;
    });
    for (const change of ["focus", "blur"]) {
      canvas.addEventListener(change, () => this.#pictures?.draw());
    }
    canvas.addEventListener("keydown", (event) => this.#pressed(event));
  }

  #selectInView(): void {
    const map = this.#map;
    this.#select(map === null ? Array.from(this.#data.x.keys()) : map.inView(), "replace");
  }

  #watchColour(): void {
    const select = byId<HTMLSelectElement>("colour");
    const columns = this.#data.columns.filter(({ kind }) => kind !== "text");
    select.append(
      make("option", { value: -1 }, "nothing"),
      ...columns.map(({ name }, i) => make("option", { value: i }, name)),
    );
    select.value = String(this.#column === undefined ? -1 : columns.indexOf(this.#column));
    select.addEventListener("change", () => {
      this.#column = columns[Number(select.value)];
      void this.#colour();
    });
  }

  #pressed(event: KeyboardEvent): void {
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    const mode = MODE_KEYS[event.key];
    if (mode !== undefined) this.#setMode(mode);
    else if (event.key === "Enter") this.#pickMiddle();
    else if (event.key === "a") this.#selectInView();
    else if (event.key === "Escape") this.#select([], "replace");
    else if (this.#map?.pressed(event.key) !== true) return;
    event.preventDefault();
  }
}
