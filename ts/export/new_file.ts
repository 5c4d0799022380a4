/** Files that are written in any order, and read back, before they are left. */
import { type FileHandle, open } from "node:fs/promises";
import { ioError, systemReason } from "../addon/errors.js";

/**
 * Makes a file that is not there yet, and syncs it. It is for folders that are staged: a file that
 * fails stays as it is.
 *
 * @throws FlexaeError `FLEXAE_IO` if the system refuses something; else what `write` throws
 */
export async function writeNewFile(
  path: string,
  write: (handle: FileHandle) => Promise<void>,
): Promise<void> {
  try {
    const handle = await open(path, "wx+", 0o666);
    try {
      await write(handle);
      await handle.sync();
    } finally {
      await handle.close();
    }
  } catch (error) {
    if ((error as NodeJS.ErrnoException).syscall === undefined) throw error;
    throw ioError(`${path} cannot be written: ${systemReason(error)}`, error);
  }
}
