/** The curves of one run. */
import type { Epochs } from "../../ts/dashboard/wire.ts";
import { DASH, type Palette, shortNumber } from "../charts/line_chart.ts";
import { LiveChart } from "../charts/live_chart.ts";
import { counted, make } from "../elements.ts";
import { setAttribute } from "./live.ts";

interface Kind {
  title: string;
  /** Of `metrics.csv`, and what they are called beside the chart. */
  columns: readonly (readonly [column: string, name: string])[];
}

const KINDS: readonly Kind[] = [
  {
    title: "Loss",
    columns: [
      ["loss", "training"],
      ["val_loss", "validation"],
    ],
  },
  {
    title: "Accuracy",
    columns: [
      ["accuracy", "training"],
      ["val_accuracy", "validation"],
    ],
  },
  { title: "Speed", columns: [["images_per_second", "images/s"]] },
  { title: "Learning rate", columns: [["learning_rate", "learning rate"]] },
];

const HEIGHT = 200;

/** The last number there is. */
const newest = (values: readonly (number | null)[]) =>
  values.findLast((value) => value !== null) ?? null;

/** Four charts. */
export class RunCurves {
  readonly element = make("div", { class: "charts" });
  readonly #charts = new Map<Kind, { place: HTMLElement; figure: HTMLElement; chart: LiveChart }>();

  constructor() {
    for (const kind of KINDS) {
      const place = make("div", { class: "chart", role: "img", "aria-label": kind.title });
      const figure = make("figure", {}, make("figcaption", {}, kind.title), place);
      const chart = new LiveChart(place, { height: HEIGHT, along: "epoch", showsNewest: true });
      this.#charts.set(kind, { place, figure, chart });
      this.element.append(figure);
    }
  }

  update({ epoch, columns }: Epochs, best: number | null): void {
    for (const [kind, { place, figure, chart }] of this.#charts) {
      const known = kind.columns.filter(([column]) =>
        columns[column]?.some((value) => value !== null),
      );
      figure.hidden = known.length === 0;
      if (known.length === 0) continue;
      const values = known.map(([column]) => columns[column] as (number | null)[]);
      const said = known.map(([, name], i) => {
        const value = newest(values[i] as (number | null)[]);
        return `${name} ${value === null ? "–" : shortNumber(value)}`;
      });
      const text = `${kind.title} over ${counted(epoch.length, "epoch")}, now ${said.join(", ")}`;
      setAttribute(place, "aria-label", text);
      chart.update({
        along: epoch,
        values,
        lines: (palette) => linesOf(known, palette),
        mark: best,
      });
    }
  }
}

function linesOf(columns: Kind["columns"], palette: Palette) {
  return columns.map(([, name], i) => {
    const colour = palette.lines[i === 0 ? 0 : 1];
    return i === 0 && columns.length > 1 ? { name, colour, dash: DASH } : { name, colour };
  });
}
