/** The list of a container's images, as it is made. */
import { dataError } from "../addon/errors.js";
import { MEMBER_FORMS, type MemberForm, type MemberList } from "../addon/types.js";
import { shownPath } from "../files/paths.js";

/** Longer files are no images that are read. */
const MOST_BYTES = 2 ** 31 - 1;
const LONGEST_NAME = 4096;
/** DEFLATE makes no more of a byte than so many. */
const MOST_INFLATED = 1032;
/** A member that inflates to more, and by more than a picture does, is a bomb. */
const LARGE = 1 << 26;
const SUSPICIOUS = 100;

/** An image in a container. */
export interface Member {
  name: string;
  /** Where it lies in the file, or in what is kept of it. */
  offset: number;
  /** Of the image as a file; of pixels, theirs. */
  length: number;
  form?: MemberForm;
  /** Bytes in the file, where it is deflated. */
  stored?: number;
  /** CRC-32 of the image; 0 where it is not known. */
  crc?: number;
  /** Its class, where the container names one. */
  label?: string | undefined;
}

/** Names of images, as of files in folders (native/data/source/scan.h has the same). */
const IMAGE = /\.(png|jpg|jpeg|jpe|bmp|tif|tiff|webp|pgm|ppm|pbm|pnm)$/i;

/** Whether a member's name is that of an image. */
export function isImageName(name: string): boolean {
  return IMAGE.test(name);
}

/**
 * Whether a member is an image, by its name. Hidden files are none, as in folders; macOS packs one
 * beside each file, of the same ending.
 */
export function isImageMember(name: string): boolean {
  const parts = name.split("/");
  const isHidden = parts[0] === "__MACOSX" || parts.some((part) => part.startsWith("."));
  return !isHidden && isImageName(name);
}

/** A column of numbers that grows. */
class Column<T extends Float64Array | Uint32Array | Int32Array | Uint8Array> {
  #values: T;
  #length = 0;
  #make: (length: number) => T;

  constructor(make: (length: number) => T) {
    this.#make = make;
    this.#values = make(1024);
  }

  get(index: number): number {
    return this.#values[index] as number;
  }

  /** Of an entry that is there, or the next one. */
  set(index: number, value: number): void {
    if (index === this.#values.length) {
      const larger = this.#make(2 * index);
      larger.set(this.#values);
      this.#values = larger;
    }
    this.#values[index] = value;
    if (index === this.#length) this.#length++;
  }

  done(): T {
    return this.#values.slice(0, this.#length) as T;
  }
}

/** Takes the members that a format finds. */
export class MemberSink {
  /** Members that are no images. */
  others = 0;
  /** Of images that are pixels. */
  shape = { height: 0, width: 0, channels: 0 };

  #shown: string;
  #bytes: number;
  #names: string[] = [];
  #positions = new Map<string, number>();
  #classes = new Map<string, number>();
  #offsets = new Column((n) => new Float64Array(n));
  #lengths = new Column((n) => new Uint32Array(n));
  #stored = new Column((n) => new Uint32Array(n));
  #crcs = new Column((n) => new Uint32Array(n));
  #labels = new Column((n) => new Int32Array(n));
  #forms = new Column((n) => new Uint8Array(n));

  /** @param bytes - Length of the container's file. */
  constructor(shown: string, bytes: number) {
    this.#shown = shown;
    this.#bytes = bytes;
  }

  get images(): number {
    return this.#names.length;
  }

  /**
   * A name as it is kept: such that a path through it is the same once it is made absolute.
   *
   * @throws FlexaeError `FLEXAE_DATA` for one that leads out of the container.
   */
  name(given: string): string {
    // Most are as they should be, and there may be a million.
    const isPlain = !/(^|\/)\.{0,2}(\/|$)/.test(given);
    const parts = isPlain ? [] : given.split("/").filter((part) => part !== "" && part !== ".");
    const name = isPlain ? given : parts.join("/");
    const isSound =
      name !== "" &&
      !given.startsWith("/") &&
      !name.includes("\0") &&
      name.length <= LONGEST_NAME &&
      !parts.includes("..");
    if (isSound) return name;
    const cut = shownPath(given.slice(0, 80));
    throw dataError(
      `${this.#shown} names a member outside of itself, ${cut}: it is not to be trusted`,
    );
  }

  /** Adds an image. One of the same name takes the place of an earlier one, as in tar. */
  add({ name: given, offset, length, form = "stored", stored = 0, crc = 0, label }: Member): void {
    const name = this.name(given);
    const refuse = (what: string): never => {
      throw dataError(`${this.#shown} is damaged: its ${shownPath(name.slice(0, 80))} ${what}`);
    };
    if (length > MOST_BYTES || stored > MOST_BYTES) refuse("is too large for an image");
    if (form === "deflated") {
      if (offset + stored > this.#bytes) refuse("ends behind the end of the file");
      const ratio = length / Math.max(1, stored);
      if (ratio > MOST_INFLATED || (length > LARGE && ratio > SUSPICIOUS)) {
        refuse(`says that ${stored} bytes become ${length}`);
      }
    }
    const known = this.#positions.get(name);
    const at = known ?? this.#names.length;
    if (known === undefined) {
      this.#positions.set(name, at);
      this.#names.push(name);
    }
    this.#offsets.set(at, offset);
    this.#lengths.set(at, length);
    this.#stored.set(at, stored);
    this.#crcs.set(at, crc);
    this.#forms.set(at, MEMBER_FORMS.indexOf(form));
    this.#labels.set(at, label === undefined ? -1 : this.#classOf(label));
  }

  /** Adds an image that is there under another name already; false if it is not. */
  addAgain(name: string, target: string): boolean {
    const at = this.#positions.get(this.name(target));
    if (at === undefined) return false;
    const [offset, length] = [this.#offsets.get(at), this.#lengths.get(at)];
    this.add({ name, offset, length });
    return true;
  }

  /** Gives classes to images that are there already, by their names. */
  label(labels: ReadonlyMap<string, string>): void {
    for (const [name, label] of labels) {
      const at = this.#positions.get(name);
      if (at !== undefined) this.#labels.set(at, this.#classOf(label));
    }
  }

  /** Moves all images by so many bytes, where what was listed lies within another file. */
  shift(by: number): void {
    for (let i = 0; i < this.images; i++) this.#offsets.set(i, this.#offsets.get(i) + by);
  }

  /** Names of the images. */
  names(): readonly string[] {
    return this.#names;
  }

  done(): MemberList {
    return {
      names: this.#names,
      offsets: this.#offsets.done(),
      lengths: this.#lengths.done(),
      stored: this.#stored.done(),
      crcs: this.#crcs.done(),
      labels: this.#labels.done(),
      forms: this.#forms.done(),
      classes: [...this.#classes.keys()],
      others: this.others,
      shape: this.shape,
    };
  }

  #classOf(label: string): number {
    const known = this.#classes.get(label);
    if (known !== undefined) return known;
    this.#classes.set(label, this.#classes.size);
    return this.#classes.size - 1;
  }
}
