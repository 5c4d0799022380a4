/** Tar files, WebDataset's shards among them; headers are read by node-tar. */
import { Header, Pax } from "tar";
import { dataError } from "../addon/errors.js";
import type { ContainerFormat, ListedFile } from "./format.js";
import { isImageName, type MemberSink } from "./members.js";
import { isSidecar, LONGEST_SIDECAR, Sidecars } from "./sidecars.js";

const BLOCK = 512;
/** Of a header that names what does not fit into one. */
const LONGEST_HEADER = 1 << 20;
const CHECKSUM = 148;
/** So many headers are read between two looks at what else there is to do. */
const AT_ONCE = 8192;

const isZero = (block: Buffer) => block.every((byte) => byte === 0);

/** POSIX 1003.1, ustar: the sum of a header's bytes, its own field taken as spaces. */
function hasChecksum(block: Buffer): boolean {
  const stored = Number.parseInt(block.toString("latin1", CHECKSUM, CHECKSUM + 8).trim(), 8);
  let sum = 8 * 32;
  for (let i = 0; i < BLOCK; i++) {
    if (i < CHECKSUM || i >= CHECKSUM + 8) sum += block[i] as number;
  }
  return sum === stored;
}

async function list({ bytes, shown }: ListedFile, sink: MemberSink): Promise<void> {
  const sidecars = new Sidecars();
  let extended: Pax | undefined;
  let global: Pax | undefined;
  let longName: string | undefined;
  let headers = 0;
  for (let at = 0; at < bytes.size; ) {
    if (++headers % AT_ONCE === 0) await new Promise(setImmediate);
    const block = bytes.read(at, BLOCK);
    // Two such blocks end an archive; what follows may be another that was appended.
    if (isZero(block)) {
      at += BLOCK;
      continue;
    }
    const header = new Header(block, 0, extended, global);
    const size = header.size ?? 0;
    const from = at + BLOCK;
    if (!header.cksumValid || !Number.isSafeInteger(size) || size < 0) {
      throw dataError(`${shown} is damaged: no header of a member is at ${at}`);
    }
    if (from + size > bytes.size) {
      const name = longName ?? header.path ?? "";
      throw dataError(`${shown} is truncated: its ${name.slice(0, 80)} is not whole`);
    }
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
        const name = sink.name(longName ?? header.path ?? "");
        if (isImageName(name)) {
          sink.add({ name, offset: from, length: size });
        } else {
          sink.others++;
          if (isSidecar(name) && size <= LONGEST_SIDECAR) {
            sidecars.add(name, bytes.read(from, size));
          }
        }
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
