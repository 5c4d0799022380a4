/** What a format of containers is to the rest. */
import type { ListingMonitor } from "./listing.js";
import type { MemberSink } from "./members.js";
import type { RandomAccess } from "./random_access.js";

/** A container that is being listed. */
export interface ListedFile {
  /** Absolute. */
  path: string;
  /** What the user calls it. */
  shown: string;
  bytes: RandomAccess;
  /**
   * Adds bytes to what is kept of the container, for formats whose images cannot be read where they
   * lie; returns where they are.
   */
  append(bytes: Uint8Array): number;
  /** Is told now and then how far it is, whatever the format. */
  monitor: ListingMonitor;
}

/** A format, each in a file of its own. */
export interface ContainerFormat {
  name: string;
  /** Whether a file begins like one; `head` has its first 512 bytes, or all of a shorter file. */
  begins(head: Buffer): boolean;
  /** The images are appended, rather than read where they lie. */
  unpacked: boolean;
  /** Files beside it that count, too, such as one of labels. */
  companions?(path: string): string[];
  /**
   * Lists its images.
   *
   * @throws FlexaeError `FLEXAE_DATA` naming what is wrong with the file; what the monitor throws.
   */
  list(file: ListedFile, sink: MemberSink): void | Promise<void>;
}
