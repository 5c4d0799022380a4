/** Lists of image files: text, CSV or JSON Lines, told by their content. */
import { readFile } from "node:fs/promises";
import { dirname, resolve } from "node:path";
import { parse } from "csv-parse/sync";
import { dataError } from "../addon/errors.js";

/** A listed image. */
export interface ListedImage {
  /** Absolute path. */
  file: string;
  /** Null where the list names no classes. */
  class: string | null;
  /** Of the part of a set that it is in; null where the list has no parts. */
  part: { name: string; weight: number } | null;
}

/** Columns, or keys, that name the file, and those that name its class; the first there is counts. */
const PATHS = ["path", "file", "filename", "file_name", "image", "image_path"];
const CLASSES = ["class", "label", "category"];

/** As the list has it. */
interface Entry extends Omit<ListedImage, "file"> {
  path: string;
  /** From 1. */
  line: number;
}

/** @returns What the list has under one of the names. */
function fieldOf(row: Readonly<Record<string, unknown>>, names: readonly string[]): unknown {
  const name = names.find((name) => Object.hasOwn(row, name));
  return name === undefined ? undefined : row[name];
}

function partOf(row: Readonly<Record<string, unknown>>, line: number, shown: string) {
  if (row.part === undefined || row.weight === undefined) return null;
  const weight = Number(row.weight);
  if (!(weight > 0) || !Number.isFinite(weight)) {
    throw dataError(`Expected a weight above 0 in line ${line} of ${shown}`);
  }
  return { name: String(row.part), weight };
}

function entryOf(row: Readonly<Record<string, unknown>>, line: number, shown: string): Entry {
  const path = fieldOf(row, PATHS);
  const label = fieldOf(row, CLASSES);
  if (typeof path !== "string" || path === "") {
    throw dataError(
      `${shown} names no file in line ${line}: expected ${PATHS.slice(0, 3).join(", ")} or ${PATHS.at(-2)}`,
    );
  }
  const isNone = label === undefined || label === null || label === "";
  if (!isNone && typeof label !== "string" && typeof label !== "number") {
    throw dataError(`Expected a text or a number for the class in line ${line} of ${shown}`);
  }
  return { path, class: isNone ? null : String(label), part: partOf(row, line, shown), line };
}

function readJsonLines(text: string, shown: string): Entry[] {
  return text.split("\n").flatMap((content, i) => {
    if (content.trim() === "") return [];
    let row: unknown;
    try {
      row = JSON.parse(content);
    } catch {
      throw dataError(`Line ${i + 1} of ${shown} is no JSON, as the first one is`);
    }
    if (typeof row !== "object" || row === null || Array.isArray(row)) {
      throw dataError(`Expected an object in line ${i + 1} of ${shown}`);
    }
    return [entryOf(row as Record<string, unknown>, i + 1, shown)];
  });
}

/** The names in a header; null if the line is none. */
function headerOf(line: string): string[] | null {
  let names: string[];
  try {
    [names = []] = parse(line, { bom: true, trim: true }) as string[][];
  } catch {
    return null;
  }
  return names.some((name) => PATHS.includes(name)) ? names : null;
}

function readCsv(text: string, shown: string): Entry[] {
  let rows: { record: Record<string, string>; info: { lines: number } }[];
  try {
    rows = parse(text, {
      bom: true,
      columns: true,
      trim: true,
      info: true,
      skip_empty_lines: true,
    });
  } catch (error) {
    throw dataError(`${shown} is no CSV file: ${(error as Error).message}`, error);
  }
  return rows.map(({ record, info }) => entryOf(record, info.lines, shown));
}

/** A path a line, and behind a tab its class. */
function readText(text: string): Entry[] {
  return text.split("\n").flatMap((content, i) => {
    const line = content.replace(/\r$/, "");
    if (line.trim() === "") return [];
    const [path = "", label = ""] = line.split("\t", 2);
    return [{ path, class: label === "" ? null : label, part: null, line: i + 1 }];
  });
}

function readEntries(text: string, shown: string): Entry[] {
  const body = text.replace(/^\ufeff/, "");
  if (body.trimStart().startsWith("{")) return readJsonLines(body, shown);
  const first = body.split("\n", 1)[0] as string;
  return headerOf(first) === null ? readText(body) : readCsv(body, shown);
}

/**
 * Reads a list of images. Paths are relative to its folder.
 *
 * @param path - Absolute.
 * @param shown - What the user calls it.
 * @throws FlexaeError `FLEXAE_DATA` naming the line that is wrong.
 */
export async function readList(path: string, shown: string): Promise<ListedImage[]> {
  const bytes = await readFile(path);
  let text: string;
  try {
    text = new TextDecoder("utf-8", { fatal: true }).decode(bytes);
  } catch (error) {
    throw dataError(
      `${shown} is neither a folder nor a list of images: a list is text, CSV or JSON Lines in UTF-8`,
      error,
    );
  }
  if (text.includes("\0")) {
    throw dataError(`${shown} is neither a folder nor a list of images: it is no text`);
  }
  const entries = readEntries(text, shown);
  const labelled = entries.filter((entry) => entry.class !== null).length;
  if (labelled > 0 && labelled < entries.length) {
    const { line } = entries.find((entry) => entry.class === null) as Entry;
    throw dataError(`${shown} names classes, but none in line ${line}: name one in every line`);
  }
  const folder = dirname(path);
  return entries.map(({ path, class: name, part }) => ({
    file: resolve(folder, path),
    class: name,
    part,
  }));
}
