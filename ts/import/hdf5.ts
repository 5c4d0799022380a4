/** HDF5 files, which Keras keeps weights in. */
import { Worker } from "node:worker_threads";
import { modelError } from "./foreign.js";
import { attributeKey, type Hdf5Tree } from "./hdf5_tree.js";

/** How long reading may take: what the library takes for a GB, and more than enough for little. */
const MOST_MS = 30_000;

/** A dataset, where it lies. */
export interface Numbers {
  readonly shape: readonly number[];
  /** As fp32. */
  read(): Float32Array;
}

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

/** What a file holds. */
export class Hdf5File {
  #tree: Hdf5Tree;
  #path: string;

  private constructor(tree: Hdf5Tree, path: string) {
    this.#tree = tree;
    this.#path = path;
  }

  /**
   * @param bytes - Of the file; they may be gone afterwards.
   * @throws FlexaeError `FLEXAE_MODEL` if these are not the bytes of such a file.
   */
  static async read(path: string, bytes: Uint8Array): Promise<Hdf5File> {
    const tree = await readTree(bytes);
    if (tree === null) throw modelError(path, "is damaged: HDF5 cannot read it");
    return new Hdf5File(tree, path);
  }

  /** Names in a group; empty if there is none. */
  names(group: string): readonly string[] {
    return this.#tree.groups.get(group) ?? [];
  }

  /** A text, or texts, that a group has beside its entries. */
  attribute(group: string, name: string): string | readonly string[] | undefined {
    return this.#tree.attributes.get(attributeKey(group, name));
  }

  /** Numbers of a dataset; undefined if there is none. */
  numbers(name: string): Numbers | undefined {
    const found = this.#tree.datasets.get(name);
    if (found === undefined) return undefined;
    const { shape, values } = found;
    return {
      shape,
      read: () => {
        if (values !== null) return values;
        throw modelError(this.#path, `holds no floats in ${name}, or is too small for them`);
      },
    };
  }
}
