/** A chart whose numbers change while somebody looks at it. */
import type uPlot from "uplot";
import {
  type ChartLook,
  DARK,
  drawChart,
  LIGHT,
  type Line,
  type Palette,
  type Values,
} from "./line_chart.ts";

const isDark = matchMedia("(prefers-color-scheme: dark)");

/** What a chart shows at the moment. */
export interface ChartContent {
  along: readonly number[];
  values: readonly Values[];
  /** Colours may be variables of the style, such as `--c3`. */
  lines: (palette: Palette) => readonly Line[];
  mark?: number | null;
  isLogarithmic?: boolean;
}

/** Draws into a place as wide as that is. What was zoomed into stays so while numbers are added. */
export class LiveChart {
  readonly #place: HTMLElement;
  readonly #look: Omit<ChartLook, "width" | "palette" | "lines" | "mark" | "isLogarithmic">;
  readonly #observer: ResizeObserver;
  readonly #redraw = () => this.#draw();
  #content: ChartContent | undefined;
  #plot: uPlot | undefined;
  /** Of the lines that are drawn. */
  #key = "";
  #picked: number | null = null;
  #scale = 1;

  constructor(
    place: HTMLElement,
    look: Omit<ChartLook, "width" | "palette" | "lines" | "mark" | "isLogarithmic">,
  ) {
    this.#place = place;
    this.#look = look;
    this.#observer = new ResizeObserver(() => {
      const width = this.#place.clientWidth;
      if (width === 0) return;
      if (this.#plot === undefined) this.#draw();
      else if (scaleNow() !== this.#scale) this.#draw();
      else if (width !== this.#plot.width) {
        this.#plot.setSize({ width, height: look.height * this.#scale });
      }
    });
    this.#observer.observe(place);
    isDark.addEventListener("change", this.#redraw);
  }

  update(content: ChartContent): void {
    const before = this.#content;
    this.#content = content;
    const key = keyOf(content);
    if (this.#plot === undefined || key !== this.#key) {
      this.#draw();
      return;
    }
    const { along, values } = content;
    const data = [along, ...values] as uPlot.AlignedData;
    const { min = 0, max = 0 } = this.#plot.scales.x as { min?: number; max?: number };
    const all = before?.along ?? [];
    const isZoomed = min > (all[0] ?? min) || max < (all.at(-1) ?? max);
    this.#plot.batch(() => {
      this.#plot?.setData(data, !isZoomed);
      // Said again, it fits the upright axis to the numbers there are now.
      if (isZoomed) this.#plot?.setScale("x", { min, max });
    });
  }

  /** Lets one line stand out; null: none. */
  pick(line: number | null): void {
    this.#picked = line;
    this.#showPicked();
  }

  destroy(): void {
    this.#observer.disconnect();
    isDark.removeEventListener("change", this.#redraw);
    this.#plot?.destroy();
    this.#plot = undefined;
  }

  #showPicked(): void {
    const line = this.#picked;
    this.#plot?.setSeries(line === null ? null : line + 1, { focus: line !== null });
  }

  #draw(): void {
    const width = this.#place.clientWidth;
    const content = this.#content;
    // In what is not shown there is no width yet; the observer tells when there is.
    if (content === undefined || width === 0) return;
    this.#plot?.destroy();
    this.#key = keyOf(content);
    const palette = isDark.matches ? DARK : LIGHT;
    const style = getComputedStyle(this.#place);
    const lines = content.lines(palette).map((line) => ({
      ...line,
      colour: line.colour.startsWith("--") ? style.getPropertyValue(line.colour) : line.colour,
    }));
    const { isLogarithmic = false } = content;
    this.#scale = scaleNow();
    const scale = this.#scale;
    const height = this.#look.height * scale;
    const look = { ...this.#look, width, height, scale, palette, lines, isLogarithmic };
    const mark = () => this.#content?.mark ?? null;
    this.#plot = drawChart(this.#place, { ...look, mark }, content.along, content.values);
    if (this.#picked !== null) this.#showPicked();
  }
}

/** The whole page grows on large screens. */
const scaleNow = () => Number.parseFloat(getComputedStyle(document.documentElement).fontSize) / 16;

const keyOf = ({ lines, isLogarithmic = false }: ChartContent) =>
  JSON.stringify([lines(LIGHT), isLogarithmic]);
