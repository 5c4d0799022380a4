/** Curves of runs, asked for again when they are others. */
import type { Epochs, LiveRun } from "../../ts/dashboard/wire.ts";
import { askEpochs } from "./source.ts";

/** So many are asked for at a time. */
const AT_ONCE = 4;
/** Runs whose curves are kept. */
const KEPT = 60;

/** Curves by the names of runs. */
export class CurveStore {
  readonly #kept = new Map<string, Epochs>();
  /** The keys for which they were asked for: what comes may be newer already. */
  readonly #askedFor = new Map<string, string>();
  readonly #asking = new Set<string>();
  readonly #wanted = new Map<string, LiveRun>();
  readonly #onChange: (name: string) => void;
  #era = 0;

  constructor(onChange: (name: string) => void) {
    this.#onChange = onChange;
  }

  /** What is known of a run's curves; newer ones are asked for if there are any. */
  get(run: LiveRun): Epochs | undefined {
    const kept = this.#kept.get(run.name);
    if (kept !== undefined) {
      // The last to have been looked at is the last to go.
      this.#kept.delete(run.name);
      this.#kept.set(run.name, kept);
    }
    // A run without an epoch has no curves yet.
    const isAsked = this.#askedFor.get(run.name) === run.epochsKey;
    if (kept?.key !== run.epochsKey && !isAsked && run.epochs > 0) {
      this.#wanted.set(run.name, run);
      this.#askNext();
    }
    return run.epochs > 0 ? kept : undefined;
  }

  /** Another server: nothing is known any more. */
  clear(): void {
    this.#era++;
    this.#kept.clear();
    this.#askedFor.clear();
    this.#wanted.clear();
  }

  #askNext(): void {
    for (const [name, run] of this.#wanted) {
      if (this.#asking.size >= AT_ONCE) return;
      if (this.#asking.has(name)) continue;
      this.#wanted.delete(name);
      void this.#ask(run);
    }
  }

  async #ask({ id, name, epochsKey }: LiveRun): Promise<void> {
    const era = this.#era;
    this.#asking.add(name);
    this.#askedFor.set(name, epochsKey);
    const epochs = await askEpochs(id).catch(() => null);
    this.#asking.delete(name);
    if (era === this.#era) {
      if (epochs === null) {
        // The server is gone, or the run. With its next answer they are asked for again.
        this.#askedFor.delete(name);
      } else {
        this.#kept.set(name, epochs);
        const [oldest] = this.#kept.keys();
        if (this.#kept.size > KEPT && oldest !== undefined) {
          this.#kept.delete(oldest);
          this.#askedFor.delete(oldest);
        }
        this.#onChange(name);
      }
    }
    this.#askNext();
  }
}
