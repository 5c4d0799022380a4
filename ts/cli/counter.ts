import type { ListingProgress } from "../containers/listing.js";
import { duration, grouped, rate } from "./format.js";
import { listingLine } from "./listing_text.js";

/** How far many images have come, on stderr, where that is a terminal. */
export class Counter {
  #done: string;
  #began = Date.now();
  #shown = 0;

  /** @param done - What has been done to them: "checked". */
  constructor(done: string) {
    this.#done = done;
  }

  /** What goes before, and does not count. */
  listing(listing: ListingProgress): void {
    this.#shown = Date.now();
    this.#began = this.#shown;
    process.stderr.write(`\r\u001b[K${listingLine(listing)}`);
  }

  update(done: number, total: number): void {
    const now = Date.now();
    if (now - this.#shown < 100) return;
    this.#shown = now;
    const perSecond = (1000 * done) / Math.max(now - this.#began, 1);
    process.stderr.write(
      `\r\u001b[K${this.#done} ${grouped(done)} of ${grouped(total)} images, ${rate(perSecond)} images/s, ` +
        `${duration((total - done) / perSecond)} left`,
    );
  }

  clear(): void {
    if (this.#shown > 0) process.stderr.write("\r\u001b[K");
  }
}
