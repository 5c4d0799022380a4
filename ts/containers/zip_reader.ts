/** Zip files by yauzl, which is given bytes that are at hand. */
import { promisify } from "node:util";
import { type Entry, fromRandomAccessReader, RandomAccessReader, type ZipFile } from "yauzl";
import type { RandomAccess } from "./random_access.js";

/** PKWARE APPNOTE 4.4.5. */
export const STORED = 0;
export const DEFLATED = 8;

class Reader extends RandomAccessReader {
  #bytes: RandomAccess;

  constructor(bytes: RandomAccess) {
    super();
    this.#bytes = bytes;
  }

  override read(
    target: Buffer,
    offset: number,
    length: number,
    position: number,
    callback: (error: Error | null) => void,
  ): void {
    let failure: Error | null = null;
    try {
      this.#bytes.read(position, length).copy(target, offset);
    } catch (error) {
      failure = error as Error;
    }
    // Later, since it reads on from within: a call within a call for each entry.
    queueMicrotask(() => callback(failure));
  }
}

/**
 * Goes through the entries of a zip file; folders are left out. Sizes are not checked.
 *
 * @throws what `visit` throws; what the library makes of a file that is none.
 */
export async function forEachEntry(
  bytes: RandomAccess,
  visit: (zip: ZipFile, entry: Entry) => Promise<void>,
): Promise<void> {
  const open = promisify((done: (error: Error | null, zip: ZipFile) => void) =>
    fromRandomAccessReader(
      new Reader(bytes),
      bytes.size,
      { lazyEntries: true, autoClose: false, validateEntrySizes: false },
      done,
    ),
  );
  const zip = await open();
  await new Promise<void>((resolve, reject) => {
    zip.on("error", reject);
    zip.on("end", resolve);
    zip.on("entry", (entry: Entry) => {
      if (entry.fileName.endsWith("/")) zip.readEntry();
      else visit(zip, entry).then(() => zip.readEntry(), reject);
    });
    zip.readEntry();
  });
}

/** Where an entry's bytes begin, as they are stored. */
export function dataStart(zip: ZipFile, entry: Entry): Promise<number> {
  return new Promise((resolve, reject) => {
    zip.readLocalFileHeader(entry, { minimal: true }, (error, found) =>
      error ? reject(error) : resolve(found.fileDataStart),
    );
  });
}
