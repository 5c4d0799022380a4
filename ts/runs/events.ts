/** What stands in the queue in place of an event that a newer one replaced. */
const REPLACED = Symbol("replaced");

/**
 * Events between their producer and one `for await` loop. An event waits until it is taken, or until
 * a newer one of its kind replaces it: so a queue that nobody reads stays short.
 */
export class EventQueue<T> implements AsyncIterable<T> {
  #waiting: (T | typeof REPLACED)[] = [];
  #replaced = 0;
  /** Of each kind the newest that waits, by its number since the beginning. */
  #newest = new Map<string, number>();
  /** So many have left the queue. */
  #gone = 0;
  #ended = false;
  #failure: unknown;
  #wake: (() => void) | undefined;
  #kindOf: (event: T) => string | null;

  /** @param kindOf - Null for events of which none may be lost. */
  constructor(kindOf: (event: T) => string | null = () => null) {
    this.#kindOf = kindOf;
  }

  push(event: T): void {
    if (this.#ended) return;
    const kind = this.#kindOf(event);
    if (kind !== null) {
      const older = this.#newest.get(kind);
      if (older !== undefined && older >= this.#gone) {
        this.#waiting[older - this.#gone] = REPLACED;
        this.#replaced++;
      }
      this.#newest.set(kind, this.#gone + this.#waiting.length);
    }
    this.#waiting.push(event);
    if (2 * this.#replaced > this.#waiting.length) this.#compact();
    this.#wake?.();
  }

  /** No more events come. With a failure, the loop throws it after the last event. */
  end(failure?: unknown): void {
    this.#ended = true;
    this.#failure = failure;
    this.#wake?.();
  }

  async *[Symbol.asyncIterator](): AsyncGenerator<T, void, void> {
    for (;;) {
      while (this.#waiting.length > 0) {
        const event = this.#waiting.shift() as T | typeof REPLACED;
        this.#gone++;
        if (event === REPLACED) this.#replaced--;
        else yield event;
      }
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

  #compact(): void {
    this.#gone += this.#replaced;
    this.#replaced = 0;
    this.#waiting = this.#waiting.filter((event) => event !== REPLACED);
    this.#newest.clear();
    for (const [i, event] of this.#waiting.entries()) {
      const kind = this.#kindOf(event as T);
      if (kind !== null) this.#newest.set(kind, this.#gone + i);
    }
  }
}
