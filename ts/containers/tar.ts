/** Tar files, WebDataset's shards among them; headers are read by node-tar. */
import { Header, Pax } from "tar";
import { dataError } from "../addon/errors.js";
import { shownPath } from "../files/paths.js";
import type { ContainerFormat, ListedFile } from "./format.js";
import { isImageName, type MemberSink } from "./members.js";
import { isSidecar, LONGEST_SIDECAR, Sidecars } from "./sidecars.js";

const BLOCK = 512;
/** Of a header that names what does not fit into one. */
const LONGEST_HEADER = 1 << 20;
const CHECKSUM = 148;
/** So many headers are read between two looks at what else there is to do. */
const AT_ONCE = 8192;

/** A block's byte of a field, as POSIX 1003.1 has it. */
const [SIZE, TYPE, MAGIC, PREFIX] = [124, 156, 257, 345];
const NAME_BYTES = 100;
const SPACE = 32;
const ZERO = 48;

const isZero = (block: Buffer) => block[0] === 0 && block.every((byte) => byte === 0);

/** An octal number that ends in a space or a NUL; NaN if it is none. */
function octal(block: Buffer, from: number, length: number): number {
  let value = 0;
  let digits = 0;
  for (let i = from; i < from + length; i++) {
    const byte = block[i] as number;
    if (byte >= ZERO && byte < ZERO + 8) {
      value = 8 * value + byte - ZERO;
      digits++;
    } else if ((byte === SPACE || byte === 0) && digits > 0) break;
    else if (byte !== SPACE) return Number.NaN;
  }
  return digits > 0 ? value : Number.NaN;
}

/** The sum of a header's bytes, its own field taken as spaces. */
function hasChecksum(block: Buffer): boolean {
  let sum = 8 * SPACE;
  for (let i = 0; i < CHECKSUM; i++) sum += block[i] as number;
  for (let i = CHECKSUM + 8; i < BLOCK; i++) sum += block[i] as number;
  return sum === octal(block, CHECKSUM, 8);
}

/** What is used of a header. */
interface PlainHeader {
  path: string;
  size: number;
}

/**
 * A plain file's header, as nearly all members have: a name of ASCII without a prefix. Null for any
 * other, which node-tar reads, in five times as long.
 */
function plainHeader(block: Buffer): PlainHeader | null {
  const type = block[TYPE];
  const isPosix = block[MAGIC + 5] === 0;
  if ((type !== ZERO && type !== 0) || (isPosix && block[PREFIX] !== 0)) return null;
  let end = 0;
  for (; end < NAME_BYTES && block[end] !== 0; end++) {
    if ((block[end] as number) >= 0x80) return null;
  }
  const size = octal(block, SIZE, 12);
  // A name that ends in a slash is a folder, whatever its type says.
  if (end === 0 || block[end - 1] === 0x2f || Number.isNaN(size) || !hasChecksum(block))
    return null;
  return { path: block.toString("latin1", 0, end), size };
}

async function list({ bytes, shown }: ListedFile, sink: MemberSink): Promise<void> {
  const sidecars = new Sidecars();
  let extended: Pax | undefined;
  let global: Pax | undefined;
  let longName: string | undefined;
  let headers = 0;
  const checkEnd = (name: string, from: number, size: number) => {
    if (from + size <= bytes.size) return;
    throw dataError(`${shown} is truncated: its ${shownPath(name.slice(0, 80))} is not whole`);
  };
  const take = (given: string, from: number, size: number) => {
    const name = sink.name(given);
    if (isImageName(name)) {
      sink.add({ name, offset: from, length: size });
      return;
    }
    sink.others++;
    if (isSidecar(name) && size <= LONGEST_SIDECAR) sidecars.add(name, bytes.read(from, size));
  };
  for (let at = 0; at < bytes.size; ) {
    if (++headers % AT_ONCE === 0) await new Promise(setImmediate);
    const block = bytes.read(at, BLOCK);
    // Two such blocks end an archive; what follows may be another that was appended.
    if (isZero(block)) {
      at += BLOCK;
      continue;
    }
    const from = at + BLOCK;
    const isPlain = extended === undefined && global === undefined && longName === undefined;
    const plain = isPlain ? plainHeader(block) : null;
    if (plain !== null) {
      const { path, size } = plain;
      checkEnd(path, from, size);
      take(path, from, size);
      at = from + Math.ceil(size / BLOCK) * BLOCK;
      continue;
    }
    const header = new Header(block, 0, extended, global);
    const size = header.size ?? 0;
    if (!header.cksumValid || !Number.isSafeInteger(size) || size < 0) {
      throw dataError(`${shown} is damaged: no header of a member is at ${at}`);
    }
    checkEnd(longName ?? header.path ?? "", from, size);
    const text = () => {
      if (size > LONGEST_HEADER) throw dataError(`${shown} is damaged: a header is too long`);
      return bytes.read(from, size).toString("utf8");
    };
    const { type } = header;
    if (type === "ExtendedHeader" || type === "OldExtendedHeader") {
      extended = Pax.parse(text(), extended, false);
    } else if (type === "GlobalExtendedHeader") {
      global = Pax.parse(text(), global, true);
    } else if (type === "NextFileHasLongPath") {
      longName = text().replace(/\0.*$/s, "");
    } else if (type === "NextFileHasLongLinkpath") {
      text();
    } else {
      if (type === "File" || type === "OldFile" || type === "ContiguousFile") {
        take(longName ?? header.path ?? "", from, size);
      }
      extended = undefined;
      longName = undefined;
    }
    at = from + Math.ceil(size / BLOCK) * BLOCK;
  }
  sidecars.apply(sink);
}

export const tar: ContainerFormat = {
  name: "tar",
  unpacked: false,
  begins: (head) => head.length === BLOCK && !isZero(head) && hasChecksum(head),
  list,
};
