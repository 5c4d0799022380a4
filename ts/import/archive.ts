/** Zip files of strangers: what is asked for, if it is no larger than it may be. */
import { type UnzipFileInfo, unzipSync } from "fflate";
import { isAddonError } from "../addon/errors.js";
import { modelError } from "./foreign.js";
import { mostUnpacked } from "./limits.js";

/** PKWARE APPNOTE 4.3: signatures, and the least length of an entry of the central directory. */
const END = 0x06054b50;
const END64 = 0x06064b50;
const END_LENGTH = 22;
const ENTRY_LENGTH = 46;

/** Whether a file can hold as many entries as it says; the library believes it. */
function isCountPossible(bytes: Uint8Array): boolean {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  let end = bytes.length - END_LENGTH;
  while (end >= 0 && view.getUint32(end, true) !== END) end--;
  if (end < 0) return false;
  let count = view.getUint16(end + 8, true);
  const place64 = end >= 20 ? view.getUint32(end - 12, true) : bytes.length;
  if (place64 + 40 <= bytes.length && view.getUint32(place64, true) === END64) {
    count = Math.max(count, view.getUint32(place64 + 32, true));
  }
  return count * ENTRY_LENGTH <= bytes.length;
}

/**
 * Entries of a zip file whose names are wanted.
 *
 * @throws FlexaeError `FLEXAE_MODEL` if it is damaged, or an entry would be too large.
 */
export function unpack(
  path: string,
  bytes: Uint8Array,
  isWanted: (name: string) => boolean,
): Map<string, Uint8Array> {
  let left = mostUnpacked(bytes.length);
  const filter = ({ name, size, originalSize, compression }: UnzipFileInfo) => {
    if (!isWanted(name)) return false;
    // What is stored is copied by the size that it has in the file, whatever it says.
    left -= compression === 0 ? Math.max(size, originalSize) : originalSize;
    if (!(left >= 0)) throw modelError(path, `is damaged: its ${name.slice(0, 60)} is too large`);
    return true;
  };
  if (!isCountPossible(bytes))
    throw modelError(path, "is damaged: no zip file can be read from it");
  try {
    return new Map(Object.entries(unzipSync(bytes, { filter })));
  } catch (error) {
    if (isAddonError(error)) throw error;
    throw modelError(path, "is damaged: no zip file can be read from it", error);
  }
}

/** Names of what a zip file holds. */
export function entryNames(path: string, bytes: Uint8Array): string[] {
  const names: string[] = [];
  unpack(path, bytes, (name) => {
    names.push(name);
    return false;
  });
  return names;
}
