/** HDF5 files on the disk: what the library writes goes there at once, so none of it is in memory. */
import { ftruncateSync, readSync, writeSync } from "node:fs";
import type { FileHandle } from "node:fs/promises";
import type { File, Group } from "h5wasm";
import type { ModelWeight } from "../addon/types.js";
import { bytesOf, differs, sameBits } from "./bits.js";
import { kerasRows, kerasShape, kerasValues } from "./keras_weights.js";

/** The library. */
export type Hdf5 = typeof import("h5wasm")["default"];

/** An HDF5 file, or one that lies within another file. */
export interface Place {
  /** For errors. */
  path: string;
  /** Open for reading and writing. */
  handle: FileHandle;
  /** Where in the file it begins. */
  offset: number;
}

/** A file of the library's own file system (Emscripten's), as far as it is of use here. */
interface LibraryNode {
  usedBytes: number;
  node_ops: { setattr(node: LibraryNode, attributes: { size?: number }): void };
  stream_ops: {
    read(stream: unknown, to: Int8Array, at: number, length: number, position: number): number;
    write(stream: unknown, from: Int8Array, at: number, length: number, position: number): number;
  };
}

/** The file's name in the library's file system. */
const NAME = "/file.h5";

/** Values that are compared at once. */
const BLOCK = 1 << 18;

/**
 * Opens a file for the library, whose reads and writes become those of the place.
 *
 * The library's other half, for Node.js, does so as well; but of a full disk it says no more than
 * pages of its own source, and keeps the file open. Here a failed write is kept for later, and the
 * library hears of none.
 *
 * @returns the length of the HDF5 file
 */
async function onDisk(
  { handle: { fd }, offset }: Place,
  length: number,
  mode: "r" | "w",
  use: (file: File, h5wasm: Hdf5) => void,
): Promise<number> {
  const { default: h5wasm } = await import("h5wasm");
  const { FS } = await h5wasm.ready;
  FS.writeFile(NAME, new Uint8Array(0));
  const node = FS.lookupPath(NAME, {}).node as unknown as LibraryNode;
  const failures: unknown[] = [];
  const attempt = (work: () => void) => {
    if (failures.length > 0) return;
    try {
      work();
    } catch (error) {
      failures.push(error);
    }
  };
  const { setattr } = node.node_ops;
  node.usedBytes = length;
  node.node_ops = {
    ...node.node_ops,
    setattr(of, attributes) {
      const { size, ...others } = attributes;
      setattr(of, others);
      if (size === undefined) return;
      attempt(() => ftruncateSync(fd, offset + size));
      node.usedBytes = size;
    },
  };
  node.stream_ops = {
    ...node.stream_ops,
    read(_, to, at, wanted, position) {
      const size = Math.min(wanted, node.usedBytes - position);
      return size > 0 ? readSync(fd, to, at, size, offset + position) : 0;
    },
    write(_, from, at, size, position) {
      attempt(() => {
        for (let done = 0; done < size; ) {
          done += writeSync(fd, from, at + done, size - done, offset + position + done);
        }
      });
      node.usedBytes = Math.max(node.usedBytes, position + size);
      return size;
    },
  };
  try {
    const file = new h5wasm.File(NAME, mode);
    try {
      use(file, h5wasm);
    } finally {
      file.close();
    }
  } catch (error) {
    // What the library makes of a failed write is of no use to anyone.
    failures.push(error);
  } finally {
    FS.unlink(NAME);
  }
  if (failures.length > 0) throw failures[0];
  return node.usedBytes;
}

/**
 * Writes an HDF5 file.
 *
 * @returns its length in bytes
 * @throws what the system said of a write that failed
 */
export function writeHdf5(place: Place, fill: (file: File) => void): Promise<number> {
  return onDisk(place, 0, "w", fill);
}

/** Reads an HDF5 file of that length. */
export async function readHdf5(
  place: Place,
  length: number,
  check: (file: File, h5wasm: Hdf5) => void,
): Promise<void> {
  await onDisk(place, length, "r", check);
}

/** Makes a group in another one. */
export const groupOf = (parent: File | Group, name: string) => parent.create_group(name) as Group;

/** Adds a weight to a group, in Keras's layout. */
export function addWeight(group: Group, name: string, weight: ModelWeight): void {
  const shape = kerasShape(weight.shape);
  group.create_dataset({ name, data: kerasValues(weight), shape, dtype: "<f4" });
}

/**
 * Holds a weight that was written against the model's, bit by bit.
 *
 * @throws FlexaeError `FLEXAE_INTERNAL` if it is another one
 */
export function checkWeight(
  { path }: Place,
  file: File,
  h5wasm: Hdf5,
  name: string,
  weight: ModelWeight,
): void {
  const shape = kerasShape(weight.shape);
  const found = file.get(name);
  if (!(found instanceof h5wasm.Dataset) || found.shape?.join() !== shape.join()) {
    throw differs(path, weight.name);
  }
  // Matrices, the largest of weights, a few rows at a time.
  const rows = kerasRows(weight.shape);
  const step = shape.length === 2 ? Math.max(1, Math.floor(BLOCK / (shape[1] as number))) : rows;
  for (let from = 0; from < rows; from += step) {
    const to = Math.min(from + step, rows);
    const read = shape.length === 2 ? found.slice([[from, to], []]) : found.value;
    const isSame =
      read instanceof Float32Array &&
      sameBits(bytesOf(read), bytesOf(kerasValues(weight, from, to)));
    if (!isSame) throw differs(path, weight.name);
  }
}
