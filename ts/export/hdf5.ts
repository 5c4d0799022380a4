/** HDF5 files on the disk: what the library writes goes there at once, and leaves its memory. */
import { ftruncateSync, readSync, writeSync } from "node:fs";
import type { FileHandle } from "node:fs/promises";
import type { File, Group } from "h5wasm";
import { FlexaeError } from "../addon/errors.js";
import type { ModelWeight } from "../addon/types.js";
import { bytesOf, differs, sameBits } from "./bits.js";
import { kerasRows, kerasShape, turnWeight } from "./keras_weights.js";

type Hdf5 = typeof import("h5wasm")["default"];
type Library = Awaited<Hdf5["ready"]>;

/** A file that is open in the library. */
export interface OpenHdf5 {
  file: File;
  /** Its functions and memory, as they are called from JavaScript. */
  library: Library;
  h5wasm: Hdf5;
  /** For errors. */
  path: string;
}

/** Such a file, until it is closed. */
interface DiskFile extends OpenHdf5 {
  /**
   * @returns the length of the HDF5 file
   * @throws what the system said of a write that failed
   */
  close(): number;
}

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

/** Names in the library's file system are numbered. */
let opened = 0;

/** Numbers of weights, as the library describes them. */
const FLOAT = { size: 4, littleEndian: true, signed: false, vlen: false };

/** Values that are compared at once. */
const BLOCK = 1 << 18;

/**
 * Opens a file for the library, whose reads and writes become those of the place.
 *
 * The library's other half, for Node.js, does so as well; but of a full disk it says no more than
 * pages of its own source, and keeps the file open. Here a failed write is kept for later, and the
 * library hears of none.
 */
async function openOnDisk(
  { path, handle: { fd }, offset }: Place,
  length: number,
  mode: "r" | "w",
): Promise<DiskFile> {
  const { default: h5wasm } = await import("h5wasm");
  const library = await h5wasm.ready;
  const { FS } = library;
  const name = `/${opened++}.h5`;
  FS.writeFile(name, new Uint8Array(0));
  const node = FS.lookupPath(name, {}).node as unknown as LibraryNode;
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
  let file: File;
  try {
    file = new h5wasm.File(name, mode);
  } catch (error) {
    FS.unlink(name);
    throw failures[0] ?? error;
  }
  return {
    file,
    library,
    h5wasm,
    path,
    close() {
      try {
        file.close();
      } catch (error) {
        // What the library makes of a failed write is of no use to anyone.
        failures.push(error);
      } finally {
        FS.unlink(name);
      }
      if (failures.length > 0) throw failures[0];
      return node.usedBytes;
    },
  };
}

/** The same for as long as `use` takes. What a failed write leads to is not told, but that. */
async function onDisk(
  place: Place,
  length: number,
  mode: "r" | "w",
  use: (open: OpenHdf5) => void,
): Promise<number> {
  const disk = await openOnDisk(place, length, mode);
  let failure: { error: unknown } | undefined;
  try {
    use(disk);
  } catch (error) {
    failure = { error };
  }
  const size = disk.close();
  if (failure !== undefined) throw failure.error;
  return size;
}

/**
 * Writes an HDF5 file.
 *
 * @returns its length in bytes
 * @throws what the system said of a write that failed
 */
export function writeHdf5(place: Place, fill: (open: OpenHdf5) => void): Promise<number> {
  return onDisk(place, 0, "w", fill);
}

/** Reads an HDF5 file of that length. */
export async function readHdf5(
  place: Place,
  length: number,
  check: (open: OpenHdf5) => void,
): Promise<void> {
  await onDisk(place, length, "r", check);
}

/** Opens an HDF5 file of that length to be read where it lies, until it is closed. */
export function openHdf5(place: Place, length: number): Promise<DiskFile> {
  return openOnDisk(place, length, "r");
}

/** Makes a group in another one. */
export const groupOf = (parent: File | Group, name: string) => parent.create_group(name) as Group;

/** Memory of the library, in which a weight is turned, so that it is nowhere else. */
function withMemory(
  { library, path }: OpenHdf5,
  count: number,
  use: (pointer: number) => void,
): void {
  const pointer = library._malloc(count * Float32Array.BYTES_PER_ELEMENT);
  if (pointer === 0) {
    const message = `${path} cannot be written: a weight of ${count} numbers is too large for it`;
    throw new FlexaeError("FLEXAE_MEMORY", message);
  }
  try {
    use(pointer);
  } finally {
    library._free(pointer);
  }
}

/** That memory as it lies now: whatever the library does may move it. */
const floatsAt = ({ HEAPU8 }: Library, pointer: number, count: number) =>
  new Float32Array(HEAPU8.buffer, pointer, count);

const product = (sizes: readonly number[]) => sizes.reduce((a, b) => a * b, 1);
const big = (sizes: readonly number[]) => sizes.map(BigInt);

/** How many rows of a weight in Keras's layout are handled at once: of large matrices not all. */
function rowsAtOnce(shape: readonly number[]): number {
  const rows = kerasRows(shape);
  return shape.length === 2 ? Math.min(rows, Math.ceil((BLOCK * rows) / product(shape))) : rows;
}

/** Where rows of a weight lie: of all but matrices there are no fewer than all. */
function selection(keras: readonly number[], from: number, to: number) {
  const [start, count] =
    keras.length === 2
      ? [
          [from, 0],
          [to - from, keras[1] as number],
        ]
      : [keras.map(() => 0), keras];
  return [big(count), big(start), big(keras.map(() => 1))] as const;
}

/** Adds a weight to a group, in Keras's layout. */
export function addWeight(open: OpenHdf5, group: Group, name: string, weight: ModelWeight): void {
  const { library } = open;
  const { length } = weight.values;
  const shape = big(kerasShape(weight.shape));
  withMemory(open, length, (pointer) => {
    turnWeight(weight, floatsAt(library, pointer, length));
    library.create_dataset(group.file_id, `${group.path}/${name}`, BigInt(pointer), {
      ...FLOAT,
      type: library.H5T_class_t.H5T_FLOAT.value,
      shape,
      maxshape: shape,
      total_size: length,
    });
  });
}

/**
 * Holds a weight that was written against the model's, bit by bit.
 *
 * @throws FlexaeError `FLEXAE_INTERNAL` if it is another one
 */
export function checkWeight(open: OpenHdf5, name: string, weight: ModelWeight): void {
  const { path, library, h5wasm, file } = open;
  const keras = kerasShape(weight.shape);
  const found = file.get(name);
  if (!(found instanceof h5wasm.Dataset)) throw differs(path, weight.name);
  const { shape, type, size, littleEndian } = found.metadata;
  const isFloat =
    type === library.H5T_class_t.H5T_FLOAT.value && size === FLOAT.size && littleEndian;
  if (!isFloat || shape?.join() !== keras.join()) throw differs(path, weight.name);
  const rows = kerasRows(weight.shape);
  const step = rowsAtOnce(weight.shape);
  const columns = weight.values.length / rows;
  const turned = new Float32Array(step * columns);
  withMemory(open, turned.length, (pointer) => {
    for (let from = 0; from < rows; from += step) {
      const to = Math.min(from + step, rows);
      const place = selection(keras, from, to);
      // What was written may still lie there, and must not pass for what was read.
      library.HEAPU8.fill(0xff, pointer, pointer + turned.byteLength);
      library.get_dataset_data(file.file_id, found.path, ...place, BigInt(pointer));
      turnWeight(weight, turned, from, to);
      const count = (to - from) * columns;
      const read = floatsAt(library, pointer, count);
      if (!sameBits(bytesOf(read), bytesOf(turned.subarray(0, count)))) {
        throw differs(path, weight.name);
      }
    }
  });
}
