/** Trained models, loaded and run from JavaScript. */
import { configError, FlexaeError, translateError } from "./addon/errors.js";
import { awaitAddon } from "./addon/loader.js";
import type { Cache, Interpolation, LoadOptions, ModelHandle, Scores } from "./addon/types.js";
import { MAX_PIXELS } from "./config/parameters.js";
import { mountContainers } from "./containers/mount.js";
import { openSet } from "./dataset/open_set.js";
import { type ModelManifest, readManifest } from "./runs/setting.js";

/**
 * Images to run a model on: a path or a list of paths; encoded files (PNG, JPEG, …) as Buffers or
 * Uint8Arrays, one or a list; or a batch that is decoded already, N×C×H×W floats in [0, 1]. Such a batch is read where it
 * lies: until the promise settles it must not be changed, transferred or resized.
 */
export type ImageInput = string | Uint8Array | readonly (string | Uint8Array)[] | Float32Array;

/** What a model gives: row-major data and its shape, the images first. */
export interface Batch {
  /** `shape[0] · shape[1] · …` floats. */
  data: Float32Array;
  /** [N, …]. */
  shape: number[];
}

/** How a model is loaded, and how it takes image files. */
export interface LoadModelOptions {
  /** auto, cpu, cuda or cuda:N; `auto` unless given. */
  device?: string;
  /**
   * What products are computed in; fp32 unless given. bf16 is about twice as fast on hardware that computes it and keeps
   * two to three digits; auto takes it there.
   */
  precision?: "auto" | "fp32" | "bf16";
  /** How image files are resized; as in training unless given. */
  interpolation?: Interpolation;
  /** Decoding threads; 0, the default, chooses by cores. */
  workers?: number;
  /** Images of more pixels are refused; 268435456 unless given, 1073741824 at most. */
  maxPixels?: number;
  /** Images run at once; 64 unless given. More take more memory. */
  batchSize?: number;
  /**
   * Loads TorchScript that this program did not write, too: it must have the attributes
   * `input_shape` and `embedding_shape`. Loading and running it can do anything on this machine.
   */
  trust?: boolean;
}

function product(shape: readonly number[]): number {
  return shape.reduce((a, b) => a * b, 1);
}

/** A loaded `ae.pt` or `en.pt`. Dispose of it when done: its memory is not JavaScript's. */
export class Model {
  #handle: ModelHandle;
  #path: string;
  #interpolation: Interpolation;
  #workers: number;
  #maxPixels: number;
  #batchSize: number;

  /**
   * Use {@link load}.
   *
   * @internal
   */
  constructor(handle: ModelHandle, path: string, options: LoadModelOptions) {
    this.#handle = handle;
    this.#path = path;
    this.#workers = options.workers ?? 0;
    this.#maxPixels = options.maxPixels ?? MAX_PIXELS;
    this.#batchSize = options.batchSize ?? 64;
    const trained = this.config?.settings.interpolation as Interpolation | undefined;
    this.#interpolation = options.interpolation ?? trained ?? "area";
  }

  /** `autoencoder` for an `ae.pt`, `encoder` for an `en.pt`, which cannot reconstruct. */
  get kind(): "autoencoder" | "encoder" {
    return this.#handle.kind;
  }

  /** `[C, H, W]`: what images are resized to, and what batches must have. */
  get inputShape(): number[] {
    return this.#handle.inputShape;
  }

  /** Shape of one embedding, without the batch. */
  get embeddingShape(): number[] {
    return this.#handle.embeddingShape;
  }

  /** Where it computes: cpu or cuda:N. */
  get device(): string {
    return this.#handle.device;
  }

  /** What products are computed in. */
  get precision(): "fp32" | "bf16" {
    return this.#handle.precision;
  }

  /** What the model was trained with; null for a file that does not say. */
  get config(): ModelManifest | null {
    return readManifest(this.#handle.configJson);
  }

  /**
   * The embeddings of images.
   *
   * @throws FlexaeError `FLEXAE_DATA` naming an image that cannot be read, `FLEXAE_DISPOSED`.
   */
  async encode(images: ImageInput): Promise<Batch> {
    return await this.#run(images, this.embeddingShape, (batch) => this.#handle.encode(batch));
  }

  /**
   * The images as the autoencoder gives them back: N×C×H×W floats in [0, 1].
   *
   * @throws FlexaeError `FLEXAE_MODEL` for an encoder, `FLEXAE_DATA`, `FLEXAE_DISPOSED`.
   */
  async reconstruct(images: ImageInput): Promise<Batch> {
    this.#requireAutoencoder();
    return await this.#run(images, this.inputShape, (batch) => this.#handle.reconstruct(batch));
  }

  /**
   * {@link encode} of a batch that is decoded, on this thread: nothing else happens in the program
   * until the embeddings are there. For small models and batches, where waking another thread up
   * takes longer than they do: one 28×28 image takes a quarter of the time.
   *
   * @param images - N×C×H×W floats in [0, 1].
   * @throws FlexaeError `FLEXAE_CONFIG` for another number of floats, `FLEXAE_DISPOSED`.
   */
  encodeSync(images: Float32Array): Batch {
    return this.#runSync(images, this.embeddingShape, (batch) => this.#handle.encodeSync(batch));
  }

  /**
   * {@link reconstruct} of a batch that is decoded, on this thread, as {@link encodeSync}.
   *
   * @param images - N×C×H×W floats in [0, 1].
   * @throws FlexaeError `FLEXAE_MODEL` for an encoder, `FLEXAE_CONFIG`, `FLEXAE_DISPOSED`.
   */
  reconstructSync(images: Float32Array): Batch {
    this.#requireAutoencoder();
    return this.#runSync(images, this.inputShape, (batch) => this.#handle.reconstructSync(batch));
  }

  /**
   * Loss, accuracy, mean squared error and peak signal-to-noise ratio over the images of a folder; `bad` images could not
   * be used and were left out.
   *
   * @throws FlexaeError `FLEXAE_MODEL` for an encoder, `FLEXAE_DATA`, `FLEXAE_DISPOSED`.
   */
  async evaluate(folder: string): Promise<
    Scores & {
      /** Images that could not be used. */
      bad: number;
    }
  > {
    const { source } = await openSet(folder, { name: "folder" });
    return await awaitAddon(() =>
      this.#handle.evaluate(source, this.#load("auto"), this.#batchSize),
    );
  }

  /** Frees the weights. Idempotent; later calls fail with `FLEXAE_DISPOSED`. */
  dispose(): void {
    this.#handle.dispose();
  }

  /** {@link dispose}, for `using`. */
  [Symbol.dispose](): void {
    this.dispose();
  }

  #load(cache: Cache): LoadOptions {
    const [interpolation, workers] = [this.#interpolation, this.#workers];
    return { interpolation, workers, cache, maxPixels: this.#maxPixels };
  }

  #requireAutoencoder(): void {
    if (this.kind === "autoencoder") return;
    throw new FlexaeError(
      "FLEXAE_MODEL",
      `${this.#path} is an encoder and cannot reconstruct: load the run's ae.pt`,
    );
  }

  /** How many images a decoded batch has. */
  #countIn(images: Float32Array): number {
    const count = images.length / product(this.inputShape);
    if (Number.isInteger(count)) return count;
    throw configError(
      `Expected N×${this.inputShape.join("×")} floats for images but received ${images.length}`,
    );
  }

  #runSync(
    images: Float32Array,
    outputShape: readonly number[],
    forward: (batch: Float32Array) => Float32Array,
  ): Batch {
    if (!(images instanceof Float32Array)) {
      throw configError(`Expected a Float32Array for images but received ${typeof images}`);
    }
    const count = this.#countIn(images);
    const shape = [count, ...outputShape];
    try {
      if (count > 0 && count <= this.#batchSize) return { data: forward(images), shape };
      const [size, length] = [product(this.inputShape), product(outputShape)];
      const data = new Float32Array(count * length);
      for (let from = 0; from < count; from += this.#batchSize) {
        const to = Math.min(count, from + this.#batchSize);
        data.set(forward(images.subarray(from * size, to * size)), from * length);
      }
      return { data, shape };
    } catch (error) {
      throw translateError(error);
    }
  }

  async #run(
    images: ImageInput,
    outputShape: readonly number[],
    forward: (batch: Float32Array | Uint8Array) => Promise<Float32Array>,
  ): Promise<Batch> {
    const size = product(this.inputShape);
    const [channels, height, width] = this.inputShape as [number, number, number];
    let count: number;
    let take: (from: number, to: number) => Promise<Float32Array | Uint8Array>;
    if (images instanceof Float32Array) {
      count = this.#countIn(images);
      take = async (from, to) => images.subarray(from * size, to * size);
    } else {
      const list: readonly (string | Uint8Array)[] = Array.isArray(images)
        ? (images as readonly (string | Uint8Array)[])
        : [images as string | Uint8Array];
      for (const image of list) {
        if (typeof image === "string" || image instanceof Uint8Array) continue;
        throw configError(
          `Expected paths, encoded images or a Float32Array for images but received ${typeof image}`,
        );
      }
      count = list.length;
      await mountContainers(list.filter((image) => typeof image === "string"));
      const load = this.#load("none");
      take = (from, to) =>
        awaitAddon((addon) =>
          addon.decodeImages(list.slice(from, to), { height, width, channels }, load),
        );
    }
    const length = product(outputShape);
    const shape = [count, ...outputShape];
    const run = async (from: number, to: number) => {
      const batch = await take(from, to);
      try {
        return await forward(batch);
      } catch (error) {
        throw translateError(error);
      }
    };
    if (count > 0 && count <= this.#batchSize) return { data: await run(0, count), shape };
    const data = new Float32Array(count * length);
    for (let from = 0; from < count; from += this.#batchSize) {
      data.set(await run(from, Math.min(count, from + this.#batchSize)), from * length);
    }
    return { data, shape };
  }
}

/**
 * Loads an `ae.pt` or `en.pt`.
 *
 * ```js
 * const encoder = await load("logs/ae_20250101_120000/en.pt");
 * const { data, shape } = await encoder.encode(["a.png", "b.png"]);
 * encoder.dispose();
 * ```
 *
 * @throws FlexaeError `FLEXAE_IO` if it cannot be read, `FLEXAE_MODEL` if it is damaged or no
 *   export of this program, `FLEXAE_CONFIG` for an option that cannot be.
 */
export async function load(path: string, options: LoadModelOptions = {}): Promise<Model> {
  const { batchSize = 64 } = options;
  if (!Number.isInteger(batchSize) || batchSize < 1) {
    throw configError(`Expected an integer of at least 1 for batchSize but received ${batchSize}`);
  }
  const { device = "auto", trust = false, precision = "fp32" } = options;
  const handle = await awaitAddon((addon) => addon.loadModel(path, device, { trust, precision }));
  return new Model(handle, path, options);
}
