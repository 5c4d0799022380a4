/** Models of other programs, as far as this one has to know them. */
import { FlexaeError } from "../addon/errors.js";
import { shownPath } from "../files/paths.js";

/** What a weight is to its layer, by Keras's names. */
export type Role = "kernel" | "bias" | "gamma" | "beta" | "moving_mean" | "moving_variance";

/** A weight, where it lies. */
export interface ForeignWeight {
  readonly role: Role;
  /** In Keras's layout. */
  readonly shape: readonly number[];
  /** Its numbers, row-major. */
  read(): Float32Array;
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
