/**
 * Columns of lists of floats as they lie in a Parquet file. hyparquet makes an array of each list, a
 * hundred nanoseconds a number; where all lists are as long, the floats are there already.
 * Format: https://parquet.apache.org/docs/file-format/data-pages/
 */
import type { ColumnMetaData, FileMetaData } from "hyparquet";
import { parquetHeader } from "hyparquet/src/column.js";
import { decompressPage } from "hyparquet/src/datapage.js";
import { readRleBitPackedHybrid } from "hyparquet/src/encoding.js";
import { parquetSchema } from "hyparquet/src/metadata.js";
import { getMaxRepetitionLevel, getTreePath } from "hyparquet/src/schema.js";

/** Where a row group's floats lie. */
export interface FloatChunk {
  /** In the file, in bytes. */
  offset: number;
  /** How many bytes. */
  length: number;
  codec: ColumnMetaData["codec"];
  /** Numbers of all lists. */
  values: number;
}

/** Whether a column's lists are floats, one list a row, and no number stands in a dictionary. */
export function floatChunk(metadata: FileMetaData, column: ColumnMetaData): FloatChunk | null {
  const path = getTreePath(parquetSchema(metadata), column.path_in_schema);
  const isPlain = ["UNCOMPRESSED", "SNAPPY"].includes(column.codec);
  const isOfDictionary =
    column.dictionary_page_offset !== undefined && column.dictionary_page_offset !== 0n;
  if (column.type !== "FLOAT" || getMaxRepetitionLevel(path) !== 1 || !isPlain || isOfDictionary) {
    return null;
  }
  return {
    offset: Number(column.data_page_offset),
    length: Number(column.total_compressed_size),
    codec: column.codec,
    values: Number(column.num_values),
  };
}

/** Reads a page's levels and numbers. Null if it is of another kind. */
interface Page {
  values: number;
  repetition: Uint8Array;
  numbers: Uint8Array;
}

function readPage(
  reader: { view: DataView; offset: number },
  codec: FloatChunk["codec"],
): Page | null {
  const header = parquetHeader(reader);
  const stored = new Uint8Array(
    reader.view.buffer,
    reader.view.byteOffset + reader.offset,
    header.compressed_page_size,
  );
  reader.offset += header.compressed_page_size;
  const { data_page_header: first, data_page_header_v2: second } = header;
  if (first !== undefined) {
    if (first.encoding !== "PLAIN" || first.repetition_level_encoding !== "RLE") return null;
    if (first.definition_level_encoding !== "RLE") return null;
    const page = decompressPage(stored, header.uncompressed_page_size, codec, undefined);
    const lengths = new DataView(page.buffer, page.byteOffset, page.byteLength);
    const repeated = 4 + lengths.getUint32(0, true);
    const defined = repeated + 4 + lengths.getUint32(repeated, true);
    return {
      values: first.num_values,
      repetition: page.subarray(4, repeated),
      numbers: page.subarray(defined),
    };
  }
  if (second === undefined || second.encoding !== "PLAIN") return null;
  const repeated = second.repetition_levels_byte_length;
  const levels = repeated + second.definition_levels_byte_length;
  const rest = stored.subarray(levels);
  return {
    values: second.num_values,
    repetition: stored.subarray(0, repeated),
    numbers:
      second.is_compressed === false
        ? rest
        : decompressPage(rest, header.uncompressed_page_size - levels, codec, undefined),
  };
}

/** Reads row groups of one table. */
export class FloatLists {
  readonly #dims: number;
  /** Levels of a page, from its first list on, that were found to be of lists of `dims` numbers. */
  #known: { values: number; repetition: Buffer } | null = null;

  constructor(dims: number) {
    this.#dims = dims;
  }

  /**
   * The numbers of a row group.
   *
   * @param bytes - Those of the chunk.
   * @returns `values` of them; null if a list has not `dims`, a number is missing, or the pages are
   *   of a kind that is not read here.
   */
  read(bytes: Uint8Array, { codec, values }: FloatChunk): Float32Array | null {
    const numbers = new Float32Array(values);
    const into = new Uint8Array(numbers.buffer);
    const reader = {
      view: new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength),
      offset: 0,
    };
    for (let at = 0; at < values; ) {
      const page = readPage(reader, codec);
      // Fewer numbers than entries: some lists are empty, or have nothing in a place.
      if (page === null || page.values < 1 || page.numbers.length !== 4 * page.values) return null;
      if (at + page.values > values || !this.#areWhole(page, at)) return null;
      into.set(page.numbers, 4 * at);
      at += page.values;
    }
    return numbers;
  }

  /** Whether lists begin every `dims` numbers, the page's first number being the `at`th. */
  #areWhole({ values, repetition }: Page, at: number): boolean {
    const known = this.#known;
    const begins = at % this.#dims === 0;
    if (begins && known?.values === values && known.repetition.equals(repetition)) return true;
    const levels = new Uint8Array(values);
    const view = new DataView(repetition.buffer, repetition.byteOffset, repetition.byteLength);
    readRleBitPackedHybrid({ view, offset: 0 }, 1, levels, repetition.length);
    let left = (this.#dims - (at % this.#dims)) % this.#dims;
    for (const level of levels) {
      if ((left === 0) !== (level === 0)) return false;
      left = left === 0 ? this.#dims - 1 : left - 1;
    }
    // Most pages of a table have as many rows, so their levels are the same bytes.
    if (begins) this.#known = { values, repetition: Buffer.from(repetition) };
    return true;
  }
}
