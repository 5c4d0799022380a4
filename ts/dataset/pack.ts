/** Writes sets of images as tar shards in WebDataset's layout. */
import { readdir } from "node:fs/promises";
import { join, sep } from "node:path";
import { configError, dataError, systemReason } from "../addon/errors.js";
import { awaitAddon } from "../addon/loader.js";
import type { ListingProgress } from "../containers/listing.js";
import { extensionOf } from "../containers/magic.js";
import { isImageName } from "../containers/members.js";
import { TarWriter } from "../containers/write_tar.js";
import { writeFileAtomic } from "../files/atomic.js";
import { shownPath, unicodePath } from "../files/paths.js";
import { StagedFolder } from "../files/staged_folder.js";
import { shuffledIndices } from "../random.js";
import type { FileSource, ImageSet } from "./image_set.js";
import { openSet } from "./open_set.js";

/** What is packed, and how. */
export interface PackOptions {
  /** Where the shards go: a folder that is not there yet, or empty. */
  out: string;
  /** A shard is ended when it has so many bytes; 256 MiB unless given. */
  shardBytes?: number | undefined;
  /**
   * Mixes the images, so that shards that are read from front to back give them in no order; with
   * this seed. Left out, they stay in the order of the set.
   */
  shuffleSeed?: number | undefined;
  /** Replaces a folder of shards that is there. */
  overwrite?: boolean | undefined;
  /** Ends it soon, and leaves nothing; it then rejects with the signal's reason. */
  signal?: AbortSignal | undefined;
  /** Called now and then. */
  onProgress?: ((done: number, total: number) => void) | undefined;
  /** Called now and then before that, where it takes longer than a second to list the set. */
  onListing?: ((listing: ListingProgress) => void) | undefined;
  /** Called for each file that cannot be read, and is left out. */
  onBad?: ((file: string, reason: string) => void) | undefined;
}

/** What came of it. */
export interface Packing {
  /** The folder. */
  out: string;
  /** How many files. */
  shards: number;
  /** In all shards. */
  images: number;
  /** Files that could not be read, and were left out. */
  bad: number;
  /** Of all shards. */
  bytes: number;
  /** Names of the classes, by their numbers; empty without any. */
  classes: string[];
}

const SHARD_BYTES = 2 ** 28;
const LEAST_SHARD = 2 ** 16;
const AT_ONCE = 256;
const CLASSES_FILE = "classes.txt";

const isOurs = (name: string) => /^shard-\d{6,}\.tar$/.test(name) || name === CLASSES_FILE;

async function checkOut(out: string, overwrite: boolean): Promise<void> {
  let names: string[];
  try {
    names = await readdir(out);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "ENOENT") return;
    throw configError(`${out} cannot be used for shards: ${systemReason(error)}`, error);
  }
  if (names.length === 0) return;
  const other = names.find((name) => !isOurs(name));
  if (other !== undefined) {
    throw configError(`${out} holds other files, such as ${shownPath(other)}: name a new folder`);
  }
  if (!overwrite) {
    throw configError(`${out} holds shards already: name another folder, or use --overwrite`);
  }
}

/** A folder of a class: one part of a path, whatever the class is called. */
function folderOf(label: string): string {
  const name = unicodePath(label).replaceAll("/", "_");
  return name === "." || name === ".." ? name.replaceAll(".", "_") : name;
}

/**
 * Gives each image a name of its own: `CLASS/NAME.ext`, one dot, as WebDataset splits at the first.
 * Without classes there are no folders, which would be some.
 */
class Names {
  #taken = new Set<string>();
  #root: string;

  constructor({ root }: ImageSet) {
    this.#root = root;
  }

  of(file: string, label: string | undefined, bytes: Uint8Array) {
    const from = this.#root === sep ? 1 : this.#root.length + 1;
    const path = unicodePath(file.slice(from)).split(sep).join("/");
    const slash = path.lastIndexOf("/") + 1;
    const dot = isImageName(path) ? path.lastIndexOf(".") : path.length;
    const extension = isImageName(path) ? path.slice(dot) : extensionOf(bytes);
    const stem = path.slice(slash, dot).replaceAll(".", "_");
    const folder = label === undefined ? "" : `${folderOf(label)}/`;
    // Where files of two folders have the same name, the second says which.
    const whole = path.slice(0, slash).replaceAll("/", "_").replaceAll(".", "_");
    const candidates = [`${folder}${stem}`, `${folder}${whole}${stem}`];
    let key = candidates.find((name) => !this.#taken.has(name)) ?? (candidates[1] as string);
    for (let i = 2; this.#taken.has(key); i++) key = `${candidates[1]}-${i}`;
    this.#taken.add(key);
    return { key, extension };
  }
}

/** Shards, one after the other. */
class Shards {
  bytes = 0;
  count = 0;
  #folder: string;
  #limit: number;
  #open: TarWriter | undefined;

  constructor(folder: string, limit: number) {
    this.#folder = folder;
    this.#limit = limit;
  }

  /** Members of one image, which stay together. */
  async add(members: readonly (readonly [path: string, content: Uint8Array])[]): Promise<void> {
    if (this.#open === undefined) {
      const name = `shard-${String(this.count++).padStart(6, "0")}.tar`;
      this.#open = await TarWriter.create(join(this.#folder, name));
    }
    for (const [path, content] of members) await this.#open.add(path, content);
    if (this.#open.bytes >= this.#limit) await this.finish();
  }

  async finish(): Promise<void> {
    if (this.#open === undefined) return;
    await this.#open.finish();
    this.bytes += this.#open.bytes;
    this.#open = undefined;
  }

  async abandon(): Promise<void> {
    await this.#open?.abandon();
  }
}

async function writeShards(
  set: ImageSet,
  shards: Shards,
  { shuffleSeed, signal, onProgress, onBad }: PackOptions,
): Promise<{ images: number; bad: number }> {
  const { files } = set.source as FileSource;
  const order =
    shuffleSeed === undefined ? [...files.keys()] : [...shuffledIndices(files.length, shuffleSeed)];
  const names = new Names(set);
  let images = 0;
  let bad = 0;
  for (let from = 0; from < order.length; from += AT_ONCE) {
    signal?.throwIfAborted();
    onProgress?.(from, order.length);
    const some = order.slice(from, from + AT_ONCE);
    const contents = await awaitAddon((addon) =>
      addon.readImages(some.map((i) => files[i] as string)),
    );
    for (const [at, i] of some.entries()) {
      const file = files[i] as string;
      const content = contents[at] as Buffer | string;
      // A name without an ending gets the one of what it holds, by which it is found again.
      const isImage =
        isImageName(file) || (typeof content !== "string" && extensionOf(content) !== "");
      if (typeof content === "string" || !isImage) {
        bad++;
        onBad?.(file, typeof content === "string" ? content : "not an image of a known format");
        continue;
      }
      const label = set.labels.length > 0 ? (set.labels[i] as number) : undefined;
      const folder = label === undefined ? undefined : set.classes[label];
      const { key, extension } = names.of(file, folder, content);
      await shards.add([
        [key + extension, content],
        ...(label === undefined ? [] : [[`${key}.cls`, Buffer.from(String(label))] as const]),
      ]);
      images++;
    }
  }
  return { images, bad };
}

/** What `pack` of `ts/index.ts` does. */
export async function pack(given: string, options: PackOptions): Promise<Packing> {
  const { out, shardBytes = SHARD_BYTES, overwrite = false } = options;
  if (!Number.isSafeInteger(shardBytes) || shardBytes < LEAST_SHARD) {
    throw configError(
      `Expected at least ${LEAST_SHARD} bytes for shardBytes but received ${shardBytes}`,
    );
  }
  await checkOut(out, overwrite);
  const set = await openSet(given, { name: "The set", refusesWeights: true }, options);
  const folder = await StagedFolder.create(out);
  const shards = new Shards(folder.path, shardBytes);
  try {
    const { images, bad } = await writeShards(set, shards, options);
    if (images === 0) throw dataError(`None of the files of ${shownPath(given)} can be read`);
    await shards.finish();
    if (set.classes.length > 0) {
      const lines = set.classes.map((name) => `${name}\n`).join("");
      await writeFileAtomic(join(folder.path, CLASSES_FILE), lines);
    }
    await folder.finish();
    const { count, bytes } = shards;
    return { out, shards: count, images, bad, bytes, classes: set.classes };
  } catch (error) {
    await shards.abandon();
    await folder.abandon();
    throw error;
  }
}
