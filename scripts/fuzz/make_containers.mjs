// Containers of images by hand, byte for byte, so that each of their fields can say what is not so.

import { crc32, deflateRawSync } from "node:zlib";
import { parquetWriteBuffer } from "hyparquet-writer";

const BLOCK = 512;

/**
 * A member's header, as POSIX 1003.1 has ustar's, with a sum that is right.
 * @param {{ name: string | Uint8Array, size: number, type?: string, link?: string }} member
 */
export function tarHeader({ name, size, type = "0", link = "" }) {
  const block = Buffer.alloc(BLOCK);
  block.set(Buffer.from(name).subarray(0, 100), 0);
  block.write("0000644\0", 100, "latin1");
  block.write(`${size.toString(8).padStart(11, "0")}\0`, 124, "latin1");
  block.write("00000000000\0", 136, "latin1");
  block.write(type, 156, "latin1");
  block.write(link, 157, "utf8");
  block.write("ustar\x0000", 257, "latin1");
  return withTarSum(block);
}

/** Puts in the sum of a header. */
function withTarSum(block) {
  block.write("        ", 148, "latin1");
  const sum = block.reduce((total, byte) => total + byte, 0);
  block.write(`${sum.toString(8).padStart(6, "0")}\0 `, 148, "latin1");
  return block;
}

/** Puts in the sums of all headers, wherever a block says that it is one. */
export function withTarSums(bytes) {
  const file = Buffer.from(bytes);
  for (let at = 0; at + BLOCK <= file.length; at += BLOCK) {
    if (file.toString("latin1", at + 257, at + 262) === "ustar") {
      withTarSum(file.subarray(at, at + BLOCK));
    }
  }
  return file;
}

/**
 * A header and what it is of, up to the next block.
 * @param {{ name: string | Uint8Array, size?: number, type?: string, link?: string }} member
 * @param {Uint8Array} content
 */
export function tarMember(member, content = Buffer.alloc(0)) {
  const padding = Buffer.alloc((BLOCK - (content.length % BLOCK)) % BLOCK);
  return Buffer.concat([tarHeader({ size: content.length, ...member }), content, padding]);
}

/** Records of a PAX header, which is a member itself: `LENGTH KEY=VALUE\n`. */
export function paxMember(fields, type = "x") {
  const records = Object.entries(fields).map(([key, value]) => {
    const rest = Buffer.concat([Buffer.from(` ${key}=`), Buffer.from(value), Buffer.from("\n")]);
    let length = rest.length;
    while (String(length).length + rest.length !== length)
      length = String(length).length + rest.length;
    return Buffer.concat([Buffer.from(String(length)), rest]);
  });
  return tarMember({ name: "PaxHeader/file", type }, Buffer.concat(records));
}

/** @param {[name: string | Uint8Array, content: Uint8Array][]} members */
export function tarOf(members) {
  const parts = members.map(([name, content]) => tarMember({ name }, content));
  return Buffer.concat([...parts, Buffer.alloc(2 * BLOCK)]);
}

/**
 * A zip file. Of an entry all but its name and content is what it truly is, unless it is given.
 * @param {{ name: string, content: Uint8Array, method?: number, flags?: number, stored?: number,
 *   length?: number, crc?: number, at?: number }[]} entries - `method` is 8 for deflate; `at` is where it
 *   is said to lie.
 */
export function zipOf(entries, comment = "") {
  const parts = [];
  const central = [];
  let position = 0;
  for (const { name, content, method = 0, flags = 0x800, ...said } of entries) {
    const data = method === 8 ? deflateRawSync(content) : content;
    const fields = Buffer.alloc(22);
    fields.writeUInt16LE(20, 0);
    fields.writeUInt16LE(flags, 2);
    fields.writeUInt16LE(method, 4);
    fields.writeUInt32LE(0x21 << 16, 6);
    fields.writeUInt32LE(said.crc ?? crc32(content), 10);
    fields.writeUInt32LE(said.stored ?? data.length, 14);
    fields.writeUInt32LE(said.length ?? content.length, 18);
    const text = Buffer.from(name);
    const lengths = Buffer.alloc(4);
    lengths.writeUInt16LE(text.length, 0);
    const local = Buffer.concat([Buffer.from("PK\x03\x04"), fields, lengths, text, data]);
    const rest = Buffer.alloc(14);
    rest.writeUInt32LE(said.at ?? position, 10);
    const madeBy = Buffer.from([20, 3]);
    central.push(Buffer.concat([Buffer.from("PK\x01\x02"), madeBy, fields, lengths, rest, text]));
    parts.push(local);
    position += local.length;
  }
  const directory = Buffer.concat(central);
  const end = Buffer.alloc(22);
  end.write("PK\x05\x06", "latin1");
  end.writeUInt16LE(entries.length, 8);
  end.writeUInt16LE(entries.length, 10);
  end.writeUInt32LE(directory.length, 12);
  end.writeUInt32LE(position, 16);
  end.writeUInt16LE(comment.length, 20);
  return Buffer.concat([...parts, directory, end, Buffer.from(comment)]);
}

/**
 * A NumPy array, with a header as numpy.save writes it.
 * @param {number[]} shape
 * @param {Uint8Array} data
 */
export function npyOf(shape, data, { type = "|u1", fortran = false } = {}) {
  const dims = shape.length === 1 ? `${shape[0]},` : shape.join(", ");
  const order = fortran ? "True" : "False";
  const text = `{'descr': '${type}', 'fortran_order': ${order}, 'shape': (${dims}), }`;
  const header = Buffer.from(`${text.padEnd(64 * Math.ceil((text.length + 11) / 64) - 11)}\n`);
  const length = Buffer.alloc(2);
  length.writeUInt16LE(header.length);
  return Buffer.concat([Buffer.from("\x93NUMPY\x01\0", "latin1"), length, header, data]);
}

/**
 * An IDX file of bytes.
 * @param {number[]} shape
 * @param {Uint8Array} data
 */
export function idxOf(shape, data) {
  const head = Buffer.alloc(4 + 4 * shape.length);
  head[2] = 8;
  head[3] = shape.length;
  for (const [i, size] of shape.entries()) head.writeUInt32BE(size, 4 + 4 * i);
  return Buffer.concat([head, data]);
}

/**
 * A Parquet file of plain columns.
 * @param {import("hyparquet-writer").ColumnSource[]} columns
 * @param {Omit<import("hyparquet-writer").ParquetWriteOptions, "writer" | "columnData">} options
 */
export function parquetOf(columns, options = {}) {
  return Buffer.from(parquetWriteBuffer({ columnData: columns, ...options }));
}
