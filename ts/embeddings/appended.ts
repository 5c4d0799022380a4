/** A Parquet file that gets more rows: it is written anew, with those that stay in front. */
import { stat } from "node:fs/promises";
import { basename } from "node:path";
import {
  checkSameOrigin,
  type FoundImage,
  findMissing,
  type KeptRow,
  keyOf,
  rowsWithout,
} from "./kept_rows.js";
import { ParquetTable } from "./parquet.js";
import { readPart, readRows } from "./read.js";
import type { EmbeddingRows, TableOrigin, TableWriter } from "./table.js";

export class AppendedTable implements TableWriter {
  #path: string;
  #origin: TableOrigin;
  #kept: Map<string, KeptRow>;
  #stale: ReadonlyMap<string, KeptRow> = new Map();
  #table: ParquetTable | undefined;

  private constructor(path: string, origin: TableOrigin, kept: Map<string, KeptRow>) {
    this.#path = path;
    this.#origin = origin;
    this.#kept = kept;
  }

  /**
   * A table that is there, or a new one.
   *
   * @throws FlexaeError `FLEXAE_CONFIG` if it is another model's or another program's, `FLEXAE_DATA`
   *   if it is damaged.
   */
  static async open(path: string, origin: TableOrigin): Promise<AppendedTable> {
    const kept = new Map<string, KeptRow>();
    const there = await stat(path).catch(() => null);
    if (there !== null) {
      const { origin: theirs, images } = await readPart(path);
      checkSameOrigin(path, theirs, origin);
      for (const { path: image, set, bytes } of images) {
        kept.set(keyOf(set, image), { part: basename(path), bytes, written: there.mtimeMs });
      }
    }
    return new AppendedTable(path, origin, kept);
  }

  /** Which images have no row yet, or are of another content than their row's. */
  async missing(images: readonly FoundImage[]): Promise<number[]> {
    const { missing, stale } = await findMissing(images, this.#kept, true);
    this.#stale = stale;
    return missing;
  }

  async write(rows: EmbeddingRows): Promise<void> {
    if (rows.paths.length > 0) await (await this.#open()).write(rows);
  }

  async finish(): Promise<void> {
    // One without new rows stays as it is, unless rows have to go.
    if (this.#kept.size === 0 || this.#stale.size > 0) await this.#open();
    await this.#table?.finish();
  }

  async abandon(): Promise<void> {
    await this.#table?.abandon();
  }

  async #open(): Promise<ParquetTable> {
    if (this.#table !== undefined) return this.#table;
    this.#table = await ParquetTable.create(this.#path, this.#origin);
    if (this.#kept.size > 0) {
      const rows = await readRows(this.#path);
      const { dims } = this.#origin;
      for (const stays of rowsWithout(rows, dims, this.#stale)) await this.#table.write(stays);
    }
    return this.#table;
  }
}
