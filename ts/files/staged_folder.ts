/** Folders that are whole or not there. */
import { mkdir, rename, rm } from "node:fs/promises";
import { dirname } from "node:path";
import { ioError, systemReason } from "../addon/errors.js";
import { syncFolder } from "./folders.js";
import { temporaryPath } from "./temporary.js";

/** A folder of files that is filled beside its target and then takes its name. */
export class StagedFolder {
  /** Where its files are to be written. */
  readonly path: string;
  #target: string;

  private constructor(target: string, path: string) {
    this.#target = target;
    this.path = path;
  }

  /** @throws FlexaeError `FLEXAE_IO` if it cannot be made. */
  static async create(target: string): Promise<StagedFolder> {
    const path = await temporaryPath(target);
    try {
      await mkdir(path);
    } catch (error) {
      throw ioError(`${target} cannot be written: ${systemReason(error)}`, error);
    }
    return new StagedFolder(target, path);
  }

  /**
   * The folder is whole, and takes its name. One that had it is removed with everything in it.
   *
   * @throws FlexaeError `FLEXAE_IO`; nothing of the new folder is then left.
   */
  async finish(): Promise<void> {
    try {
      // A rename replaces no folder that holds something.
      await rm(this.#target, { recursive: true, force: true });
      await rename(this.path, this.#target);
      await syncFolder(dirname(this.#target));
    } catch (error) {
      await this.abandon();
      throw ioError(`${this.#target} cannot be written: ${systemReason(error)}`, error);
    }
  }

  /** Leaves nothing behind, unless it is finished. */
  async abandon(): Promise<void> {
    await rm(this.path, { recursive: true, force: true }).catch(() => {});
  }
}
