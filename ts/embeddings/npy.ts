/** Tables as NumPy arrays: N×D fp32 in an `.npy` file, and the rows' names in a `.csv` beside it. */
import { StagedFile } from "../files/staged.js";
import { CsvTable } from "./csv.js";
import { FileTable } from "./file_table.js";
import type { EmbeddingRows, TableOrigin } from "./table.js";

/** With room for any number of rows: it is written first, and again when their number is known. */
const HEADER_BYTES = 128;

/** NumPy's format 1.0: https://numpy.org/doc/stable/reference/generated/numpy.lib.format.html */
function header(rows: number, dims: number): Uint8Array {
  const shape = `{'descr': '<f4', 'fortran_order': False, 'shape': (${rows}, ${dims}), }`;
  const bytes = Buffer.alloc(HEADER_BYTES, " ");
  bytes.write("\x93NUMPY\x01\x00", 0, "latin1");
  bytes.writeUInt16LE(HEADER_BYTES - 10, 8);
  bytes.write(shape, 10, "latin1");
  bytes.write("\n", HEADER_BYTES - 1, "latin1");
  return bytes;
}

function bytesOf({ buffer, byteOffset, byteLength }: Float32Array): Uint8Array {
  return new Uint8Array(buffer, byteOffset, byteLength);
}

/** A whole array as the content of an `.npy` file. */
export function npyBytes(values: Float32Array, dims: number): Uint8Array {
  return Buffer.concat([header(values.length / dims, dims), bytesOf(values)]);
}

export class NpyTable extends FileTable {
  #names: CsvTable;
  #dims: number;
  #rows = 0;

  private constructor(file: StagedFile, names: CsvTable, dims: number) {
    super(file);
    this.#names = names;
    this.#dims = dims;
  }

  static async create(path: string, origin: TableOrigin): Promise<NpyTable> {
    const file = await StagedFile.create(path);
    try {
      await file.append(header(0, origin.dims));
      const names = await CsvTable.ofNames(path.replace(/\.npy$/i, ".csv"), origin);
      return new NpyTable(file, names, origin.dims);
    } catch (error) {
      await file.abandon();
      throw error;
    }
  }

  async write(rows: EmbeddingRows): Promise<void> {
    await this.file.append(bytesOf(rows.embeddings));
    await this.#names.write(rows);
    this.#rows += rows.paths.length;
  }

  override async finish(): Promise<void> {
    await this.file.replace(header(this.#rows, this.#dims), 0);
    // The names first: an array without them says nothing.
    await this.#names.finish();
    await super.finish();
  }

  override async abandon(): Promise<void> {
    await super.abandon();
    await this.#names.abandon();
  }
}
