/** Tar files, WebDataset's shards among them. */
import { dataError } from "../addon/errors.js";
import { pathFromBytes, shownPath } from "../files/paths.js";
import type { ContainerFormat, ListedFile } from "./format.js";
import { isImageMember, type MemberSink } from "./members.js";
import type { RandomAccess } from "./random_access.js";
import { isSidecar, LONGEST_SIDECAR, Sidecars } from "./sidecars.js";
import {
  BLOCK,
  hasChecksum,
  isZero,
  readHeader,
  readRecords,
  type TarHeader,
} from "./tar_header.js";

/** Of a header that names what does not fit into one. */
const LONGEST_HEADER = 1 << 20;
/** So many headers are read between two looks at what else there is to do. */
const AT_ONCE = 8192;
const FILES = ["0", "7"];
const HARD_LINK = "1";
const FOLDER = "5";
/** Links, devices, folders and pipes: nothing follows them, whatever size they say. */
const WITHOUT_CONTENT = /[1-6]/;
/** Headers of what follows: pax, pax of all that follows, a long name and a long link of GNU. */
const BEFORE_OTHERS = /[xgLK]/;

/** What headers of its own say of the member that follows them. */
interface Extended extends Partial<TarHeader> {
  /** Its bytes are not those of the file. */
  isSparse?: boolean;
}

function extendedBy(records: ReadonlyMap<string, Buffer>): Extended {
  const extended: Extended = {};
  for (const [key, value] of records) {
    const digits = value.toString("latin1");
    if (key === "path") extended.name = pathFromBytes(value);
    else if (key === "linkpath") extended.link = pathFromBytes(value);
    else if (key === "size")
      extended.size = /^\d{1,15}$/.test(digits) ? Number(digits) : Number.NaN;
    else if (key.startsWith("GNU.sparse.")) extended.isSparse = true;
  }
  return extended;
}

/** A walk through a tar file from header to header. */
class Walk {
  #bytes: RandomAccess;
  #shown: string;
  #sink: MemberSink;
  #sidecars = new Sidecars();
  #extended: Extended = {};

  constructor({ bytes, shown }: ListedFile, sink: MemberSink) {
    this.#bytes = bytes;
    this.#shown = shown;
    this.#sink = sink;
  }

  /** Takes what is at a place, and returns where the next is. */
  step(at: number): number {
    const block = this.#bytes.read(at, BLOCK);
    // Two such blocks end an archive; what follows may be another that was appended.
    if (isZero(block)) return at + BLOCK;
    const own = readHeader(block);
    const isBefore = BEFORE_OTHERS.test(own.type);
    const header = isBefore ? own : { ...own, ...this.#extended };
    const size = WITHOUT_CONTENT.test(header.type) ? 0 : header.size;
    if (!hasChecksum(block) || !Number.isSafeInteger(size)) {
      throw dataError(`${this.#shown} is damaged: no header of a member is at ${at}`);
    }
    const from = at + BLOCK;
    const next = from + Math.ceil(size / BLOCK) * BLOCK;
    if (next > this.#bytes.size) {
      const name = shownPath(header.name.slice(0, 80));
      throw dataError(`${this.#shown} is truncated: its ${name} is not whole`);
    }
    if (isBefore) {
      this.#extend(header.type, at, size);
    } else {
      this.#add(header, from, size);
      this.#extended = {};
    }
    return next;
  }

  end(): void {
    this.#sidecars.apply(this.#sink);
  }

  #extend(type: string, at: number, size: number): void {
    if (size > LONGEST_HEADER) throw dataError(`${this.#shown} is damaged: a header is too long`);
    const content = this.#bytes.read(at + BLOCK, size);
    const text = pathFromBytes(content).replace(/\0.*$/s, "");
    if (type === "L") this.#extended.name = text;
    else if (type === "K") this.#extended.link = text;
    else {
      const records = readRecords(content);
      if (records === null) {
        throw dataError(`${this.#shown} is damaged: its header at ${at} is none of pax`);
      }
      // One of all that follow has nothing to say of where one of them lies.
      if (type === "x") this.#extended = { ...this.#extended, ...extendedBy(records) };
    }
  }

  #add({ name: given, type, link, isSparse }: TarHeader & Extended, from: number, size: number) {
    if (type === FOLDER || given.endsWith("/")) return;
    const sink = this.#sink;
    const name = sink.name(given);
    const isImage = isImageMember(name);
    if (!FILES.includes(type) || isSparse === true) {
      const isAgain = type === HARD_LINK && isImage && sink.addAgain(name, link);
      if (!isAgain) sink.others++;
    } else if (isImage) {
      sink.add({ name, offset: from, length: size });
    } else if (isSidecar(name) && size <= LONGEST_SIDECAR) {
      this.#sidecars.add(name, this.#bytes.read(from, size));
    } else {
      sink.others++;
    }
  }
}

async function list(file: ListedFile, sink: MemberSink): Promise<void> {
  const walk = new Walk(file, sink);
  let steps = 0;
  for (let at = 0; at < file.bytes.size; at = walk.step(at)) {
    if (++steps % AT_ONCE === 0) await file.monitor.pause(sink.images, at / file.bytes.size);
  }
  walk.end();
}

export const tar: ContainerFormat = {
  name: "tar",
  unpacked: false,
  // An archive of nothing is zeros.
  begins: (head) => head.length === BLOCK && (isZero(head) || hasChecksum(head)),
  list,
};
