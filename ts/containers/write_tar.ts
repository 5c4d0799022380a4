/** Writes tar files; headers are made by node-tar. */
import { Header, Pax } from "tar";
import { StagedFile } from "../files/staged.js";
import { BLOCK } from "./tar_header.js";

/** So much is gathered before it is written. */
const GATHERED = 1 << 22;

/** A tar file that is whole or not there, the same bytes for the same members. */
export class TarWriter {
  #file: StagedFile;
  #parts: Uint8Array[] = [];
  #gathered = 0;
  #bytes = 0;

  private constructor(file: StagedFile) {
    this.#file = file;
  }

  static async create(path: string): Promise<TarWriter> {
    return new TarWriter(await StagedFile.create(path));
  }

  /** Bytes so far, without the end. */
  get bytes(): number {
    return this.#bytes;
  }

  async add(path: string, content: Uint8Array): Promise<void> {
    const header = new Header({
      path,
      size: content.length,
      mode: 0o644,
      type: "File",
      mtime: new Date(0),
    });
    const block = Buffer.alloc(BLOCK);
    // A path that is too long, or not ASCII, stands in a header of its own.
    if (header.encode(block)) this.#push(new Pax({ path }).encode());
    this.#push(block);
    this.#push(content);
    const rest = content.length % BLOCK;
    if (rest > 0) this.#push(Buffer.alloc(BLOCK - rest));
    if (this.#gathered >= GATHERED) await this.#flush();
  }

  async finish(): Promise<void> {
    this.#push(Buffer.alloc(2 * BLOCK));
    await this.#flush();
    await this.#file.finish();
  }

  async abandon(): Promise<void> {
    await this.#file.abandon();
  }

  #push(part: Uint8Array): void {
    this.#parts.push(part);
    this.#gathered += part.length;
    this.#bytes += part.length;
  }

  async #flush(): Promise<void> {
    await this.#file.append(Buffer.concat(this.#parts));
    this.#parts = [];
    this.#gathered = 0;
  }
}
