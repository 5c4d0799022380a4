/** Several sets as one. */
import { classesNamed } from "./classes.js";
import type { ImageSet, SetPart } from "./image_set.js";
import { commonFolder } from "./roots.js";

function classesOf(sets: readonly ImageSet[]): { classes: string[]; labels: Int32Array } {
  // Where one has none, its images belong to nothing that the others name.
  if (sets.some(({ classes }) => classes.length === 0)) {
    return { classes: [], labels: new Int32Array() };
  }
  const { names, labels } = classesNamed(
    sets.flatMap(({ classes, labels }) => Array.from(labels, (label) => classes[label] as string)),
  );
  return { classes: names, labels };
}

/**
 * The images of all, in order. Classes of the same name are one; there are none unless each set has
 * some.
 *
 * @param weights - Of each set; null where all their images are used alike.
 */
export function joinSets(sets: readonly ImageSet[], weights: readonly number[] | null): ImageSet {
  const files = sets.flatMap(({ source }) => (source as { files: string[] }).files);
  const parts: SetPart[] | undefined = weights?.map((weight, i) => ({
    images: (sets[i] as ImageSet).images,
    weight,
  }));
  return {
    source: { files, ...(parts === undefined ? {} : { parts }) },
    images: files.length,
    ...classesOf(sets),
    loose: sets.reduce((sum, { loose }) => sum + loose, 0),
    others: sets.reduce((sum, { others }) => sum + others, 0),
    place: null,
    root: commonFolder(sets.map(({ root }) => root)),
  };
}
