/** A table of embeddings as TensorBoard's projector takes it. */
import { mkdir } from "node:fs/promises";
import { join, resolve } from "node:path";
import { ioError, systemReason, translateError } from "../addon/errors.js";
import { imageOf } from "../embeddings/row_image.js";
import type { EmbeddingTable } from "../embeddings/table.js";
import { writeFileAtomic } from "../files/atomic.js";
import { unicodePath } from "../files/paths.js";
import { StagedFile } from "../files/staged.js";
import { loadOpenCV } from "../imaging/opencv.js";
import { drawSpriteSheet } from "../imaging/sprite_sheet.js";
import { PROJECTOR_FILE } from "../runs/event_folder.js";

/** The projector loads no more rows. */
const MOST_ROWS = 100_000;
/** Nor a larger picture, in pixels a side. */
const MOST_PIXELS = 8192;
/** A thumbnail's side, where there is room. */
const USUAL_SIDE = 64;
/** Rows that become text at once. */
const ROWS_AT_ONCE = 1000;

/** How a table is written. */
export interface ProjectorOptions {
  /** `false`: without thumbnails. */
  thumbnails?: boolean | undefined;
  /** Where paths of images begin that are not absolute; the current folder unless given. */
  imageDir?: string | undefined;
  /** Images of more pixels have no thumbnail. */
  maxPixels: number;
  signal?: AbortSignal | undefined;
}

/** What was written. */
export interface Projection {
  /** Rows that the projector gets. */
  rows: number;
  /** Pixels a side of a thumbnail; 0 without thumbnails. */
  side: number;
  /** Images that could not be read, and so have an empty thumbnail. */
  unreadable: number;
  /** What is missing, and why. */
  problems: string[];
}

/** One line of a file of tabs: what would end a cell or a line is written as in JSON. */
export function tsvCell(value: string): string {
  const known: Readonly<Record<string, string>> = { "\t": "\\t", "\n": "\\n", "\r": "\\r" };
  // Readers take more for the end of a line than a line feed.
  return unicodePath(value).replace(/[\p{Control}\u2028\u2029]/gu, (control) => {
    const code = control.charCodeAt(0).toString(16).padStart(4, "0");
    return known[control] ?? `\\u${code}`;
  });
}

/** Rows that are written: all, or as many as can be, evenly spaced. */
export function shownRows(rows: number, most: number = MOST_ROWS): number[] {
  const count = Math.min(rows, most);
  return Array.from({ length: count }, (_, i) => Math.floor((i * rows) / count));
}

/**
 * The largest thumbnails of which so many fit into the picture.
 *
 * @param largest - The longest side of any image: more is not needed.
 */
export function spriteLayout(
  rows: number,
  largest: number = USUAL_SIDE,
): { side: number; columns: number } {
  const columns = Math.ceil(Math.sqrt(rows));
  return { side: Math.min(USUAL_SIDE, largest, Math.floor(MOST_PIXELS / columns)), columns };
}

/** Columns of which any row has a value. */
function metadataColumns(table: EmbeddingTable): [string, (row: number) => string][] {
  const { paths, classes, sets, losses } = table;
  const texts = (values: readonly (string | null)[]) => (row: number) => values[row] ?? "";
  const columns: [string, (row: number) => string][] = [["path", texts(paths)]];
  if (classes.some((name) => name !== null)) columns.push(["class", texts(classes)]);
  if (sets.some((name) => name !== null)) columns.push(["set", texts(sets)]);
  if (losses !== null) columns.push(["loss", (row) => String(losses[row])]);
  return columns;
}

/** A number in single precision, in no more digits than tell it from others. */
const singleText = (value: number) => String(Number(value.toPrecision(9)));

async function writeLines(
  path: string,
  header: string,
  rows: readonly number[],
  line: (row: number) => string,
): Promise<void> {
  const file = await StagedFile.create(path);
  try {
    await file.append(header);
    for (let from = 0; from < rows.length; from += ROWS_AT_ONCE) {
      const some = rows.slice(from, from + ROWS_AT_ONCE);
      await file.append(some.map((row) => `${line(row)}\n`).join(""));
    }
    await file.finish();
  } catch (error) {
    await file.abandon();
    throw error;
  }
}

/** A picture of all images, under a name that says what it is; null if none can be read. */
async function writeSprite(
  out: string,
  table: EmbeddingTable,
  rows: readonly number[],
  { imageDir = ".", maxPixels, signal }: ProjectorOptions,
): Promise<{ name: string; side: number; unreadable: number } | null> {
  const images = rows.map((row) => {
    const { file, size } = imageOf(table, row);
    return { file: resolve(imageDir, file), size };
  });
  const largest = images.reduce(
    (most, { size }) => Math.max(most, size?.width ?? USUAL_SIDE, size?.height ?? USUAL_SIDE),
    1,
  );
  const { side, columns } = spriteLayout(rows.length, largest);
  const { image, sizes } = await drawSpriteSheet(images, { side, columns, maxPixels, signal });
  const unreadable = rows.reduce((sum, _, i) => sum + (sizes[2 * i] === 0 ? 1 : 0), 0);
  if (unreadable === rows.length) return null;
  const name = image[0] === 0x89 ? "sprite.png" : "sprite.jpg";
  await writeFileAtomic(join(out, name), image);
  return { name, side, unreadable };
}

/**
 * Writes a table for the projector into a folder, which TensorBoard must find: as its `--logdir`
 * itself, or with event files in it.
 *
 * @throws FlexaeError `FLEXAE_IO`. Rejects with the reason of an aborted signal.
 */
export async function writeProjection(
  out: string,
  table: EmbeddingTable,
  options: ProjectorOptions,
): Promise<Projection> {
  const { embeddings, dims, paths } = table;
  const problems: string[] = [];
  try {
    await mkdir(out, { recursive: true });
  } catch (error) {
    throw ioError(`${out} cannot be written: ${systemReason(error)}`, error);
  }
  const rows = shownRows(paths.length);
  if (rows.length < paths.length) {
    problems.push(
      `The projector loads ${rows.length} rows at most: of ${paths.length} as many were taken, ` +
        "evenly spaced",
    );
  }
  let sprite: Awaited<ReturnType<typeof writeSprite>> = null;
  if (options.thumbnails !== false) {
    try {
      loadOpenCV();
      sprite = await writeSprite(out, table, rows, options);
      if (sprite === null) {
        problems.push(
          "There are no thumbnails, as no image can be read: " +
            "paths begin in the current folder, or where --image-dir says",
        );
      }
    } catch (error) {
      options.signal?.throwIfAborted();
      problems.push(`The thumbnails could not be made: ${translateError(error).message}`);
    }
  }
  // Not as plain floats: TensorBoard takes those for text where their bytes happen to be some.
  await writeLines(join(out, "tensors.tsv"), "", rows, (row) =>
    Array.from(embeddings.subarray(row * dims, (row + 1) * dims), singleText).join("\t"),
  );
  const columns = metadataColumns(table);
  const names = columns.map(([name]) => name);
  // A single column has no header.
  const header = columns.length === 1 ? "" : `${names.join("\t")}\n`;
  await writeLines(join(out, "metadata.tsv"), header, rows, (row) =>
    columns.map(([, value]) => tsvCell(value(row))).join("\t"),
  );
  const lines = [
    "embeddings {",
    '  tensor_name: "embeddings"',
    '  tensor_path: "tensors.tsv"',
    '  metadata_path: "metadata.tsv"',
  ];
  if (sprite !== null) {
    lines.push(
      "  sprite {",
      `    image_path: "${sprite.name}"`,
      `    single_image_dim: [${sprite.side}, ${sprite.side}]`,
      "  }",
    );
  }
  // Last, as it names the others.
  await writeFileAtomic(join(out, PROJECTOR_FILE), `${[...lines, "}"].join("\n")}\n`);
  return {
    rows: rows.length,
    side: sprite?.side ?? 0,
    unreadable: sprite?.unreadable ?? 0,
    problems,
  };
}
