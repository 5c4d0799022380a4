/** What trackers have in common: they are told of a training, and never in its way. */
import type { TrainingOutcome } from "../runs/training.js";
import type { TrainingEvent } from "../runs/training_event.js";

/** Follows a training and writes elsewhere what comes of it. Nothing here throws or rejects. */
export interface Tracker {
  /** Takes an event, and comes back at once. */
  event(event: TrainingEvent): void;
  /** Writes what is left, for a few seconds at most where nobody takes it. */
  finish(outcome: TrainingOutcome, signal?: AbortSignal): Promise<void>;
}

/** What does the work of a tracker: one call after another, each with the time of its event. */
export interface Recorder {
  /** @param time - Milliseconds since 1970. */
  record(event: TrainingEvent, time: number): Promise<void>;
  end(outcome: TrainingOutcome, time: number, signal: AbortSignal | undefined): Promise<void>;
}

/** So many events wait for a recorder before those of batches, and large ones, are left out. */
const MOST_WAITING = 20;

/** Hands events to a recorder in their order, off the path of the training. */
export class QueuedTracker implements Tracker {
  #recorder: Promise<Recorder>;
  #tail: Promise<void> = Promise.resolve();
  #waiting = 0;
  #onFailure: (error: unknown) => void;
  #failed = false;

  /**
   * @param load - Gives the recorder; what it takes is loaded when there is a training to track.
   * @param onFailure - Called once, with what the recorder could not cope with.
   */
  constructor(load: () => Promise<Recorder>, onFailure: (error: unknown) => void) {
    this.#recorder = load();
    // It is met again by whoever waits for it.
    this.#recorder.catch(() => {});
    this.#onFailure = onFailure;
  }

  event(event: TrainingEvent): void {
    if (event.type === "listing") return;
    const isSpared = event.type === "batch" || event.type === "reconstructions";
    if (isSpared && this.#waiting > MOST_WAITING) return;
    const time = Date.now();
    this.#queue((recorder) => recorder.record(event, time));
  }

  async finish(outcome: TrainingOutcome, signal?: AbortSignal): Promise<void> {
    const time = Date.now();
    this.#queue((recorder) => recorder.end(outcome, time, signal));
    await this.#tail;
  }

  #queue(work: (recorder: Recorder) => Promise<void>): void {
    this.#waiting++;
    this.#tail = this.#tail.then(async () => {
      try {
        if (!this.#failed) await work(await this.#recorder);
      } catch (error) {
        this.#failed = true;
        this.#onFailure(error);
      } finally {
        this.#waiting--;
      }
    });
  }
}

/** One tracker that is several. */
export function together(trackers: readonly Tracker[]): Tracker {
  return {
    event(event) {
      for (const tracker of trackers) tracker.event(event);
    },
    async finish(outcome, signal) {
      await Promise.all(trackers.map((tracker) => tracker.finish(outcome, signal)));
    },
  };
}

/** Waits for work, but no longer than that; what is left of it goes on by itself. */
export async function within(milliseconds: number, work: Promise<unknown>): Promise<void> {
  let timer: NodeJS.Timeout | undefined;
  const patience = new Promise<void>((resolve) => {
    timer = setTimeout(resolve, milliseconds);
  });
  await Promise.race([work, patience]).finally(() => clearTimeout(timer));
}
