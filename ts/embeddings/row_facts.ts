/** What columns of a table mean, this program's and others'. */

/** By which other programs call the column of paths, and that of embeddings. */
export const PATH_NAMES: readonly string[] = [
  "path",
  "filename",
  "file",
  "filepath",
  "image",
  "id",
];
export const EMBEDDING_NAMES: readonly string[] = ["embedding", "embeddings", "vector", "features"];

/** What a row has besides its embedding; what is missing is undefined, null or "". */
export interface RowFacts {
  path?: unknown;
  set?: unknown;
  class?: unknown;
  loss?: unknown;
  width?: unknown;
  height?: unknown;
  bytes?: unknown;
  sha256?: unknown;
}

/** Facts that are numbers. */
export const NUMBERS = ["loss", "width", "height", "bytes"] as const;
/** Columns that are read where there are any, besides paths and embeddings. */
export const FACTS = ["set", "class", ...NUMBERS, "sha256"] as const;

/** Whether a fact is there. */
export const isGiven = (value: unknown) => value !== undefined && value !== null && value !== "";

/** The first known name that is among others. */
export function pick(names: readonly string[], known: readonly string[]): string | undefined {
  return known.find((name) => names.includes(name));
}
