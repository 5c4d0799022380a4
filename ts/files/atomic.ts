/** Files written in one step. */
import { StagedFile } from "./staged.js";

/**
 * Writes or replaces the file `path` in one step.
 *
 * @throws FlexaeError `FLEXAE_IO` naming the file; what stood there before is then untouched.
 */
export async function writeFileAtomic(path: string, data: string | Uint8Array): Promise<void> {
  const file = await StagedFile.create(path);
  await file.append(data);
  await file.finish();
}

/**
 * Keeps one file up to date: `update` says what it is to hold, `flush` waits until that is on disk.
 * Writes follow one another; when they are slower than the updates, only the newest is written.
 */
export class LiveFile {
  #path: string;
  #pending: string | Uint8Array | undefined;
  #writing: Promise<void> | undefined;
  #failure: unknown;
  #onFailure: (error: unknown) => void;

  constructor(path: string, onFailure: (error: unknown) => void) {
    this.#path = path;
    this.#onFailure = onFailure;
  }

  update(content: string | Uint8Array): void {
    this.#pending = content;
    this.#writing ??= this.#drain();
  }

  /** Waits for the last update; throws if any write failed. */
  async flush(): Promise<void> {
    await this.#writing;
    if (this.#failure !== undefined) throw this.#failure;
  }

  async #drain(): Promise<void> {
    while (this.#pending !== undefined) {
      const content = this.#pending;
      this.#pending = undefined;
      try {
        await writeFileAtomic(this.#path, content);
      } catch (error) {
        if (this.#failure === undefined) {
          this.#failure = error;
          this.#onFailure(error);
        }
      }
    }
    this.#writing = undefined;
  }
}
