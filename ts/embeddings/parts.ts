/**
 * Tables as folders of Parquet files of bounded size: `part-00000.parquet`, … A part is whole or not
 * there, so what a process that was killed has written is kept, and the next one goes on behind it.
 */
import { readdir, rm, stat } from "node:fs/promises";
import { join } from "node:path";
import { configError, ioError, systemReason } from "../addon/errors.js";
import { writeFileAtomic } from "../files/atomic.js";
import { makeFolders } from "../files/folders.js";
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
import { type EmbeddingRows, sliceRows, type TableOrigin, type TableWriter } from "./table.js";

/** One of several processes that share the work: the `index`th of `of`, from 1. */
export interface Shard {
  /** From 1 to `of`. */
  index: number;
  /** How many there are. */
  of: number;
}

/** A part ends with so many rows, or so many numbers in its embeddings (64 MB). */
const PART_ROWS = 1 << 16;
const PART_NUMBERS = 1 << 24;

export class PartsTable implements TableWriter {
  #folder: string;
  #origin: TableOrigin;
  #prefix: string;
  #marker: string;
  #next: number;
  #kept: Map<string, KeptRow>;
  #part: ParquetTable | undefined;
  #partRows = 0;
  #rows = 0;

  private constructor(
    folder: string,
    origin: TableOrigin,
    prefix: string,
    marker: string,
    next: number,
    kept: Map<string, KeptRow>,
  ) {
    this.#folder = folder;
    this.#origin = origin;
    this.#prefix = prefix;
    this.#marker = marker;
    this.#next = next;
    this.#kept = kept;
  }

  /**
   * A new table, or one that is gone on with.
   *
   * @param append - Whether a table that is finished may get more rows.
   * @throws FlexaeError `FLEXAE_CONFIG` if the folder holds another model's table, or a finished one;
   *   `FLEXAE_DATA` if a part is damaged.
   */
  static async open(
    folder: string,
    origin: TableOrigin,
    shard: Shard | null,
    append: boolean,
  ): Promise<PartsTable> {
    const of = shard === null ? "" : `${shard.index}of${shard.of}`;
    const prefix = of === "" ? "part-" : `part-${of}-`;
    const marker = of === "" ? "table.json" : `table-${of}.json`;
    let names: string[];
    try {
      await makeFolders(folder);
      names = await readdir(folder);
    } catch (error) {
      throw ioError(`${folder} cannot be used: ${systemReason(error)}`, error);
    }
    const pattern = new RegExp(`^${prefix}(\\d{5,})\\.parquet$`);
    const mine = names.filter((name) => pattern.test(name)).sort();
    if (!append && names.includes(marker)) {
      throw configError(
        `${folder} holds a finished table already: --append adds images that are new or have changed, or name another folder`,
      );
    }
    // What a process that was killed left of the part it was at.
    const leftover = new RegExp(`^\\.${prefix}\\d{5,}\\.parquet\\.[0-9a-f]+(?:-\\d+)?\\.tmp$`);
    for (const name of names) {
      if (leftover.test(name)) await rm(join(folder, name), { force: true });
    }
    const kept = new Map<string, KeptRow>();
    let next = 0;
    for (const name of mine) {
      const path = join(folder, name);
      const { origin: theirs, images } = await readPart(path);
      checkSameOrigin(path, theirs, origin);
      const written = (await stat(path)).mtimeMs;
      for (const { path: image, set, bytes } of images) {
        kept.set(keyOf(set, image), { part: name, bytes, written });
      }
      next = Math.max(next, Number((pattern.exec(name) as RegExpExecArray)[1]) + 1);
    }
    return new PartsTable(folder, origin, prefix, join(folder, marker), next, kept);
  }

  /**
   * Which images are not in the table yet, as positions among those given. With `changed`, those too
   * whose file has another length, or was written after its row was: their rows are dropped.
   */
  async missing(images: readonly FoundImage[], changed: boolean): Promise<number[]> {
    const { missing, stale } = await findMissing(images, this.#kept, changed);
    const parts = new Set([...stale.values()].map(({ part }) => part));
    for (const part of parts) await this.#drop(part, stale);
    return missing;
  }

  async write(rows: EmbeddingRows): Promise<void> {
    const { dims } = this.#origin;
    const most = Math.max(1, Math.min(PART_ROWS, Math.floor(PART_NUMBERS / dims)));
    for (let from = 0; from < rows.paths.length; ) {
      if (this.#part === undefined) {
        const name = `${this.#prefix}${String(this.#next).padStart(5, "0")}.parquet`;
        this.#part = await ParquetTable.create(join(this.#folder, name), this.#origin);
        this.#next += 1;
      }
      const to = Math.min(rows.paths.length, from + most - this.#partRows);
      await this.#part.write(sliceRows(rows, dims, from, to));
      this.#partRows += to - from;
      this.#rows += to - from;
      from = to;
      if (this.#partRows >= most) await this.#finishPart();
    }
  }

  async finish(): Promise<void> {
    await this.#finishPart();
    const content = { ...this.#origin, images: this.#kept.size + this.#rows };
    await writeFileAtomic(this.#marker, `${JSON.stringify(content, null, 2)}\n`);
  }

  /** Keeps the rows that were written. */
  async abandon(): Promise<void> {
    const part = this.#part;
    try {
      await this.#finishPart();
    } catch {
      await part?.abandon();
    }
  }

  async #finishPart(): Promise<void> {
    await this.#part?.finish();
    this.#part = undefined;
    this.#partRows = 0;
  }

  /** Writes a part anew without the rows of some images. */
  async #drop(part: string, stale: ReadonlyMap<string, KeptRow>): Promise<void> {
    const path = join(this.#folder, part);
    const rows = await readRows(path);
    for (const [key, row] of stale) if (row.part === part) this.#kept.delete(key);
    const stays = [...rowsWithout(rows, this.#origin.dims, stale)];
    if (stays.length === 0) {
      await rm(path);
      return;
    }
    const table = await ParquetTable.create(path, this.#origin);
    try {
      for (const stretch of stays) await table.write(stretch);
      await table.finish();
    } catch (error) {
      await table.abandon();
      throw error;
    }
  }
}

/**
 * A shard in words: `2/4`, or `slurm` for the place in a job array.
 *
 * @throws FlexaeError `FLEXAE_CONFIG` if it is neither.
 */
export function readShard(text: string, env: NodeJS.ProcessEnv = process.env): Shard {
  const wrong = (what: string) =>
    configError(`Expected I/N, as 1/4, or slurm for shard but ${what}`);
  let index: number;
  let of: number;
  if (text === "slurm") {
    const id = Number(env.SLURM_ARRAY_TASK_ID ?? Number.NaN);
    of = Number(env.SLURM_ARRAY_TASK_COUNT ?? Number.NaN);
    // A job array's numbers may begin anywhere, and have steps.
    const step = Number(env.SLURM_ARRAY_TASK_STEP ?? 1);
    index = (id - Number(env.SLURM_ARRAY_TASK_MIN ?? 0)) / step + 1;
    if (!Number.isInteger(index) || !Number.isInteger(of)) {
      throw wrong("SLURM_ARRAY_TASK_ID and SLURM_ARRAY_TASK_COUNT name none");
    }
  } else {
    const match = /^(\d+)\/(\d+)$/.exec(text);
    if (match === null) throw wrong(`received ${text}`);
    [index, of] = [Number(match[1]), Number(match[2])];
  }
  if (index < 1 || index > of) {
    throw configError(`Expected a shard from 1/${of} to ${of}/${of} but received ${index}/${of}`);
  }
  return { index, of };
}
