/** What a table of embeddings holds. */
import { configError } from "../addon/errors.js";

/** Rows of a table, column by column; entry i of each is of the same image. */
export interface EmbeddingRows {
  /** Relative to its set, with `/` between folders. */
  paths: string[];
  /** The set, as it was named; null where another program's table does not say. */
  sets: (string | null)[];
  /** The folder below the set that the image lies in; null for a flat set. */
  classes: (string | null)[];
  /** N × D. */
  embeddings: Float32Array;
  /** Mean loss of each image's reconstruction; null if it was not asked for. */
  losses: Float32Array | null;
  /** In pixels, after turning by EXIF orientation; null where the table does not say. */
  widths: Int32Array | null;
  /** In pixels, after turning by EXIF orientation; null where the table does not say. */
  heights: Int32Array | null;
  /** Lengths of the files; null where the table does not say. */
  bytes: Int32Array | null;
  /** Of the files, in hexadecimal digits; null if it was not asked for. */
  sha256: string[] | null;
}

/** How a map was made. */
export interface MapOrigin {
  /** What made it. */
  method: "umap" | "pca";
  /** Numbers an embedding has that was mapped. */
  dims: number;
  /** Of what was fitted: places in maps can be compared if it is the same. */
  sha256: string;
  /** Of UMAP, what it was asked for. */
  options: Readonly<Record<string, string | number>> | null;
}

/** Where a table comes from: what its metadata holds under `flexible-autoencoder`, as JSON. */
export interface TableOrigin {
  /** Of this library. */
  version: string;
  /** Path of the model; null where it is not known. */
  model: string | null;
  /** Of the encoder's file, also where the autoencoder beside it was used; null where not known. */
  modelSha256: string | null;
  /** Numbers an embedding has. */
  dims: number;
  /** What the model computed in; null where it is not known. */
  precision: "fp32" | "bf16" | null;
  /** `l2`: embeddings have length 1; null: as the encoder gives them. */
  normalize: "l2" | null;
  /** Whether rows have a loss. */
  loss: boolean;
  /** Whether rows have the checksum of their file. */
  sha256: boolean;
  /** Whether rows have the width, height and bytes of their file. */
  file: boolean;
  /** Of a map of embeddings, how it was made; null if these are the encoder's. */
  map: MapOrigin | null;
  /** What the model was trained with; null if it does not say. */
  settings: Readonly<Record<string, unknown>> | null;
}

/**
 * A table in memory. Where a foreign table does not name a row's image, its path is the row's
 * number, from 1.
 */
export interface EmbeddingTable extends EmbeddingRows {
  /** Where it was read from. */
  path: string;
  /** Numbers an embedding has. */
  dims: number;
  /** Where it comes from; null for a table that does not say. */
  origin: TableOrigin | null;
}

/**
 * A table of embeddings that are in memory already.
 *
 * ```js
 * const { data, shape } = await encoder.encode(files);
 * const table = makeTable(data, shape[1], { paths: files });
 * ```
 *
 * @param embeddings - N × `dims`.
 * @param columns - What is known of the rows; paths are the rows' numbers, from 1, unless given.
 * @throws FlexaeError `FLEXAE_CONFIG` if `dims` does not divide the numbers, or a column has not N.
 */
export function makeTable(
  embeddings: Float32Array,
  dims: number,
  columns: Partial<Omit<EmbeddingTable, "embeddings" | "dims">> = {},
): EmbeddingTable {
  const rows = embeddings.length / dims;
  if (!Number.isInteger(dims) || dims < 1 || !Number.isInteger(rows) || rows < 1) {
    throw configError(
      `Expected N×${dims} numbers for embeddings but received ${embeddings.length}`,
    );
  }
  for (const [name, column] of Object.entries(columns)) {
    const length = typeof column === "object" && column !== null && "length" in column;
    if (length && column.length !== rows) {
      throw configError(`Expected ${rows} entries for ${name} but received ${column.length}`);
    }
  }
  return {
    path: "embeddings",
    dims,
    embeddings,
    paths: Array.from({ length: rows }, (_, i) => String(i + 1)),
    sets: Array(rows).fill(null),
    classes: Array(rows).fill(null),
    losses: null,
    widths: null,
    heights: null,
    bytes: null,
    sha256: null,
    origin: null,
    ...columns,
  };
}

/** Writes a table to one file, which is there once it is finished. */
export interface TableWriter {
  /** Appends rows. */
  write(rows: EmbeddingRows): Promise<void>;
  /** The file is complete, and takes its name. */
  finish(): Promise<void>;
  /** Leaves nothing behind. */
  abandon(): Promise<void>;
}

/** Some of the rows, as views of the same memory where there is any. */
export function sliceRows(
  rows: EmbeddingRows,
  dims: number,
  from: number,
  to: number,
): EmbeddingRows {
  return {
    paths: rows.paths.slice(from, to),
    sets: rows.sets.slice(from, to),
    classes: rows.classes.slice(from, to),
    embeddings: rows.embeddings.subarray(from * dims, to * dims),
    losses: rows.losses?.subarray(from, to) ?? null,
    widths: rows.widths?.subarray(from, to) ?? null,
    heights: rows.heights?.subarray(from, to) ?? null,
    bytes: rows.bytes?.subarray(from, to) ?? null,
    sha256: rows.sha256?.slice(from, to) ?? null,
  };
}

function joined<T extends Int32Array | Float32Array>(
  arrays: readonly (T | null)[],
  make: (length: number) => T,
): T | null {
  const known = arrays.filter((array) => array !== null);
  if (known.length < arrays.length) return null;
  const whole = make(known.reduce((length, array) => length + array.length, 0));
  let at = 0;
  for (const array of known) {
    whole.set(array as never, at);
    at += array.length;
  }
  return whole;
}

/** All rows of several stretches. */
export function joinRows(all: readonly EmbeddingRows[]): EmbeddingRows {
  const first = all[0];
  if (all.length === 1 && first !== undefined) return first;
  const ints = (of: (rows: EmbeddingRows) => Int32Array | null) =>
    joined(all.map(of), (length) => new Int32Array(length));
  const floats = (of: (rows: EmbeddingRows) => Float32Array | null) =>
    joined(all.map(of), (length) => new Float32Array(length));
  return {
    paths: all.flatMap((rows) => rows.paths),
    sets: all.flatMap((rows) => rows.sets),
    classes: all.flatMap((rows) => rows.classes),
    embeddings: floats((rows) => rows.embeddings) ?? new Float32Array(0),
    losses: floats((rows) => rows.losses),
    widths: ints((rows) => rows.widths),
    heights: ints((rows) => rows.heights),
    bytes: ints((rows) => rows.bytes),
    sha256: all.every((rows) => rows.sha256 !== null)
      ? all.flatMap((rows) => rows.sha256 as string[])
      : null,
  };
}

/**
 * Whether numbers of both tables mean the same: they are of one model, and in one map if in one at
 * all. Also where either does not say.
 */
export function isSameSpace(a: Space | null, b: Space | null): boolean {
  if (a === null || b === null) return true;
  if (a.modelSha256 !== null && b.modelSha256 !== null && a.modelSha256 !== b.modelSha256) {
    return false;
  }
  return (a.map?.sha256 ?? null) === (b.map?.sha256 ?? null);
}

/** What embeddings are measured in. */
export type Space = Pick<TableOrigin, "modelSha256" | "map">;
