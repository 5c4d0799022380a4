/** The image that is looked at: its picture, what is known of it, and its neighbours. */

import { make } from "../elements.ts";
import { type Data, shownValue } from "./data.ts";
import type { Source } from "./source.ts";
import { type Thumbnails, thumbnailElement } from "./thumbnails.ts";

const PICTURE_SIDE = 256;
const NEIGHBOUR_SIDE = 56;

/** What the panel asks for. */
export interface ImageEvents {
  /** Another image is to be looked at. */
  onPick(row: number): void;
  /** The map is to show this one. */
  onShow(row: number): void;
  /** These are to be selected, too. */
  onSelect(rows: number[]): void;
}

/** Neighbours of an image, the nearest first. */
export async function neighboursOf(data: Data, source: Source, row: number): Promise<number[]> {
  const { rows, count } = data.header.neighbours;
  if (rows !== null) return Array.from(data.array(rows).subarray(row * count, (row + 1) * count));
  return (await source.neighbours(row)) ?? [];
}

/** A button that shows an image, and picks it. */
export function imageButton(
  data: Data,
  thumbnails: Thumbnails | null,
  row: number,
  onPick: (row: number) => void,
): HTMLButtonElement {
  const path = data.path(row);
  const button = make("button", {
    type: "button",
    title: path,
    "aria-label": path,
    "data-row": row,
    onclick: () => onPick(row),
  });
  if (thumbnails === null) button.append(make("span", { class: "file" }, path));
  else button.append(thumbnailElement(thumbnails, row, NEIGHBOUR_SIDE));
  return button;
}

/** Fills the panel. */
export function drawImage(
  parent: HTMLElement,
  row: number,
  { data, source, thumbnails }: { data: Data; source: Source; thumbnails: Thumbnails | null },
  neighbours: readonly number[],
  events: ImageEvents,
): void {
  const path = data.path(row);
  const url = data.header.hasImages ? source.imageUrl(row) : null;
  const small = thumbnails === null ? null : thumbnailElement(thumbnails, row, PICTURE_SIDE);
  const picture = make("div", { class: "picture" });
  if (small !== null) picture.append(small);
  if (url !== null) {
    const image = make("img", { alt: path });
    // Until it is there, and if it cannot be, the thumbnail stands for it.
    image.addEventListener("load", () => picture.replaceChildren(image));
    image.src = url;
  }
  const facts = data.columns.map((column) =>
    make(
      "div",
      { class: "fact" },
      make("dt", {}, column.name),
      make("dd", { class: "file" }, shownValue(column, row)),
    ),
  );
  const by = data.header.neighbours.by === "embedding" ? "by embedding" : "in the map";
  parent.replaceChildren(
    picture,
    make("p", { class: "file path" }, path),
    make(
      "div",
      { class: "buttons" },
      make("button", { type: "button", onclick: () => events.onShow(row) }, "Show in the map"),
      make("button", { type: "button", onclick: () => events.onSelect([row]) }, "Select"),
    ),
    make("dl", {}, ...facts),
    make("h3", {}, `Nearest ${by}`),
    make(
      "button",
      { type: "button", onclick: () => events.onSelect([row, ...neighbours]) },
      "Select with these",
    ),
    make(
      "div",
      { class: "images", id: "neighbours" },
      ...neighbours.map((other) => imageButton(data, thumbnails, other, events.onPick)),
    ),
  );
}
