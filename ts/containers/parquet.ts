/**
 * Parquet files with images in them, by hyparquet: a column of bytes, or Hugging Face's
 * `image{bytes, path}`. Pages are compressed, so the images are unpacked once.
 */
import { Worker } from "node:worker_threads";
import { dataError } from "../addon/errors.js";
import { checkUnpacked } from "./bombs.js";
import type { ContainerFormat, ListedFile } from "./format.js";
import { parquetMagic } from "./magic.js";
import type { MemberSink } from "./members.js";
import type { ParquetImages, ParquetMessage } from "./parquet_messages.js";

/** How long a step may take, by the bytes that come of it: far more than the slowest codec needs. */
const MOST_MS = 10_000;
const LEAST_BYTES_PER_MS = 1000;
const MEGABYTES = 768;

/** Compiled; tests run the sources as they are, of which a thread can make nothing. */
function workerFile(): URL {
  const path = import.meta.url.endsWith(".ts") ? "../../dist/containers" : ".";
  return new URL(`${path}/parquet_worker.js`, import.meta.url);
}

/** Takes images over. */
class Taker {
  #file: ListedFile;
  #sink: MemberSink;
  #unpacked = 0;

  constructor(file: ListedFile, sink: MemberSink) {
    this.#file = file;
    this.#sink = sink;
  }

  take({ bytes, lengths, names, labels, others, share }: ParquetImages): void {
    const { shown, bytes: own, monitor } = this.#file;
    this.#unpacked += bytes.length;
    checkUnpacked(shown, own.size, this.#unpacked);
    let offset = this.#file.append(bytes);
    for (const [i, name] of names.entries()) {
      const length = lengths[i] as number;
      this.#sink.add({ name, offset, length, label: labels[i] ?? undefined });
      offset += length;
    }
    this.#sink.others += others;
    monitor.note(this.#sink.images, share);
  }
}

async function list(file: ListedFile, sink: MemberSink): Promise<void> {
  const { path, shown } = file;
  const { signal } = file.monitor;
  const taker = new Taker(file, sink);
  const worker = new Worker(workerFile(), {
    workerData: { path, shown },
    stderr: true,
    stdout: true,
    // Those of a program that uses this package, such as --input-type, may not suit a file.
    execArgv: [],
    resourceLimits: { maxOldGenerationSizeMb: MEGABYTES },
  });
  let timer: NodeJS.Timeout | undefined;
  let stop = () => {};
  try {
    await new Promise<void>((resolve, reject) => {
      const wait = (bytes: number) => {
        clearTimeout(timer);
        const end = () => reject(dataError(`${shown} is damaged: reading it comes to no end`));
        timer = setTimeout(end, MOST_MS + bytes / LEAST_BYTES_PER_MS);
      };
      wait(0);
      stop = () => reject(signal?.reason);
      signal?.addEventListener("abort", stop);
      if (signal?.aborted) stop();
      worker.on("message", (message: ParquetMessage) => {
        try {
          if ("end" in message) return resolve();
          if ("refused" in message) throw dataError(message.refused);
          if ("images" in message) taker.take(message.images);
          wait("begins" in message ? Math.min(message.begins, 100 * file.bytes.size) : 0);
          worker.postMessage(null);
        } catch (error) {
          reject(error);
        }
      });
      // Whatever the library fails with, such as its memory, the file is the cause.
      worker.on("error", (error) => {
        const reason = error.message.split("\n", 1)[0]?.slice(0, 120);
        reject(dataError(`${shown} is no Parquet file that can be read: ${reason}`, error));
      });
      worker.on("exit", () => reject(dataError(`${shown} is no Parquet file that can be read`)));
    });
  } finally {
    clearTimeout(timer);
    signal?.removeEventListener("abort", stop);
    await worker.terminate();
  }
}

export const parquet: ContainerFormat = {
  name: "parquet",
  unpacked: true,
  begins: (head) => parquetMagic(head),
  list,
};
