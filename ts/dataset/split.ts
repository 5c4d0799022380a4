/** A set of images in two: one to train on, and one that validates. */
import { createHash } from "node:crypto";
import { configError } from "../addon/errors.js";
import { pathWithin } from "../files/paths.js";
import type { FileSource, ImageSet, SetPart } from "./image_set.js";

/** Both parts of a set. */
export interface SplitSet {
  train: ImageSet;
  valid: ImageSet;
}

/** Parts as they are once only some of their images are left, by position in order. */
function partsOf(parts: readonly SetPart[], positions: readonly number[]): SetPart[] {
  const left: SetPart[] = [];
  let end = 0;
  let at = 0;
  for (const { images, weight } of parts) {
    end += images;
    const first = at;
    while (at < positions.length && (positions[at] as number) < end) at++;
    // A part of which nothing is left has nothing to be drawn.
    if (at > first) left.push({ images: at - first, weight });
  }
  return left;
}

/** The images at some positions, which are in order. */
function subset(set: ImageSet, positions: readonly number[]): ImageSet {
  const { files, parts } = set.source as FileSource;
  return {
    ...set,
    source: {
      files: positions.map((i) => files[i] as string),
      ...(parts === undefined ? {} : { parts: partsOf(parts, positions) }),
    },
    images: positions.length,
    labels:
      set.labels.length === 0
        ? set.labels
        : Int32Array.from(positions, (i) => set.labels[i] as number),
  };
}

/**
 * Takes a share of each class to validate. Which images these are follows from the seed and from
 * their names, so that a set that grows keeps its parts, but for few.
 *
 * @param share - More than 0 and less than 1.
 * @throws FlexaeError `FLEXAE_CONFIG` if a part would be empty.
 */
export function splitSet(set: ImageSet, share: number, seed: number): SplitSet {
  const { files } = set.source as FileSource;
  const groups = new Map<number, { position: number; rank: Buffer }[]>();
  for (const [position, file] of files.entries()) {
    const name = pathWithin(set.root, file);
    const rank = createHash("sha256").update(`${seed}\0${name}`).digest();
    const label = set.labels[position] ?? 0;
    const group = groups.get(label);
    if (group === undefined) groups.set(label, [{ position, rank }]);
    else group.push({ position, rank });
  }
  const isValid = new Uint8Array(files.length);
  for (const group of groups.values()) {
    group.sort((a, b) => Buffer.compare(a.rank, b.rank) || a.position - b.position);
    const count = Math.round(share * group.length);
    for (const { position } of group.slice(0, count)) isValid[position] = 1;
  }
  const positions = [...files.keys()];
  const valid = positions.filter((i) => isValid[i] === 1);
  const train = positions.filter((i) => isValid[i] === 0);
  if (valid.length === 0 || train.length === 0) {
    const none = valid.length === 0 ? "validates" : "is left to train on";
    throw configError(
      `With valid_split ${share} none of the ${files.length} images ${none}: choose another share, or name a folder with --valid-dir`,
    );
  }
  return { train: subset(set, train), valid: subset(set, valid) };
}
