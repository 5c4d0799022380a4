/** What is shown of the image under the pointer. */

import { make } from "../elements.ts";
import { type Column, type Data, shownValue } from "./data.ts";
import { type Thumbnails, thumbnailElement } from "./thumbnails.ts";

const SIDE = 96;
/** Between the point and the tip. */
const GAP = 14;

/** Shows it at a point of the map; null hides it. */
export function showTip(
  tip: HTMLElement,
  data: Data,
  thumbnails: Thumbnails | null,
  at: { row: number; place: [number, number]; column: Column | undefined } | null,
): void {
  if (at === null) {
    tip.hidden = true;
    return;
  }
  const { row, place, column } = at;
  const value =
    column === undefined ? null : make("div", {}, `${column.name}: ${shownValue(column, row)}`);
  tip.replaceChildren(
    thumbnails === null ? "" : thumbnailElement(thumbnails, row, SIDE),
    make("div", { class: "file" }, data.path(row)),
    value ?? "",
  );
  tip.hidden = false;
  const { width, height } = (tip.parentElement as HTMLElement).getBoundingClientRect();
  const { offsetWidth, offsetHeight } = tip;
  const [x, y] = place;
  const left = x + GAP + offsetWidth > width ? x - GAP - offsetWidth : x + GAP;
  const top = y + GAP + offsetHeight > height ? y - GAP - offsetHeight : y + GAP;
  tip.style.left = `${Math.max(0, left)}px`;
  tip.style.top = `${Math.max(0, top)}px`;
}
