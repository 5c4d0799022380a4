/** What the thread that unpacks a Parquet file says. */

/** Images, one behind the other. */
export interface ParquetImages {
  bytes: Uint8Array;
  /** Of each image; so are names and labels. */
  lengths: number[];
  names: string[];
  /** Null where a row names no class. */
  labels: (string | null)[];
  /** Rows without an image. */
  others: number;
  /** Of the file's rows those that were read so far, from 0 to 1. */
  share: number;
}

export type ParquetMessage =
  | { images: ParquetImages }
  /** So many bytes are unpacked next. */
  | { begins: number }
  | { end: true }
  /** What is wrong with the file. */
  | { refused: string };
