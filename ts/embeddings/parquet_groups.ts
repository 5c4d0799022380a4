/** A Parquet file of embeddings, a row group at a time. */
import { type FileHandle, open } from "node:fs/promises";
import { type AsyncBuffer, type FileMetaData, parquetRead, parquetReadObjects } from "hyparquet";
import { compressors } from "hyparquet-compressors";
import { dataError } from "../addon/errors.js";
import { type FloatChunk, type FloatLists, floatChunk } from "./parquet_floats.js";
import { openParquet, originIn } from "./read.js";
import { EMBEDDING_NAMES, FACTS, PATH_NAMES, pick, type RowFacts } from "./row_facts.js";
import type { TableOrigin } from "./table.js";

/** What to do about a part that a broken disk or copy has damaged. */
const REPAIR =
  "If flexae embed wrote it, remove it and run that command again, with --append if it had ended: it writes what is missing";

/** Metadata of a file that should be Parquet. */
async function openFile(path: string) {
  try {
    return await openParquet(path);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== undefined) throw error;
    const reason = (error as Error).message.split("\n", 1)[0];
    throw dataError(`${path} cannot be read: ${reason}\n${REPAIR}.`, error);
  }
}

/** How many numbers the first list of a column has; 0 without rows. */
async function lengthOf(
  column: string,
  file: AsyncBuffer,
  metadata: FileMetaData,
): Promise<number> {
  const [group] = metadata.row_groups;
  const facts = group?.columns.find(({ meta_data }) => meta_data?.path_in_schema[0] === column);
  if (group === undefined || facts?.meta_data === undefined) return 0;
  // Where all have as many, that says it, and no row is read.
  const mean = Number(facts.meta_data.num_values) / Number(group.num_rows);
  if (Number.isInteger(mean)) return mean;
  const rows = await parquetReadObjects({
    file,
    metadata,
    compressors,
    columns: [column],
    rowEnd: 1,
  });
  return ((rows[0]?.[column] ?? []) as ArrayLike<unknown>).length;
}

/** A row group. */
export interface ParquetGroup {
  /** Its first row in the file. */
  first: number;
  rows: number;
  /** Where its embeddings lie, if they can be read as they are. */
  chunk: FloatChunk | null;
}

export class ParquetGroups {
  readonly path: string;
  readonly origin: TableOrigin | null;
  readonly groups: readonly ParquetGroup[];
  /** Numbers of the first embedding; 0 of a file without rows. */
  readonly dims: number;
  readonly #embedding: string;
  readonly #facts: readonly (readonly [keyof RowFacts, string])[];

  private constructor(
    path: string,
    metadata: FileMetaData,
    embedding: string,
    facts: readonly (readonly [keyof RowFacts, string])[],
    dims: number,
  ) {
    this.path = path;
    this.dims = dims;
    this.origin = originIn(metadata);
    this.#embedding = embedding;
    this.#facts = facts;
    let first = 0;
    this.groups = metadata.row_groups.map(({ columns, num_rows }) => {
      const column = columns.find(({ meta_data }) => meta_data?.path_in_schema[0] === embedding);
      const group = {
        first,
        rows: Number(num_rows),
        chunk: column?.meta_data === undefined ? null : floatChunk(metadata, column.meta_data),
      };
      first += group.rows;
      return group;
    });
  }

  /** @throws FlexaeError `FLEXAE_DATA` if it is damaged, or has no embeddings. */
  static async open(path: string): Promise<ParquetGroups> {
    const { file, metadata } = await openFile(path);
    const names = metadata.schema.map(({ name }) => name);
    const embedding = pick(names, EMBEDDING_NAMES);
    if (embedding === undefined) {
      throw dataError(
        `${path} has no column of embeddings: expected one of ${EMBEDDING_NAMES.join(", ")}`,
      );
    }
    const named = pick(names, PATH_NAMES);
    const facts = FACTS.filter((name) => names.includes(name)).map((name) => [name, name] as const);
    const own = named === undefined ? [] : ([["path", named]] as const);
    const dims = await lengthOf(embedding, file, metadata);
    return new ParquetGroups(path, metadata, embedding, [...own, ...facts], dims);
  }

  /** Rows of all groups. */
  get rows(): number {
    return this.groups.reduce((sum, { rows }) => sum + rows, 0);
  }

  /**
   * The embeddings of a row group, rows × dims.
   *
   * @param lists - Reads those that can be read as they are: of a table's files the same.
   * @throws FlexaeError `FLEXAE_DATA` naming the row if one is of another length, or a number is not finite.
   */
  async embeddings(index: number, lists: FloatLists): Promise<Float32Array> {
    const group = this.groups[index] as ParquetGroup;
    const { dims } = this;
    const { chunk } = group;
    let values: Float32Array | null = null;
    if (chunk !== null && chunk.values === dims * group.rows) {
      values = await this.#readFloats(chunk, lists);
    }
    values ??= await this.#readLists(group);
    for (let i = 0; i < values.length; i++) {
      const value = values[i] as number;
      if (value - value === 0) continue;
      throw this.#badNumber(group.first + Math.floor(i / dims), value);
    }
    return values;
  }

  /** What else is known of a row group's rows; columns that the file has not are missing. */
  async facts(index: number): Promise<Partial<Record<keyof RowFacts, ArrayLike<unknown>>>> {
    const group = this.groups[index] as ParquetGroup;
    if (this.#facts.length === 0) return {};
    const columns = await this.#read(
      group,
      this.#facts.map(([, column]) => column),
    );
    return Object.fromEntries(this.#facts.map(([name, column]) => [name, columns(column)]));
  }

  async #readFloats(chunk: FloatChunk, lists: FloatLists): Promise<Float32Array | null> {
    const bytes = new Uint8Array(chunk.length);
    let file: FileHandle | undefined;
    try {
      file = await open(this.path);
      const { bytesRead } = await file.read(bytes, 0, chunk.length, chunk.offset);
      if (bytesRead < chunk.length)
        throw dataError(`${this.path} cannot be read: it is cut short\n${REPAIR}.`);
    } finally {
      await file?.close();
    }
    return lists.read(bytes, chunk);
  }

  async #readLists(group: ParquetGroup): Promise<Float32Array> {
    const { dims } = this;
    const rows = (await this.#read(group, [this.#embedding]))(this.#embedding);
    const values = new Float32Array(group.rows * dims);
    for (let i = 0; i < group.rows; i++) {
      const list = (rows[i] ?? []) as ArrayLike<unknown>;
      if (list.length !== dims) {
        throw dataError(
          `${this.path} cannot be used: the embedding of row ${group.first + i + 1} has ${list.length} numbers, and that of row 1 has ${dims}`,
        );
      }
      for (let d = 0; d < dims; d++) {
        const value = list[d];
        if (value === null || value === undefined) throw this.#badNumber(group.first + i, value);
        values[i * dims + d] = Number(value);
      }
    }
    return values;
  }

  /** Columns of a row group, by name. */
  async #read({ first, rows }: ParquetGroup, columns: readonly string[]) {
    const { file, metadata } = await openFile(this.path);
    const found: Record<string, ArrayLike<unknown>[]> = {};
    await parquetRead({
      file,
      metadata,
      compressors,
      columns: [...columns],
      rowStart: first,
      rowEnd: first + rows,
      onChunk: ({ columnName, columnData }) => {
        found[columnName] ??= [];
        found[columnName]?.push(columnData as ArrayLike<unknown>);
      },
    });
    return (name: string): ArrayLike<unknown> => {
      const chunks = found[name] ?? [];
      return chunks.length === 1
        ? (chunks[0] as ArrayLike<unknown>)
        : chunks.flatMap((data) => Array.from(data));
    };
  }

  #badNumber(row: number, value: unknown): Error {
    return dataError(
      `${this.path} cannot be used: the embedding of row ${row + 1} holds ${String(value)}`,
    );
  }
}
