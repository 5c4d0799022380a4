/** Folders that are whole or not there. */
import { mkdir, rename, rm } from "node:fs/promises";
import { dirname, resolve } from "node:path";
import { ioError, systemReason } from "../addon/errors.js";
import { makeFolders, removeFolders, syncFolder } from "./folders.js";
import { temporaryPath } from "./temporary.js";

/** A folder of files that is filled beside its target and then takes its name. */
export class StagedFolder {
  /** Where its files are to be written. */
  readonly path: string;
  #target: string;
  /** Folders above it that were not there. */
  #made: readonly string[];

  private constructor(target: string, path: string, made: readonly string[]) {
    this.#target = target;
    this.path = path;
    this.#made = made;
  }

  /**
   * Makes the folders above it, too, which are gone again if it is abandoned.
   *
   * @throws FlexaeError `FLEXAE_IO` if it cannot be made.
   */
  static async create(target: string): Promise<StagedFolder> {
    let made: readonly string[] = [];
    try {
      made = await makeFolders(dirname(resolve(target)));
      const path = await temporaryPath(target);
      await mkdir(path);
      return new StagedFolder(target, path, made);
    } catch (error) {
      await removeFolders(made);
      throw ioError(`${target} cannot be written: ${systemReason(error)}`, error);
    }
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
    await removeFolders(this.#made);
  }
}
