/** Models of other programs, as far as this one has to know them. */
import { FlexaeError } from "../addon/errors.js";
import type { TensorEntry } from "../addon/types.js";
import { shownPath } from "../files/paths.js";

/** What a weight is to its layer, by Keras's names. */
export type Role = "kernel" | "bias" | "gamma" | "beta" | "moving_mean" | "moving_variance";

/** A tensor, where it lies. */
export interface StoredTensor {
  readonly shape: readonly number[];
  /**
   * As fp32, row-major.
   *
   * @throws FlexaeError `FLEXAE_MODEL` if these are no numbers, or some are missing.
   */
  read(): Float32Array;
}

/** Tensors by the names that this program has for them. */
export type StoredWeights = Record<string, StoredTensor>;

/** All of them, read. */
export function readWeights(weights: Readonly<StoredWeights>): Record<string, TensorEntry> {
  return Object.fromEntries(
    Object.entries(weights).map(([name, { shape, read }]) => [
      name,
      { shape: [...shape], values: read() },
    ]),
  );
}

/** A weight of Keras, in its layout. */
export interface ForeignWeight extends StoredTensor {
  readonly role: Role;
}

/** A layer as Keras describes it. */
export interface ForeignLayer {
  readonly name: string;
  /** Keras's class name. */
  readonly kind: string;
  /** Its options; what is left out has Keras's default. */
  readonly config: Readonly<Record<string, unknown>>;
  /** Whether it is Keras's own class, not one of that name. */
  readonly isKeras: boolean;
}

/** Layers that compute one after the other, and their weights. */
export interface ForeignModel {
  /** What the file is, for people, such as `Keras 3 model`. */
  readonly format: string;
  /** The first number of Keras's version: names have changed their meaning. */
  readonly kerasMajor: number;
  /** Without the batch, [H, W, C]; null if it is not fixed. */
  readonly inputShape: readonly number[] | null;
  readonly layers: readonly ForeignLayer[];
  /** The weights of one of the layers; empty if it has none. */
  weightsOf(layer: ForeignLayer): readonly ForeignWeight[];
}

/** A file that cannot be used. `why` follows its name. */
export function modelError(path: string, why: string, cause?: unknown): FlexaeError {
  return new FlexaeError("FLEXAE_MODEL", `${shownPath(path)} ${why}`, { cause });
}

/** A stranger's text in a message: short, and on one line. */
export const shown = (text: unknown): string => shownPath(String(text).slice(0, 60));
