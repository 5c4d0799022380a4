/** Reads tables of embeddings: this program's, and others that have a column of them. */
import { createReadStream } from "node:fs";
import { readFile, stat } from "node:fs/promises";
import { extname } from "node:path";
import { createInterface } from "node:readline";
import { parse } from "csv-parse";
import { configError, dataError, FlexaeError, systemReason } from "../addon/errors.js";
import { checkJoinable } from "./join_tables.js";
import { FloatLists } from "./parquet_floats.js";
import { ParquetGroups } from "./parquet_groups.js";
import {
  EMBEDDING_NAMES,
  FACTS,
  isGiven,
  NUMBERS,
  PATH_NAMES,
  pick,
  type RowFacts,
} from "./row_facts.js";
import type { EmbeddingTable, TableOrigin } from "./table.js";
import { filesOf } from "./table_files.js";

/** Whether a column of a CSV file has one number of each embedding. */
export const isNumberOfEmbedding = (name: string) => /^(embedding_|dim_|)\d+$/.test(name);

/** A file as far as it must be like the others of its table. */
type Part = Parameters<typeof checkJoinable>[0];

/** Gathers rows; every embedding must be as long as the first. */
class Builder {
  readonly #path: string;
  /** The first file, of a table that has several. */
  #first: Part | undefined;
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

  /** Begins a file of the table. @throws FlexaeError `FLEXAE_DATA` if it is of another model. */
  begin(part: Part): void {
    this.#first ??= part;
    checkJoinable(this.#first, part);
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
    this.paths.push(isGiven(facts.path) ? String(facts.path) : String(row + 1));
    this.sets.push(isGiven(facts.set) ? String(facts.set) : null);
    this.classes.push(isGiven(facts.class) ? String(facts.class) : null);
    this.sha256.push(isGiven(facts.sha256) ? String(facts.sha256) : null);
    for (const name of NUMBERS) {
      const value = facts[name];
      this.#numbers[name].push(isGiven(value) ? Number(value) : Number.NaN);
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

/** The class that a path's folder is; null without one. */
function folderOf(path: unknown): string | null {
  const at = String(path ?? "").lastIndexOf("/");
  return at > 0 ? String(path).slice(0, at) : null;
}

async function addParquet(builder: Builder, path: string): Promise<TableOrigin | null> {
  const file = await ParquetGroups.open(path);
  const { dims, groups } = file;
  const lists = new FloatLists(dims);
  if (file.rows > 0) builder.begin(file);
  for (const [index, { rows }] of groups.entries()) {
    const embeddings = await file.embeddings(index, lists);
    const facts = Object.entries(await file.facts(index));
    for (let i = 0; i < rows; i++) {
      const row: RowFacts = {};
      for (const [name, values] of facts) row[name as keyof RowFacts] = values[i];
      builder.add(embeddings.subarray(i * dims, (i + 1) * dims), row);
    }
  }
  return file.origin;
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
    let origin: TableOrigin | null = null;
    for (const file of files) {
      const read = READERS[extname(file).toLowerCase()];
      if (read === undefined) {
        throw configError(
          `Expected a table (${Object.keys(READERS).join(", ")}) or a folder of Parquet files but received ${file}`,
        );
      }
      const theirs = await read(builder, file).catch((error) => {
        throw unreadable(file, error);
      });
      origin ??= theirs;
    }
    return builder.finish(origin);
  } catch (error) {
    throw unreadable(path, error);
  }
}
