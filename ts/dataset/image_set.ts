/** A set of images, wherever they come from. */
import type { ImageSource, SetPart } from "../addon/types.js";

export type { SetPart };

/** Images that are files, or lie in containers. */
export type FileSource = Extract<ImageSource, { files: string[] }>;

/** The images of a set, in an order that stays the same. */
export interface ImageSet {
  source: ImageSource;
  images: number;
  /** Names of the classes that have images; none of a flat folder or images in memory. */
  classes: string[];
  /** For each image, its position in `classes`; empty where there are none. */
  labels: Int32Array;
  /** Images beside the folders of the classes: left out. */
  loose: number;
  /** Files passed over because their names are not those of images. */
  others: number;
  /** By which it is opened again, from any folder; null for images in memory. */
  place: string | null;
  /** The folder from which images are named; of images in memory "". */
  root: string;
}

/** What a set was given as. */
export interface SetArgument {
  name: string;
  /** With which the command line names another. */
  flag?: string;
  /** Weights are an error there. Elsewhere they count in training alone. */
  refusesWeights?: boolean;
}
