import { shownPath } from "../files/paths.js";
import { grouped } from "./format.js";
import { printJson, warn } from "./output.js";

/** How many are named to a person. */
const SHOWN = 10;

/** Tells of images that are left out: a program of each, a person of the first, and of how many more. */
export class BadImages {
  #json: boolean;
  #line: { clear(): void } | undefined;
  #count = 0;

  /** @param line - What shows progress, and gives way to a message. */
  constructor(json: boolean, line: { clear(): void } | undefined) {
    this.#json = json;
    this.#line = line;
  }

  add(file: string, reason: string): void {
    this.#count += 1;
    if (this.#json) printJson({ event: "bad", file: shownPath(file), reason });
    else if (this.#count <= SHOWN) {
      this.#line?.clear();
      warn(`left out ${shownPath(file)}: ${reason}`);
    }
  }

  /** @param what - What they are: "images". */
  end(what = "images"): void {
    const more = this.#count - SHOWN;
    if (more > 0 && !this.#json) warn(`left out ${grouped(more)} more ${what}: --json names all`);
  }
}
