/** NumPy arrays of images: uint8, N×H×W or N×H×W×C. */
import { dataError } from "../addon/errors.js";
import type { ContainerFormat, ListedFile } from "./format.js";
import type { MemberSink } from "./members.js";
import { addPixels } from "./pixels.js";

/** https://numpy.org/doc/stable/reference/generated/numpy.lib.format.html */
const MAGIC = Buffer.from("\x93NUMPY", "latin1");
const LONGEST = 1 << 16;

async function list({ bytes, shown, monitor }: ListedFile, sink: MemberSink): Promise<void> {
  const [major = 0] = bytes.read(MAGIC.length, 2);
  const wide = major >= 2;
  const begin = wide ? 12 : 10;
  const lengths = bytes.read(8, begin - 8);
  const length = wide ? lengths.readUInt32LE(0) : lengths.readUInt16LE(0);
  if (length > LONGEST) throw dataError(`${shown} is damaged: its header is too long`);
  const text = bytes.read(begin, length).toString("latin1");
  const type = /'descr':\s*'([^']*)'/.exec(text)?.[1];
  const order = /'fortran_order':\s*(True|False)/.exec(text)?.[1];
  const dims = /'shape':\s*\(([\d\s,]*)\)/.exec(text)?.[1];
  if (type === undefined || order === undefined || dims === undefined) {
    throw dataError(`${shown} is damaged: its header says neither type nor shape`);
  }
  if (!/^[|<>=]?u1$/.test(type)) {
    throw dataError(
      `${shown} holds numbers of type ${type}: images are uint8, as after .astype("uint8")`,
    );
  }
  if (order === "True") {
    throw dataError(`${shown} is in Fortran's order: save it from numpy.ascontiguousarray(…)`);
  }
  // Whatever is no number of digits has its shape refused.
  const shape = dims.split(",").flatMap((dim) => (dim.trim() === "" ? [] : [Number(dim)]));
  await addPixels(sink, { shown, size: bytes.size, shape, offset: begin + length, monitor });
}

export const npy: ContainerFormat = {
  name: "npy",
  unpacked: false,
  begins: (head) => head.subarray(0, MAGIC.length).equals(MAGIC),
  list,
};
