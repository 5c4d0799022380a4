/** Zip files of strangers: what is asked for, if it is no larger than it may be. */
import { unzipSync } from "fflate";
import { modelError } from "./foreign.js";

/** What is packed grows no more than this when it is what it says. */
const MOST_INFLATED = 64;
const SMALL = 1 << 20;

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
  let left = Math.max(SMALL, bytes.length * MOST_INFLATED);
  const filter = ({ name, originalSize }: { name: string; originalSize: number }) => {
    if (!isWanted(name)) return false;
    left -= originalSize;
    if (!(left >= 0)) throw modelError(path, `is damaged: its ${name.slice(0, 60)} is too large`);
    return true;
  };
  try {
    return new Map(Object.entries(unzipSync(bytes, { filter })));
  } catch (error) {
    if (error instanceof Error && "code" in error && typeof error.code === "string") throw error;
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
