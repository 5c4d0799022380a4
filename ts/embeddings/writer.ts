/** The kind of file a table becomes, by its name's ending. */
import { statSync } from "node:fs";
import { dirname, extname } from "node:path";
import { configError } from "../addon/errors.js";
import { makeFolders } from "../files/folders.js";
import { CsvTable } from "./csv.js";
import { JsonlTable } from "./jsonl.js";
import { NpyTable } from "./npy.js";
import { ParquetTable } from "./parquet.js";
import type { EmbeddingRows, TableOrigin, TableWriter } from "./table.js";

/** What makes a file of each ending. */
const WRITERS: Readonly<
  Record<string, { create(path: string, origin: TableOrigin): Promise<TableWriter> }>
> = { ".parquet": ParquetTable, ".csv": CsvTable, ".npy": NpyTable, ".jsonl": JsonlTable };

/**
 * Whether a table of that name is a folder of parts; else it is a file of a known ending.
 *
 * @throws FlexaeError `FLEXAE_CONFIG` for any other ending.
 */
export function isFolderName(out: string): boolean {
  if (out === "") throw configError("Expected a file or a folder for out but received nothing");
  if (out.endsWith("/") || statSync(out, { throwIfNoEntry: false })?.isDirectory()) return true;
  const ending = extname(out).toLowerCase();
  if (ending === "") return true;
  if (Object.hasOwn(WRITERS, ending)) return false;
  const known = Object.keys(WRITERS).join(", ");
  throw configError(
    `Expected a folder, or a name that ends in one of ${known}, for out but received ${out}`,
  );
}

/** A file of a known ending. */
export async function createTable(out: string, origin: TableOrigin): Promise<TableWriter> {
  const { create } = WRITERS[extname(out).toLowerCase()] as (typeof WRITERS)[string];
  return await create(out, origin);
}

/** Writes rows as a file of a known ending. */
export async function writeTable(
  out: string,
  rows: EmbeddingRows,
  origin: TableOrigin,
): Promise<void> {
  await makeFolders(dirname(out));
  const table = await createTable(out, origin);
  try {
    await table.write(rows);
    await table.finish();
  } catch (error) {
    await table.abandon();
    throw error;
  }
}
