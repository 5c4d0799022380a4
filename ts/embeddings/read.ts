/** Reads what this program has written. */
import {
  asyncBufferFromFile,
  type FileMetaData,
  parquetMetadataAsync,
  parquetReadObjects,
} from "hyparquet";
import { compressors } from "hyparquet-compressors";
import { dataError } from "../addon/errors.js";
import { ORIGIN_KEY } from "./parquet.js";
import type { EmbeddingRows, TableOrigin } from "./table.js";

/** A Parquet file and its metadata. */
export async function openParquet(path: string) {
  const file = await asyncBufferFromFile(path);
  return { file, metadata: await parquetMetadataAsync(file) };
}

async function openPart(path: string) {
  try {
    return await openParquet(path);
  } catch (error) {
    const reason = (error as Error).message.split("\n", 1)[0];
    throw dataError(`${path} is no Parquet file that can be read: ${reason}`, error);
  }
}

/** What the metadata say of where the table comes from; null if this program did not write it. */
export function originIn(metadata: FileMetaData): TableOrigin | null {
  const entry = metadata.key_value_metadata?.find(({ key }) => key === ORIGIN_KEY);
  if (entry?.value === undefined) return null;
  try {
    return JSON.parse(entry.value) as TableOrigin;
  } catch {
    return null;
  }
}

/** Which images a part holds, and where it comes from; null if this program did not write it. */
export interface PartContent {
  origin: TableOrigin | null;
  images: { path: string; set: string; bytes: number }[];
}

/** @throws FlexaeError `FLEXAE_DATA` if it is damaged. */
export async function readPart(path: string): Promise<PartContent> {
  const { file, metadata } = await openPart(path);
  const origin = originIn(metadata);
  if (origin === null) return { origin, images: [] };
  const rows = await parquetReadObjects({
    file,
    metadata,
    compressors,
    columns: ["path", "set", "bytes"],
  });
  return { origin, images: rows as PartContent["images"] };
}

type Row = {
  path: string;
  set: string;
  class: string | null;
  embedding: number[];
  loss?: number;
  width: number;
  height: number;
  bytes: number;
  sha256?: string;
};

/** All rows of a file that {@link ParquetTable} has written. */
export async function readRows(path: string): Promise<EmbeddingRows> {
  const { file, metadata } = await openPart(path);
  const rows = (await parquetReadObjects({ file, metadata, compressors })) as Row[];
  const dims = rows[0]?.embedding.length ?? 0;
  const embeddings = new Float32Array(rows.length * dims);
  for (const [i, { embedding }] of rows.entries()) embeddings.set(embedding, i * dims);
  const has = (name: keyof Row) => rows[0]?.[name] !== undefined;
  return {
    paths: rows.map((row) => row.path),
    sets: rows.map((row) => row.set),
    classes: rows.map((row) => row.class ?? null),
    embeddings,
    losses: has("loss") ? Float32Array.from(rows, (row) => row.loss as number) : null,
    widths: Int32Array.from(rows, (row) => row.width),
    heights: Int32Array.from(rows, (row) => row.height),
    bytes: Int32Array.from(rows, (row) => row.bytes),
    sha256: has("sha256") ? rows.map((row) => row.sha256 as string) : null,
  };
}
