/** What `flexae similar` leaves: a list of matches, and a contact sheet of them. */
import { basename } from "node:path";
import { stringify } from "csv-stringify/sync";
import { MAX_PIXELS } from "../config/parameters.js";
import { writeFileAtomic } from "../files/atomic.js";
import { type Tile, writeContactSheet } from "../imaging/contact_sheet.js";
import { imageOf } from "./row_image.js";
import type { Similar } from "./similar.js";
import type { EmbeddingTable } from "./table.js";

/** Frames the images that were looked for. */
const LOOKED_FOR = [40, 110, 220] as const;
/** Places in a row of the sheet; more matches take more rows. */
const COLUMNS = 11;

/** Writes `image,rank,path,set,class,distance` as CSV, a row a match. */
export async function writeMatches(out: string, found: readonly Similar[]): Promise<void> {
  const records = found.flatMap(({ image, matches }) =>
    matches.map((match, i) => [image, i + 1, match.path, match.set, match.class, match.distance]),
  );
  const header = ["image", "rank", "path", "set", "class", "distance"];
  await writeFileAtomic(out, stringify([header, ...records]));
}

/**
 * Draws each image in a frame, and behind it what is like it.
 *
 * @returns The sheet, how many images are on it, and how many of them could not be read.
 */
export async function writeMatchSheet(
  path: string,
  table: EmbeddingTable,
  found: readonly Similar[],
  signal?: AbortSignal,
): Promise<{ path: string; images: number; unreadable: number }> {
  const most = Math.max(...found.map(({ matches }) => matches.length));
  const columns = Math.min(COLUMNS, most + 1);
  const tiles = found.flatMap(({ image, row, matches }): Tile[] => {
    const asked: Tile = {
      pictures: [row === null ? { file: image } : imageOf(table, row)],
      caption: row === null ? image : table.paths[row],
      border: LOOKED_FOR,
    };
    const like = matches.map(
      (match): Tile => ({
        pictures: [imageOf(table, match.row)],
        caption: `${basename(match.path)} ${match.distance.toPrecision(3)}`,
      }),
    );
    const all = [asked, ...like];
    // The next image begins a row.
    const rest = (columns - (all.length % columns)) % columns;
    return [...all, ...Array.from({ length: rest }, (): Tile => ({ pictures: [] }))];
  });
  const shown = found.length === 1 ? "one image" : `each of ${found.length} images`;
  const bad = await writeContactSheet(
    path,
    { title: `like ${shown}`, note: "framed: what was looked for", tiles },
    { columns, maxPixels: MAX_PIXELS, signal },
  );
  const images = tiles.filter(({ pictures }) => pictures.length > 0).length;
  return { path, images, unreadable: bad.length };
}
