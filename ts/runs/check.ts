/** What a training would meet in a folder of images, found out without training. */
import { resolve } from "node:path";
import { dataError } from "../addon/errors.js";
import { awaitAddon } from "../addon/loader.js";
import type { Examination, FolderScan } from "../addon/types.js";
import { toLoadOptions } from "../config/data.js";
import type { Settings } from "../config/resolve.js";
import type { ListingProgress } from "../containers/listing.js";
import { openSet } from "../dataset/open_set.js";

/** Below this deviation of its pixels, 1 % of the way from black to white, an image is nearly blank. */
export const BLANK_DEVIATION = 2.55;

/** Widths to heights that differ by more than this factor from the usual are odd. */
export const ODD_ASPECT = 2;

/** So are images of this many times more or fewer pixels than usual: four times as wide and high. */
export const ODD_AREA = 16;

/** And images that would be enlarged more than this. */
export const ODD_ENLARGEMENT = 2;

/** Widths to heights may differ by this factor from `imageShape`'s before that is worth saying. */
const STRETCHED = 1.25;

/** A chunk of images takes about so long: an abort has to wait for one. */
const CHUNK_MS = 300;
const LARGEST_CHUNK = 4096;

/** Which settings a check looks at. */
export type CheckSettings = Pick<
  Settings,
  "imageShape" | "channels" | "interpolation" | "workers" | "cache" | "max_bad" | "max_pixels"
>;

/** How a check is watched and ended. */
export interface CheckOptions {
  /** Ends the check after the images under way; it then rejects with the signal's reason. */
  signal?: AbortSignal | undefined;
  /** Called now and then. */
  onProgress?: ((done: number, total: number) => void) | undefined;
  /** Called now and then before that, where it takes longer than a second to list the set. */
  onListing?: ((listing: ListingProgress) => void) | undefined;
}

/** An image that is not like the others. Files are absolute paths. */
export interface OddImage {
  /** Its path. */
  file: string;
  /** In pixels, upright. */
  width: number;
  /** In pixels, upright. */
  height: number;
  /**
   * `aspect`: its width to height is more than twice the usual, or less than half of it. `small`,
   * `large`: 16 times fewer or more pixels than usual. `enlarged`: `imageShape` is more than twice
   * as wide or high, while most images are not as small.
   */
  why: ("aspect" | "small" | "large" | "enlarged")[];
}

/** Counts of a class, or of all. An image may count more than once, but a bad one does not. */
export interface CheckCounts {
  /** All that were looked at. */
  images: number;
  /** Images that cannot be used. */
  bad: number;
  /** Images of the same pixels as an earlier one. */
  duplicate: number;
  /** Images of another shape or size than usual, see {@link OddImage}. */
  odd: number;
  /** Images whose pixels hardly differ. */
  blank: number;
}

/** What {@link checkImages} found. Files are absolute paths. */
export interface CheckReport {
  /** Absolute. */
  folder: string;
  /** Whether a training could use it: some image is good, and no larger share bad than `max_bad`. */
  ok: boolean;
  /** Of all images. */
  counts: CheckCounts;
  /** Empty for a flat folder. */
  classes: (CheckCounts & {
    /** Its folder's. */
    name: string;
  })[];
  /** Medians of the good images; 0 without any. */
  usual: {
    /** In pixels, upright. */
    width: number;
    /** In pixels, upright. */
    height: number;
  };
  /** Images that cannot be used. */
  bad: {
    /** Its path. */
    file: string;
    /** Why, in a few words. */
    reason: string;
  }[];
  /** Groups of images with the same pixels, the earliest first. */
  duplicates: {
    /** Two paths or more. */
    files: string[];
    /** Whether they are of several classes. */
    acrossClasses: boolean;
  }[];
  /** Images of another shape or size than usual. */
  odd: OddImage[];
  /** Images whose pixels hardly differ. */
  blank: {
    /** Its path. */
    file: string;
    /** Standard deviation of pixels in 0…255, of the channel where it is largest: below 2.55. */
    deviation: number;
  }[];
  /** Images beside the folders of the classes: left out. */
  loose: number;
  /** Files passed over because their names are not those of images. */
  others: number;
  /** What may be worth changing about the settings. */
  advice: string[];
}

/** What is known of each image, 20 bytes each; of those that are bad, why. */
class Facts {
  readonly widths: Int32Array;
  readonly heights: Int32Array;
  readonly hashes: BigUint64Array;
  readonly deviations: Float32Array;
  readonly reasons = new Map<number, string>();

  constructor(count: number) {
    this.widths = new Int32Array(count);
    this.heights = new Int32Array(count);
    this.hashes = new BigUint64Array(count);
    this.deviations = new Float32Array(count);
  }

  put(from: number, chunk: Examination): void {
    this.widths.set(chunk.widths, from);
    this.heights.set(chunk.heights, from);
    this.hashes.set(chunk.hashes, from);
    this.deviations.set(chunk.deviations, from);
    for (const [i, reason] of chunk.reasons.entries()) {
      if (reason !== null) this.reasons.set(from + i, reason);
    }
  }
}

async function examine(
  files: string[],
  settings: CheckSettings,
  { signal, onProgress }: CheckOptions,
): Promise<Facts> {
  const facts = new Facts(files.length);
  const { channels } = settings;
  let size = 32;
  for (let from = 0; from < files.length; ) {
    signal?.throwIfAborted();
    const chunk = files.slice(from, from + size);
    const began = performance.now();
    facts.put(
      from,
      await awaitAddon((addon) =>
        addon.examineImages(chunk, { channels }, toLoadOptions(settings)),
      ),
    );
    from += chunk.length;
    const fitting = (chunk.length * CHUNK_MS) / Math.max(performance.now() - began, 1);
    size = Math.min(Math.max(Math.round(fitting), 1), 2 * size, LARGEST_CHUNK);
    onProgress?.(from, files.length);
  }
  signal?.throwIfAborted();
  return facts;
}

/** The middle value; the list is sorted. */
function median(values: Float64Array): number {
  values.sort();
  return values[values.length >> 1] ?? 0;
}

function factor(a: number, b: number): number {
  return a > b ? a / b : b / a;
}

function findDuplicates(
  { files, labels }: FolderScan,
  good: Uint32Array,
  facts: Facts,
  count: (index: number) => void,
): CheckReport["duplicates"] {
  const first = new Map<bigint, number>();
  const groups = new Map<number, number[]>();
  for (const i of good) {
    const hash = facts.hashes[i] as bigint;
    const earlier = first.get(hash);
    if (earlier === undefined) {
      first.set(hash, i);
      continue;
    }
    count(i);
    const group = groups.get(earlier);
    if (group === undefined) groups.set(earlier, [earlier, i]);
    else group.push(i);
  }
  return [...groups.values()].map((group) => ({
    files: group.map((i) => files[i] as string),
    acrossClasses: new Set(group.map((i) => labels[i])).size > 1,
  }));
}

/** Tells images that stand out; `usual` is what most are like. */
class Sizes {
  readonly usual: { width: number; height: number };
  readonly advice: string[] = [];
  #area: number;
  #aspect: number;
  #shape: readonly [number, number];
  #mostAreEnlarged: boolean;

  constructor(good: Uint32Array, { widths, heights }: Facts, imageShape: readonly number[]) {
    const of = (value: (w: number, h: number) => number) =>
      median(Float64Array.from(good, (i) => value(widths[i] as number, heights[i] as number)));
    this.usual = { width: of((w) => w), height: of((_, h) => h) };
    this.#area = of((w, h) => w * h);
    this.#aspect = of((w, h) => w / h);
    const [height, width] = imageShape as [number, number];
    this.#shape = [height, width];
    const most = this.#enlargement(this.usual.width, this.usual.height);
    this.#mostAreEnlarged = most > ODD_ENLARGEMENT;
    if (good.length === 0) return;
    const shape = `${height},${width}`;
    if (this.#mostAreEnlarged) {
      this.advice.push(
        `Most images are enlarged ${most.toFixed(1)} times by --image-shape ${shape}: a smaller one trains as well, and faster`,
      );
    }
    if (factor(this.#aspect, width / height) > STRETCHED) {
      this.advice.push(
        `Most images are stretched by --image-shape ${shape}: they are ${this.#aspect.toFixed(2)} times as wide as high`,
      );
    }
  }

  why(width: number, height: number): OddImage["why"] {
    const why: OddImage["why"] = [];
    if (factor(width / height, this.#aspect) > ODD_ASPECT) why.push("aspect");
    if (width * height * ODD_AREA < this.#area) why.push("small");
    if (width * height > this.#area * ODD_AREA) why.push("large");
    if (!this.#mostAreEnlarged && this.#enlargement(width, height) > ODD_ENLARGEMENT) {
      why.push("enlarged");
    }
    return why;
  }

  #enlargement(width: number, height: number): number {
    return Math.max(this.#shape[0] / height, this.#shape[1] / width);
  }
}

function noCounts(): CheckCounts {
  return { images: 0, bad: 0, duplicate: 0, odd: 0, blank: 0 };
}

function report(scan: FolderScan, facts: Facts, settings: CheckSettings): CheckReport {
  const { files, classes, labels } = scan;
  const counts = noCounts();
  const perClass = classes.map((name) => ({ name, ...noCounts() }));
  const count = (index: number, what: keyof CheckCounts) => {
    counts[what]++;
    const mine = perClass[labels[index] as number];
    if (mine !== undefined) mine[what]++;
  };
  const bad: CheckReport["bad"] = [];
  const odd: CheckReport["odd"] = [];
  const blank: CheckReport["blank"] = [];
  const good = new Uint32Array(files.length - facts.reasons.size);
  let last = 0;
  for (const [i, file] of files.entries()) {
    count(i, "images");
    const reason = facts.reasons.get(i);
    if (reason === undefined) good[last++] = i;
    else {
      bad.push({ file, reason });
      count(i, "bad");
    }
  }
  const sizes = new Sizes(good, facts, settings.imageShape);
  for (const i of good) {
    const file = files[i] as string;
    const [width, height] = [facts.widths[i] as number, facts.heights[i] as number];
    const why = sizes.why(width, height);
    if (why.length > 0) {
      odd.push({ file, width, height, why });
      count(i, "odd");
    }
    const deviation = facts.deviations[i] as number;
    if (deviation < BLANK_DEVIATION) {
      blank.push({ file, deviation: Math.round(deviation * 1000) / 1000 });
      count(i, "blank");
    }
  }
  const duplicates = findDuplicates(scan, good, facts, (i) => count(i, "duplicate"));
  return {
    folder: "",
    ok: good.length > 0 && counts.bad <= settings.max_bad * counts.images,
    counts,
    classes: perClass,
    usual: sizes.usual,
    bad,
    duplicates,
    odd,
    blank,
    loose: scan.loose,
    others: scan.others,
    advice: sizes.advice,
  };
}

/**
 * Looks at every image of a folder or a list: which cannot be used, which have the same pixels, which are of odd
 * size, and which are nearly blank. Takes some 200 bytes of memory an image besides what decoding takes.
 *
 * @throws FlexaeError `FLEXAE_DATA` if it cannot be read, or holds nothing with the name of an image.
 */
export async function checkFolder(
  folder: string,
  settings: CheckSettings,
  options: CheckOptions = {},
): Promise<CheckReport> {
  if (folder === "" || folder.includes("\0")) {
    throw dataError("Expected the path of a folder of images to check");
  }
  const path = resolve(folder);
  const set = await openSet(folder, { name: "The set" }, options);
  const files = (set.source as { files: string[] }).files;
  const facts = await examine(files, settings, options);
  return { ...report({ ...set, files }, facts, settings), folder: path };
}
