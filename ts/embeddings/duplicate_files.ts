/** What `flexae duplicates` leaves: a list of the groups, and a contact sheet of them. */
import { basename } from "node:path";
import { stringify } from "csv-stringify/sync";
import { MAX_PIXELS } from "../config/parameters.js";
import { writeFileAtomic } from "../files/atomic.js";
import { type Tile, writeContactSheet } from "../imaging/contact_sheet.js";
import type { DuplicateGroup } from "./duplicates.js";
import { imageOf } from "./row_image.js";
import type { EmbeddingTable } from "./table.js";

/** Frames groups whose files are the same, and others. */
const FRAMES = { exact: [200, 40, 40], near: [240, 150, 30] } as const;
const COLUMNS = 10;

/** Writes `group,kind,keep,path,set,class,distance,copy_of` as CSV, a row an image. */
export async function writeGroups(
  out: string,
  { paths, sets, classes }: EmbeddingTable,
  groups: readonly DuplicateGroup[],
): Promise<void> {
  const records = groups.flatMap(({ kind, rows, distances, copyOf }, group) =>
    rows.map((row, i) => {
      const original = copyOf[i] ?? null;
      const copied = original === null ? null : paths[original];
      return [group, kind, i === 0, paths[row], sets[row], classes[row], distances[i], copied];
    }),
  );
  const header = ["group", "kind", "keep", "path", "set", "class", "distance", "copy_of"];
  const cast = { boolean: (value: boolean) => String(value) };
  await writeFileAtomic(out, stringify([header, ...records], { cast }));
}

/**
 * Draws the first of the groups, each beginning a line, with the image to keep in front.
 *
 * @param most - Images that are shown.
 * @returns The sheet, how many images are on it, and how many of them could not be read.
 */
export async function writeGroupSheet(
  path: string,
  table: EmbeddingTable,
  groups: readonly DuplicateGroup[],
  { images: most = 100, signal }: { images?: number | undefined; signal?: AbortSignal } = {},
): Promise<{ path: string; images: number; unreadable: number }> {
  const tiles: Tile[] = [];
  let [images, shown] = [0, 0];
  for (const { kind, rows, distances } of groups) {
    if (images >= most) break;
    shown += 1;
    for (const [i, row] of rows.slice(0, most - images).entries()) {
      const distance = i === 0 ? "" : ` ${(distances[i] as number).toPrecision(2)}`;
      tiles.push({
        pictures: [imageOf(table, row)],
        caption: `${basename(table.paths[row] as string)}${distance}`,
        border: i === 0 ? FRAMES[kind] : undefined,
      });
      images += 1;
    }
    while (tiles.length % COLUMNS !== 0) tiles.push({ pictures: [] });
  }
  const all = shown < groups.length ? `the first ${shown} of ${groups.length}` : `${shown}`;
  const bad = await writeContactSheet(
    path,
    {
      title: `${all} ${groups.length === 1 ? "group" : "groups"} of duplicates`,
      note: "framed: the one to keep; red: files are the same",
      tiles,
    },
    { columns: COLUMNS, maxPixels: MAX_PIXELS, signal },
  );
  return { path, images, unreadable: bad.length };
}
