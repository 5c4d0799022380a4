/** What a training takes of its machine. */
import type { Load } from "../../ts/dashboard/wire.ts";
import { LiveChart } from "../charts/live_chart.ts";
import { make } from "../elements.ts";
import { setAttribute, setText } from "./live.ts";
import { bytes } from "./words.ts";

interface Kind {
  title: string;
  value(load: Load): number;
  text(value: number): string;
  /** The upper end of its axis is at least this. */
  least: number;
  steps?: readonly number[];
  /** What is said of the newest moment besides. */
  more?(load: Load): string;
}

const percent = (share: number) => `${Math.round(100 * share)} %`;

const KINDS: readonly Kind[] = [
  {
    title: "Cores busy with it",
    value: ({ cores }) => cores,
    text: (value) => value.toFixed(1),
    least: 1,
  },
  { title: "Whole machine", value: ({ machine }) => machine, text: percent, least: 1 },
  {
    title: "Memory",
    value: ({ memory }) => memory,
    text: bytes,
    least: 1024 ** 2,
    steps: Array.from({ length: 50 }, (_, i) => 2 ** i),
    more: ({ free }) => `, ${bytes(free)} free`,
  },
];

const HEIGHT = 120;

/** Three small charts. */
export class LoadCharts {
  readonly element = make("div", { class: "charts small" });
  readonly #parts = KINDS.map((kind) => {
    const value = make("span", { class: "value" });
    const place = make("div", { class: "chart", role: "img", "aria-label": kind.title });
    const { least, text, steps } = kind;
    const chart = new LiveChart(place, {
      height: HEIGHT,
      along: "time",
      hasLegend: false,
      text,
      ...(steps === undefined ? {} : { steps }),
      range: (_, __, most) => [0, Math.max(least, 1.1 * (most ?? 0))],
    });
    const caption = make("figcaption", {}, kind.title, " ", value);
    this.element.append(make("figure", {}, caption, place));
    return { kind, value, place, chart };
  });

  update(loads: readonly Load[]): void {
    const last = loads.at(-1);
    if (last === undefined) return;
    const along = loads.map(({ time }) => time / 1000);
    for (const { kind, value, place, chart } of this.#parts) {
      const { title, text, more } = kind;
      const now = `${text(kind.value(last))}${more?.(last) ?? ""}`;
      setText(value, now);
      setAttribute(place, "aria-label", `${title} over time, at last ${now}`);
      chart.update({
        along,
        values: [loads.map(kind.value)],
        lines: ({ lines }) => [{ name: title, colour: lines[0] }],
      });
    }
  }
}
