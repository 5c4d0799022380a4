/** Unpacks what gzip has compressed, no more than a disk should take from a stranger's file. */
import { createReadStream } from "node:fs";
import { stat } from "node:fs/promises";
import { pipeline } from "node:stream/promises";
import { createGunzip } from "node:zlib";
import { dataError, isAddonError } from "../addon/errors.js";
import { checkUnpacked } from "./bombs.js";
import type { ListingMonitor } from "./listing.js";

/**
 * Hands over the content piece by piece.
 *
 * @throws FlexaeError `FLEXAE_DATA` if it is damaged or a bomb; what `append` and the monitor
 *   throw.
 */
export async function gunzip(
  path: string,
  shown: string,
  append: (bytes: Uint8Array) => void,
  monitor: ListingMonitor,
): Promise<number> {
  const { size } = await stat(path);
  let total = 0;
  // The pipeline may end with what ending it early led to.
  let failure: unknown;
  const packed = createReadStream(path);
  const take = (chunk: Buffer): void => {
    // Images are counted once it is unpacked.
    monitor.note(0, packed.bytesRead / size);
    total += chunk.length;
    checkUnpacked(shown, size, total);
    append(chunk);
  };
  try {
    await pipeline(packed, createGunzip(), async (chunks) => {
      for await (const chunk of chunks as AsyncIterable<Buffer>) {
        try {
          take(chunk);
        } catch (error) {
          failure = error;
          throw error;
        }
      }
    });
  } catch (error) {
    monitor.check();
    if (isAddonError(failure)) throw failure;
    throw dataError(`${shown} cannot be unpacked: ${(error as Error).message}`, error);
  }
  return total;
}
