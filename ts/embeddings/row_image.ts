/** The images that rows of a table are of. */
import { join } from "node:path";
import type { ImageFile } from "../imaging/decode.js";
import type { EmbeddingTable } from "./table.js";

/** What tells which images rows are of. */
export type ImageRows = Pick<EmbeddingTable, "paths" | "sets" | "widths" | "heights" | "origin">;

/**
 * A row's image. Its path is relative to its set, and the set to the current folder; tables of other
 * programs have paths as they are.
 */
export function imageOf(table: ImageRows, row: number): ImageFile {
  const { paths, sets, widths, heights, origin } = table;
  const [path, set] = [paths[row] as string, sets[row] ?? null];
  // To other programs a width may be that of a part of the image.
  const [width, height] = origin === null ? [] : [widths?.[row], heights?.[row]];
  return {
    file: set === null ? path : join(set, path),
    size: width === undefined || height === undefined ? undefined : { width, height },
  };
}
