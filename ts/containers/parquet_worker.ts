/**
 * Unpacks the images of a Parquet file on a thread of its own, which can be ended: of a damaged file,
 * the library may never come back, or fill the memory. Answers with `ParquetMessage`s, each of which
 * has to be answered before the next.
 */
import { once } from "node:events";
import { parentPort, workerData } from "node:worker_threads";
import { parquetMetadataAsync, parquetRead } from "hyparquet";
import { compressors } from "hyparquet-compressors";
import { dataError, isAddonError } from "../addon/errors.js";
import { extensionOf } from "./magic.js";
import { findColumns, imageIn, labelIn, nameIn, textIn } from "./parquet_columns.js";
import type { ParquetImages, ParquetMessage } from "./parquet_messages.js";
import { type RandomAccess, withFile } from "./random_access.js";

/** A row group is in memory as a whole while it is unpacked. */
const MOST_GROUP = 2 ** 31;
const MOST_ROWS = 1 << 24;
/** So many bytes of images are handed over at once, or one image. */
const AT_ONCE = 1 << 25;

async function post(message: ParquetMessage, transferred: ArrayBuffer[] = []): Promise<void> {
  const port = parentPort as NonNullable<typeof parentPort>;
  const answered = once(port, "message");
  port.postMessage(message, transferred);
  await answered;
}

/** Images that wait to be handed over. */
class Batch {
  #images: Uint8Array[] = [];
  #bytes = 0;
  #names: string[] = [];
  #labels: (string | null)[] = [];
  others = 0;
  /** Of the file's rows, those that were read. */
  share = 0;

  async add(bytes: Uint8Array, name: string, label: string | undefined): Promise<void> {
    this.#images.push(bytes);
    this.#names.push(name);
    this.#labels.push(label ?? null);
    this.#bytes += bytes.length;
    if (this.#bytes >= AT_ONCE) await this.flush();
  }

  async flush(): Promise<void> {
    const bytes = new Uint8Array(this.#bytes);
    let at = 0;
    for (const image of this.#images) {
      bytes.set(image, at);
      at += image.length;
    }
    const images: ParquetImages = {
      bytes,
      lengths: this.#images.map((image) => image.length),
      names: this.#names,
      labels: this.#labels,
      others: this.others,
      share: this.share,
    };
    this.#images = [];
    this.#names = [];
    this.#labels = [];
    this.#bytes = 0;
    this.others = 0;
    await post({ images }, [bytes.buffer]);
  }
}

async function unpack(file: RandomAccess, shown: string): Promise<void> {
  const source = {
    byteLength: file.size,
    slice: (start: number, end = file.size) => {
      const part = Buffer.from(file.read(start, end - start));
      return part.buffer.slice(part.byteOffset, part.byteOffset + part.length) as ArrayBuffer;
    },
  };
  const metadata = await parquetMetadataAsync(source);
  const { image, path, label, classes } = findColumns(metadata, shown);
  const columns = [image, path, label].filter((name) => name !== undefined);
  const digits = String(Number(metadata.num_rows)).length;
  const taken = new Set<string>();
  const batch = new Batch();
  let row = 0;
  for (const group of metadata.row_groups) {
    const count = Number(group.num_rows);
    const size = Number(group.total_byte_size);
    if (size > MOST_GROUP || count > MOST_ROWS) {
      throw dataError(`${shown} has a row group of more than 2 GB: write it in smaller ones`);
    }
    await post({ begins: Math.max(0, size) });
    let rows: Record<string, unknown>[] = [];
    await parquetRead({
      file: source,
      metadata,
      columns,
      rowStart: row,
      rowEnd: row + count,
      rowFormat: "object",
      utf8: false,
      compressors,
      onComplete: (read) => {
        rows = read as Record<string, unknown>[];
      },
    });
    for (const value of rows) {
      const number = String(row++).padStart(digits, "0");
      batch.share = row / Number(metadata.num_rows);
      const found = imageIn(value[image]);
      if (found === undefined || found.bytes.length === 0) {
        batch.others++;
        continue;
      }
      const given = textIn(found.path) ?? (path === undefined ? undefined : textIn(value[path]));
      const name = nameIn(given, number + extensionOf(found.bytes), taken);
      const named = label === undefined ? undefined : labelIn(value[label], classes);
      await batch.add(found.bytes, name, named);
    }
  }
  await batch.flush();
}

const { path, shown } = workerData as { path: string; shown: string };
try {
  await withFile(path, shown, (file) => unpack(file, shown));
  await post({ end: true });
} catch (error) {
  const { message } = error as Error;
  const reason = message.split("\n", 1)[0]?.slice(0, 120);
  const text = isAddonError(error)
    ? message
    : `${shown} is no Parquet file that can be read: ${reason}`;
  await post({ refused: text });
}
