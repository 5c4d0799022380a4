/** HDF5 files, which Keras keeps weights in. */
import { Worker } from "node:worker_threads";
import { modelError, type StoredTensor } from "./foreign.js";
import { attributeKey, type Hdf5Tree } from "./hdf5_tree.js";

/** How long reading may take: what the library takes for a GB, and more than enough for little. */
const MOST_MS = 30_000;

/** What is in an HDF5 file, by paths such as `model_weights/conv2d_1`; the root's is empty. */
export interface Hdf5Contents {
  /** Names in a group; empty if there is none. */
  names(group: string): readonly string[];
  /** A text, or texts, that a group has beside its entries. */
  attribute(group: string, name: string): string | readonly string[] | undefined;
  /** Numbers of a dataset; undefined if there is none. */
  numbers(name: string): StoredTensor | undefined;
}

/** Where an HDF5 file is. */
export interface Hdf5Source {
  /** Of the file that it is, or lies in. */
  path: string;
  /** Where in that file; undefined if it is packed there. */
  place: { offset: number; length: number } | undefined;
  /** All of it. */
  read(): Promise<Uint8Array>;
}

/**
 * Opens an HDF5 file.
 *
 * @throws FlexaeError `FLEXAE_MODEL` if it is none; what reading it throws.
 */
export type OpenHdf5 = (source: Hdf5Source) => Promise<Hdf5Contents>;

/** Compiled; tests run the sources as they are, of which a thread can make nothing. */
function workerFile(): URL {
  const path = import.meta.url.endsWith(".ts") ? "../../dist/import" : ".";
  return new URL(`${path}/hdf5_worker.js`, import.meta.url);
}

/**
 * The tree of a file; null if the library cannot make one, or comes to no end. Bytes that have a
 * buffer of their own go to the thread, and are not here any more.
 */
async function readTree(bytes: Uint8Array): Promise<Hdf5Tree | null> {
  const { buffer } = bytes;
  const isOwn = buffer instanceof ArrayBuffer && buffer.byteLength === bytes.length;
  const worker = new Worker(workerFile(), {
    workerData: bytes,
    transferList: isOwn ? [buffer] : [],
    stderr: true,
    stdout: true,
    // Those of a program that uses this package, such as --input-type, may not suit a file.
    execArgv: [],
  });
  let timer: NodeJS.Timeout | undefined;
  try {
    return await new Promise((resolve) => {
      timer = setTimeout(() => resolve(null), MOST_MS);
      worker.on("message", resolve);
      // Whatever the library fails with, the file is the cause.
      worker.on("error", () => resolve(null));
      worker.on("exit", () => resolve(null));
    });
  } finally {
    clearTimeout(timer);
    await worker.terminate();
  }
}

/** A file that a thread has read. */
class ReadHdf5 implements Hdf5Contents {
  #tree: Hdf5Tree;
  #path: string;

  constructor(tree: Hdf5Tree, path: string) {
    this.#tree = tree;
    this.#path = path;
  }

  names(group: string): readonly string[] {
    return this.#tree.groups.get(group) ?? [];
  }

  attribute(group: string, name: string): string | readonly string[] | undefined {
    return this.#tree.attributes.get(attributeKey(group, name));
  }

  numbers(name: string): StoredTensor | undefined {
    const found = this.#tree.datasets.get(name);
    if (found === undefined) return undefined;
    const { shape, values } = found;
    return {
      shape,
      read: () => {
        if (values === null) throw noFloats(this.#path, name);
        return values;
      },
    };
  }
}

/** The error of a dataset that cannot be a weight. */
export const noFloats = (path: string, name: string) =>
  modelError(path, `holds no floats in ${name}, or is too small for them`);

/** Reads an HDF5 file of a stranger, on a thread that is ended if the library comes to no end. */
export const openForeignHdf5: OpenHdf5 = async ({ path, read }) => {
  const tree = await readTree(await read());
  if (tree === null) throw modelError(path, "is damaged: HDF5 cannot read it");
  return new ReadHdf5(tree, path);
};
