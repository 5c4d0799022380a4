/** Lists and tables that change in place. */
import { make } from "../elements.ts";
import { setAttribute, setText } from "./live.ts";

/** As many children as there are things, each made once and filled again and again. */
export function fill<T>(
  parent: Element,
  things: readonly T[],
  create: () => Element,
  show: (element: Element, thing: T, index: number) => void,
): void {
  while (parent.childElementCount > things.length) parent.lastElementChild?.remove();
  for (const [i, thing] of things.entries()) {
    let element = parent.children[i];
    if (element === undefined) {
      element = create();
      parent.append(element);
    }
    show(element, thing, i);
  }
}

/** Names, and a value to each. */
export function fillPairs(list: Element, pairs: readonly (readonly [string, string])[]): void {
  const create = () => make("div", {}, make("dt"), make("dd", { class: "file" }));
  fill(list, pairs, create, (element, [name, value]) => {
    setText(element.children[0] as Element, name);
    setText(element.children[1] as Element, value);
  });
}

/** Cells of a row; the first may be its head, and is left alone. */
export function fillCells(row: Element, texts: readonly string[], from: number): void {
  while (row.childElementCount > texts.length + from) row.lastElementChild?.remove();
  for (const [i, text] of texts.entries()) {
    let cell = row.children[i + from];
    if (cell === undefined) {
      cell = make("td", { class: "cell" });
      row.append(cell);
    }
    setText(cell, text);
    // What does not fit can be had all the same.
    setAttribute(cell, "title", text.length > 20 ? text : null);
  }
}
