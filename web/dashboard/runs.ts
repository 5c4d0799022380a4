/** The runs there are, as the server last told. */
import type { Changes, LiveRun } from "../../ts/dashboard/wire.ts";

/** Runs by their names: those stay when the server begins anew, and ids do not. */
export class Runs {
  readonly #byName = new Map<string, LiveRun>();
  readonly #names = new Map<number, string>();
  #order: string[] = [];

  /** Names, the newest run first. */
  get order(): readonly string[] {
    return this.#order;
  }

  get(name: string): LiveRun | undefined {
    return this.#byName.get(name);
  }

  /** All, the newest first. */
  all(): LiveRun[] {
    return this.#order.map((name) => this.#byName.get(name) as LiveRun);
  }

  /** How many are going on. */
  running(): number {
    let count = 0;
    for (const { state } of this.#byName.values()) if (state === "running") count++;
    return count;
  }

  /**
   * Takes in what changed.
   *
   * @returns Names of runs that are new, other than they were, or gone.
   */
  apply({ runs, order }: Changes, isAll: boolean): Set<string> {
    const changed = new Set<string>();
    if (isAll) {
      for (const name of this.#byName.keys()) changed.add(name);
      this.#byName.clear();
      this.#names.clear();
    }
    for (const run of runs) {
      this.#byName.set(run.name, run);
      this.#names.set(run.id, run.name);
      changed.add(run.name);
    }
    const there = new Set(order);
    for (const [id, name] of this.#names) {
      if (there.has(id)) continue;
      this.#names.delete(id);
      // Its name may be another run's by now.
      if (this.#byName.get(name)?.id === id) this.#byName.delete(name);
      changed.add(name);
    }
    this.#order = order.flatMap((id) => this.#names.get(id) ?? []);
    return changed;
  }
}
