/**
 * Events between their producer and one `for await` loop. An event waits until it is taken;
 * `replaces(newer, older)` says when a newer one may stand in for the older still waiting last, so
 * that a queue nobody reads stays short.
 */
export class EventQueue<T> implements AsyncIterable<T> {
  #waiting: T[] = [];
  #ended = false;
  #failure: unknown;
  #wake: (() => void) | undefined;
  #replaces: (newer: T, older: T) => boolean;

  constructor(replaces: (newer: T, older: T) => boolean = () => false) {
    this.#replaces = replaces;
  }

  push(event: T): void {
    if (this.#ended) return;
    const last = this.#waiting.length - 1;
    if (last >= 0 && this.#replaces(event, this.#waiting[last] as T)) this.#waiting[last] = event;
    else this.#waiting.push(event);
    this.#wake?.();
  }

  /** Takes back the newest that waits of those that are meant; what is large is not kept for nobody. */
  takeBack(isMeant: (event: T) => boolean): void {
    const at = this.#waiting.findLastIndex(isMeant);
    if (at >= 0) this.#waiting.splice(at, 1);
  }

  /** No more events come. With a failure, the loop throws it after the last event. */
  end(failure?: unknown): void {
    this.#ended = true;
    this.#failure = failure;
    this.#wake?.();
  }

  async *[Symbol.asyncIterator](): AsyncGenerator<T, void, void> {
    for (;;) {
      while (this.#waiting.length > 0) yield this.#waiting.shift() as T;
      if (this.#ended) {
        if (this.#failure !== undefined) throw this.#failure;
        return;
      }
      await new Promise<void>((resolve) => {
        this.#wake = resolve;
      });
      this.#wake = undefined;
    }
  }
}
