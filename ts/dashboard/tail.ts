/** Files of lines that grow while they are read. */
import { constants } from "node:fs";
import { type FileHandle, open } from "node:fs/promises";

/** A whole line of a file. */
export interface Line {
  text: string;
  /** Where it begins, in bytes. */
  at: number;
  /** In bytes, its end left out. */
  length: number;
}

/** Bytes that are read at once. */
const CHUNK = 1 << 20;
/** A longer line is none of ours. */
const LONGEST = 16 << 20;

/**
 * Opens a file of a run for reading. Not where a link leads, nor what would make the reader wait.
 *
 * @returns Null if there is none.
 */
export async function openOwn(path: string): Promise<FileHandle | null> {
  const flags = constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK;
  const handle = await open(path, flags).catch(() => null);
  if (handle === null) return null;
  const isFile = await handle
    .stat()
    .then((found) => found.isFile())
    .catch(() => false);
  if (isFile) return handle;
  await handle.close();
  return null;
}

/** Reads on in a file of lines, from where it was before. */
export class Tail {
  #path: string;
  #inode = -1;
  #at = 0;
  #rest = Buffer.alloc(0);
  #isSkipping = false;

  constructor(path: string) {
    this.#path = path;
  }

  /**
   * Hands on the lines that were added since; one that is not ended yet comes later.
   *
   * @param onNew - The file is another one, or was cut: all of it comes again.
   */
  async read(onLine: (line: Line) => void, onNew: () => void): Promise<void> {
    const handle = await openOwn(this.#path);
    if (handle === null) {
      if (this.#inode !== -1) this.#begin(-1, onNew);
      return;
    }
    try {
      const { ino, size } = await handle.stat();
      if (ino !== this.#inode || size < this.#at) this.#begin(ino, onNew);
      const chunk = Buffer.alloc(Math.min(CHUNK, size - this.#at));
      while (this.#at < size) {
        const { bytesRead } = await handle.read(chunk, 0, chunk.length, this.#at);
        if (bytesRead === 0) break;
        this.#take(chunk.subarray(0, bytesRead), onLine);
      }
    } finally {
      await handle.close();
    }
  }

  #begin(inode: number, onNew: () => void): void {
    this.#inode = inode;
    this.#at = 0;
    this.#rest = Buffer.alloc(0);
    this.#isSkipping = false;
    onNew();
  }

  #take(chunk: Buffer, onLine: (line: Line) => void): void {
    const bytes = this.#rest.length === 0 ? chunk : Buffer.concat([this.#rest, chunk]);
    const at = this.#at - this.#rest.length;
    let from = 0;
    for (let end = bytes.indexOf(0x0a); end >= 0; end = bytes.indexOf(0x0a, from)) {
      const text = bytes.toString("utf8", from, end);
      if (!this.#isSkipping) onLine({ text, at: at + from, length: end - from });
      this.#isSkipping = false;
      from = end + 1;
    }
    this.#at += chunk.length;
    // A copy: the chunk is filled again.
    this.#rest = Buffer.from(bytes.subarray(from));
    if (this.#rest.length > LONGEST) {
      this.#rest = Buffer.alloc(0);
      this.#isSkipping = true;
    }
  }
}
