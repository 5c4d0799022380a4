/** The entries of zip files, by yauzl. */
import { promisify } from "node:util";
import { inflateRawSync } from "node:zlib";
import { type Entry, fromRandomAccessReader, RandomAccessReader, type ZipFile } from "yauzl";
import { dataError, isAddonError } from "../addon/errors.js";
import { pathFromBytes, shownPath } from "../files/paths.js";
import type { ListedFile } from "./format.js";
import { isImageMember, type MemberSink } from "./members.js";
import type { RandomAccess } from "./random_access.js";
import { isSidecar, LONGEST_SIDECAR, Sidecars } from "./sidecars.js";

/** PKWARE APPNOTE 4.4.5. */
const STORED = 0;
const DEFLATED = 8;

/** What yauzl reads from: bytes that are at hand. */
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

/** Names that are said to be UTF-8 and are not are kept apart by their bytes. */
function nameOf({ fileName, fileNameRaw }: Entry): string {
  return fileName.includes("\ufffd") ? pathFromBytes(fileNameRaw) : fileName;
}

function checkedForm(entry: Entry, given: string, shown: string): "stored" | "deflated" {
  const name = shownPath(given.slice(0, 80));
  if (entry.isEncrypted()) {
    throw dataError(`${shown} is encrypted, such as its ${name}: pack it without a password`);
  }
  if (entry.compressionMethod === STORED) return "stored";
  if (entry.compressionMethod === DEFLATED) return "deflated";
  throw dataError(
    `${shown} has its ${name} compressed by method ${entry.compressionMethod}: pack it with deflate, or without compression`,
  );
}

/** What a sidecar says; nothing if it is damaged. */
function sidecarIn(packed: Buffer, form: "stored" | "deflated"): Buffer {
  if (form === "stored") return packed;
  try {
    return inflateRawSync(packed, { maxOutputLength: LONGEST_SIDECAR });
  } catch {
    return Buffer.alloc(0);
  }
}

async function addEntry(
  { bytes, shown }: ListedFile,
  zip: ZipFile,
  entry: Entry,
  sink: MemberSink,
  sidecars: Sidecars,
): Promise<void> {
  const name = sink.name(nameOf(entry));
  const isImage = isImageMember(name);
  const isSmall = Math.max(entry.compressedSize, entry.uncompressedSize) <= LONGEST_SIDECAR;
  if (!isImage && !(isSidecar(name) && isSmall)) {
    sink.others++;
    return;
  }
  const form = checkedForm(entry, name, shown);
  const { compressedSize: stored, uncompressedSize: length, crc32: crc } = entry;
  const { fileDataStart: offset } = await new Promise<{ fileDataStart: number }>(
    (resolve, reject) => {
      zip.readLocalFileHeader(entry, { minimal: true }, (error, found) =>
        error ? reject(error) : resolve(found),
      );
    },
  );
  if (offset + stored > bytes.size) {
    throw dataError(`${shown} is truncated: its ${shownPath(name.slice(0, 80))} is not whole`);
  }
  if (form === "stored" && stored !== length) {
    throw dataError(`${shown} is damaged: its ${shownPath(name.slice(0, 80))} has two sizes`);
  }
  if (isImage) sink.add({ name, offset, length, form, stored, crc });
  else sidecars.add(name, sidecarIn(bytes.read(offset, stored), form));
}

/** What `list` of a format does. */
export async function listEntries(file: ListedFile, sink: MemberSink): Promise<void> {
  const { bytes, shown } = file;
  const open = promisify((done: (error: Error | null, zip: ZipFile) => void) =>
    fromRandomAccessReader(
      new Reader(bytes),
      bytes.size,
      // Sizes are checked with what else an entry says, so that it is named.
      { lazyEntries: true, autoClose: false, validateEntrySizes: false },
      done,
    ),
  );
  const sidecars = new Sidecars();
  // Members share no bytes: many that do are a bomb.
  let packed = 0;
  try {
    const zip = await open();
    await new Promise<void>((resolve, reject) => {
      zip.on("error", reject);
      zip.on("end", resolve);
      zip.on("entry", (entry: Entry) => {
        packed += entry.compressedSize;
        if (packed > bytes.size) {
          reject(dataError(`${shown} is damaged: its members overlap`));
          return;
        }
        if (entry.fileName.endsWith("/")) zip.readEntry();
        else addEntry(file, zip, entry, sink, sidecars).then(() => zip.readEntry(), reject);
      });
      zip.readEntry();
    });
  } catch (error) {
    if (isAddonError(error)) throw error;
    const reason = (error as Error).message.slice(0, 120);
    throw dataError(`${shown} is no zip file that can be read: ${reason}`, error);
  }
  sidecars.apply(sink);
}
