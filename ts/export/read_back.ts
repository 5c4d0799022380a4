/** Files read again after they were written. */
import { open } from "node:fs/promises";
import { ioError, systemReason } from "../addon/errors.js";
import { differs } from "./bits.js";

/**
 * Reads a file into the memory that it was written from, so that a large one is there once.
 * What was there before is gone: whatever the file holds, and nothing else, is then in `bytes`.
 *
 * @throws FlexaeError `FLEXAE_IO`; `FLEXAE_INTERNAL` if the file has another length.
 */
export async function readBack(path: string, bytes: Uint8Array): Promise<void> {
  bytes.fill(0);
  try {
    const handle = await open(path);
    try {
      const { size } = await handle.stat();
      for (let at = 0; size === bytes.length && at < size; ) {
        const { bytesRead } = await handle.read(bytes, at, size - at, at);
        if (bytesRead === 0) break;
        at += bytesRead;
      }
      if (size === bytes.length) return;
    } finally {
      await handle.close();
    }
  } catch (error) {
    throw ioError(`${path} cannot be read back: ${systemReason(error)}`, error);
  }
  throw differs(path, "its length");
}
