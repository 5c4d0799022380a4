/** Several tables as one. */
import { dataError } from "../addon/errors.js";
import { type EmbeddingTable, isSameSpace, joinRows } from "./table.js";

/** Two tables as far as they must be alike to be one. */
type Joinable = Pick<EmbeddingTable, "path" | "dims" | "origin">;

/** @throws FlexaeError `FLEXAE_DATA` unless embeddings of both are of one model, or in one map. */
export function checkJoinable(first: Joinable, other: Joinable): void {
  const isAsLong = other.dims === first.dims;
  if (isAsLong && isSameSpace(first.origin, other.origin)) return;
  const lengths = isAsLong ? "" : ` (${other.dims} numbers in place of ${first.dims})`;
  throw dataError(
    `${other.path} is of another model or map than ${first.path}${lengths}: embed all images with the same model`,
  );
}

/**
 * The rows of all, one table after the other. Columns that one of them lacks are left out.
 *
 * @throws FlexaeError `FLEXAE_DATA` if they are of several models or maps.
 */
export function joinTables(tables: readonly EmbeddingTable[]): EmbeddingTable {
  const [first, ...rest] = tables as [EmbeddingTable, ...EmbeddingTable[]];
  for (const table of rest) checkJoinable(first, table);
  return rest.length === 0
    ? first
    : { ...joinRows(tables), path: first.path, dims: first.dims, origin: first.origin };
}
