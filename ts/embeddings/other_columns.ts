/** Columns of tables whatever they mean: what other commands and programs say of images. */
import { createReadStream } from "node:fs";
import { extname, resolve } from "node:path";
import { createInterface } from "node:readline";
import { parse } from "csv-parse";
import { parquetReadObjects } from "hyparquet";
import { compressors } from "hyparquet-compressors";
import { configError, dataError } from "../addon/errors.js";
import { openParquet } from "./read.js";
import { isNumberOfEmbedding, unreadable } from "./read_table.js";
import { PATH_NAMES, pick } from "./row_facts.js";
import type { EmbeddingTable } from "./table.js";
import { filesOf } from "./table_files.js";

/** A column. */
export interface NamedColumn {
  name: string;
  /** A row each: all numbers or all text; null where a row has nothing. */
  values: (string | number | null)[];
}

type Value = string | number | null;
type Row = Readonly<Record<string, unknown>>;

/** Rows of a file that are looked at together. */
const ROWS_AT_ONCE = 50_000;

/** A value of one row; undefined for what is no single number or text. */
function plain(value: unknown): Value | undefined {
  switch (typeof value) {
    case "string":
      return value === "" ? null : value;
    case "number":
      return Number.isFinite(value) ? value : null;
    case "bigint":
      return Number.isSafeInteger(Number(value)) ? Number(value) : String(value);
    case "boolean":
      return String(value);
    case "undefined":
      return null;
    default:
      if (value === null) return null;
      return value instanceof Date ? value.toISOString() : undefined;
  }
}

/** Gathers columns row by row; one that somewhere holds a list is left out. */
class Columns {
  readonly #columns = new Map<string, Value[]>();
  /** Left out: those that are not wanted, and lists. */
  readonly #out: Set<string>;
  #rows = 0;

  constructor(unwanted: readonly string[]) {
    this.#out = new Set(unwanted);
  }

  isWanted(name: string): boolean {
    return !this.#out.has(name) && !isNumberOfEmbedding(name);
  }

  add(row: Row): void {
    for (const [name, given] of Object.entries(row)) {
      if (!this.isWanted(name)) continue;
      const value = plain(given);
      if (value === undefined) {
        this.#out.add(name);
        this.#columns.delete(name);
        continue;
      }
      let column = this.#columns.get(name);
      if (column === undefined) {
        column = [];
        this.#columns.set(name, column);
      }
      while (column.length < this.#rows) column.push(null);
      column.push(value);
    }
    this.#rows++;
  }

  finish(): NamedColumn[] {
    return [...this.#columns].flatMap(([name, values]) => {
      while (values.length < this.#rows) values.push(null);
      const known = values.filter((value) => value !== null);
      if (known.length === 0) return [];
      // A CSV file has text alone, which may be meant as numbers. What names images never is.
      const numeric = !NAMES.includes(name) && known.every(isNumber);
      const of = (value: Value) => (value === null ? null : numeric ? Number(value) : `${value}`);
      return [{ name, values: values.map(of) }];
    });
  }
}

/** Columns that name images, and are text whatever is in them. */
const NAMES: readonly string[] = [...PATH_NAMES, "set"];

/** Whether a text is a number that is no other one when it is written again: 007 is a name. */
function isNumber(value: string | number): boolean {
  if (typeof value === "number") return true;
  const number = Number(value);
  const isWhole = /^\s*[+-]?\d+\s*$/.test(value);
  if (value.trim() === "" || /^\s*[+-]?0\d/.test(value)) return false;
  return isWhole ? Number.isSafeInteger(number) : Number.isFinite(number);
}

async function addParquet(columns: Columns, path: string): Promise<void> {
  const { file, metadata } = await openParquet(path);
  const { schema, num_rows } = metadata;
  // Of a list, the schema has the list's own entry, which has children, and those below it.
  const names: string[] = [];
  for (let i = 1; i < schema.length; i++) {
    const { name, num_children = 0 } = schema[i] as (typeof schema)[number];
    if (num_children === 0 && columns.isWanted(name)) names.push(name);
    for (let below = num_children; below > 0; below--) {
      i++;
      below += schema[i]?.num_children ?? 0;
    }
  }
  if (names.length === 0) return;
  const rows = Number(num_rows);
  for (let from = 0; from < rows; from += ROWS_AT_ONCE) {
    const rowEnd = Math.min(rows, from + ROWS_AT_ONCE);
    const part = await parquetReadObjects({
      compressors,
      file,
      metadata,
      columns: names,
      rowStart: from,
      rowEnd,
    });
    for (const row of part) columns.add(row);
  }
}

async function addCsv(columns: Columns, path: string): Promise<void> {
  const parser = createReadStream(path).pipe(parse({ bom: true, columns: true }));
  for await (const row of parser as AsyncIterable<Row>) columns.add(row);
}

async function addJsonl(columns: Columns, path: string): Promise<void> {
  for await (const line of createInterface({ input: createReadStream(path) })) {
    if (line.trim() !== "") columns.add(JSON.parse(line) as Row);
  }
}

const READERS: Readonly<Record<string, (columns: Columns, path: string) => Promise<void>>> = {
  ".parquet": addParquet,
  ".csv": addCsv,
  ".jsonl": addJsonl,
};

/**
 * All columns of a table that hold a number or a text a row, in its rows' order. Embeddings are
 * left out, and so is all else that is a list.
 *
 * @param path - A `.parquet`, `.csv` or `.jsonl` file, or a folder of Parquet files.
 * @param unwanted - Names of columns that are passed by.
 * @throws FlexaeError `FLEXAE_DATA` if it cannot be read, `FLEXAE_CONFIG` for another kind of file.
 */
export async function readColumns(
  path: string,
  unwanted: readonly string[] = [],
): Promise<NamedColumn[]> {
  const columns = new Columns(unwanted);
  try {
    for (const file of await filesOf(path)) {
      const read = READERS[extname(file).toLowerCase()];
      if (read === undefined) {
        throw configError(
          `Expected a table with columns (${Object.keys(READERS).join(", ")}) or a folder of Parquet files but received ${path}`,
        );
      }
      await read(columns, file);
    }
  } catch (error) {
    throw unreadable(path, error);
  }
  return columns.finish();
}

function columnOf(
  columns: readonly NamedColumn[],
  names: readonly string[],
): NamedColumn | undefined {
  const name = pick(
    columns.map((column) => column.name),
    names,
  );
  return columns.find((column) => column.name === name);
}

/** Which rows of another file are of the images of a table's. */
export interface SameImages {
  /** Of each row of the table; -1 where there is none. */
  rows: Int32Array;
  /** Columns of the other file that said it. */
  by: string[];
}

/**
 * For each row of a table the row of another file that is of the same image, by its path, and by
 * `set` where both say it.
 *
 * @param file - The name of the other file, for what is thrown.
 * @throws FlexaeError `FLEXAE_DATA` if the file names no images, none of the table's, or one twice.
 */
export function rowsOfSameImages(
  { path, paths, sets }: EmbeddingTable,
  file: string,
  columns: readonly NamedColumn[],
): SameImages {
  const theirs = columnOf(columns, PATH_NAMES);
  if (theirs === undefined) {
    throw dataError(`${file} has no column of paths: expected one of ${PATH_NAMES.join(", ")}`);
  }
  const their = columnOf(columns, ["set"]);
  const isKnown = (set: Value) => set !== null;
  const bySet = their?.values.some(isKnown) === true && sets.some(isKnown);
  const theirSets = bySet ? their.values : [];
  const by = bySet ? [theirs.name, "set"] : [theirs.name];
  // A set may have been named from its own folder or from another one.
  const full = new Map([...new Set([...sets, ...theirSets])].map((set) => [set, fullName(set)]));
  const key = (name: Value, set: Value | undefined) =>
    bySet ? `${full.get(set ?? null)}\0${name}` : `${name}`;
  const keys = theirs.values.map((name, row) => key(name, theirSets[row]));
  const ours = paths.map((name, row) => key(name, sets[row]));
  // Tables of other programs may name images twice; row by row they are still the same.
  if (keys.length === ours.length && keys.every((own, row) => own === ours[row])) {
    return { rows: Int32Array.from(paths.keys()), by };
  }
  const rows = new Map<string, number>();
  for (const [row, own] of keys.entries()) {
    const name = theirs.values[row];
    if (name === null) continue;
    if (rows.has(own)) throw dataError(`${file} names ${name} twice: leave one of the rows out`);
    rows.set(own, row);
  }
  const found = Int32Array.from(ours, (own) => rows.get(own) ?? -1);
  if (!found.some((row) => row >= 0)) {
    const name = (set: Value | undefined, image: Value | undefined) =>
      bySet ? `${image} of ${set}` : image;
    throw dataError(
      `${file} names none of the images of ${path}: it has ${name(theirSets[0], theirs.values[0])}, and the table ${name(sets[0], paths[0])}`,
    );
  }
  return { rows: found, by };
}

const fullName = (set: Value) => (set === null ? "" : resolve(String(set)));
