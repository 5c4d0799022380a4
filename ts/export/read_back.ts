/** Files read again after they were written. */
import { open } from "node:fs/promises";
import { FlexaeError, ioError, systemReason } from "../addon/errors.js";
import { differs, sameBits } from "./bits.js";

/** Bytes that are read at once. */
const CHUNK = 1 << 20;

/**
 * Holds a file against the pieces that it was written from, a chunk at a time, so that a large one
 * is not in memory once more.
 *
 * @throws FlexaeError `FLEXAE_IO`; `FLEXAE_INTERNAL` if the file holds anything else.
 */
export async function checkPieces(path: string, pieces: readonly Uint8Array[]): Promise<void> {
  try {
    const handle = await open(path);
    try {
      const chunk = Buffer.alloc(CHUNK);
      const { size } = await handle.stat();
      let at = 0;
      for (const piece of pieces) {
        for (let from = 0; from < piece.length; ) {
          const wanted = Math.min(CHUNK, piece.length - from);
          const { bytesRead } = await handle.read(chunk, 0, wanted, at);
          const meant = piece.subarray(from, from + bytesRead);
          if (bytesRead === 0 || !sameBits(chunk.subarray(0, bytesRead), meant)) {
            throw differs(path, `what begins at byte ${at}`);
          }
          from += bytesRead;
          at += bytesRead;
        }
      }
      if (at !== size) throw differs(path, "its length");
    } finally {
      await handle.close();
    }
  } catch (error) {
    if (error instanceof FlexaeError) throw error;
    throw ioError(`${path} cannot be read back: ${systemReason(error)}`, error);
  }
}
