import { duration, grouped, rate } from "./format.js";

/** How far many images have come, on stderr, where that is a terminal. */
export class Counter {
  #done: string;
  #began = Date.now();
  #shown = 0;

  /** @param done - What has been done to them: "checked". */
  constructor(done: string) {
    this.#done = done;
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
