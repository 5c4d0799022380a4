import type { ListingProgress } from "../containers/listing.js";
import { duration } from "./format.js";
import { listingLine } from "./listing_text.js";

/** What is done at the moment and how far it is, on stderr, where that is a terminal. */
export class StepLine {
  #step = "";
  #began = Date.now();
  #shown = false;

  /** @param share - From 0 to 1. */
  update(step: string, share: number): void {
    if (step !== this.#step) {
      this.#step = step;
      this.#began = Date.now();
    }
    const seconds = (Date.now() - this.#began) / 1000;
    const left = share > 0.02 ? `, ${duration((seconds * (1 - share)) / share)} left` : "";
    process.stderr.write(`\r\u001b[K${step} ${Math.floor(100 * share)}%${left}`);
    this.#shown = true;
  }

  /** How far a set is listed. */
  listing(listing: ListingProgress): void {
    process.stderr.write(`\r\u001b[K${listingLine(listing)}`);
    this.#shown = true;
  }

  clear(): void {
    if (this.#shown) process.stderr.write("\r\u001b[K");
    this.#shown = false;
  }
}

/** A line for stderr; none where that is no terminal, or where the output is for programs. */
export function stepLine(json: boolean): StepLine | undefined {
  return process.stderr.isTTY === true && !json ? new StepLine() : undefined;
}
