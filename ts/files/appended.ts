/** Files that only grow. */
import { type FileHandle, open } from "node:fs/promises";

/**
 * A file of lines to which lines are added, never changed. What is written is there whatever becomes
 * of the process; a line that was cut short is ended by the next one to open the file. It is opened
 * at the first line.
 */
export class AppendedLines {
  #path: string;
  #onFailure: (error: unknown) => void;
  #handle: FileHandle | undefined;
  #pending = "";
  #writing: Promise<void> | undefined;
  #hasFailed = false;

  /** @param onFailure - Called once, if a line cannot be written; those after it are left out. */
  constructor(path: string, onFailure: (error: unknown) => void) {
    this.#path = path;
    this.#onFailure = onFailure;
  }

  /** Adds a line, soon. */
  add(line: string): void {
    if (this.#hasFailed) return;
    this.#pending += `${line}\n`;
    this.#writing ??= this.#drain();
  }

  /** Waits for all lines, and closes the file. Never rejects. */
  async close(): Promise<void> {
    await this.#writing;
    this.#hasFailed = true;
    await this.#handle?.close().catch(() => {});
    this.#handle = undefined;
  }

  async #drain(): Promise<void> {
    try {
      this.#handle ??= await this.#open();
      while (this.#pending !== "") {
        const text = this.#pending;
        this.#pending = "";
        // Of a handle opened for appending, all of it goes to the end.
        await this.#handle.appendFile(text);
      }
    } catch (error) {
      this.#hasFailed = true;
      this.#pending = "";
      this.#onFailure(error);
    }
    this.#writing = undefined;
  }

  async #open(): Promise<FileHandle> {
    const handle = await open(this.#path, "a+");
    try {
      const { size } = await handle.stat();
      const last = Buffer.alloc(1);
      if (size > 0) await handle.read(last, 0, 1, size - 1);
      if (size > 0 && last[0] !== 0x0a) this.#pending = `\n${this.#pending}`;
    } catch (error) {
      await handle.close();
      throw error;
    }
    return handle;
  }
}
