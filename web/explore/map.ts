/** The points of the map, drawn by regl-scatterplot. */
import createScatterplot from "regl-scatterplot";
import type { Colouring } from "./colours.ts";
import type { Data } from "./data.ts";

/** What dragging does. */
export type Mode = "move" | "lasso" | "box";

/** What the map tells. */
export interface MapEvents {
  /** The pointer is over a point; null: over none any more. */
  onHover(row: number | null): void;
  /** A click at a place in CSS pixels; on a point, or none. */
  onClick(row: number | null, x: number, y: number): void;
  /** Rows within a lasso or a box. */
  onSelect(rows: number[], how: "replace" | "add" | "remove"): void;
  /** Points lie elsewhere on the screen. */
  onMove(): void;
}

/** How far the mouse may move in a click, in CSS pixels. */
const CLICK = 4;
/** Corners of the least area. */
const LASSO_POINTS = 3;
/** Where so many frames more than not take longer than this, in milliseconds, ... */
const SLOW_FRAMES = 2;
const SLOW_FRAME = 80;
/** ... about so many points are drawn while the map moves, ... */
const MOVING_POINTS = 100_000;
/** ... and all of them once it has rested so long. */
const REST = 300;
/** Half a side of the square that is shown first: points lie within 1, and not on the edge. */
const ALL = 1.06;

type Plot = ReturnType<typeof createScatterplot>;

/** How far a key moves or zooms. */
const PAN = 0.15;
const ZOOM = 1.4;

/** The points, on a canvas. */
export class PointMap {
  readonly canvas: HTMLCanvasElement;
  readonly #data: Data;
  readonly #plot: Plot;
  /** Draws of whole sets follow each other: the plot does not take two at once. */
  #drawn: Promise<unknown> = Promise.resolve();
  /** The newest wish, where a draw is under way. */
  #wanted: Colouring | undefined;
  #shown: number[] | null = null;
  #selected: number[] = [];
  /** The lasso that ends next counts for nothing. */
  #isCancelled = false;
  /** A filter waits for what is drawn before it. */
  #isFilterWaiting = false;
  /** While the map moves, and frames are slow. */
  #isThin = false;
  /** Slow frames, less those that were not. */
  #slowFrames = 0;
  #restTimer: number | undefined;

  /** @throws Error where the browser has no WebGL. */
  constructor(canvas: HTMLCanvasElement, data: Data, events: MapEvents) {
    this.canvas = canvas;
    this.#data = data;
    const { width, height } = canvas.getBoundingClientRect();
    this.#plot = createScatterplot({
      canvas,
      width,
      height,
      backgroundColor: "#ffffff",
      pointSize: 3,
      pointSizeSelected: 2,
      pointOutlineWidth: 1.5,
      opacity: 0.85,
      opacityInactiveMax: 0.25,
      lassoInitiator: false,
      // What is told is true when it is told.
      syncEvents: true,
      // Else where a quick drag ended would not count.
      lassoMinDelay: 0,
      lassoOnLongPress: false,
      deselectOnDblClick: false,
      deselectOnEscape: false,
      // A worker would be made of a blob, which the page's policy forbids.
      spatialIndexUseWorker: false,
      // Not among the types of the package.
      ...({ actionKeyMap: { lasso: "shift" } } as object),
    });
    const plot = this.#plot;
    let hovered: number | null = null;
    plot.subscribe("pointOver", (row) => {
      hovered = row;
      events.onHover(row);
    });
    plot.subscribe("pointOut", () => {
      hovered = null;
      events.onHover(null);
    });
    plot.subscribe("view", () => {
      this.#moved();
      events.onMove();
    });
    plot.subscribe("lassoStart", () => {
      this.#isCancelled = false;
    });
    let keys = { shift: false, alt: false };
    plot.subscribe("lassoEnd", ({ coordinates }) => {
      // A click in this mode is a lasso of one point, or of none.
      const isArea = coordinates.length >= LASSO_POINTS && !this.#isCancelled;
      this.#isCancelled = false;
      if (isArea) {
        const rows = [...this.#plot.get("selectedPoints")];
        events.onSelect(rows, keys.alt ? "remove" : keys.shift ? "add" : "replace");
      }
      this.#showSelected();
    });
    const note = ({ shiftKey, altKey }: MouseEvent) => {
      keys = { shift: shiftKey, alt: altKey };
    };
    // Before the plot hears of it, which then ends the lasso.
    window.addEventListener("mouseup", note, true);
    let began: [number, number] = [0, 0];
    canvas.addEventListener("mousedown", ({ clientX, clientY, shiftKey, buttons }) => {
      began = [clientX, clientY];
      // A lasso begins with the first move: where it was begun, not where a quick hand is by then.
      const init = { clientX, clientY, shiftKey, buttons, bubbles: true };
      canvas.dispatchEvent(new MouseEvent("mousemove", init));
    });
    canvas.addEventListener("click", ({ clientX, clientY }) => {
      const distance = Math.hypot(clientX - began[0], clientY - began[1]);
      if (distance < CLICK) events.onClick(hovered, ...this.#inside(clientX, clientY));
      // To the plot a click is a selection. Here it is none: that stays as it was.
      this.#showSelected();
    });
    new ResizeObserver(([entry]) => {
      const { width: w, height: h } = (entry as ResizeObserverEntry).contentRect;
      if (w > 0 && h > 0) void plot.set({ width: w, height: h }).then(() => events.onMove());
    }).observe(canvas);
  }

  /** Draws all points in their colours. */
  async colour(colouring: Colouring): Promise<void> {
    const isWaiting = this.#wanted !== undefined;
    this.#wanted = colouring;
    if (isWaiting) return;
    const done = this.#drawn.then(async () => {
      const wanted = this.#wanted as Colouring;
      this.#wanted = undefined;
      await this.#draw(wanted);
    });
    this.#drawn = done.catch(() => {});
    await done;
  }

  async #draw({ codes, colours }: Colouring): Promise<void> {
    const { x, y } = this.#data;
    // With one colour alone the plot takes none by value.
    await this.#plot.set({
      pointColor: colours.length === 1 ? [colours[0] as string, colours[0] as string] : colours,
      colorBy: "valueA",
    });
    const index = this.#plot.get("spatialIndex") as ArrayBuffer | undefined;
    await this.#plot.draw(
      { x, y, z: codes },
      {
        zDataType: "categorical",
        preventFilterReset: this.#shown !== null || this.#isThin,
        ...(index === undefined ? {} : { spatialIndex: index }),
      },
    );
    this.#showSelected();
  }

  /** Only these rows, in their order; null: all. */
  async filter(rows: number[] | null): Promise<void> {
    this.#shown = rows;
    await this.#applyFilter();
  }

  /** The rows that are drawn: of many, fewer while the map moves. */
  #drawnRows(): number[] | null {
    const shown = this.#shown;
    if (!this.#isThin) return shown;
    const all = shown?.length ?? this.#data.rows;
    const step = Math.ceil(all / MOVING_POINTS);
    const length = Math.floor(all / step);
    return Array.from({ length }, (_, i) =>
      shown === null ? i * step : (shown[i * step] as number),
    );
  }

  /** Where a draw is under way, the newest filter counts. */
  async #applyFilter(): Promise<void> {
    if (this.#isFilterWaiting) return;
    this.#isFilterWaiting = true;
    const done = this.#drawn.then(async () => {
      this.#isFilterWaiting = false;
      const rows = this.#drawnRows();
      if (rows === null) await this.#plot.unfilter({ preventEvent: true });
      else await this.#plot.filter(rows, { preventEvent: true });
      this.#showSelected();
    });
    this.#drawn = done.catch(() => {});
    await done;
  }

  /** Finds out whether frames are slow, and then draws fewer points until the map rests. */
  #moved(): void {
    if ((this.#shown?.length ?? this.#data.rows) <= MOVING_POINTS) return;
    if (this.#slowFrames < SLOW_FRAMES) {
      const began = performance.now();
      requestAnimationFrame(() => {
        const isSlow = performance.now() - began > SLOW_FRAME;
        this.#slowFrames = Math.max(0, this.#slowFrames + (isSlow ? 1 : -1));
      });
      return;
    }
    if (!this.#isThin) {
      this.#isThin = true;
      void this.#applyFilter();
    }
    clearTimeout(this.#restTimer);
    this.#restTimer = window.setTimeout(() => {
      this.#isThin = false;
      void this.#applyFilter();
    }, REST);
  }

  /** Marks rows. */
  select(rows: number[]): void {
    this.#selected = rows;
    this.#showSelected();
  }

  #showSelected(): void {
    const quiet = { preventEvent: true };
    if (this.#selected.length === 0) this.#plot.deselect(quiet);
    // The plot takes out of the list what is filtered away.
    else this.#plot.select([...this.#selected], quiet);
  }

  /** What a first finger began is no lasso. */
  cancelLasso(): void {
    this.#isCancelled = true;
  }

  /** A place of the window on the canvas. */
  #inside(clientX: number, clientY: number): [number, number] {
    const { left, top } = this.canvas.getBoundingClientRect();
    return [clientX - left, clientY - top];
  }

  set mode(mode: Mode) {
    void this.#plot.set({
      mouseMode: mode === "move" ? "panZoom" : "lasso",
      // Not among the types of the package.
      ...({ lassoType: mode === "box" ? "rectangle" : "lasso" } as object),
    });
  }

  set pointSize(size: number) {
    void this.#plot.set({ pointSize: size });
  }

  setTheme(ground: string, ink: string): void {
    void this.#plot.set({
      backgroundColor: ground,
      pointColorActive: ink,
      pointColorHover: ink,
      lassoColor: ink,
      reticleColor: ink,
    });
  }

  /** Where a point is on the canvas, in CSS pixels. */
  position(row: number): [number, number] | undefined {
    return this.#plot.getScreenPosition(row);
  }

  /** About which share of all rows is in the picture, by the places of some. */
  shareInView(sample: number): number {
    const { rows } = this.#data;
    const { width, height } = this.canvas.getBoundingClientRect();
    const step = Math.max(1, Math.floor(rows / sample));
    let [looked, found] = [0, 0];
    for (let row = 0; row < rows; row += step, looked++) {
      const [x, y] = this.position(row) ?? [-1, -1];
      if (x >= 0 && x < width && y >= 0 && y < height) found++;
    }
    return found / looked;
  }

  /** Those of some rows that are in the picture. */
  inPicture(rows: readonly number[]): number[] {
    const { width, height } = this.canvas.getBoundingClientRect();
    return rows.filter((row) => {
      const [x, y] = this.position(row) ?? [-1, -1];
      return x >= 0 && x < width && y >= 0 && y < height;
    });
  }

  /** Rows in the picture, whatever is filtered away. */
  inView(): number[] {
    return this.#plot.get("pointsInView") as number[];
  }

  /** Shows all. */
  async reset(): Promise<void> {
    const all = { x: -ALL, y: -ALL, width: 2 * ALL, height: 2 * ALL };
    await this.#plot.zoomToArea(all, { transition: false });
    this.#plot.redraw();
  }

  /** Points become larger apart by a factor above 1. */
  zoom(factor: number): void {
    this.#look(0, 0, 1 / factor);
  }

  #look(dx: number, dy: number, scale: number): void {
    const [x, y] = this.#plot.get("cameraTarget") as [number, number];
    // Of the camera, a pair.
    const distance = [this.#plot.get("cameraDistance")].flat()[0] as number;
    const { width, height } = this.canvas;
    const aspect = width / height;
    const target: [number, number] = [x + dx * distance * Math.max(1, aspect), y + dy * distance];
    void this.#plot
      .zoomToLocation(target, distance * scale, { transition: false })
      .then(() => this.#plot.redraw());
  }

  /** Does what a key means, if anything. */
  pressed(key: string): boolean {
    switch (key) {
      case "ArrowLeft":
        this.#look(-PAN, 0, 1);
        return true;
      case "ArrowRight":
        this.#look(PAN, 0, 1);
        return true;
      case "ArrowUp":
        this.#look(0, PAN, 1);
        return true;
      case "ArrowDown":
        this.#look(0, -PAN, 1);
        return true;
      case "+":
      case "=":
        this.zoom(ZOOM);
        return true;
      case "-":
        this.zoom(1 / ZOOM);
        return true;
      case "0":
        void this.reset();
        return true;
      default:
        return false;
    }
  }

  /** Moves so that a row lies in the middle, near enough to see what is around it. */
  async show(row: number): Promise<void> {
    const target: [number, number] = [this.#data.x[row] as number, this.#data.y[row] as number];
    const distance = [this.#plot.get("cameraDistance")].flat()[0] as number;
    const isCalm = matchMedia("(prefers-reduced-motion: reduce)").matches;
    await this.#plot.zoomToLocation(target, Math.min(distance, 0.2), { transition: !isCalm });
  }
}
