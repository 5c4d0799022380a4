/** A run's curves over epochs. */
import type uPlot from "uplot";
import { DARK, DASH, drawChart, LIGHT, type Line, type Palette } from "../charts/line_chart.ts";

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

const HEIGHT = 230;
/** Half a sheet of A4. */
const PRINTED_WIDTH = 330;

const isDark = matchMedia("(prefers-color-scheme: dark)");

function drawCurve(place: HTMLElement, data: CurveData, width: number, palette: Palette): uPlot {
  const columns = CHARTS[place.dataset.chart as string] ?? [];
  const lines = columns.map(([, name], i): Line => {
    const colour = palette.lines[i % palette.lines.length] as string;
    return i === 0 && columns.length > 1 ? { name, colour, dash: DASH } : { name, colour };
  });
  const look = {
    width,
    height: HEIGHT,
    palette,
    lines,
    along: "epoch",
    mark: () => data.best,
  } as const;
  return drawChart(
    place,
    look,
    data.epoch,
    columns.map(([name]) => data[name]),
  );
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
      plot = drawCurve(place, data, width, palette);
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
