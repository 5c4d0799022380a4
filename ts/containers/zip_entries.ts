/** The entries of zip files, by yauzl. */
import { inflateRawSync } from "node:zlib";
import type { Entry, ZipFile } from "yauzl";
import { dataError, isAddonError } from "../addon/errors.js";
import { pathFromBytes, shownPath } from "../files/paths.js";
import type { ListedFile } from "./format.js";
import { isImageMember, type MemberSink } from "./members.js";
import { isSidecar, LONGEST_SIDECAR, Sidecars } from "./sidecars.js";
import { DEFLATED, dataStart, forEachEntry, STORED } from "./zip_reader.js";

/** So many entries are read between two looks at what else there is to do. */
const AT_ONCE = 2048;

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
  const offset = await dataStart(zip, entry);
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
  const { bytes, shown, monitor } = file;
  const sidecars = new Sidecars();
  // Members share no bytes: many that do are a bomb.
  let packed = 0;
  let entries = 0;
  try {
    // Sizes are checked with what else an entry says, so that it is named.
    await forEachEntry(bytes, async (zip, entry) => {
      packed += entry.compressedSize;
      if (packed > bytes.size) throw dataError(`${shown} is damaged: its members overlap`);
      await addEntry(file, zip, entry, sink, sidecars);
      if (++entries % AT_ONCE === 0) await monitor.pause(sink.images, entries / zip.entryCount);
    });
  } catch (error) {
    monitor.check();
    if (isAddonError(error)) throw error;
    const reason = (error as Error).message.slice(0, 120);
    throw dataError(`${shown} is no zip file that can be read: ${reason}`, error);
  }
  sidecars.apply(sink);
}
