import { type FileHandle, open, rename, rm } from "node:fs/promises";
import { dirname } from "node:path";
import { ioError, systemReason } from "../addon/errors.js";
import { syncFolder } from "./folders.js";
import { temporaryPath } from "./temporary.js";

/**
 * A file that is whole or not there: written beside its target, piece by piece, synced, renamed, and
 * the folder synced, so a reader, a crash or a full disk never meets a half-written one. Whatever
 * fails removes it again, and says so with a FlexaeError `FLEXAE_IO` that names the file; what stood
 * there before is then untouched.
 */
export class StagedFile {
  #path: string;
  #temporary: string;
  /** Undefined once it is finished or abandoned. */
  #handle: FileHandle | undefined;

  private constructor(path: string, temporary: string, handle: FileHandle) {
    this.#path = path;
    this.#temporary = temporary;
    this.#handle = handle;
  }

  static async create(path: string): Promise<StagedFile> {
    const temporary = await temporaryPath(path);
    try {
      return new StagedFile(path, temporary, await open(temporary, "wx", 0o666));
    } catch (error) {
      throw ioError(`${path} cannot be written: ${systemReason(error)}`, error);
    }
  }

  async append(data: Uint8Array | string): Promise<void> {
    await this.#try((handle) => handle.writeFile(data));
  }

  /** Overwrites what was appended. */
  async replace(data: Uint8Array, position: number): Promise<void> {
    await this.#try(async (handle) => {
      await handle.write(data, 0, data.length, position);
    });
  }

  /** Makes the file whole: what stood in its place is replaced in one step. */
  async finish(): Promise<void> {
    await this.#try(async (handle) => {
      await handle.sync();
      await handle.close();
      await rename(this.#temporary, this.#path);
      await syncFolder(dirname(this.#path));
    });
    this.#handle = undefined;
  }

  /** Leaves nothing behind. Idempotent, and nothing after {@link finish}. */
  async abandon(): Promise<void> {
    const handle = this.#handle;
    if (handle === undefined) return;
    this.#handle = undefined;
    await handle.close().catch(() => {});
    await rm(this.#temporary, { force: true }).catch(() => {});
  }

  async #try(work: (handle: FileHandle) => Promise<void>): Promise<void> {
    if (this.#handle === undefined) throw ioError(`${this.#path} is no longer being written`);
    try {
      await work(this.#handle);
    } catch (error) {
      await this.abandon();
      throw ioError(`${this.#path} cannot be written: ${systemReason(error)}`, error);
    }
  }
}
