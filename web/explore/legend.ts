/** What the colours stand for. A group's entry shows it alone, or with others. */
import type { Legend } from "./colours.ts";
import { type CategoryColumn, figure } from "./data.ts";
import { counted, make } from "./elements.ts";
import type { Filters } from "./filters.ts";

/** Groups without a colour of their own that are listed. */
const OTHERS = 30;

function entry(
  column: CategoryColumn,
  code: number,
  colour: string,
  count: number,
  filters: Filters,
): HTMLElement {
  const isPicked = filters.has(column) && filters.shows(column, code);
  const button = make(
    "button",
    {
      type: "button",
      "aria-pressed": String(isPicked),
      "data-code": code,
      onclick: () => filters.toggle(column, code),
    },
    make("span", { class: "key", style: `background: ${colour}` }),
    make("span", { class: "file" }, column.names[code - 1] as string),
    make("span", { class: "dim" }, count.toLocaleString("en")),
  );
  return make("li", {}, button);
}

/** Fills the legend. What had the focus has it again. */
export function drawLegend(parent: HTMLElement, legend: Legend, filters: Filters): void {
  const focused = (document.activeElement as HTMLElement | null)?.dataset.code;
  parent.replaceChildren();
  if (legend.kind === "groups") {
    const column = legend.column as CategoryColumn;
    const entries = [
      ...legend.groups.map(({ code, colour, count }) =>
        entry(column, code, colour, count, filters),
      ),
      ...legend.others
        .slice(0, OTHERS)
        .map(({ code, count }) => entry(column, code, legend.grey, count, filters)),
    ];
    const rest = legend.others.length - OTHERS;
    parent.append(make("ul", { class: "legend" }, ...entries));
    if (rest > 0) {
      const text = `and ${counted(rest, "group")} more, which are among the filters`;
      parent.append(make("p", { class: "dim" }, text));
    }
  } else if (legend.kind === "scale") {
    const { colours, low, high, grey, column } = legend;
    const hasNone = column.kind === "number" && column.values.some(Number.isNaN);
    parent.append(
      make("div", {
        class: "scale",
        style: `background: linear-gradient(to right, ${colours.join(", ")})`,
      }),
      make("p", { class: "ends" }, make("span", {}, figure(low)), make("span", {}, figure(high))),
      hasNone
        ? make("p", {}, make("span", { class: "key", style: `background: ${grey}` }), " none")
        : "",
    );
  }
  if (focused !== undefined) {
    parent.querySelector<HTMLElement>(`[data-code="${focused}"]`)?.focus();
  }
}
