/** How a group is called on the page. */

import { make } from "../elements.ts";
import type { CategoryColumn } from "./data.ts";

/** The name of a group; of those without one, what stands for it. */
export function groupName({ names }: CategoryColumn, code: number): HTMLElement {
  return code === 0
    ? make("em", {}, "none")
    : make("span", { class: "file" }, names[code - 1] as string);
}
