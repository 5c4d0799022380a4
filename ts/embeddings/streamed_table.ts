/** Tables of any number of rows, read a row group at a time. */

import { totalmem } from "node:os";
import { extname } from "node:path";
import { constrainedMemory } from "node:process";
import { dataError } from "../addon/errors.js";
import { checkJoinable } from "./join_tables.js";
import { FloatLists } from "./parquet_floats.js";
import { ParquetGroups } from "./parquet_groups.js";
import { unreadable } from "./read_table.js";
import { isGiven, type RowFacts } from "./row_facts.js";
import type { TableOrigin } from "./table.js";
import { filesOf } from "./table_files.js";

/** Rows that lie together in a file. */
export interface Stretch {
  file: ParquetGroups;
  /** Which of the file's row groups. */
  group: number;
  /** Its first row in the table. */
  first: number;
  rows: number;
}

/** A stretch's rows; entry i of each is of the same image. */
export interface StretchRows {
  /** rows × dims. */
  embeddings: Float32Array;
  paths: string[];
  sets: (string | null)[];
  classes: (string | null)[];
  /** Null where the table does not say. */
  widths: ArrayLike<unknown> | null;
  /** Null where the table does not say. */
  heights: ArrayLike<unknown> | null;
}

function texts(values: ArrayLike<unknown> | undefined, rows: number): (string | null)[] {
  const read: (string | null)[] = new Array(rows).fill(null);
  if (values === undefined) return read;
  for (let i = 0; i < rows; i++) if (isGiven(values[i])) read[i] = String(values[i]);
  return read;
}

export class StreamedTable {
  /** As it was named. */
  readonly path: string;
  readonly dims: number;
  readonly origin: TableOrigin | null;
  readonly rows: number;
  readonly stretches: readonly Stretch[];
  readonly #lists: FloatLists;

  private constructor(path: string, first: ParquetGroups, stretches: Stretch[]) {
    const { origin, dims } = first;
    this.path = path;
    this.dims = dims;
    this.origin = origin;
    this.stretches = stretches;
    this.rows = stretches.reduce((sum, { rows }) => sum + rows, 0);
    this.#lists = new FloatLists(dims);
  }

  /**
   * Reads what files say of themselves, and no rows.
   *
   * @param names - Parquet files, folders of them and patterns, one table after the other.
   * @returns The table; null if there is a file of another kind.
   * @throws FlexaeError `FLEXAE_DATA` if there are no rows, a file is damaged, or files are of
   *   several models. Rejects as `readTable` does for what cannot be read.
   */
  static async open(names: readonly string[]): Promise<StreamedTable | null> {
    let first: ParquetGroups | undefined;
    const stretches: Stretch[] = [];
    let rows = 0;
    for (const name of names) {
      const paths = await filesOf(name).catch((error) => {
        throw unreadable(name, error);
      });
      if (paths.some((path) => extname(path).toLowerCase() !== ".parquet")) return null;
      for (const path of paths) {
        const file = await ParquetGroups.open(path).catch((error) => {
          throw unreadable(path, error);
        });
        if (file.rows === 0) continue;
        first ??= file;
        checkJoinable(first, file);
        for (const [group, { rows: count }] of file.groups.entries()) {
          if (count > 0) stretches.push({ file, group, first: rows, rows: count });
          rows += count;
        }
      }
    }
    const name = names.join(" ");
    if (first === undefined) throw dataError(`${name} holds no embeddings`);
    return new StreamedTable(name, first, stretches);
  }

  /** rows × dims of a stretch. */
  async embeddings({ file, group }: Stretch): Promise<Float32Array> {
    return await file.embeddings(group, this.#lists).catch((error) => {
      throw unreadable(file.path, error);
    });
  }

  /** A stretch's rows. Those that name no image are called by their number, from 1. */
  async read(stretch: Stretch): Promise<StretchRows> {
    const { file, group, first, rows } = stretch;
    const embeddings = await this.embeddings(stretch);
    const facts: Partial<Record<keyof RowFacts, ArrayLike<unknown>>> = await file
      .facts(group)
      .catch((error) => {
        throw unreadable(file.path, error);
      });
    return {
      embeddings,
      paths: texts(facts.path, rows).map((path, i) => path ?? String(first + i + 1)),
      sets: texts(facts.set, rows),
      classes: texts(facts.class, rows),
      widths: facts.width ?? null,
      heights: facts.height ?? null,
    };
  }
}

/** Reads one stretch while another is looked at. */
export async function* ahead<S, T>(
  stretches: Iterable<S>,
  read: (stretch: S) => Promise<T>,
): AsyncGenerator<[stretch: S, content: T]> {
  let coming: [S, Promise<T>] | undefined;
  for (const stretch of stretches) {
    const content = read(stretch);
    // Whoever stops before it is awaited has a reason of his own.
    content.catch(() => {});
    if (coming !== undefined) yield [coming[0], await coming[1]];
    coming = [stretch, content];
  }
  if (coming !== undefined) yield [coming[0], await coming[1]];
}

/** More rows are no arrays of JavaScript's that anybody waits for. */
const MOST_ROWS = 1 << 22;
/** What a row takes in memory beside its numbers, and how often those are there. */
const BYTES_A_ROW = 800;
const BYTES_A_NUMBER = 12;

/** What a table would take in memory while it is clustered, in bytes: a rough estimate. */
export function memoryOf({ rows, dims }: Pick<StreamedTable, "rows" | "dims">): number {
  return rows * (BYTES_A_ROW + BYTES_A_NUMBER * dims);
}

/** Half of what this process may use, in bytes. */
export function defaultMemory(): number {
  const limit = constrainedMemory();
  // Without a limit some systems say 0, others a number beyond any memory.
  return (limit > 0 ? Math.min(limit, totalmem()) : totalmem()) / 2;
}

/** Whether a table is better read a stretch at a time, `memory` being the bytes it may take. */
export function isLarge(table: Pick<StreamedTable, "rows" | "dims">, memory: number): boolean {
  return table.rows > MOST_ROWS || memoryOf(table) > memory;
}
