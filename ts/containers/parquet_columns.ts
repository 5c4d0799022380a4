/** Which columns of a Parquet file have images, and what a row of them says. */
import { type FileMetaData, parquetSchema, type SchemaTree } from "hyparquet";
import { dataError } from "../addon/errors.js";

const LABELS = ["label", "labels", "class", "category", "cls", "fine_label"];
const IMAGES = ["image", "img", "images", "bytes", "image_bytes", "jpg", "png", "webp"];
const PATHS = ["path", "file_name", "filename", "file", "name", "__key__"];
const LONGEST_NAME = 1024;

/** Their names in the file. */
export interface Columns {
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

export function findColumns(metadata: FileMetaData, shown: string): Columns {
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
export function imageIn(value: unknown): { bytes: Uint8Array; path: unknown } | undefined {
  if (value instanceof Uint8Array) return { bytes: value, path: undefined };
  if (typeof value !== "object" || value === null) return undefined;
  const { bytes, path } = value as { bytes?: unknown; path?: unknown };
  return bytes instanceof Uint8Array ? { bytes, path } : undefined;
}

export function labelIn(
  value: unknown,
  classes: readonly string[] | undefined,
): string | undefined {
  if (value instanceof Uint8Array) return Buffer.from(value).toString("utf8");
  if (typeof value === "string") return value;
  if (typeof value !== "number" && typeof value !== "bigint") return undefined;
  // Hugging Face writes -1 where the class is not known, as of a set that is to be judged by others.
  if (classes !== undefined && value < 0) return undefined;
  return classes?.[Number(value)] ?? String(value);
}

/** A text, also as bytes. */
export const textIn = (value: unknown): string | undefined =>
  typeof value === "string"
    ? value
    : value instanceof Uint8Array
      ? Buffer.from(value).toString("utf8")
      : undefined;

/** Names that lead out, or are none, give way to the row's number; so does one that is taken. */
export function nameIn(given: string | undefined, fallback: string, taken: Set<string>): string {
  const parts = (given ?? "").split("/").filter((part) => part !== "" && part !== ".");
  const name = parts.join("/");
  const isSound =
    name !== "" && name.length <= LONGEST_NAME && !name.includes("\0") && !parts.includes("..");
  let chosen = isSound ? name : fallback;
  while (taken.has(chosen)) chosen = `${fallback}-${chosen}`;
  taken.add(chosen);
  return chosen;
}
