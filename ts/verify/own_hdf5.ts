/** HDF5 files that were just written: they are read where they lie, and nothing is kept of them. */
import { type FileHandle, open } from "node:fs/promises";
import { openHdf5 } from "../export/hdf5.js";
import type { StoredTensor } from "../import/foreign.js";
import { type Hdf5Contents, noFloats, type OpenHdf5, openForeignHdf5 } from "../import/hdf5.js";
import { textOf } from "../import/hdf5_tree.js";

type DiskFile = Awaited<ReturnType<typeof openHdf5>>;

class OwnHdf5 implements Hdf5Contents {
  #disk: DiskFile;

  constructor(disk: DiskFile) {
    this.#disk = disk;
  }

  #group(name: string) {
    const { file, h5wasm } = this.#disk;
    const found = name === "" ? file : file.get(name);
    return found instanceof h5wasm.Group ? found : undefined;
  }

  names(group: string): readonly string[] {
    return this.#group(group)?.keys() ?? [];
  }

  attribute(group: string, name: string): string | readonly string[] | undefined {
    return textOf(this.#group(group)?.attrs[name]?.value);
  }

  numbers(name: string): StoredTensor | undefined {
    const { file, h5wasm, path } = this.#disk;
    const found = file.get(name);
    if (!(found instanceof h5wasm.Dataset)) return undefined;
    return {
      shape: found.shape ?? [],
      read() {
        const { value } = found;
        if (value instanceof Float32Array) return value;
        throw noFloats(path, name);
      },
    };
  }
}

/** Opens such files, and closes them all at once. */
export class OwnHdf5Files {
  #open: { disk: DiskFile; handle: FileHandle }[] = [];

  readonly openHdf5: OpenHdf5 = async (source) => {
    const { path, place } = source;
    // Of ours, none is packed.
    if (place === undefined) return await openForeignHdf5(source);
    const handle = await open(path);
    try {
      const disk = await openHdf5({ path, handle, offset: place.offset }, place.length);
      this.#open.push({ disk, handle });
      return new OwnHdf5(disk);
    } catch (error) {
      await handle.close();
      throw error;
    }
  };

  async close(): Promise<void> {
    for (const { disk, handle } of this.#open.splice(0)) {
      try {
        disk.close();
      } finally {
        await handle.close();
      }
    }
  }
}
