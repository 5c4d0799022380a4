/** Reads tables of embeddings: this program's, and others that have a column of them. */
import { createReadStream } from "node:fs";
import { readdir, readFile, stat } from "node:fs/promises";
import { extname, join } from "node:path";
import { createInterface } from "node:readline";
import { parse } from "csv-parse";
import { parquetRead } from "hyparquet";
import { configError, dataError, FlexaeError, systemReason } from "../addon/errors.js";
import { openParquet, originIn } from "./read.js";
import { type EmbeddingTable, isSameSpace, type TableOrigin } from "./table.js";

/** By which other programs call the column of paths, and that of embeddings. */
export const PATH_NAMES = ["path", "filename", "file", "filepath", "image", "id"];
export const EMBEDDING_NAMES: readonly string[] = ["embedding", "embeddings", "vector", "features"];

/** What a row has besides its embedding; what is missing is undefined, null or "". */
interface RowFacts {
  path?: unknown;
  set?: unknown;
  class?: unknown;
  loss?: unknown;
  width?: unknown;
  height?: unknown;
  bytes?: unknown;
  sha256?: unknown;
}

const NUMBERS = ["loss", "width", "height", "bytes"] as const;
/** Columns that are read where there are any, besides paths and embeddings. */
const FACTS = ["set", "class", ...NUMBERS, "sha256"] as const;

/** Whether a column of a CSV file has one number of each embedding. */
export const isNumberOfEmbedding = (name: string) => /^(embedding_|dim_|)\d+$/.test(name);

const given = (value: unknown) => value !== undefined && value !== null && value !== "";

/** Gathers rows; every embedding must be as long as the first. */
class Builder {
  readonly #path: string;
  #dims = 0;
  #chunks: Float32Array[] = [];
  #filled = 0;
  readonly paths: string[] = [];
  readonly sets: (string | null)[] = [];
  readonly classes: (string | null)[] = [];
  readonly sha256: (string | null)[] = [];
  readonly #numbers = {
    loss: [] as number[],
    width: [] as number[],
    height: [] as number[],
    bytes: [] as number[],
  };

  constructor(path: string) {
    this.#path = path;
  }

  get rows(): number {
    return this.paths.length;
  }

  add(embedding: ArrayLike<unknown>, facts: RowFacts): void {
    const row = this.rows;
    if (this.#dims === 0) this.#dims = embedding.length;
    const dims = this.#dims;
    if (dims === 0 || embedding.length !== dims) {
      throw dataError(
        `${this.#path} cannot be used: the embedding of row ${row + 1} has ${embedding.length} numbers, and that of row 1 has ${dims}`,
      );
    }
    let chunk = this.#chunks.at(-1);
    if (chunk === undefined || this.#filled === chunk.length) {
      chunk = new Float32Array(Math.max(1, Math.floor((1 << 20) / dims)) * dims);
      this.#chunks.push(chunk);
      this.#filled = 0;
    }
    for (let i = 0; i < dims; i++) {
      const value = Number(embedding[i]);
      if (!Number.isFinite(value) || embedding[i] === null) {
        throw dataError(
          `${this.#path} cannot be used: the embedding of row ${row + 1} holds ${String(embedding[i])}`,
        );
      }
      chunk[this.#filled++] = value;
    }
    this.paths.push(given(facts.path) ? String(facts.path) : String(row + 1));
    this.sets.push(given(facts.set) ? String(facts.set) : null);
    this.classes.push(given(facts.class) ? String(facts.class) : null);
    this.sha256.push(given(facts.sha256) ? String(facts.sha256) : null);
    for (const name of NUMBERS) {
      const value = facts[name];
      this.#numbers[name].push(given(value) ? Number(value) : Number.NaN);
    }
  }

  /** A column of which every row has a number; null otherwise. */
  #column<T>(name: (typeof NUMBERS)[number], make: (values: number[]) => T): T | null {
    const values = this.#numbers[name];
    return values.every(Number.isFinite) ? make(values) : null;
  }

  finish(origin: TableOrigin | null): EmbeddingTable {
    if (this.rows === 0) throw dataError(`${this.#path} holds no embeddings`);
    const embeddings = new Float32Array(this.rows * this.#dims);
    let at = 0;
    for (const [i, chunk] of this.#chunks.entries()) {
      const whole = i < this.#chunks.length - 1;
      const part = whole ? chunk : chunk.subarray(0, this.#filled);
      embeddings.set(part, at);
      at += part.length;
    }
    const { paths, sets, classes, sha256 } = this;
    const ints = (values: number[]) => Int32Array.from(values);
    return {
      path: this.#path,
      dims: this.#dims,
      embeddings,
      paths,
      sets,
      classes,
      losses: this.#column("loss", (values) => Float32Array.from(values)),
      widths: this.#column("width", ints),
      heights: this.#column("height", ints),
      bytes: this.#column("bytes", ints),
      sha256: sha256.every((sum) => sum !== null) ? sha256 : null,
      origin,
    };
  }
}

/** The first known name that is among others. */
export function pick(names: readonly string[], known: readonly string[]): string | undefined {
  return known.find((name) => names.includes(name));
}

/** The class that a path's folder is; null without one. */
function folderOf(path: unknown): string | null {
  const at = String(path ?? "").lastIndexOf("/");
  return at > 0 ? String(path).slice(0, at) : null;
}

async function addParquet(builder: Builder, path: string): Promise<TableOrigin | null> {
  const { file, metadata } = await openParquet(path);
  const names = metadata.schema.map(({ name }) => name);
  const columns = { embedding: pick(names, EMBEDDING_NAMES), path: pick(names, PATH_NAMES) };
  if (columns.embedding === undefined) {
    throw dataError(
      `${path} has no column of embeddings: expected one of ${EMBEDDING_NAMES.join(", ")}`,
    );
  }
  const rest = FACTS.filter((name) => names.includes(name));
  let start = 0;
  // A row group at a time, so that no more lists than that exist at once.
  for (const group of metadata.row_groups) {
    const end = start + Number(group.num_rows);
    const found: Record<string, ArrayLike<unknown>[]> = {};
    await parquetRead({
      file,
      metadata,
      columns: [columns.embedding, ...(columns.path ? [columns.path] : []), ...rest],
      rowStart: start,
      rowEnd: end,
      onChunk: ({ columnName, columnData }) => {
        found[columnName] ??= [];
        found[columnName]?.push(columnData as ArrayLike<unknown>);
      },
    });
    const column = (name: string | undefined) =>
      name === undefined ? [] : (found[name] ?? []).flatMap((data) => Array.from(data));
    const embeddings = column(columns.embedding) as (ArrayLike<unknown> | null)[];
    const paths = column(columns.path);
    const facts = rest.map((name) => [name, column(name)] as const);
    for (const [i, embedding] of embeddings.entries()) {
      const row: RowFacts = { path: paths[i] };
      for (const [name, values] of facts) row[name] = values[i];
      builder.add(embedding ?? [], row);
    }
    start = end;
  }
  return originIn(metadata);
}

async function addCsv(builder: Builder, path: string): Promise<null> {
  const parser = createReadStream(path).pipe(parse({ bom: true }));
  let columns: number[] | undefined;
  let name = -1;
  let facts: (readonly [keyof RowFacts, number])[] = [];
  for await (const record of parser as AsyncIterable<string[]>) {
    if (columns === undefined) {
      columns = record.flatMap((title, i) => (isNumberOfEmbedding(title) ? [i] : []));
      name = record.indexOf(pick(record, PATH_NAMES) ?? "");
      const titles = record;
      facts = FACTS.filter((fact) => titles.includes(fact)).map((fact) => [
        fact,
        titles.indexOf(fact),
      ]);
      if (columns.length === 0) {
        throw dataError(`${path} has no columns of embeddings: expected embedding_0, …`);
      }
      continue;
    }
    const named = name < 0 ? null : (record[name] as string);
    const embedding = columns.map((i) => (record[i] === "" ? null : record[i]));
    const row: RowFacts = { path: named, class: folderOf(named) };
    for (const [fact, i] of facts) row[fact] = record[i];
    builder.add(embedding, row);
  }
  return null;
}

async function addNpy(builder: Builder, path: string): Promise<null> {
  const bytes = await readFile(path);
  const header = bytes.toString("latin1", 0, 10 + (bytes.length >= 10 ? bytes.readUInt16LE(8) : 0));
  const shape = /'shape': \((\d+), (\d+)\)/.exec(header);
  if (!header.startsWith("\x93NUMPY\x01") || shape === null || !/'<f4'.*False/.test(header)) {
    throw dataError(
      `${path} cannot be used: expected an N×D array of little-endian fp32, row-major`,
    );
  }
  const [rows, dims] = [Number(shape[1]), Number(shape[2])];
  if (bytes.length < header.length + 4 * rows * dims) throw dataError(`${path} is cut short`);
  const values = new Float32Array(rows * dims);
  bytes.copy(Buffer.from(values.buffer), 0, header.length);
  const beside = path.replace(/\.npy$/i, ".csv");
  const names: Record<string, string>[] = [];
  if ((await stat(beside).catch(() => null)) !== null) {
    const parser = createReadStream(beside).pipe(parse({ bom: true, columns: true }));
    for await (const record of parser as AsyncIterable<Record<string, string>>) names.push(record);
    if (names.length !== rows) {
      throw dataError(`${beside} names ${names.length} rows, and ${path} has ${rows}`);
    }
  }
  for (let i = 0; i < rows; i++) {
    const row = names[i] ?? {};
    builder.add(values.subarray(i * dims, (i + 1) * dims), {
      ...row,
      path: row[pick(Object.keys(row), PATH_NAMES) ?? ""],
    });
  }
  return null;
}

async function addJsonl(builder: Builder, path: string): Promise<null> {
  for await (const line of createInterface({ input: createReadStream(path) })) {
    if (line.trim() === "") continue;
    let row: Record<string, unknown>;
    try {
      row = JSON.parse(line) as Record<string, unknown>;
    } catch (error) {
      throw dataError(`${path} cannot be used: row ${builder.rows + 1} is no JSON`, error);
    }
    const names = Object.keys(row);
    const embedding = row[pick(names, EMBEDDING_NAMES) ?? ""];
    if (!Array.isArray(embedding)) {
      throw dataError(`${path} cannot be used: row ${builder.rows + 1} has no embedding`);
    }
    builder.add(embedding, { ...row, path: row[pick(names, PATH_NAMES) ?? ""] });
  }
  return null;
}

const READERS: Readonly<
  Record<string, (builder: Builder, path: string) => Promise<TableOrigin | null>>
> = { ".parquet": addParquet, ".csv": addCsv, ".npy": addNpy, ".jsonl": addJsonl };

/** The files of a table, in their order: of a folder, the Parquet files in it. */
export async function filesOf(path: string): Promise<string[]> {
  if (!(await stat(path)).isDirectory()) return [path];
  const names = (await readdir(path)).filter((name) => /^[^.].*\.parquet$/i.test(name)).sort();
  if (names.length === 0) throw dataError(`${path} holds no Parquet files`);
  return names.map((name) => join(path, name));
}

/** What is thrown of a table that cannot be read. */
export function unreadable(path: string, error: unknown): FlexaeError {
  if (error instanceof FlexaeError) return error;
  const { code, message } = error as NodeJS.ErrnoException;
  const reason = code === undefined ? (message.split("\n", 1)[0] as string) : systemReason(error);
  return dataError(`${path} cannot be read: ${reason}`, error);
}

/** What `readTable` of `ts/index.ts` does. */
export async function readTable(path: string): Promise<EmbeddingTable> {
  const builder = new Builder(path);
  try {
    const files = await filesOf(path);
    if (files[0] !== path) {
      let origin: TableOrigin | null = null;
      for (const file of files) {
        const theirs = await addParquet(builder, file);
        if (!isSameSpace(origin, theirs)) {
          throw dataError(`${path} cannot be used: its files are of several models`);
        }
        origin ??= theirs;
      }
      return builder.finish(origin);
    }
    const read = READERS[extname(path).toLowerCase()];
    if (read === undefined) {
      throw configError(
        `Expected a table (${Object.keys(READERS).join(", ")}) or a folder of Parquet files but received ${path}`,
      );
    }
    return builder.finish(await read(builder, path));
  } catch (error) {
    throw unreadable(path, error);
  }
}
