/**
 * Parquet files with images in them, by hyparquet: a column of bytes, or Hugging Face's
 * `image{bytes, path}`. Pages are compressed, so the images are unpacked once.
 */
import {
  type FileMetaData,
  parquetMetadataAsync,
  parquetRead,
  parquetSchema,
  type SchemaTree,
} from "hyparquet";
import { compressors } from "hyparquet-compressors";
import { dataError, isAddonError } from "../addon/errors.js";
import type { ContainerFormat, ListedFile } from "./format.js";
import { extensionOf, parquetMagic } from "./magic.js";
import type { MemberSink } from "./members.js";

const LABELS = ["label", "labels", "class", "category", "cls", "fine_label"];
const IMAGES = ["image", "img", "images", "bytes", "image_bytes", "jpg", "png", "webp"];
const PATHS = ["path", "file_name", "filename", "file", "name", "__key__"];
const LONGEST_NAME = 1024;
/** A row group is in memory as a whole while it is unpacked. */
const MOST_GROUP = 2 ** 31;

interface Columns {
  image: string;
  /** The image's own child that names it, or a column. */
  path: string | undefined;
  label: string | undefined;
  /** Names of the classes that numbers stand for. */
  classes: readonly string[] | undefined;
}

/** Names of Hugging Face's ClassLabel, by which labels are numbers. */
function classNames(metadata: FileMetaData, column: string): string[] | undefined {
  const text = metadata.key_value_metadata?.find(({ key }) => key === "huggingface")?.value;
  if (text === undefined) return undefined;
  try {
    const names = JSON.parse(text)?.info?.features?.[column]?.names;
    const isList = Array.isArray(names) && names.every((name) => typeof name === "string");
    return isList ? names : undefined;
  } catch {
    return undefined;
  }
}

function isBytes(node: SchemaTree | undefined): boolean {
  return node?.element.type === "BYTE_ARRAY" && node.children.length === 0;
}

function findColumns(metadata: FileMetaData, shown: string): Columns {
  const { children } = parquetSchema(metadata);
  const nameOf = (node: SchemaTree) => node.element.name;
  const childrenOf = (node: SchemaTree) => new Map(node.children.map((c) => [nameOf(c), c]));
  const top = new Map(children.map((node) => [nameOf(node), node]));
  const struct = children.find((node) => isBytes(childrenOf(node).get("bytes")));
  const plain = IMAGES.find((name) => isBytes(top.get(name)));
  const image = struct === undefined ? plain : nameOf(struct);
  if (image === undefined) {
    const columns = children.map(nameOf).slice(0, 8).join(", ");
    throw dataError(
      `${shown} has no column of images (image{bytes, path}, or bytes in ${IMAGES.slice(0, 2).join(" or ")}) but ${columns}`,
    );
  }
  const label = LABELS.find((name) => top.get(name)?.children.length === 0);
  return {
    image,
    path: PATHS.find((name) => isBytes(top.get(name))),
    label,
    classes: label === undefined ? undefined : classNames(metadata, label),
  };
}

/** An image's bytes and its name, where the row has one. */
function imageIn(value: unknown): { bytes: Uint8Array; path: unknown } | undefined {
  if (value instanceof Uint8Array) return { bytes: value, path: undefined };
  if (typeof value !== "object" || value === null) return undefined;
  const { bytes, path } = value as { bytes?: unknown; path?: unknown };
  return bytes instanceof Uint8Array ? { bytes, path } : undefined;
}

function labelIn(value: unknown, classes: readonly string[] | undefined): string | undefined {
  if (value instanceof Uint8Array) return Buffer.from(value).toString("utf8");
  if (typeof value === "string") return value;
  if (typeof value !== "number" && typeof value !== "bigint") return undefined;
  // Hugging Face writes -1 where the class is not known, as of a set that is to be judged by others.
  if (classes !== undefined && value < 0) return undefined;
  return classes?.[Number(value)] ?? String(value);
}

const textIn = (value: unknown): string | undefined =>
  typeof value === "string"
    ? value
    : value instanceof Uint8Array
      ? Buffer.from(value).toString("utf8")
      : undefined;

/** Names that lead out, or are none, give way to the row's number; so does one that is taken. */
function nameIn(given: string | undefined, fallback: string, taken: Set<string>): string {
  const parts = (given ?? "").split("/").filter((part) => part !== "" && part !== ".");
  const name = parts.join("/");
  const isSound =
    name !== "" && name.length <= LONGEST_NAME && !name.includes("\0") && !parts.includes("..");
  let chosen = isSound ? name : fallback;
  while (taken.has(chosen)) chosen = `${fallback}-${chosen}`;
  taken.add(chosen);
  return chosen;
}

async function list(file: ListedFile, sink: MemberSink): Promise<void> {
  const { bytes, shown } = file;
  const source = {
    byteLength: bytes.size,
    slice: (start: number, end = bytes.size) => {
      const part = Buffer.from(bytes.read(start, end - start));
      return part.buffer.slice(part.byteOffset, part.byteOffset + part.length) as ArrayBuffer;
    },
  };
  try {
    const metadata = await parquetMetadataAsync(source);
    const { image, path, label, classes } = findColumns(metadata, shown);
    const columns = [image, path, label].filter((name) => name !== undefined);
    const digits = String(Number(metadata.num_rows)).length;
    const taken = new Set<string>();
    let row = 0;
    for (const group of metadata.row_groups) {
      const end = row + Number(group.num_rows);
      if (Number(group.total_byte_size) > MOST_GROUP) {
        throw dataError(`${shown} has a row group of more than 2 GB: write it in smaller ones`);
      }
      let rows: Record<string, unknown>[] = [];
      await parquetRead({
        file: source,
        metadata,
        columns,
        rowStart: row,
        rowEnd: end,
        rowFormat: "object",
        utf8: false,
        compressors,
        onComplete: (read) => {
          rows = read as Record<string, unknown>[];
        },
      });
      for (const value of rows) {
        const number = String(row++).padStart(digits, "0");
        const found = imageIn(value[image]);
        if (found === undefined || found.bytes.length === 0) {
          sink.others++;
          continue;
        }
        const given = textIn(found.path) ?? (path === undefined ? undefined : textIn(value[path]));
        sink.add({
          name: nameIn(given, number + extensionOf(found.bytes), taken),
          offset: file.append(found.bytes),
          length: found.bytes.length,
          label: label === undefined ? undefined : labelIn(value[label], classes),
        });
      }
    }
  } catch (error) {
    if (isAddonError(error)) throw error;
    const reason = (error as Error).message.split("\n", 1)[0]?.slice(0, 120);
    throw dataError(`${shown} is no Parquet file that can be read: ${reason}`, error);
  }
}

export const parquet: ContainerFormat = {
  name: "parquet",
  unpacked: true,
  begins: (head) => parquetMagic(head),
  list,
};
