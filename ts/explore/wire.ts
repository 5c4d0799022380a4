/**
 * How an exploration travels to the page: a header, as JSON, and arrays. `web/explore` reads these
 * types too.
 */

/** Kinds of arrays, all little-endian. */
export type ArrayType = "u8" | "u16" | "u32" | "f32" | "f64";

/** Where an array lies. */
export interface ArrayPlace {
  type: ArrayType;
  /** Bytes from the end of the header, divisible by 8. */
  at: number;
  /** Numbers it has. */
  length: number;
}

/** What is known of each image besides its path. */
export type WireColumn =
  | {
      kind: "number";
      name: string;
      /** A number a row; NaN where there is none. */
      values: ArrayPlace;
    }
  | {
      kind: "category";
      name: string;
      /** In the order in which they are shown. */
      names: string[];
      /** Of each row, from 1; 0 where there is none. */
      codes: ArrayPlace;
    }
  | {
      kind: "text";
      name: string;
      /** UTF-8, a zero behind each row. */
      text: ArrayPlace;
    };

/** What neighbours of an image are nearest by. */
export type NeighboursBy = "embedding" | "map";

/** What a page is told. */
export interface WireHeader {
  title: string;
  /** A sentence about where the images and the map come from. */
  note: string;
  rows: number;
  /** Of each row, from -1 to 1. */
  x: ArrayPlace;
  y: ArrayPlace;
  /** Paths of the images, as the table has them: UTF-8, a zero behind each row. */
  paths: ArrayPlace;
  columns: WireColumn[];
  neighbours: {
    by: NeighboursBy;
    /** Neighbours of an image. */
    count: number;
    /** Rows, `count` of each image, the nearest first; null where a server is asked. */
    rows: ArrayPlace | null;
  };
  /** Null where there are none. */
  thumbnails: {
    /** Pixels a side of a square. */
    side: number;
    /** Squares a row of a sheet. */
    columns: number;
    /** Squares of a sheet; the last may have fewer. */
    perSheet: number;
    /** How many sheets there are. */
    sheets: number;
    /** Of each row, which square of all is its own. */
    squares: ArrayPlace;
  } | null;
  /** Whether a server can be asked for an image in a larger size. */
  hasImages: boolean;
}

/**
 * A sheet travels as two bytes of each of its squares, the width and the height of the picture in
 * its upper left corner (0 if the file could not be read), and then an image file.
 */
export const SHEET_BYTES_PER_SQUARE = 2;
