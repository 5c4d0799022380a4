/** Sets of images through a model, into a table. */
import { createHash } from "node:crypto";
import { stat } from "node:fs/promises";
import { basename, dirname, extname, join, relative, resolve } from "node:path";
import { configError, dataError, translateError } from "../addon/errors.js";
import { awaitAddon, callAddon } from "../addon/loader.js";
import type { EmbeddingHandle, EmbeddingStretch, Interpolation } from "../addon/types.js";
import { toLoadOptions } from "../config/data.js";
import { MAX_PIXELS } from "../config/parameters.js";
import type { ListingOptions, ListingProgress } from "../containers/listing.js";
import { openSet } from "../dataset/open_set.js";
import { checksum } from "../files/checksum.js";
import { makeFolders } from "../files/folders.js";
import { pathWithin, shownPath, unicodePath } from "../files/paths.js";
import { modelFile } from "../runs/folder.js";
import { checkDevice } from "../runs/plan.js";
import { readManifest } from "../runs/setting.js";
import { VERSION } from "../version.js";
import { AppendedTable } from "./appended.js";
import { normalizeRows } from "./normalize.js";
import { PartsTable, readShard, type Shard } from "./parts.js";
import type { EmbeddingRows, TableOrigin, TableWriter } from "./table.js";
import { createTable, isFolderName } from "./writer.js";

/** What is embedded, how, and where to. */
export interface EmbedOptions {
  /** Folders of images: one folder a class, or flat. */
  sets: string | readonly string[];
  /**
   * A file whose ending says its kind (`.parquet`, `.csv`, `.npy`, `.jsonl`), which is replaced if it is
   * there; or a folder, which gets `part-00000.parquet`, … and is gone on with where it was left.
   */
  out: string;
  /** Adds each image's reconstruction loss. Takes an autoencoder. */
  loss?: boolean | undefined;
  /** Adds the SHA-256 of each file, which is read once more for it. */
  sha256?: boolean | undefined;
  /** `l2`: embeddings of length 1. */
  normalize?: "l2" | undefined;
  /** Of a folder that is finished, or a `.parquet` file: adds what is new, and anew what has changed. */
  append?: boolean | undefined;
  /** Only this share of the images: `2/4`, or `slurm` for the place in a job array. */
  shard?: string | undefined;
  /** auto, cpu, cuda or cuda:N; `auto` unless given. */
  device?: string | undefined;
  /** What products are computed in; `auto` unless given: bf16 where the hardware computes it. */
  precision?: "auto" | "fp32" | "bf16" | undefined;
  /** Images run at once; 64 unless given. */
  batchSize?: number | undefined;
  /** Decoding threads; 0, the default, chooses by cores. */
  workers?: number | undefined;
  /** How images are resized; as in training unless given. */
  interpolation?: Interpolation | undefined;
  /** Images of more pixels are bad; 268435456 unless given. */
  maxPixels?: number | undefined;
  /** Takes a model that this program did not write, too, and runs what is in it. */
  trust?: boolean | undefined;
  /** Ends it after the images under way: a file is given up, of a folder whole parts are kept. */
  signal?: AbortSignal | undefined;
  /** Called now and then. */
  onProgress?: ((done: number, total: number) => void) | undefined;
  /** Called now and then before that, where it takes longer than a second to list a set. */
  onListing?: ((listing: ListingProgress) => void) | undefined;
  /** Called once for each image that cannot be used. */
  onBad?: ((file: string, reason: string) => void) | undefined;
}

/** What came of it. */
export interface Embedding {
  /** Where the table is. */
  out: string;
  /** Rows that were written. */
  images: number;
  /** Images that were in the table already. */
  kept: number;
  /** Images that could not be used, and were left out. */
  bad: number;
  /** Numbers an embedding has. */
  dims: number;
  /** How long it took, loading of the model excluded. */
  seconds: number;
  /** Images a second, bad ones included. */
  imagesPerSecond: number;
  /** What decoding alone would reach on all cores. */
  decodeImagesPerSecond: number;
  /** What encoding alone would reach. */
  encodeImagesPerSecond: number;
  /** Where it was computed: cpu or cuda:N. */
  device: string;
  /** What products were computed in. */
  precision: "fp32" | "bf16";
  /** What is worth saying. */
  warnings: string[];
}

interface Image {
  file: string;
  /** Relative to its set. */
  path: string;
  set: string;
  class: string | null;
}

/** The encoder's file: embeddings are the same whether it or the autoencoder beside it gives them. */
export async function encoderFile(path: string): Promise<string> {
  if (basename(path) !== "ae.pt") return path;
  const beside = join(dirname(path), "en.pt");
  return (await stat(beside).catch(() => null)) === null ? path : beside;
}

/** So many files are in memory at once. */
const CHECKSUMS_AT_ONCE = 4;

async function checksums(paths: readonly string[]): Promise<string[]> {
  const sums: string[] = [];
  for (let from = 0; from < paths.length; from += CHECKSUMS_AT_ONCE) {
    const some = paths.slice(from, from + CHECKSUMS_AT_ONCE);
    const files = await awaitAddon((addon) => addon.readImages(some));
    for (const [i, bytes] of files.entries()) {
      if (typeof bytes === "string") {
        throw dataError(`Image ${shownPath(some[i] as string)} cannot be read: ${bytes}`);
      }
      sums.push(createHash("sha256").update(bytes).digest("hex"));
    }
  }
  return sums;
}

async function findImages(
  sets: readonly string[],
  warnings: string[],
  listing: ListingOptions,
): Promise<Image[]> {
  const images: Image[] = [];
  for (const set of sets) {
    const opened = await openSet(set, { name: "set" }, listing);
    const { source, classes, labels, loose, place, root } = opened;
    // Of a list, rows name the folder that has its files; paths are joined to what they name.
    const from = place === root ? set : relative(process.cwd(), root) || ".";
    const files = (source as { files: string[] }).files;
    for (const [i, file] of files.entries()) {
      const path = unicodePath(pathWithin(root, file));
      images.push({ file, path, set: from, class: classes[labels[i] as number] ?? null });
    }
    if (loose > 0) {
      warnings.push(`${loose} images lie directly in ${set}, beside its classes, and are left out`);
    }
  }
  return images;
}

async function rowsOf(
  stretch: EmbeddingStretch,
  images: readonly Image[],
  { normalize, sha256, dims }: TableOrigin,
): Promise<EmbeddingRows> {
  const { embeddings, losses, widths, heights } = stretch;
  if (normalize === "l2") normalizeRows(embeddings, dims);
  const mine = Array.from(stretch.indices, (i) => images[i] as Image);
  return {
    paths: mine.map((image) => image.path),
    sets: mine.map((image) => image.set),
    classes: mine.map((image) => image.class),
    embeddings,
    losses,
    widths,
    heights,
    // Longer files are refused by the decoder.
    bytes: Int32Array.from(stretch.bytes),
    sha256: sha256 ? await checksums(mine.map(({ file }) => file)) : null,
  };
}

/** Totals of a pass. */
interface Pass {
  rows: number;
  bad: number;
  decodeSeconds: number;
  encodeSeconds: number;
}

async function run(
  handle: EmbeddingHandle,
  images: readonly Image[],
  table: TableWriter,
  origin: TableOrigin,
  { signal, onProgress, onBad }: EmbedOptions,
): Promise<Pass> {
  const pass: Pass = { rows: 0, bad: 0, decodeSeconds: 0, encodeSeconds: 0 };
  const next = (): Promise<EmbeddingStretch> => {
    const stretch = handle.next();
    // Whoever stops before it is awaited has a reason of his own.
    stretch.catch(() => {});
    return stretch;
  };
  // One stretch is written while the next is computed.
  let coming = next();
  for (;;) {
    const stretch = await coming;
    signal?.throwIfAborted();
    if (!stretch.last) coming = next();
    await table.write(await rowsOf(stretch, images, origin));
    pass.rows += stretch.indices.length;
    pass.bad += stretch.bad.length;
    pass.decodeSeconds = stretch.decodeSeconds;
    pass.encodeSeconds = stretch.encodeSeconds;
    for (const { file, reason } of stretch.bad) onBad?.(file, reason);
    onProgress?.(pass.rows + pass.bad, images.length);
    if (stretch.last) return pass;
  }
}

/**
 * What `embed` of `ts/index.ts` does.
 *
 * @param memory - Makes what takes the rows in place of a file; `out` is then not looked at.
 */
export async function embed(
  model: string,
  options: EmbedOptions,
  memory?: (origin: TableOrigin) => TableWriter,
): Promise<Embedding> {
  const { loss = false, sha256 = false, append = false, batchSize = 64 } = options;
  const sets = typeof options.sets === "string" ? [options.sets] : options.sets;
  if (sets.length === 0) throw configError("Expected a set of images: a folder");
  if (!Number.isInteger(batchSize) || batchSize < 1) {
    throw configError(`Expected an integer of at least 1 for batchSize but received ${batchSize}`);
  }
  if (options.normalize !== undefined && options.normalize !== "l2") {
    throw configError(`Expected l2 for normalize but received ${String(options.normalize)}`);
  }
  const isFolder = memory === undefined && isFolderName(options.out);
  if (append && !isFolder && extname(options.out).toLowerCase() !== ".parquet") {
    throw configError(
      `append adds to a .parquet file or a folder, which say what each row is of, not to ${options.out}: leave append out, or name one of these`,
    );
  }
  const shard: Shard | null = options.shard === undefined ? null : readShard(options.shard);
  const device = options.device ?? "auto";
  checkDevice(device);
  const path = await modelFile(model, loss ? "ae.pt" : "en.pt");
  const warnings: string[] = [];
  const all = await findImages(sets, warnings, options);
  const images =
    shard === null
      ? all
      : all.slice(
          Math.floor(((shard.index - 1) * all.length) / shard.of),
          Math.floor((shard.index * all.length) / shard.of),
        );

  const { trust = false, precision = "auto" } = options;
  const loaded = await awaitAddon((addon) => addon.loadModel(path, device, { trust, precision }));
  try {
    const manifest = readManifest(loaded.configJson);
    const origin: TableOrigin = {
      version: VERSION,
      model: resolve(path),
      modelSha256: await checksum(await encoderFile(path)),
      dims: loaded.embeddingShape.reduce((a, b) => a * b, 1),
      precision: loaded.precision,
      normalize: options.normalize ?? null,
      loss,
      sha256,
      file: true,
      map: null,
      settings: manifest === null ? null : { ...manifest.model, ...manifest.settings },
    };
    const trained = manifest?.settings.interpolation as Interpolation | undefined;
    const load = toLoadOptions({
      interpolation: options.interpolation ?? trained ?? "area",
      workers: options.workers ?? 0,
      cache: "none",
      max_pixels: options.maxPixels ?? MAX_PIXELS,
    });
    const out = resolve(options.out);
    let table: TableWriter;
    let left = images;
    if (isFolder) {
      const parts = await PartsTable.open(out, origin, shard, append);
      left = (await parts.missing(images, append)).map((i) => images[i] as Image);
      table = parts;
    } else if (memory !== undefined) {
      table = memory(origin);
    } else if (append) {
      await makeFolders(dirname(out));
      const appended = await AppendedTable.open(out, origin);
      left = (await appended.missing(images)).map((i) => images[i] as Image);
      table = appended;
    } else {
      await makeFolders(dirname(out));
      table = await createTable(out, origin);
    }
    const files = left.map(({ file }) => file);
    const began = performance.now();
    let handle: EmbeddingHandle | undefined;
    try {
      handle = loaded.embed(files, load, { batchSize, loss });
      const pass =
        files.length === 0
          ? { rows: 0, bad: 0, decodeSeconds: 0, encodeSeconds: 0 }
          : await run(handle, left, table, origin, options);
      if (pass.bad > 0 && images.length === pass.bad) {
        throw dataError(
          `None of the ${pass.bad} images can be used; \`flexae check\` tells why of a folder`,
        );
      }
      await table.finish();
      const seconds = (performance.now() - began) / 1000;
      const { cores } = callAddon((addon) => addon.hardware()).cpu;
      const count = pass.rows + pass.bad;
      return {
        out,
        images: pass.rows,
        kept: images.length - left.length,
        bad: pass.bad,
        dims: origin.dims,
        seconds,
        imagesPerSecond: count / seconds,
        decodeImagesPerSecond: (cores * count) / pass.decodeSeconds,
        encodeImagesPerSecond: pass.rows / pass.encodeSeconds,
        device: loaded.device,
        precision: loaded.precision,
        warnings,
      };
    } catch (error) {
      await table.abandon();
      throw options.signal?.aborted ? error : translateError(error);
    } finally {
      await handle?.close();
    }
  } finally {
    loaded.dispose();
  }
}
