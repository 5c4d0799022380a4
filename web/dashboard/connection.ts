/** Asks the server again and again what changed. */
import type { Changes } from "../../ts/dashboard/wire.ts";
import { askChanges } from "./source.ts";

/** Between an answer and the next question, in milliseconds: while a run goes on, and else. */
const BUSY = 1000;
const IDLE = 5000;
/** After failures, it doubles up to this. */
const LONGEST = 15_000;

/** What the page is told. */
export interface Listener {
  /** @param isAll - Whether it is all there is: what was known before is another server's. */
  changed(changes: Changes, isAll: boolean): void;
  /** @param since - When the server was reached for the last time; null: it is reached. */
  reached(since: Date | null): void;
}

/** One question at a time, none while the page is hidden. */
export class Connection {
  readonly #listener: Listener;
  /** Whether anything is going on. */
  readonly #isBusy: () => boolean;
  #version = 0;
  #server: string | null = null;
  #timer: ReturnType<typeof setTimeout> | undefined;
  #isAsking = false;
  #failures = 0;
  #lastReached = new Date();

  constructor(listener: Listener, isBusy: () => boolean) {
    this.#listener = listener;
    this.#isBusy = isBusy;
    document.addEventListener("visibilitychange", () => this.askNow());
  }

  /** Asks at once, unless it does already. */
  askNow(): void {
    clearTimeout(this.#timer);
    void this.#ask();
  }

  async #ask(): Promise<void> {
    if (this.#isAsking || document.hidden) return;
    this.#isAsking = true;
    let wait = BUSY;
    try {
      const answer = await this.#askOnce().catch(() => null);
      if (answer === null) {
        if (this.#failures === 0) this.#listener.reached(this.#lastReached);
        wait = Math.min(LONGEST, BUSY * 2 ** this.#failures++);
        return;
      }
      this.#failures = 0;
      this.#lastReached = new Date();
      this.#listener.reached(null);
      this.#listener.changed(answer.changes, answer.isAll);
      if (!this.#isBusy()) wait = IDLE;
    } finally {
      this.#isAsking = false;
      this.#timer = setTimeout(() => void this.#ask(), wait);
    }
  }

  async #askOnce(): Promise<{ changes: Changes; isAll: boolean }> {
    const asked = this.#version;
    let changes = await askChanges(asked);
    const isOther = this.#server !== null && changes.server !== this.#server;
    // Another server's changes since a version of the one before are no changes since anything.
    if (isOther && asked !== 0) changes = await askChanges(0);
    this.#server = changes.server;
    this.#version = changes.version;
    return { changes, isAll: asked === 0 || isOther };
  }
}
