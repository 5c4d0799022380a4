/** What a table of embeddings holds. */

/** Rows of a table, column by column; entry i of each is of the same image. */
export interface EmbeddingRows {
  /** Relative to its set, with `/` between folders. */
  paths: string[];
  /** The set, as it was named. */
  sets: string[];
  /** The folder below the set that the image lies in; null for a flat set. */
  classes: (string | null)[];
  /** N × D. */
  embeddings: Float32Array;
  /** Mean loss of each image's reconstruction; null if it was not asked for. */
  losses: Float32Array | null;
  /** In pixels, after turning by EXIF orientation. */
  widths: Int32Array;
  /** In pixels, after turning by EXIF orientation. */
  heights: Int32Array;
  /** Lengths of the files. */
  bytes: Int32Array;
  /** Of the files, in hexadecimal digits; null if it was not asked for. */
  sha256: string[] | null;
}

/** Where a table comes from: what its metadata holds under `flexible-autoencoder`, as JSON. */
export interface TableOrigin {
  /** Of this library. */
  version: string;
  /** Path of the model. */
  model: string;
  /** Of the model's file. */
  modelSha256: string;
  /** Numbers an embedding has. */
  dims: number;
  /** What the model computed in. */
  precision: "fp32" | "bf16";
  /** `l2`: embeddings have length 1; null: as the encoder gives them. */
  normalize: "l2" | null;
  /** Whether rows have a loss. */
  loss: boolean;
  /** Whether rows have the checksum of their file. */
  sha256: boolean;
  /** What the model was trained with; null if it does not say. */
  settings: Readonly<Record<string, unknown>> | null;
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
    widths: rows.widths.subarray(from, to),
    heights: rows.heights.subarray(from, to),
    bytes: rows.bytes.subarray(from, to),
    sha256: rows.sha256?.slice(from, to) ?? null,
  };
}

function joined<T extends Int32Array | Float32Array>(arrays: T[], make: (length: number) => T): T {
  const whole = make(arrays.reduce((length, array) => length + array.length, 0));
  let at = 0;
  for (const array of arrays) {
    whole.set(array as never, at);
    at += array.length;
  }
  return whole;
}

/** All rows of several stretches. */
export function joinRows(all: readonly EmbeddingRows[]): EmbeddingRows {
  const first = all[0];
  if (all.length === 1 && first !== undefined) return first;
  const ints = (length: number) => new Int32Array(length);
  const floats = (length: number) => new Float32Array(length);
  return {
    paths: all.flatMap((rows) => rows.paths),
    sets: all.flatMap((rows) => rows.sets),
    classes: all.flatMap((rows) => rows.classes),
    embeddings: joined(
      all.map((rows) => rows.embeddings),
      floats,
    ),
    losses: first?.losses
      ? joined(
          all.map((rows) => rows.losses as Float32Array),
          floats,
        )
      : null,
    widths: joined(
      all.map((rows) => rows.widths),
      ints,
    ),
    heights: joined(
      all.map((rows) => rows.heights),
      ints,
    ),
    bytes: joined(
      all.map((rows) => rows.bytes),
      ints,
    ),
    sha256: first?.sha256 ? all.flatMap((rows) => rows.sha256 as string[]) : null,
  };
}
