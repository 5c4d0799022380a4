/** IDX files, as MNIST comes in: images of uint8, and their labels in a file beside them. */
import { existsSync, readFileSync, statSync } from "node:fs";
import { basename, dirname, join } from "node:path";
import { gunzipSync } from "node:zlib";
import { dataError } from "../addon/errors.js";
import { shownPath } from "../files/paths.js";
import type { ContainerFormat, ListedFile } from "./format.js";
import type { MemberSink } from "./members.js";
import { addPixels } from "./pixels.js";

/** http://yann.lecun.com/exdb/mnist: two zeros, the type (8 is uint8), the number of dimensions. */
const UINT8 = 8;
/** A label is a byte. */
const MOST_LABELS = 1 << 28;

function shapeOf(head: Buffer): number[] {
  return Array.from({ length: head[3] as number }, (_, i) => head.readUInt32BE(4 + 4 * i));
}

/** `train-labels-idx1-ubyte` of `train-images-idx3-ubyte`, compressed or not. */
function labelFiles(path: string): string[] {
  const plain = basename(path).replace(/\.gz$/i, "");
  const name = plain.replace(/images/i, "labels").replace(/([-.])idx[34]/i, "$1idx1");
  if (name === plain) return [];
  return [name, `${name}.gz`].map((file) => join(dirname(path), file));
}

function readLabels(path: string, images: number): string[] | undefined {
  const file = labelFiles(path).find((name) => existsSync(name));
  if (file === undefined) return undefined;
  const shown = shownPath(file);
  if (statSync(file).size > MOST_LABELS) throw dataError(`${shown} is too large for labels`);
  let bytes = readFileSync(file);
  if (bytes[0] === 0x1f && bytes[1] === 0x8b) {
    try {
      bytes = gunzipSync(bytes, { maxOutputLength: 8 + images });
    } catch (error) {
      throw dataError(`${shown} does not have the labels of ${images} images`, error);
    }
  }
  const isWhole =
    bytes.length === 8 + images &&
    bytes.readUInt32BE(0) === 0x0801 &&
    bytes.readUInt32BE(4) === images;
  if (!isWhole) throw dataError(`${shown} does not have the labels of ${images} images`);
  return Array.from(bytes.subarray(8), String);
}

async function list(file: ListedFile, sink: MemberSink): Promise<void> {
  const { bytes, path, shown, monitor } = file;
  const [, , , dims = 0] = bytes.read(0, 4);
  if (dims === 1) {
    throw dataError(`${shown} has labels, no images: name the file of images beside it`);
  }
  const offset = 4 + 4 * dims;
  const shape = shapeOf(bytes.read(0, offset));
  const labels = readLabels(path, shape[0] as number);
  await addPixels(sink, { shown, size: bytes.size, shape, offset, labels, monitor });
}

export const idx: ContainerFormat = {
  name: "idx",
  unpacked: false,
  begins: (head) =>
    head.length >= 8 &&
    head[0] === 0 &&
    head[1] === 0 &&
    head[2] === UINT8 &&
    [1, 3, 4].includes(head[3] as number),
  companions: labelFiles,
  list,
};
