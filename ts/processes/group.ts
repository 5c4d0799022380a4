/** The processes of a training, and what they agree on before it begins. */
import { createHash } from "node:crypto";
import { FlexaeError, translateError } from "../addon/errors.js";
import { awaitAddon, callAddon } from "../addon/loader.js";
import type { ProcessGroupHandle } from "../addon/types.js";
import type { ProcessPlace } from "./environment.js";

/** How long all are waited for, unless said otherwise. */
export const JOIN_SECONDS = 120;

/** What a process says of itself; `null` for what went wrong. */
interface Word {
  error?: { code: string; message: string };
  /** By subject: settings by name, "training images", … */
  facts?: Record<string, string>;
  /** What rank 0 hands on. */
  plan?: unknown;
}

/** A few letters that differ where texts do. */
export function digest(parts: Iterable<string | Uint8Array>): string {
  const hash = createHash("sha256");
  for (const part of parts) hash.update(`${part.length}:`).update(part);
  return hash.digest("hex").slice(0, 16);
}

/** The processes of a training. */
export class ProcessGroup {
  readonly place: ProcessPlace;
  readonly handle: ProcessGroupHandle;

  private constructor(place: ProcessPlace, handle: ProcessGroupHandle) {
    this.place = place;
    this.handle = handle;
  }

  /**
   * Waits until all are there.
   *
   * @throws FlexaeError `FLEXAE_PROCESS` naming who did not come; `FLEXAE_CONFIG`.
   */
  static async join(place: ProcessPlace, joinSeconds: number): Promise<ProcessGroup> {
    const handle = await awaitAddon((addon) =>
      addon.joinProcesses({
        rank: place.rank,
        worldSize: place.worldSize,
        masterAddress: place.masterAddress,
        masterPort: place.masterPort,
        hostsStore: place.hostsStore,
        prefix: place.prefix,
        joinSeconds,
      }),
    );
    return new ProcessGroup(place, handle);
  }

  /** Whether this process writes and tells. */
  get isFirst(): boolean {
    return this.place.rank === 0;
  }

  /**
   * Runs `prepare` everywhere; where it fails in one process, it fails in all, naming that.
   *
   * @returns What it gave here, and what rank 0's hands on.
   */
  async #together<T>(prepare: () => Promise<{ value: T; word: Word }>): Promise<{
    value: T;
    words: Word[];
  }> {
    let prepared: { value: T; word: Word } | undefined;
    let own: FlexaeError | undefined;
    let word: Word;
    try {
      prepared = await prepare();
      word = prepared.word;
    } catch (error) {
      own = translateError(error);
      word = { error: { code: own.code, message: own.message } };
    }
    const texts = await awaitAddon(() => this.handle.exchange(JSON.stringify(word)));
    const words = texts.map((text) => JSON.parse(text) as Word);
    if (own !== undefined) throw own;
    for (const [rank, { error }] of words.entries()) {
      if (error === undefined) continue;
      const message = `rank ${rank} of the training failed: ${error.message}`;
      throw new FlexaeError(error.code as FlexaeError["code"], message);
    }
    return { value: (prepared as { value: T }).value, words };
  }

  /**
   * What rank 0 makes, in all processes; it must survive JSON.
   *
   * @throws what `make` throws, in all of them.
   */
  async fromFirst<T>(make: () => Promise<T>): Promise<T> {
    const { words } = await this.#together<null>(async () => ({
      value: null,
      word: this.isFirst ? { plan: await make() } : {},
    }));
    return words[0]?.plan as T;
  }

  /**
   * Runs `prepare` in all processes, and sees that what it found is everywhere the same.
   *
   * @param facts - What must be, by its name.
   * @throws FlexaeError `FLEXAE_CONFIG` naming the process and what differs there.
   */
  async agree<T>(
    prepare: () => Promise<T>,
    facts: (value: T) => Promise<Record<string, string>>,
  ): Promise<T> {
    const { value, words } = await this.#together(async () => {
      const value = await prepare();
      return { value, word: { facts: await facts(value) } };
    });
    const first = words[0]?.facts ?? {};
    for (const [rank, { facts: own = {} }] of words.entries()) {
      const differs = Object.keys({ ...first, ...own }).filter((name) => first[name] !== own[name]);
      const name = differs[0];
      if (name === undefined) continue;
      throw new FlexaeError(
        "FLEXAE_CONFIG",
        `rank ${rank} has another ${name} than rank 0: ${own[name] ?? "none"}, not ${first[name] ?? "none"}\nStart all processes with the same command line on the same images.`,
      );
    }
    return value;
  }

  /** Ends all others, with this reason. */
  fail(error: unknown): void {
    this.handle.fail(translateError(error).message);
  }

  /** This process is done, and is not missed any more. */
  async leave(): Promise<void> {
    await this.handle.leave();
  }
}

/** Threads for each of the processes of this machine. */
export function threadsEach({ localWorldSize }: ProcessPlace): number {
  const { cores } = callAddon((addon) => addon.hardware()).cpu;
  return Math.max(1, Math.floor(cores / localWorldSize));
}

/** The device of a process: of several GPUs each takes its own. */
export function deviceOf(device: string, { localRank }: ProcessPlace): string {
  if (device !== "auto" && device !== "cuda") return device;
  const { devices } = callAddon((addon) => addon.hardware()).cuda;
  const own = devices[localRank % Math.max(devices.length, 1)];
  return own === undefined ? device : `cuda:${own.index}`;
}
