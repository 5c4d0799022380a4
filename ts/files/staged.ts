/** A file that is written piece by piece beside its target, and takes its name when it is whole. */
import { randomBytes } from "node:crypto";
import { type FileHandle, open, rename, rm } from "node:fs/promises";
import { basename, dirname, join } from "node:path";
import { ioError, systemReason } from "../addon/errors.js";
import { syncFolder } from "./atomic.js";

export class StagedFile {
  #path: string;
  #temporary: string;
  #handle: FileHandle | undefined;
  #length = 0;

  private constructor(path: string, temporary: string, handle: FileHandle) {
    this.#path = path;
    this.#temporary = temporary;
    this.#handle = handle;
  }

  /** @throws FlexaeError `FLEXAE_IO` naming the file, as all that follows. */
  static async create(path: string): Promise<StagedFile> {
    const name = `.${basename(path)}.${randomBytes(6).toString("hex")}.tmp`;
    const temporary = join(dirname(path), name);
    try {
      return new StagedFile(path, temporary, await open(temporary, "wx", 0o666));
    } catch (error) {
      throw ioError(`${path} cannot be written: ${systemReason(error)}`, error);
    }
  }

  /** Bytes appended so far. */
  get length(): number {
    return this.#length;
  }

  async append(data: Uint8Array | string): Promise<void> {
    const bytes = typeof data === "string" ? Buffer.from(data) : data;
    await this.#try(async (handle) => {
      await handle.writeFile(bytes);
    });
    this.#length += bytes.length;
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
      this.#handle = undefined;
      await rename(this.#temporary, this.#path);
      await syncFolder(dirname(this.#path));
    });
  }

  /** Leaves nothing behind. Idempotent, and nothing after {@link finish}. */
  async abandon(): Promise<void> {
    if (this.#handle === undefined) return;
    await this.#handle.close().catch(() => {});
    this.#handle = undefined;
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
