/** Several tables as one. */
import { dataError } from "../addon/errors.js";
import { type EmbeddingTable, isSameSpace, joinRows } from "./table.js";

/**
 * The rows of all, one table after the other. Columns that one of them lacks are left out.
 *
 * @throws FlexaeError `FLEXAE_DATA` if they are of several models or maps.
 */
export function joinTables(tables: readonly EmbeddingTable[]): EmbeddingTable {
  const [first, ...rest] = tables as [EmbeddingTable, ...EmbeddingTable[]];
  for (const table of rest) {
    if (table.dims !== first.dims || !isSameSpace(first.origin, table.origin)) {
      throw dataError(
        `${table.path} is of another model or map than ${first.path}: embed all images with the same model`,
      );
    }
  }
  return rest.length === 0
    ? first
    : { ...joinRows(tables), path: first.path, dims: first.dims, origin: first.origin };
}
