/** HDF5 files, which Keras keeps weights in, read from memory. */
import type { Dataset, File, Group } from "h5wasm";
import { modelError } from "./foreign.js";

type Hdf5 = typeof import("h5wasm")["default"];

/** The file's name in the library's own file system, which is memory. */
const IN_MEMORY = "import.h5";

/** Of a chunked dataset a file may say any size and hold little of it. */
const MOST_INFLATED = 64;
const SMALL = 1 << 20;

/** A dataset, where it lies. */
export interface Numbers {
  readonly shape: readonly number[];
  /** As fp32. */
  read(): Float32Array;
}

/** An open file. */
export class Hdf5File {
  #library: Hdf5;
  #file: File;
  #path: string;
  #bytes: number;

  private constructor(library: Hdf5, file: File, path: string, bytes: number) {
    this.#library = library;
    this.#file = file;
    this.#path = path;
    this.#bytes = bytes;
  }

  /** @throws FlexaeError `FLEXAE_MODEL` if these are not the bytes of such a file. */
  static async open(path: string, bytes: Uint8Array): Promise<Hdf5File> {
    const { default: library } = await import("h5wasm");
    const { FS, activate_throwing_error_handler } = await library.ready;
    // Otherwise it prints what is wrong, and goes on.
    activate_throwing_error_handler();
    FS.writeFile(IN_MEMORY, bytes);
    let file: File;
    try {
      file = new library.File(IN_MEMORY, "r");
    } catch (error) {
      FS.unlink(IN_MEMORY);
      throw modelError(path, "is no HDF5 file, or is damaged", error);
    }
    return new Hdf5File(library, file, path, bytes.length);
  }

  /** Lets go of its memory. */
  async close(): Promise<void> {
    const { FS } = await this.#library.ready;
    try {
      this.#file.close();
    } finally {
      FS.unlink(IN_MEMORY);
    }
  }

  /** Whatever the library makes of a damaged file is an error of the file. */
  #guarded<T>(what: () => T): T {
    try {
      return what();
    } catch (error) {
      if (error instanceof Error && "code" in error) throw error;
      throw modelError(this.#path, "is damaged: HDF5 cannot read it", error);
    }
  }

  #group(name: string): File | Group | undefined {
    if (name === "") return this.#file;
    const found = this.#file.get(name);
    return found instanceof this.#library.Group ? found : undefined;
  }

  /** Names in a group; empty if there is none. */
  names(group: string): string[] {
    return this.#guarded(() => this.#group(group)?.keys() ?? []);
  }

  /** An attribute of a group: text, or texts. */
  attribute(group: string, name: string): unknown {
    return this.#guarded(() => {
      const found = this.#group(group)?.attrs[name];
      return found?.value;
    });
  }

  /** Numbers of a dataset; undefined if there is none. */
  numbers(name: string): Numbers | undefined {
    return this.#guarded(() => {
      const found = this.#file.get(name);
      if (!(found instanceof this.#library.Dataset)) return undefined;
      const shape = found.shape ?? [];
      return { shape, read: () => this.#guarded(() => this.#read(name, found, shape)) };
    });
  }

  #read(name: string, dataset: Dataset, shape: readonly number[]): Float32Array {
    const count = shape.reduce((a, b) => a * b, 1);
    if (count * 4 > Math.max(SMALL, this.#bytes * MOST_INFLATED)) {
      throw modelError(this.#path, `is damaged: ${name} is larger than the file`);
    }
    const value: unknown = dataset.value;
    if (value instanceof Float32Array && value.length === count) return value;
    const isNumbers = ArrayBuffer.isView(value) && !(value instanceof DataView);
    const numbers = isNumbers ? (value as unknown as ArrayLike<unknown>) : undefined;
    if (numbers === undefined || numbers.length !== count || typeof numbers[0] !== "number") {
      throw modelError(this.#path, `holds no floats in ${name}`);
    }
    return Float32Array.from(numbers as ArrayLike<number>);
  }
}
