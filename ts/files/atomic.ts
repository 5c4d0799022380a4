/**
 * Files that are whole or not there: written beside their target, synced, renamed, and the folder
 * synced, so a reader, a crash or a full disk never meets a half-written one.
 */
import { randomBytes } from "node:crypto";
import { constants, open, rename, rm } from "node:fs/promises";
import { basename, dirname, join } from "node:path";
import { ioError, systemReason } from "../addon/errors.js";

/** Makes a folder's entries durable. */
export async function syncFolder(folder: string): Promise<void> {
  const handle = await open(folder, constants.O_RDONLY);
  try {
    await handle.sync();
  } catch (error) {
    // Some network file systems do not sync folders; their renames are as durable as they get.
    if (!["EINVAL", "ENOTSUP"].includes((error as NodeJS.ErrnoException).code ?? "")) throw error;
  } finally {
    await handle.close();
  }
}

/**
 * Writes or replaces the file `path` in one step.
 *
 * @throws FlexaeError `FLEXAE_IO` naming the file; what stood there before is then untouched.
 */
export async function writeFileAtomic(path: string, data: string | Uint8Array): Promise<void> {
  const folder = dirname(path);
  const temporary = join(folder, `.${basename(path)}.${randomBytes(6).toString("hex")}.tmp`);
  try {
    const handle = await open(temporary, "wx", 0o666);
    try {
      await handle.writeFile(data);
      await handle.sync();
    } finally {
      await handle.close();
    }
    await rename(temporary, path);
    await syncFolder(folder);
  } catch (error) {
    await rm(temporary, { force: true }).catch(() => {});
    throw ioError(`${path} cannot be written: ${systemReason(error)}`, error);
  }
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
