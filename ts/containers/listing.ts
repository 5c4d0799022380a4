/** How far the images of a set are listed, and the wish to end that. */
import { setImmediate } from "node:timers/promises";

/** How far a set is listed, the first time that it is used. */
export interface ListingProgress {
  /** The set, as it was named; of several with commas between, the one that is listed now. */
  set: string;
  /** Files of many images that it has, such as the shards of a pattern; 0 of a folder of images. */
  files: number;
  /** Those of them that are listed. */
  filesDone: number;
  /** Images that were found so far. */
  images: number;
  /** The share of it that is listed, from 0 to 1; null where that is not known, as of a folder. */
  share: number | null;
}

/** How a listing is watched and ended. */
export interface ListingOptions {
  /** Ends it soon; it then rejects with the signal's reason. */
  signal?: AbortSignal | undefined;
  /** Called now and then where it takes longer than a second. */
  onListing?: ((listing: ListingProgress) => void) | undefined;
}

/** When progress is told, in milliseconds. */
export interface ListingPace {
  /** Not before: most sets are listed at once, and nobody wants to know. */
  after: number;
  every: number;
}

const PACE: ListingPace = { after: 1000, every: 100 };

/** Whoever lists says here how far it is, and is told to end. */
export class ListingMonitor {
  readonly #signal: AbortSignal | undefined;
  readonly #onListing: ListingOptions["onListing"];
  readonly #every: number;
  #due: number;
  #set = "";
  #files = 0;
  #filesDone = 0;
  #images = 0;

  constructor({ signal, onListing }: ListingOptions = {}, { after, every }: ListingPace = PACE) {
    this.#signal = signal;
    this.#onListing = onListing;
    this.#every = every;
    this.#due = performance.now() + after;
  }

  get signal(): AbortSignal | undefined {
    return this.#signal;
  }

  /** A set begins, with no file in it yet. */
  begin(set: string): void {
    this.#set = set;
    this.#files = 0;
    this.#filesDone = 0;
    this.#images = 0;
  }

  /** So many more files are to be listed; less than 0 where some turn out to hold no images. */
  expect(files: number): void {
    this.#files += files;
  }

  /** @throws The signal's reason, if it was aborted. */
  check(): void {
    this.#signal?.throwIfAborted();
  }

  /**
   * Says what is found of the file, or folder, under way.
   *
   * @param images - Found in it so far.
   * @param share - Of it, from 0 to 1; null where it is not known.
   * @throws The signal's reason, if it was aborted.
   */
  note(images: number, share: number | null): void {
    this.check();
    const now = performance.now();
    if (now < this.#due || this.#onListing === undefined) return;
    this.#due = now + this.#every;
    this.#onListing({
      set: this.#set,
      files: this.#files,
      filesDone: this.#filesDone,
      images: this.#images + images,
      share: share === null ? null : (this.#filesDone + share) / Math.max(1, this.#files),
    });
  }

  /** The same, once others had their turn: signals arrive between two of them alone. */
  async pause(images: number, share: number | null): Promise<void> {
    await setImmediate();
    this.note(images, share);
  }

  /** So many images are listed, of what is no file that was expected. */
  add(images: number): void {
    this.#images += images;
    this.note(0, null);
  }

  /** The file under way is listed. */
  finish(images: number): void {
    this.#filesDone++;
    this.#images += images;
    this.note(0, 0);
  }
}
