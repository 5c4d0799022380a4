/** Zip files of entries that are stored as they are, made piece by piece. */

/** An entry of a zip file. */
export interface StoredEntry {
  /** In ASCII. */
  name: string;
  bytes: number;
  /** Of its bytes. */
  crc32: number;
  /** Where in the file its header begins. */
  offset: number;
}

/** Entries and offsets are 32 bits wide without the extension ZIP64, which few would gain from. */
export const LARGEST_ZIP = 2 ** 32 - 1;

/** 1980-01-01, the oldest date that there is: the same model gives the same file. */
const DATE = 0x21;

/** The version of the format that a reader must know. */
const VERSION = 20;

/** What both kinds of headers have: from the version to the length of the name. */
function describe(view: DataView, at: number, { name, bytes, crc32 }: StoredEntry): void {
  view.setUint16(at, VERSION, true);
  view.setUint16(at + 8, DATE, true);
  view.setUint32(at + 10, crc32, true);
  view.setUint32(at + 14, bytes, true);
  view.setUint32(at + 18, bytes, true);
  view.setUint16(at + 22, name.length, true);
}

/** What stands in front of an entry's bytes. */
export function localHeader(entry: StoredEntry): Buffer {
  const header = Buffer.alloc(30 + entry.name.length);
  const view = new DataView(header.buffer, header.byteOffset);
  view.setUint32(0, 0x04034b50, true);
  describe(view, 4, entry);
  header.write(entry.name, 30, "latin1");
  return header;
}

/** What stands behind the last entry, at `offset`. */
export function directory(entries: readonly StoredEntry[], offset: number): Buffer {
  const headers = entries.map((entry) => {
    const header = Buffer.alloc(46 + entry.name.length);
    const view = new DataView(header.buffer, header.byteOffset);
    view.setUint32(0, 0x02014b50, true);
    view.setUint16(4, VERSION, true);
    describe(view, 6, entry);
    view.setUint32(42, entry.offset, true);
    header.write(entry.name, 46, "latin1");
    return header;
  });
  const all = Buffer.concat(headers);
  const end = Buffer.alloc(22);
  const view = new DataView(end.buffer, end.byteOffset);
  view.setUint32(0, 0x06054b50, true);
  view.setUint16(8, entries.length, true);
  view.setUint16(10, entries.length, true);
  view.setUint32(12, all.length, true);
  view.setUint32(16, offset, true);
  return Buffer.concat([all, end]);
}
