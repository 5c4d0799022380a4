/** The words and bounds that the table of parameters is made of. */

export const ACTIVATIONS = [
  "linear",
  "relu",
  "elu",
  "selu",
  "gelu",
  "tanh",
  "sigmoid",
  "hard_sigmoid",
  "softplus",
  "softsign",
  "exponential",
  "silu",
  "leaky_relu",
] as const;

export const INITIALIZERS = [
  "zeros",
  "ones",
  "random_uniform",
  "random_normal",
  "truncated_normal",
  "glorot_uniform",
  "glorot_normal",
  "he_uniform",
  "he_normal",
  "lecun_uniform",
  "lecun_normal",
  "orthogonal",
  "identity",
] as const;

export const OPTIMIZERS = [
  "sgd",
  "rmsprop",
  "adagrad",
  "adadelta",
  "adam",
  "adamw",
  "adamax",
  "nadam",
] as const;

export const POOLINGS = ["avg", "max", "no"] as const;
export const INTERPOLATIONS = ["area", "bilinear", "nearest"] as const;
export const CACHES = ["auto", "ram", "disk", "none"] as const;

/** How a layer pools 2×2 cells: their mean, their maximum, or not at all. */
export type Pooling = (typeof POOLINGS)[number];

/** Keras's regularizer as two factors: `l1·Σ|w| + l2·Σw²`. */
export interface Regularizer {
  /** Factor of the sum of magnitudes, at least 0. */
  l1: number;
  /** Factor of the sum of squares, at least 0. */
  l2: number;
}

/**
 * Keras's constraint with its arguments resolved. The axis is Keras's default, 0.
 */
export type Constraint =
  | { name: "none" }
  | { name: "non_neg" }
  | { name: "unit_norm" }
  | {
      name: "max_norm";
      /** The largest norm. */
      maxValue: number;
    }
  | {
      name: "min_max_norm";
      /** The smallest norm. */
      minValue: number;
      /** The largest norm. */
      maxValue: number;
      /** How far a norm outside goes towards the bound in a step, 0…1; 1 is all the way. */
      rate: number;
    };

/** 268 million: 16384×16384, or 800 MB while an RGB image is decoded. */
export const MAX_PIXELS = 2 ** 28;

/** The most of a count for which no other bound is known. Nobody means it, so no message says it. */
export const LARGEST_COUNT = 2 ** 31 - 1;

/** Keras's learning rates; adadelta's is the 1.0 of its paper and of Keras up to 2.2. */
export const LEARNING_RATES: Readonly<Record<(typeof OPTIMIZERS)[number], number>> = {
  sgd: 0.01,
  rmsprop: 0.001,
  adagrad: 0.001,
  adadelta: 1.0,
  adam: 0.001,
  adamw: 0.001,
  adamax: 0.001,
  nadam: 0.001,
};
