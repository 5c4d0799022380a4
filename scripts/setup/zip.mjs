// Reads zip archives (wheels are zip archives): the listing, and verified extraction of chosen files.

import { createHash } from "node:crypto";
import { createReadStream, createWriteStream } from "node:fs";
import { mkdir, open } from "node:fs/promises";
import path from "node:path";
import { Transform } from "node:stream";
import { pipeline } from "node:stream/promises";
import { crc32, createInflateRaw } from "node:zlib";
import { SetupError } from "./steps.mjs";

const END = 0x06054b50;
const END64 = 0x06064b50;
const END64_LOCATOR = 0x07064b50;
const CENTRAL = 0x02014b50;
const LOCAL = 0x04034b50;
const FULL32 = 0xffffffff;

/** @typedef {{ name: string, method: number, crc: number, packed: number, size: number, offset: number }} Entry */

/** An open archive. Throws {@link SetupError} if it is cut short or no zip at all. */
export class Zip {
  /** @param {string} file */
  static async open(file) {
    const handle = await open(file, "r");
    try {
      const zip = new Zip(file, handle);
      zip.entries = await zip.#readListing();
      return zip;
    } catch (error) {
      await handle.close();
      throw error;
    }
  }

  constructor(file, handle) {
    this.file = file;
    this.handle = handle;
    /** @type {Entry[]} */
    this.entries = [];
  }

  close() {
    return this.handle.close();
  }

  #broken(why) {
    return new SetupError(`${path.basename(this.file)} is incomplete or damaged: ${why}.`);
  }

  async #read(position, length) {
    const buffer = Buffer.alloc(length);
    const { bytesRead } = await this.handle.read(buffer, 0, length, position);
    if (bytesRead !== length) throw this.#broken("it ends too early");
    return buffer;
  }

  async #readListing() {
    const { size } = await this.handle.stat();
    const tailLength = Math.min(size, 65_557);
    const tail = await this.#read(size - tailLength, tailLength);
    let at = tail.length - 22;
    while (at >= 0 && tail.readUInt32LE(at) !== END) at--;
    if (at < 0) throw this.#broken("its listing is missing");

    let count = tail.readUInt16LE(at + 10);
    let length = tail.readUInt32LE(at + 12);
    let offset = tail.readUInt32LE(at + 16);
    if (
      (count === 0xffff || offset === FULL32) &&
      at >= 20 &&
      tail.readUInt32LE(at - 20) === END64_LOCATOR
    ) {
      const end = await this.#read(Number(tail.readBigUInt64LE(at - 12)), 56);
      if (end.readUInt32LE(0) !== END64) throw this.#broken("its listing is missing");
      count = Number(end.readBigUInt64LE(32));
      length = Number(end.readBigUInt64LE(40));
      offset = Number(end.readBigUInt64LE(48));
    }
    if (offset + length > size) throw this.#broken("its listing is missing");

    const listing = await this.#read(offset, length);
    const entries = [];
    for (let p = 0; entries.length < count; ) {
      if (p + 46 > length || listing.readUInt32LE(p) !== CENTRAL)
        throw this.#broken("its listing is damaged");
      const nameLength = listing.readUInt16LE(p + 28);
      const extraLength = listing.readUInt16LE(p + 30);
      const entry = {
        name: listing.toString("utf8", p + 46, p + 46 + nameLength),
        method: listing.readUInt16LE(p + 10),
        crc: listing.readUInt32LE(p + 16),
        packed: listing.readUInt32LE(p + 20),
        size: listing.readUInt32LE(p + 24),
        offset: listing.readUInt32LE(p + 42),
      };
      const extra = listing.subarray(p + 46 + nameLength, p + 46 + nameLength + extraLength);
      widen(entry, extra);
      entries.push(entry);
      p += 46 + nameLength + extraLength + listing.readUInt16LE(p + 32);
    }
    return entries;
  }

  async #stream(entry) {
    const header = await this.#read(entry.offset, 30);
    if (header.readUInt32LE(0) !== LOCAL)
      throw this.#broken(`${entry.name} is not where the listing says`);
    const start = entry.offset + 30 + header.readUInt16LE(26) + header.readUInt16LE(28);
    const packed = createReadStream("", {
      fd: this.handle.fd,
      start,
      end: start + Math.max(entry.packed, 1) - 1,
      autoClose: false,
      highWaterMark: 1 << 20,
    });
    if (entry.method === 0) return [packed];
    if (entry.method === 8) return [packed, createInflateRaw({ chunkSize: 1 << 18 })];
    throw this.#broken(`${entry.name} uses compression method ${entry.method}`);
  }

  /** Streams one file through its length and CRC checks. Returns its SHA-256, base64url. */
  async #verified(entry, ...targets) {
    let crc = 0;
    let size = 0;
    const hash = createHash("sha256");
    const check = new Transform({
      transform(chunk, _encoding, next) {
        crc = crc32(chunk, crc);
        size += chunk.length;
        hash.update(chunk);
        next(null, chunk);
      },
    });
    if (entry.size > 0) {
      try {
        await pipeline(...(await this.#stream(entry)), check, ...targets);
      } catch (error) {
        if (error?.code?.startsWith?.("Z_")) throw this.#broken(`${entry.name} cannot be unpacked`);
        throw error;
      }
    } else {
      await pipeline([], check, ...targets);
    }
    if (crc !== entry.crc || size !== entry.size)
      throw this.#broken(`${entry.name} does not match its checksum`);
    return hash.digest("base64url");
  }

  /** The text of one small file, or null if there is none of that name. */
  async text(name) {
    const entry = this.entries.find((candidate) => candidate.name === name);
    if (!entry) return null;
    const chunks = [];
    await this.#verified(entry, async function collect(source) {
      for await (const chunk of source) chunks.push(chunk);
    });
    return Buffer.concat(chunks).toString("utf8");
  }

  /**
   * Unpacks the files for which `place` gives a path relative to `folder`.
   * @param {string} folder
   * @param {(name: string) => string | null} place
   * @param {Map<string, string>} [hashes] SHA-256 (base64url) each file must have, by its name in the archive
   * @returns {Promise<Record<string, number>>} sizes by relative path
   */
  async extract(folder, place, hashes) {
    const sizes = {};
    for (const entry of this.entries) {
      const relative = entry.name.endsWith("/") ? null : place(entry.name);
      if (relative === null) continue;
      const target = path.resolve(folder, relative);
      if (!target.startsWith(path.resolve(folder) + path.sep)) {
        throw this.#broken(`${entry.name} would be written outside its folder`);
      }
      await mkdir(path.dirname(target), { recursive: true });
      const sha256 = await this.#verified(entry, createWriteStream(target));
      if (hashes && hashes.get(entry.name) !== sha256) {
        throw this.#broken(`${entry.name} does not match its recorded SHA-256`);
      }
      sizes[relative] = entry.size;
    }
    return sizes;
  }
}

/** Replaces the fields that did not fit in 32 bits by those of the zip64 extra field. */
function widen(entry, extra) {
  for (let p = 0; p + 4 <= extra.length; p += 4 + extra.readUInt16LE(p + 2)) {
    if (extra.readUInt16LE(p) !== 1) continue;
    let at = p + 4;
    for (const field of ["size", "packed", "offset"]) {
      if (entry[field] !== FULL32) continue;
      entry[field] = Number(extra.readBigUInt64LE(at));
      at += 8;
    }
  }
}
