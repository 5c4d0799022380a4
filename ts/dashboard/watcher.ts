/** All runs below a folder, as they are when somebody asks. */
import { realpath } from "node:fs/promises";
import { DEPTH, findFolders } from "../runs/list.js";
import { WatchedRun } from "./watched_run.js";
import type { Changes } from "./wire.js";

/** What was looked at so shortly ago is not looked at again. */
const FRESH_MS = 900;
/** So long new runs may go unseen, and runs that have ended unread. */
const SETTLED_MS = 4000;
/** Folders that are looked at side by side. */
const AT_ONCE = 16;

/** Each folder once: a link may lead to one that is there already, which goes by its own name. */
async function ownFolders(folders: readonly string[]): Promise<Set<string>> {
  const names = new Set(folders);
  const places = new Set<string>();
  for (const folder of folders) {
    const place = await realpath(folder).catch(() => folder);
    const isFirst = !places.has(place);
    places.add(place);
    if (place !== folder && (!isFirst || names.has(place))) names.delete(folder);
  }
  return names;
}

/** Answers that are kept, each to one version. */
const MOST_ANSWERS = 32;

/** Looks at runs only while somebody asks. */
export class Watcher {
  #root: string;
  #runs = new Map<string, WatchedRun>();
  #changed = new Map<WatchedRun, number>();
  #order: number[] = [];
  #version = 0;
  #nextId = 1;
  #looking: Promise<void> | undefined;
  #looked = Number.NEGATIVE_INFINITY;
  #lookedAtAll = Number.NEGATIVE_INFINITY;
  #answers = new Map<number, string>();

  constructor(root: string) {
    this.#root = root;
  }

  /** A run by its id; undefined if there is none. */
  find(id: number): WatchedRun | undefined {
    for (const run of this.#runs.values()) if (run.id === id && run.row !== null) return run;
    return undefined;
  }

  /** What is not as it was at a version, as JSON. Whoever asks for the same gets the same text. */
  async changes(since: number, rest: Omit<Changes, "version" | "runs" | "order" | "now">) {
    await this.look();
    // Of a version that is none of this server's yet, all who ask get the same.
    const from = Math.min(since, this.#version);
    let text = this.#answers.get(from);
    if (text === undefined) {
      const runs = [...this.#changed]
        .filter(([run, version]) => version > from && run.row !== null)
        .map(([run]) => run.row);
      text = JSON.stringify({ ...rest, version: this.#version, runs, order: this.#order });
      if (this.#answers.size >= MOST_ANSWERS) this.#answers.clear();
      this.#answers.set(from, text);
    }
    return `${text.slice(0, -1)},"now":${Date.now()}}`;
  }

  /** Looks again, unless it was done just now. Those who ask meanwhile wait for the same. */
  async look(): Promise<void> {
    if (performance.now() - this.#looked < FRESH_MS) return;
    this.#looking ??= this.#look().finally(() => {
      this.#looked = performance.now();
      this.#looking = undefined;
    });
    await this.#looking;
  }

  async #look(): Promise<void> {
    const isDue = performance.now() - this.#lookedAtAll > SETTLED_MS;
    if (isDue) {
      await this.#findRuns();
      this.#lookedAtAll = performance.now();
    }
    const queue = [...this.#runs.values()].filter((run) => isDue || run.isRunning);
    const changed: WatchedRun[] = [];
    const work = async () => {
      for (let run = queue.pop(); run !== undefined; run = queue.pop()) {
        if (await run.refresh()) changed.push(run);
      }
    };
    await Promise.all(Array.from({ length: AT_ONCE }, work));
    const order = this.#newestFirst();
    const isSame = changed.length === 0 && order.join() === this.#order.join();
    if (isSame) return;
    this.#order = order;
    this.#version++;
    for (const run of changed) this.#changed.set(run, this.#version);
    this.#answers.clear();
  }

  async #findRuns(): Promise<void> {
    const root = await realpath(this.#root).catch(() => this.#root);
    // The folder may not be there yet: then there are no runs.
    const folders = await ownFolders(await findFolders(root, DEPTH).catch(() => []));
    for (const [folder, run] of this.#runs) {
      if (folders.has(folder)) continue;
      this.#runs.delete(folder);
      this.#changed.delete(run);
    }
    for (const folder of folders) {
      if (!this.#runs.has(folder)) {
        this.#runs.set(folder, new WatchedRun(folder, root, this.#nextId++));
      }
    }
  }

  #newestFirst(): number[] {
    const rows = [...this.#runs.values()].flatMap(({ row }) => (row === null ? [] : [row]));
    rows.sort((a, b) => b.started.localeCompare(a.started) || b.id - a.id);
    return rows.map(({ id }) => id);
  }
}
