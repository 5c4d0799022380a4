/** Writes a set as a list, from which it is opened again. */
import { stringify } from "csv-stringify/sync";
import { dataError } from "../addon/errors.js";
import { writeFileAtomic } from "../files/atomic.js";
import { shownPath } from "../files/paths.js";
import type { FileSource, ImageSet, SetPart } from "./image_set.js";

/** A half of a pair that stands alone: such a path has bytes that are no UTF-8. */
const LONE = /\p{Surrogate}/u;

/** Of each image the number of its part, from 0. */
function partNumbers(parts: readonly SetPart[]): number[] {
  return parts.flatMap(({ images }, part) => new Array<number>(images).fill(part));
}

/**
 * Writes `path,class` of each image, paths absolute; of a set with weights `part,weight` as well.
 *
 * @throws FlexaeError `FLEXAE_DATA` naming an image that no text can name; `FLEXAE_IO`.
 */
export async function writeList(path: string, set: ImageSet): Promise<void> {
  const { files, parts } = set.source as FileSource;
  const unnameable = files.find((file) => LONE.test(file));
  if (unnameable !== undefined) {
    throw dataError(
      `${shownPath(unnameable)} has a name that is no UTF-8, which no list can hold: rename it`,
    );
  }
  const numbers = parts === undefined ? [] : partNumbers(parts);
  const hasClasses = set.labels.length > 0;
  const rows = files.map((file, i) => {
    const part = numbers[i];
    return [
      file,
      ...(hasClasses ? [set.classes[set.labels[i] as number]] : []),
      ...(part === undefined ? [] : [part, (parts as SetPart[])[part]?.weight]),
    ];
  });
  const columns = [
    "path",
    ...(hasClasses ? ["class"] : []),
    ...(parts === undefined ? [] : ["part", "weight"]),
  ];
  await writeFileAtomic(path, stringify([columns, ...rows]));
}
