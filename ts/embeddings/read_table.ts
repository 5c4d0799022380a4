/** Reads tables of embeddings: this program's, and others that have a column of them. */
import { createReadStream } from "node:fs";
import { readdir, readFile, stat } from "node:fs/promises";
import { extname, join } from "node:path";
import { createInterface } from "node:readline";
import { parse } from "csv-parse";
import { parquetRead } from "hyparquet";
import { configError, dataError, FlexaeError, systemReason } from "../addon/errors.js";
import { openParquet, originIn } from "./read.js";
import type { TableOrigin } from "./table.js";

/** A table in memory; entry i of each column is of the same image. */
export interface EmbeddingTable {
  /** Where it was read from. */
  path: string;
  /** Numbers an embedding has. */
  dims: number;
  /** N × D. */
  embeddings: Float32Array;
  /** What a row is of: its path, or the row's number where the table does not say. */
  paths: string[];
  /** The folder that paths are relative to; null where the table does not say. */
  sets: (string | null)[];
  /** Null where an image has none, or the table does not say. */
  classes: (string | null)[];
  /** Where it comes from; null for a table that this program did not write. */
  origin: TableOrigin | null;
}

/** By which other programs call the column of paths, and that of embeddings. */
const PATH_NAMES = ["path", "filename", "file", "filepath", "image", "id"];
const EMBEDDING_NAMES = ["embedding", "embeddings", "vector", "features"];

/** Gathers rows; every embedding must be as long as the first. */
class Builder {
  readonly #path: string;
  #dims = 0;
  #chunks: Float32Array[] = [];
  #filled = 0;
  readonly paths: string[] = [];
  readonly sets: (string | null)[] = [];
  readonly classes: (string | null)[] = [];

  constructor(path: string) {
    this.#path = path;
  }

  get rows(): number {
    return this.paths.length;
  }

  add(
    embedding: ArrayLike<unknown>,
    name: unknown,
    set: unknown = null,
    ofClass: unknown = null,
  ): void {
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
    this.paths.push(name === null || name === undefined ? String(row + 1) : String(name));
    this.sets.push(typeof set === "string" ? set : null);
    this.classes.push(typeof ofClass === "string" && ofClass !== "" ? ofClass : null);
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
    const { paths, sets, classes } = this;
    return { path: this.#path, dims: this.#dims, embeddings, paths, sets, classes, origin };
  }
}

function pick(names: readonly string[], known: readonly string[]): string | undefined {
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
  const rest = ["set", "class"].filter((name) => names.includes(name));
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
    const [paths, sets, classes] = [column(columns.path), column("set"), column("class")];
    for (const [i, embedding] of embeddings.entries()) {
      builder.add(embedding ?? [], paths[i], sets[i], classes[i]);
    }
    start = end;
  }
  return originIn(metadata);
}

async function addCsv(builder: Builder, path: string): Promise<null> {
  const parser = createReadStream(path).pipe(parse({ bom: true }));
  let columns: number[] | undefined;
  let name = -1;
  for await (const record of parser as AsyncIterable<string[]>) {
    if (columns === undefined) {
      columns = record.flatMap((title, i) => (/^(embedding_|dim_|)\d+$/.test(title) ? [i] : []));
      name = record.indexOf(pick(record, PATH_NAMES) ?? "");
      if (columns.length === 0) {
        throw dataError(`${path} has no columns of embeddings: expected embedding_0, …`);
      }
      continue;
    }
    const named = name < 0 ? null : (record[name] as string);
    const embedding = columns.map((i) => (record[i] === "" ? null : record[i]));
    builder.add(embedding, named, null, folderOf(named));
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
    const { path: named, filename, set, class: ofClass } = names[i] ?? {};
    builder.add(values.subarray(i * dims, (i + 1) * dims), named ?? filename, set, ofClass);
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
    builder.add(embedding, row[pick(names, PATH_NAMES) ?? ""], row.set, row.class);
  }
  return null;
}

const READERS: Readonly<
  Record<string, (builder: Builder, path: string) => Promise<TableOrigin | null>>
> = { ".parquet": addParquet, ".csv": addCsv, ".npy": addNpy, ".jsonl": addJsonl };

/** What `readTable` of `ts/index.ts` does. */
export async function readTable(path: string): Promise<EmbeddingTable> {
  const builder = new Builder(path);
  try {
    if ((await stat(path)).isDirectory()) {
      const names = (await readdir(path)).filter((name) => /^[^.].*\.parquet$/i.test(name)).sort();
      if (names.length === 0) throw dataError(`${path} holds no Parquet files`);
      let origin: TableOrigin | null = null;
      for (const name of names) {
        const theirs = await addParquet(builder, join(path, name));
        if (origin !== null && theirs?.modelSha256 !== origin.modelSha256) {
          throw dataError(`${path} cannot be used: its files are of several models`);
        }
        origin = theirs;
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
    if (error instanceof FlexaeError) throw error;
    const { code, message } = error as NodeJS.ErrnoException;
    const reason = code === undefined ? (message.split("\n", 1)[0] as string) : systemReason(error);
    throw dataError(`${path} cannot be read: ${reason}`, error);
  }
}
