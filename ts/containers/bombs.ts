/** What a small file may become. */
import { dataError } from "../addon/errors.js";

/** Images that are blank compress well, but a small file that becomes so much is a bomb. */
const LARGE = 2 ** 30;
const MOST_RATIO = 100;

/**
 * Refuses to go on unpacking a file.
 *
 * @param size - Bytes of the file.
 * @param unpacked - Bytes that it became up to now.
 * @throws FlexaeError `FLEXAE_DATA` if it is a bomb.
 */
export function checkUnpacked(shown: string, size: number, unpacked: number): void {
  if (unpacked <= Math.max(LARGE, MOST_RATIO * size)) return;
  throw dataError(
    `${shown} becomes more than ${MOST_RATIO} times as large: unpack it yourself if you trust it`,
  );
}
