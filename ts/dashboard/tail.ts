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
/** So much is read of a file before others have their turn. */
const MOST_AT_A_TIME = 64 << 20;

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
  #longest: number;
  /** Tells the file from another of its name; "" without one. */
  #identity = "";
  #at = 0;
  #rest = Buffer.alloc(0);
  #isSkipping = false;

  /** @param longest - Bytes of a line; longer ones are passed over. */
  constructor(path: string, longest = LONGEST) {
    this.#path = path;
    this.#longest = longest;
  }

  /**
   * Hands on the lines that were added since; one that is not ended yet comes later.
   *
   * @param onNew - The file is another one, or was cut: all of it comes again.
   */
  async read(onLine: (line: Line) => void, onNew: () => void): Promise<void> {
    const handle = await openOwn(this.#path);
    if (handle === null) {
      if (this.#identity !== "") this.#begin("", onNew);
      return;
    }
    try {
      const { ino, birthtimeMs, size } = await handle.stat();
      // The number of a file that is gone may be the next one's.
      const identity = `${ino} ${birthtimeMs}`;
      if (identity !== this.#identity || size < this.#at) this.#begin(identity, onNew);
      const end = Math.min(size, this.#at + MOST_AT_A_TIME);
      const chunk = Buffer.alloc(Math.min(CHUNK, end - this.#at));
      while (this.#at < end) {
        const length = Math.min(chunk.length, end - this.#at);
        const { bytesRead } = await handle.read(chunk, 0, length, this.#at);
        if (bytesRead === 0) break;
        this.#take(chunk.subarray(0, bytesRead), onLine);
      }
    } finally {
      await handle.close();
    }
  }

  #begin(identity: string, onNew: () => void): void {
    this.#identity = identity;
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
      const length = end - from;
      if (!this.#isSkipping && length <= this.#longest) {
        onLine({ text: bytes.toString("utf8", from, end), at: at + from, length });
      }
      this.#isSkipping = false;
      from = end + 1;
    }
    this.#at += chunk.length;
    // A copy: the chunk is filled again.
    this.#rest = Buffer.from(bytes.subarray(from));
    if (this.#rest.length > this.#longest) {
      this.#rest = Buffer.alloc(0);
      this.#isSkipping = true;
    }
  }
}
