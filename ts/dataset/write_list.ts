/** Writes a set as a list, from which it is opened again. */
import { stringify } from "csv-stringify/sync";
import { dataError } from "../addon/errors.js";
import { writeFileAtomic } from "../files/atomic.js";
import { shownPath } from "../files/paths.js";
import type { ImageSet } from "./image_set.js";

/** A half of a pair that stands alone: such a path has bytes that are no UTF-8. */
const LONE = /\p{Surrogate}/u;

/**
 * Writes `path,class` of each image, paths absolute.
 *
 * @throws FlexaeError `FLEXAE_DATA` naming an image that no text can name; `FLEXAE_IO`.
 */
export async function writeList(path: string, set: ImageSet): Promise<void> {
  const { files } = set.source as { files: string[] };
  const unnameable = files.find((file) => LONE.test(file));
  if (unnameable !== undefined) {
    throw dataError(
      `${shownPath(unnameable)} has a name that is no UTF-8, which no list can hold: rename it`,
    );
  }
  const hasClasses = set.labels.length > 0;
  const rows = files.map((file, i) =>
    hasClasses ? [file, set.classes[set.labels[i] as number]] : [file],
  );
  await writeFileAtomic(path, stringify([hasClasses ? ["path", "class"] : ["path"], ...rows]));
}
