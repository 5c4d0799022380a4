/** Containers as a set: shards, zip files and what else holds many images. */
import { dirname } from "node:path";
import type { ContainerListing } from "../addon/types.js";
import { areSameClasses, byBytes, type Classes, classesOfFolders } from "./classes.js";
import type { ImageSet } from "./image_set.js";
import { commonFolder } from "./roots.js";

/** A container that was opened. */
export interface OpenedContainer {
  /** Absolute. */
  place: string;
  listing: ContainerListing;
}

/** What the containers name; null unless it is of every image. */
function namedClasses(containers: readonly OpenedContainer[]): Classes | null {
  if (containers.some(({ listing }) => listing.labels.some((label) => label < 0))) return null;
  const names = [...new Set(containers.flatMap(({ listing }) => listing.classes))].sort(byBytes);
  const positions = new Map(names.map((name, i) => [name, i]));
  const images = containers.reduce((sum, { listing }) => sum + listing.labels.length, 0);
  const labels = new Int32Array(images);
  let at = 0;
  for (const { listing } of containers) {
    const here = listing.classes.map((name) => positions.get(name) as number);
    for (const label of listing.labels) labels[at++] = here[label] as number;
  }
  return { kept: null, names, labels, loose: 0 };
}

/** Names that say something are preferred to numbers that stand for them. */
function classesOf(containers: readonly OpenedContainer[], files: readonly string[]): Classes {
  const named = namedClasses(containers);
  if (named?.names.some((name) => !/^\d+$/.test(name))) return named;
  const starts = new Int32Array(files.length);
  let at = 0;
  for (const { place, listing } of containers) {
    starts.fill(place.length + 1, at, at + listing.files.length);
    at += listing.files.length;
  }
  const folders = classesOfFolders(files, starts);
  if (named === null) return folders;
  return areSameClasses(named, folders) ? folders : named;
}

/** Several containers as one set, in the order given. */
export function containerSet(containers: readonly OpenedContainer[]): ImageSet {
  const all = containers.flatMap(({ listing }) => listing.files);
  const { kept, names, labels, loose } = classesOf(containers, all);
  const files = kept === null ? all : kept.map((i) => all[i] as string);
  return {
    source: { files },
    images: files.length,
    classes: names,
    labels,
    loose,
    others: containers.reduce((sum, { listing }) => sum + listing.others, 0),
    place: null,
    root: commonFolder(containers.map(({ place }) => dirname(place))),
  };
}
