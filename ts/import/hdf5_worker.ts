/**
 * Reads an HDF5 file on a thread of its own, which can be ended: of a damaged file, the library may
 * never come back. The file's bytes are this thread's data; it answers with a tree, or null if the
 * file is none.
 */
import { parentPort, workerData } from "node:worker_threads";
import type { Attribute, Dataset, Group } from "h5wasm";
import { attributeKey, type Hdf5Tree, type TreeDataset, textOf } from "./hdf5_tree.js";
import { mostUnpacked } from "./limits.js";

/** Keras's own, of trained models: moments of each weight, which nobody asks for. */
const OPTIMIZER = ["optimizer", "optimizer_weights"];

/** More than any model has. */
const MOST_ENTRIES = 100_000;
const MOST_NESTED = 32;

/** HDF5's class of floats. */
const FLOAT = 1;

const { default: h5wasm } = await import("h5wasm");

class Reader {
  readonly tree: Hdf5Tree = { groups: new Map(), attributes: new Map(), datasets: new Map() };
  /** Bytes that datasets may have yet, all together. */
  #left: number;
  #entries = 0;

  constructor(length: number) {
    // Of a chunked dataset a file may say any size and hold little of it.
    this.#left = mostUnpacked(length);
  }

  #numbers(dataset: Dataset): TreeDataset {
    const shape = dataset.shape ?? [];
    const count = shape.reduce((a, b) => a * b, 1);
    const none = { shape, values: null };
    const { type, size } = dataset.metadata;
    const bytes = Math.max(4, size) * count;
    if (type !== FLOAT || !(bytes <= this.#left)) return none;
    this.#left -= bytes;
    const value: unknown = dataset.value;
    if (value instanceof Float32Array) return { shape, values: value };
    if (!(value instanceof Float64Array) && !Array.isArray(value)) return none;
    // fp16 comes as a list, a single number as itself.
    const isNumbers = value.length === count && typeof value[0] === "number";
    return isNumbers ? { shape, values: Float32Array.from(value as ArrayLike<number>) } : none;
  }

  #attribute(path: string, name: string, attribute: Attribute): void {
    const text = textOf(attribute.value);
    if (text !== undefined) this.tree.attributes.set(attributeKey(path, name), text);
  }

  group(group: Group, path: string, depth: number): void {
    const names = group.keys();
    this.#entries += names.length;
    if (depth > MOST_NESTED || this.#entries > MOST_ENTRIES) throw new Error("too large");
    this.tree.groups.set(path, names);
    for (const [name, attribute] of Object.entries(group.attrs)) {
      this.#attribute(path, name, attribute);
    }
    for (const name of names) {
      if (path === "" && OPTIMIZER.includes(name)) continue;
      const inner = path === "" ? name : `${path}/${name}`;
      const entry = group.get(name);
      if (entry instanceof h5wasm.Group) this.group(entry, inner, depth + 1);
      if (entry instanceof h5wasm.Dataset) this.tree.datasets.set(inner, this.#numbers(entry));
    }
  }
}

/** What the file holds; null if it cannot be read. */
async function readTree(bytes: Uint8Array): Promise<Hdf5Tree | null> {
  const { FS, activate_throwing_error_handler } = await h5wasm.ready;
  // Otherwise it prints what is wrong, and goes on.
  activate_throwing_error_handler();
  FS.writeFile("/import.h5", bytes);
  try {
    const reader = new Reader(bytes.length);
    reader.group(new h5wasm.File("/import.h5", "r"), "", 0);
    return reader.tree;
  } catch {
    return null;
  }
}

const tree = await readTree(workerData as Uint8Array);
const buffers = [...(tree?.datasets.values() ?? [])].flatMap(({ values }) =>
  values === null ? [] : [values.buffer as ArrayBuffer],
);
parentPort?.postMessage(tree, [...new Set(buffers)]);
