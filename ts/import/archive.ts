/** Zip files of strangers: what is asked for, if it is no larger than it may be. */
import { crc32, inflateRawSync } from "node:zlib";
import { ioError, isAddonError, systemReason } from "../addon/errors.js";
import { type RandomAccess, withFile } from "../containers/random_access.js";
import { DEFLATED, dataStart, forEachEntry, STORED } from "../containers/zip_reader.js";
import { shownPath } from "../files/paths.js";
import { modelError } from "./foreign.js";
import { mostUnpacked } from "./limits.js";

/** More than any model has. */
const MOST_ENTRIES = 100_000;

/** What a zip file says of an entry. */
interface Member {
  /** Where its bytes begin in the file. */
  offset: number;
  /** As many as they are there. */
  stored: number;
  /** As many as they become. */
  length: number;
  method: number;
  crc: number;
}

/** A zip file that is open. */
export class Archive {
  #path: string;
  #bytes: RandomAccess;
  #members: ReadonlyMap<string, Member>;
  /** Bytes that entries may have yet, all together. */
  #left: number;

  private constructor(path: string, bytes: RandomAccess, members: ReadonlyMap<string, Member>) {
    this.#path = path;
    this.#bytes = bytes;
    this.#members = members;
    this.#left = mostUnpacked(bytes.size);
  }

  /**
   * Opens a zip file for as long as `use` takes.
   *
   * @throws FlexaeError `FLEXAE_MODEL` if it is damaged, `FLEXAE_IO`; what `use` throws.
   */
  static async with<T>(path: string, use: (archive: Archive) => Promise<T>): Promise<T> {
    return await withFile(path, shownPath(path), async (bytes) => {
      const members = await damagedUnless(path, () => listMembers(bytes));
      return await use(new Archive(path, bytes, members));
    });
  }

  /** Names of entries. */
  get names(): string[] {
    return [...this.#members.keys()];
  }

  /** Where in the file the bytes of an entry lie; undefined if there is none, or it is packed. */
  place(name: string): { offset: number; length: number } | undefined {
    const member = this.#members.get(name);
    if (member?.method !== STORED || member.offset + member.length > this.#bytes.size) return;
    return { offset: member.offset, length: member.length };
  }

  /**
   * The bytes of an entry; undefined if there is none.
   *
   * @throws FlexaeError `FLEXAE_MODEL` if it is damaged, or too large.
   */
  async read(name: string): Promise<Uint8Array | undefined> {
    const member = this.#members.get(name);
    if (member === undefined) return undefined;
    this.#left -= Math.max(member.stored, member.length);
    if (!(this.#left >= 0)) {
      throw modelError(this.#path, `is damaged: its ${name.slice(0, 60)} is too large`);
    }
    return await damagedUnless(this.#path, async () => unpacked(this.#bytes, member));
  }
}

async function listMembers(bytes: RandomAccess): Promise<Map<string, Member>> {
  const members = new Map<string, Member>();
  await forEachEntry(bytes, async (zip, entry) => {
    if (members.size >= MOST_ENTRIES) throw new Error("too many entries");
    members.set(entry.fileName, {
      offset: await dataStart(zip, entry),
      stored: entry.compressedSize,
      length: entry.uncompressedSize,
      method: entry.isEncrypted() ? -1 : entry.compressionMethod,
      crc: entry.crc32,
    });
  });
  return members;
}

/** Bytes that the next read leaves alone: small ones lie where it puts what it finds. */
const ownBytes = (bytes: Uint8Array) =>
  bytes.length === bytes.buffer.byteLength ? bytes : Uint8Array.from(bytes);

function unpacked(bytes: RandomAccess, { offset, stored, length, method, crc }: Member) {
  if (method !== STORED && method !== DEFLATED) throw new Error("packed in an unknown way");
  const packed = bytes.read(offset, stored);
  const whole =
    method === STORED
      ? ownBytes(packed)
      : inflateRawSync(packed, { maxOutputLength: Math.max(length, 1) });
  if (whole.length !== length || crc32(whole) !== crc) throw new Error("not what was packed");
  return whole;
}

/** What `read` gives; whatever it throws that is not the system's, the file is the cause. */
async function damagedUnless<T>(path: string, read: () => Promise<T>): Promise<T> {
  try {
    return await read();
  } catch (error) {
    if ((error as NodeJS.ErrnoException).syscall !== undefined) {
      throw ioError(`${shownPath(path)} cannot be read: ${systemReason(error)}`, error);
    }
    if (isAddonError(error) && error.code === "FLEXAE_MODEL") throw error;
    throw modelError(path, "is damaged: no zip file can be read from it", error);
  }
}
