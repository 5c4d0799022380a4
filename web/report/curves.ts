/** Curves over epochs, by uPlot. */
import uPlot from "uplot";

/** A run's columns, as the page carries them; null where a number is not known. */
interface CurveData {
  best: number | null;
  epoch: number[];
  loss: (number | null)[];
  validLoss: (number | null)[];
  accuracy: (number | null)[];
  validAccuracy: (number | null)[];
  imagesPerSecond: (number | null)[];
  learningRate: (number | null)[];
}

type Column = Exclude<keyof CurveData, "best" | "epoch">;

/** What each chart shows: columns, and their names. */
const CHARTS: Record<string, readonly (readonly [Column, string])[]> = {
  loss: [
    ["loss", "training"],
    ["validLoss", "validation"],
  ],
  accuracy: [
    ["accuracy", "training"],
    ["validAccuracy", "validation"],
  ],
  speed: [["imagesPerSecond", "images/s"]],
  rate: [["learningRate", "learning rate"]],
};

interface Palette {
  text: string;
  grid: string;
  lines: readonly string[];
}

/** Told apart by all kinds of colour vision; the first line is dashed besides. */
const LIGHT: Palette = { text: "#4a5160", grid: "#e3e5ea", lines: ["#0b62a8", "#b34700"] };
const DARK: Palette = { text: "#aab2c0", grid: "#2c323c", lines: ["#6cb6ff", "#ffb066"] };

const HEIGHT = 230;
/** Half a sheet of A4. */
const PRINTED_WIDTH = 330;

const isDark = matchMedia("(prefers-color-scheme: dark)");

function shortNumber(value: number): string {
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
function axisWidth(_: uPlot, labels: string[] | null): number {
  const longest = (labels ?? []).reduce((most, label) => Math.max(most, label.length), 0);
  return Math.max(58, 18 + 7 * longest);
}

/** A line where the best epoch is. */
function markBest(best: number | null, { text }: Palette): (plot: uPlot) => void {
  return (plot) => {
    if (best === null) return;
    const { ctx, bbox } = plot;
    const x = Math.round(plot.valToPos(best, "x", true));
    ctx.save();
    ctx.strokeStyle = text;
    ctx.lineWidth = devicePixelRatio;
    ctx.setLineDash([3 * devicePixelRatio, 4 * devicePixelRatio]);
    ctx.beginPath();
    ctx.moveTo(x, bbox.top);
    ctx.lineTo(x, bbox.top + bbox.height);
    ctx.stroke();
    ctx.restore();
  };
}

function drawChart(place: HTMLElement, data: CurveData, width: number, palette: Palette): uPlot {
  const lines = CHARTS[place.dataset.chart as string] ?? [];
  const isSingle = data.epoch.length === 1;
  const axis = {
    stroke: palette.text,
    grid: { stroke: palette.grid, width: 1 },
    ticks: { stroke: palette.grid, width: 1 },
    font: "12px system-ui, sans-serif",
  };
  const series = lines.map(([, label], i): uPlot.Series => {
    const isDashed = i === 0 && lines.length > 1;
    return {
      label,
      stroke: palette.lines[i % palette.lines.length] as string,
      width: 2,
      ...(isDashed ? { dash: [6, 4] } : {}),
      points: { show: isSingle || data.epoch.length <= 12, size: 6 },
      value: (_, value) => (value === null ? "–" : shortNumber(value)),
    };
  });
  const options: uPlot.Options = {
    width,
    height: HEIGHT,
    scales: { x: { time: false } },
    axes: [
      { ...axis, incrs: [1, 2, 5, 10, 20, 50, 100, 200, 500, 1000, 2000, 5000, 10_000, 100_000] },
      { ...axis, size: axisWidth, values: (_, values) => values.map(shortNumber) },
    ],
    series: [{ label: "epoch" }, ...series],
    hooks: { draw: [markBest(data.best, palette)] },
  };
  const columns = [data.epoch, ...lines.map(([name]) => data[name])] as uPlot.AlignedData;
  return new uPlot(options, columns, place);
}

/** Draws all charts, and again when the window, the colours or the medium change. */
export function drawCurves(): void {
  const text = document.getElementById("data")?.textContent;
  const runs = JSON.parse(text ?? "[]") as CurveData[];
  for (const place of document.querySelectorAll<HTMLElement>(".chart")) {
    const data = runs[Number(place.dataset.run)];
    if (data === undefined) continue;
    let plot: uPlot | undefined;
    const draw = (width: number, palette: Palette) => {
      plot?.destroy();
      plot = drawChart(place, data, width, palette);
    };
    const drawOnScreen = () => draw(place.clientWidth, isDark.matches ? DARK : LIGHT);
    new ResizeObserver(() => {
      const { clientWidth } = place;
      if (plot === undefined) drawOnScreen();
      else if (clientWidth !== plot.width) plot.setSize({ width: clientWidth, height: HEIGHT });
    }).observe(place);
    isDark.addEventListener("change", drawOnScreen);
    addEventListener("beforeprint", () => draw(PRINTED_WIDTH, LIGHT));
    addEventListener("afterprint", drawOnScreen);
  }
}
