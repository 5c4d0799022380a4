/** What the colours stand for. A group's entry shows it alone, or with others. */

import { counted, make } from "../elements.ts";
import type { Legend } from "./colours.ts";
import { type CategoryColumn, figure } from "./data.ts";
import type { Filters } from "./filters.ts";
import { groupName } from "./group_name.ts";

/** Groups that are listed. */
const LISTED = 40;

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
    groupName(column, code),
    make("span", { class: "dim" }, count.toLocaleString("en")),
  );
  return make("li", {}, button);
}

/** Fills the legend. What had the focus has it again. */
export function drawLegend(parent: HTMLElement, legend: Legend, filters: Filters): void {
  const focused = (document.activeElement as HTMLElement | null)?.dataset.code;
  parent.replaceChildren();
  if (legend.kind === "groups") {
    const { column, groups } = legend;
    // Images without a group stay in the list, however many groups there are.
    const listed = groups.filter(({ code }, i) => i < LISTED || code === 0);
    const entries = listed.map(({ code, colour, count }) =>
      entry(column, code, colour, count, filters),
    );
    parent.append(make("ul", { class: "legend" }, ...entries));
    const rest = groups.length - listed.length;
    if (rest > 0) {
      const text = `and ${counted(rest, "group")} more, which are among the filters`;
      parent.append(make("p", { class: "dim" }, text));
    }
  } else if (legend.kind === "scale") {
    const { colours, low, high, isCut, grey, column } = legend;
    const hasNone = column.kind === "number" && column.values.some(Number.isNaN);
    const ends = isCut ? [`≤ ${figure(low)}`, `≥ ${figure(high)}`] : [figure(low), figure(high)];
    parent.append(
      make("div", {
        class: "scale",
        style: `background: linear-gradient(to right, ${colours.join(", ")})`,
      }),
      make("p", { class: "ends" }, ...ends.map((text) => make("span", {}, text))),
      hasNone
        ? make("p", {}, make("span", { class: "key", style: `background: ${grey}` }), " none")
        : "",
    );
  }
  if (focused !== undefined) {
    parent.querySelector<HTMLElement>(`[data-code="${focused}"]`)?.focus();
  }
}
