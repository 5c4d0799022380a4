/** Containers as a set: shards, zip files and what else holds many images. */
import { dirname } from "node:path";
import type { ContainerListing } from "../addon/types.js";
import { areSameClasses, type Classes, classesNamed, classesOfFolders } from "./classes.js";
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
  const named: string[] = [];
  for (const { listing } of containers) {
    const { labels, classes } = listing;
    for (const label of labels) {
      if (label < 0) return null;
      named.push(classes[label] as string);
    }
  }
  return classesNamed(named);
}

/** Names that say something are preferred to numbers that stand for them. */
function classesOf(containers: readonly OpenedContainer[]): Classes {
  const named = namedClasses(containers);
  const names = containers.flatMap(({ place, listing }) =>
    listing.files.map((file) => file.slice(place.length + 1)),
  );
  const folders = classesOfFolders(names);
  if (named === null) return folders;
  const areNumbers = named.names.every((name) => /^\d+$/.test(name));
  return areNumbers && areSameClasses(named, folders) ? folders : named;
}

/** Several containers as one set, in the order given. */
export function containerSet(containers: readonly OpenedContainer[]): ImageSet {
  const all = containers.flatMap(({ listing }) => listing.files);
  const { kept, names, labels, loose } = classesOf(containers);
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
