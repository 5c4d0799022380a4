/** Lines over epochs or over time, by uPlot. */
import uPlot from "uplot";

/** A number of each place along the chart; null where there is none, undefined to go over it. */
export type Values = readonly (number | null | undefined)[];

/** A line of a chart. */
export interface Line {
  name: string;
  colour: string;
  /** Lengths of strokes and gaps; none for a line without gaps. */
  dash?: readonly number[];
}

/** What a chart looks like, whatever its numbers are. */
export interface ChartLook {
  width: number;
  height: number;
  palette: Palette;
  lines: readonly Line[];
  /** What is along the chart: `epoch`, or seconds since 1970, shown as times of a day. */
  along: "epoch" | "time";
  /** A line upright, where the best epoch is. */
  mark?: () => number | null;
  /** How a number is shown; `12.3k` unless given. */
  text?: (value: number) => string;
  /** The ends of the upright axis; by the numbers unless given. */
  range?: uPlot.Scale.Range;
  /** Distances of marks on it that are round numbers; of tens unless given. */
  steps?: readonly number[];
  /** Whether the upright axis is logarithmic. */
  isLogarithmic?: boolean;
  /** Whether names and values stand below the chart; unless given, they do. */
  hasLegend?: boolean;
  /** Whether the newest values stand there while nothing is pointed at. */
  showsNewest?: boolean;
  /** How much larger than in a text of 16 pixels its letters are; 1 unless given. */
  scale?: number;
  /** Told of the place that is pointed at, by its index; null: of none any more. */
  onCursor?: (index: number | null) => void;
}

/** Colours of what is no group of anything. */
export interface Palette {
  text: string;
  grid: string;
  lines: readonly [string, string];
}

/** Told apart by all kinds of colour vision; the first line is dashed besides. */
export const LIGHT: Palette = { text: "#4a5160", grid: "#e3e5ea", lines: ["#0b62a8", "#b34700"] };
export const DARK: Palette = { text: "#aab2c0", grid: "#2c323c", lines: ["#6cb6ff", "#ffb066"] };

/** Of the first of two lines. */
export const DASH: readonly number[] = [6, 4];

/** Up to so many places have a point each. */
const POINTED = 12;

/** A few digits that count, for labels of axes. */
export function shortNumber(value: number): string {
  const size = Math.abs(value);
  if (size >= 1e12 || (size > 0 && size < 1e-4)) {
    return value.toExponential(2).replace("e+", "e");
  }
  if (size >= 1e9) return `${Number((value / 1e9).toPrecision(4))}G`;
  if (size >= 1e6) return `${Number((value / 1e6).toPrecision(4))}M`;
  if (size >= 10_000) return `${Number((value / 1000).toPrecision(4))}k`;
  return String(Number(value.toPrecision(4)));
}

/** Room for the labels of the upright axis: they are not known before it is drawn. */
function axisWidth(labels: string[] | null, scale: number): number {
  const longest = (labels ?? []).reduce((most, label) => Math.max(most, label.length), 0);
  return scale * Math.max(58, 18 + 7 * longest);
}

/** Puts the newest values into the legend. */
function showNewest(plot: uPlot): void {
  const idx = plot.data[0].length - 1;
  if (idx >= 0) plot.setLegend({ idx }, false);
}

function drawMark(plot: uPlot, at: number | null, { text }: Palette): void {
  if (at === null) return;
  const { ctx, bbox } = plot;
  const x = Math.round(plot.valToPos(at, "x", true));
  // One may have zoomed past it.
  if (x < bbox.left || x > bbox.left + bbox.width) return;
  ctx.save();
  ctx.strokeStyle = text;
  ctx.lineWidth = devicePixelRatio;
  ctx.setLineDash([3 * devicePixelRatio, 4 * devicePixelRatio]);
  ctx.beginPath();
  ctx.moveTo(x, bbox.top);
  ctx.lineTo(x, bbox.top + bbox.height);
  ctx.stroke();
  ctx.restore();
}

const EPOCHS = [1, 2, 5, 10, 20, 50, 100, 200, 500, 1000, 2000, 5000, 10_000, 100_000];

/** A time of the day; with seconds where marks are less than a minute apart. */
function timeTexts(_: uPlot, splits: number[]): string[] {
  const isFine = splits.length > 1 && (splits[1] as number) - (splits[0] as number) < 60;
  return splits.map((seconds) => {
    const text = new Date(seconds * 1000).toLocaleTimeString("en-GB");
    return isFine ? text : text.slice(0, 5);
  });
}

/** Draws a chart into a place. */
export function drawChart(
  place: HTMLElement,
  look: ChartLook,
  along: readonly number[],
  values: readonly Values[],
): uPlot {
  const { palette, text = shortNumber, lines, mark, scale = 1 } = look;
  const axis = {
    stroke: palette.text,
    grid: { stroke: palette.grid, width: 1 },
    ticks: { stroke: palette.grid, width: 1 },
    font: `${12 * scale}px system-ui, sans-serif`,
  };
  const isTime = look.along === "time";
  const series = lines.map(
    ({ name, colour, dash }): uPlot.Series => ({
      label: name,
      stroke: colour,
      width: 2,
      ...(dash === undefined ? {} : { dash: [...dash] }),
      points: { show: (plot) => plot.data[0].length <= (isTime ? 1 : POINTED), size: 6 },
      value: (_, value) => (value === null || value === undefined ? "–" : text(value)),
    }),
  );
  const first: uPlot.Series = isTime
    ? { label: "time", value: (_, value) => (value === null ? "–" : (timeText(value) as string)) }
    : { label: "epoch" };
  const { range, isLogarithmic = false, hasLegend = true, showsNewest = false, onCursor } = look;
  const options: uPlot.Options = {
    width: look.width,
    height: look.height,
    legend: { show: hasLegend },
    // The last time's text is longer than the number of an epoch.
    ...(isTime ? { padding: [null, 30 * scale, null, null] } : {}),
    focus: { alpha: 0.15 },
    scales: {
      x: { time: isTime },
      y: { ...(range === undefined ? {} : { range }), ...(isLogarithmic ? { distr: 3 } : {}) },
    },
    axes: [
      isTime
        ? { ...axis, values: timeTexts, size: 32 * scale, space: 75 * scale }
        : { ...axis, incrs: EPOCHS, size: 50 * scale },
      {
        ...axis,
        size: (_, labels) => axisWidth(labels, scale),
        ...(look.steps === undefined ? {} : { incrs: [...look.steps] }),
        // On a logarithmic axis, marks without a label are null.
        values: (_, all) => all.map((value) => (value === null ? "" : text(value))),
      },
    ],
    series: [first, ...series],
    hooks: {
      draw: mark === undefined ? [] : [(plot) => drawMark(plot, mark(), palette)],
      ready: showsNewest ? [showNewest] : [],
      setData: showsNewest ? [showNewest] : [],
      setCursor: [
        (plot) => {
          const index = plot.cursor.idx ?? null;
          if (showsNewest && index === null) showNewest(plot);
          onCursor?.(index);
        },
      ],
    },
  };
  return new uPlot(options, [along, ...values] as uPlot.AlignedData, place);
}

const timeText = (seconds: number) => new Date(seconds * 1000).toLocaleTimeString("en-GB");
