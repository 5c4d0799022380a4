/** Files read again after they were written. */
import { type FileHandle, open } from "node:fs/promises";
import { ioError, systemReason } from "../addon/errors.js";
import { differs, sameBits } from "./bits.js";

/** Bytes that are read at once. */
const CHUNK = 1 << 20;

/** Whether a part of a file is these bytes; a large one is not in memory once more. */
export async function holds(handle: FileHandle, at: number, meant: Uint8Array): Promise<boolean> {
  const chunk = Buffer.alloc(Math.min(CHUNK, meant.length));
  for (let done = 0; done < meant.length; ) {
    const wanted = Math.min(CHUNK, meant.length - done);
    const { bytesRead } = await handle.read(chunk, 0, wanted, at + done);
    const next = meant.subarray(done, done + bytesRead);
    if (bytesRead === 0 || !sameBits(chunk.subarray(0, bytesRead), next)) return false;
    done += bytesRead;
  }
  return true;
}

/**
 * Opens a file to read it back.
 *
 * @throws FlexaeError `FLEXAE_IO`; what `check` throws.
 */
export async function readBack(
  path: string,
  check: (handle: FileHandle) => Promise<void>,
): Promise<void> {
  try {
    const handle = await open(path);
    try {
      await check(handle);
    } finally {
      await handle.close();
    }
  } catch (error) {
    if ((error as NodeJS.ErrnoException).syscall === undefined) throw error;
    throw ioError(`${path} cannot be read back: ${systemReason(error)}`, error);
  }
}

/**
 * Holds a file against the pieces that it was written from.
 *
 * @throws FlexaeError `FLEXAE_IO`; `FLEXAE_INTERNAL` if the file holds anything else.
 */
export async function checkPieces(path: string, pieces: readonly Uint8Array[]): Promise<void> {
  await readBack(path, async (handle) => {
    let at = 0;
    for (const piece of pieces) {
      if (!(await holds(handle, at, piece))) throw differs(path, `what begins at byte ${at}`);
      at += piece.length;
    }
    if ((await handle.stat()).size !== at) throw differs(path, "its length");
  });
}
