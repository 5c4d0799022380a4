/** Opens a file that holds many images, so that each can be read by a path of its own. */
import { createHash } from "node:crypto";
import { stat } from "node:fs/promises";
import { dataError, systemReason } from "../addon/errors.js";
import { awaitAddon, callAddon } from "../addon/loader.js";
import type { ContainerFile, ContainerListing } from "../addon/types.js";
import type { ContainerFormat } from "./format.js";
import { type Beginning, FORMATS, formatIn, readBeginning } from "./formats.js";
import { gunzip } from "./gunzip.js";
import { ListingMonitor } from "./listing.js";
import { MemberSink } from "./members.js";
import { type RandomAccess, WindowedFile, withFile } from "./random_access.js";

/** Raised when files are listed otherwise than before. */
const VERSION = 1;

/** What tells one state of a file: 32 hexadecimal digits. */
async function keyOf(path: string, companions: readonly string[]): Promise<string> {
  const stamps: string[] = [];
  for (const file of [path, ...companions]) {
    const found = await stat(file, { bigint: true }).catch(() => null);
    stamps.push(`${file}\0${found?.size ?? -1}\0${found?.mtimeNs ?? 0}`);
  }
  const hash = createHash("sha256").update(`${VERSION}\0${stamps.join("\0")}`);
  return hash.digest("hex").slice(0, 32);
}

/** Of a compressed file it is not known yet what it is; a name that fits none of a format's has none. */
function companionsOf(place: string, { format, isCompressed }: Beginning): string[] {
  const formats = isCompressed ? FORMATS : [format];
  return formats.flatMap((format) => format?.companions?.(place) ?? []);
}

/** Where a file lies within another. */
function shifted(bytes: RandomAccess, by: number, size: number): RandomAccess {
  return { size, read: (position, length) => bytes.read(position + by, length) };
}

interface Listed {
  place: string;
  shown: string;
  kept: ContainerFile;
  monitor: ListingMonitor;
}

async function listPlain(
  { place, shown, kept, monitor }: Listed,
  format: ContainerFormat,
): Promise<MemberSink> {
  return await withFile(place, shown, async (bytes) => {
    const sink = new MemberSink(shown, bytes.size);
    const append = (part: Uint8Array) => kept.append(part);
    await format.list({ path: place, shown, bytes, append, monitor }, sink);
    return sink;
  });
}

async function listCompressed({ place, shown, kept, monitor }: Listed): Promise<MemberSink> {
  let from: number | undefined;
  const take = (part: Uint8Array) => {
    const at = kept.append(part);
    from ??= at;
  };
  const size = await gunzip(place, shown, take, monitor);
  const begin = from ?? 0;
  const fill = (target: Buffer, position: number) => kept.read(target, position);
  const bytes = shifted(new WindowedFile(begin + size, shown, fill), begin, size);
  const format = size === 0 ? null : formatIn(bytes);
  if (format === null || format.unpacked) {
    throw dataError(
      `${shown} is compressed, and what is in it is no tar, IDX or .npy file: unpack it first`,
    );
  }
  const sink = new MemberSink(shown, size);
  const append = (part: Uint8Array) => kept.append(part);
  await format.list({ path: place, shown, bytes, append, monitor }, sink);
  sink.shift(begin);
  return sink;
}

async function listAnew(
  place: string,
  shown: string,
  key: string,
  { format, isCompressed }: Beginning,
  monitor: ListingMonitor,
): Promise<ContainerListing> {
  const holdsData = isCompressed || format?.unpacked === true;
  const kept = callAddon((addon) => addon.createContainer(place, key, { holdsData }));
  const listed = { place, shown, kept, monitor };
  try {
    const sink = isCompressed
      ? await listCompressed(listed)
      : await listPlain(listed, format as ContainerFormat);
    if (sink.images === 0) {
      const others = sink.others > 0 ? `, but ${sink.others} other files` : "";
      throw dataError(`${shown} holds no images${others}`);
    }
    return await awaitAddon(() => kept.finish(sink.done()));
  } finally {
    kept.discard();
  }
}

/**
 * Makes the images of a container readable by their paths in this process, and lists them. Lists are
 * kept in the cache, so that only the first time reads through the file.
 *
 * @param place - Absolute.
 * @param shown - What the user calls it.
 * @param monitor - Is told how far it is. It expects the file; one that is no container it does not
 *   expect any more.
 * @returns Null if the file is no container.
 * @throws FlexaeError `FLEXAE_DATA` if it is damaged, not to be trusted, or holds no images; `FLEXAE_IO`.
 *   Rejects with the reason of the monitor's signal.
 */
export async function openContainer(
  place: string,
  shown: string,
  monitor = new ListingMonitor(),
): Promise<ContainerListing | null> {
  monitor.check();
  let beginning: Beginning;
  try {
    beginning = await readBeginning(place);
  } catch (error) {
    throw dataError(`${shown} cannot be read: ${systemReason(error)}`, error);
  }
  const { format, isCompressed, unreadable } = beginning;
  if (unreadable !== null) {
    throw dataError(`${shown} is packed by ${unreadable}, which is not read here: unpack it first`);
  }
  if (format === null && !isCompressed) {
    monitor.expect(-1);
    return null;
  }
  const companions = companionsOf(place, beginning);
  const key = await keyOf(place, companions);
  const known = await awaitAddon((addon) => addon.openContainer(place, key));
  const listing = known ?? (await listAnew(place, shown, key, beginning, monitor));
  monitor.finish(listing.files.length);
  return listing;
}
