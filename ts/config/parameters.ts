/**
 * The one table of parameters. Flags, `--help`, config-file keys, library options and the README's
 * table all come from it. It imports nothing heavy, so `flexae --help` stays fast.
 */
import { kebabCase, nameKey } from "./names.js";

export const GROUPS = {
  model: "Model",
  training: "Training",
  data: "Data",
  output: "Output",
} as const;

export type Group = keyof typeof GROUPS;

/** How a value is written as text; see `values.ts`. */
export type Kind =
  | "number"
  | "share"
  | "boolean"
  | "text"
  | "path"
  | "name"
  | "numbers"
  | "names"
  | "regularizer"
  | "constraint";

export interface Parameter {
  /** The name it has had since the Keras program, also its key in `setting.yaml`. */
  readonly name: string;
  readonly group: Group;
  readonly kind: Kind;
  readonly default: unknown;
  /** The word standing for the value in `--help`. */
  readonly placeholder: string;
  /** Completes "Expected …" in an error. */
  readonly expected: string;
  readonly help: string;
  /** Shown in place of the default where that is computed. */
  readonly defaultText?: string;
  /** Another name, besides the spellings of `name`. */
  readonly alias?: string;
  /** The values allowed, for a parameter of kind `name` or `names`. */
  readonly choices?: readonly string[];
  /** Other names of those values. */
  readonly synonyms?: Readonly<Record<string, string>>;
}

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

/** 268 million: 16384×16384, or 800 MB while an RGB image is decoded. */
export const MAX_PIXELS = 2 ** 28;

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

const activation = {
  kind: "name",
  placeholder: "name",
  expected: `one of ${ACTIVATIONS.join(", ")}`,
  choices: ACTIVATIONS,
  synonyms: { swish: "silu", none: "linear" },
} as const;

const initializer = {
  kind: "name",
  placeholder: "name",
  expected: `one of ${INITIALIZERS.join(", ")}`,
  choices: INITIALIZERS,
  synonyms: { zero: "zeros", one: "ones", uniform: "random_uniform", normal: "random_normal" },
} as const;

const regularizer = {
  kind: "regularizer",
  placeholder: "l1|l2|l1_l2",
  expected: "none, l1, l2 or l1_l2, with factors of at least 0 if any, such as l2(0.001)",
  default: null,
  defaultText: "none",
} as const;

const constraint = {
  kind: "constraint",
  placeholder: "name",
  expected:
    "none, non_neg, unit_norm, max_norm(max) or min_max_norm(min,max,rate) with 0 ≤ min ≤ max",
  default: null,
  defaultText: "none",
} as const;

const boolean = { kind: "boolean", placeholder: "bool", expected: "true or false" } as const;
const count = { kind: "number", placeholder: "n", expected: "an integer of at least 1" } as const;
const counts = {
  kind: "numbers",
  placeholder: "n,n,…",
  expected: "a list of integers of at least 1",
} as const;

const TABLE = [
  {
    name: "imageShape",
    group: "model",
    kind: "numbers",
    default: [256, 256],
    placeholder: "h,w",
    expected: "two integers of at least 8 (height, width)",
    help: "height and width the images are resized to",
  },
  {
    name: "channels",
    group: "model",
    kind: "number",
    default: 1,
    placeholder: "1|3",
    expected: "1 (grayscale) or 3 (RGB)",
    help: "1 grayscale, 3 RGB",
  },
  {
    ...counts,
    name: "filters",
    group: "model",
    default: [32, 64, 128, 256],
    help: "filters of the convolutions, one a layer",
  },
  {
    name: "pooling",
    group: "model",
    kind: "names",
    default: ["avg", "avg", "no", "no"],
    placeholder: "p,p,…",
    expected: "a list of avg, max or no",
    choices: POOLINGS,
    synonyms: { none: "no", average: "avg", false: "no" },
    help: "2×2 pooling of each layer: avg, max or no",
  },
  {
    ...counts,
    name: "kernel_size",
    group: "model",
    default: [5, 5, 3],
    help: "kernel size of each layer",
  },
  { ...counts, name: "strides", group: "model", default: [2, 2, 2], help: "stride of each layer" },
  {
    ...activation,
    name: "activation",
    group: "model",
    default: "elu",
    help: "activation of the hidden layers",
  },
  {
    ...activation,
    name: "last_activation",
    group: "model",
    default: "selu",
    help: "activation of the last dense layers of the encoder and the decoder",
  },
  {
    name: "dropRate",
    group: "model",
    kind: "number",
    default: 0.5,
    placeholder: "share",
    expected: "a number of at least 0 and below 1",
    help: "dropout of the flattened convolutions and of the dense encoder",
  },
  {
    ...counts,
    name: "dims",
    group: "model",
    default: [1000],
    help: "widths of the dense encoder; the last is the embedding",
  },
  {
    ...boolean,
    name: "AutoencoderMLP_switch",
    group: "model",
    default: true,
    alias: "mlp",
    help: "dense layers on or off; off, the embedding is the flattened convolutions",
  },
  {
    ...boolean,
    name: "use_bias",
    group: "model",
    default: true,
    help: "bias in the dense layers",
  },
  {
    ...initializer,
    name: "kernel_initializer",
    group: "model",
    default: "glorot_uniform",
    help: "initial weights of the dense layers, by Keras's names",
  },
  {
    ...initializer,
    name: "bias_initializer",
    group: "model",
    default: "zeros",
    help: "initial biases of the dense layers",
  },
  {
    ...regularizer,
    name: "kernel_regularizer",
    group: "model",
    help: "penalty on the dense weights, e.g. l2(0.001)",
  },
  {
    ...regularizer,
    name: "bias_regularizer",
    group: "model",
    help: "penalty on the dense biases",
  },
  {
    ...regularizer,
    name: "activity_regularizer",
    group: "model",
    help: "penalty on the dense outputs",
  },
  {
    ...constraint,
    name: "kernel_constraint",
    group: "model",
    help: "constraint on the dense weights, e.g. max_norm(2)",
  },
  {
    ...constraint,
    name: "bias_constraint",
    group: "model",
    help: "constraint on the dense biases",
  },
  {
    ...initializer,
    name: "cnn_kernel_initializer",
    group: "model",
    default: "glorot_uniform",
    help: "initial weights of the convolutions",
  },
  {
    ...initializer,
    name: "cnn_bias_initializer",
    group: "model",
    default: "zeros",
    help: "initial biases of the convolutions",
  },
  {
    ...regularizer,
    name: "cnn_kernel_regularizer",
    group: "model",
    help: "penalty on the convolutions' weights",
  },
  {
    name: "batch_norm_momentum",
    group: "model",
    kind: "number",
    default: 0.99,
    placeholder: "x",
    expected: "a number of at least 0 and below 1",
    help: "momentum of the batch normalisation's moving statistics",
  },
  {
    name: "batch_norm_epsilon",
    group: "model",
    kind: "number",
    default: 0.001,
    placeholder: "x",
    expected: "a number above 0",
    help: "epsilon of the batch normalisation",
  },
  { ...count, name: "train_epochs", group: "training", default: 100, help: "epochs" },
  { ...count, name: "batch_size", group: "training", default: 32, help: "images in a batch" },
  {
    name: "optimizer",
    group: "training",
    kind: "name",
    default: "adadelta",
    placeholder: "name",
    expected: `one of ${OPTIMIZERS.join(", ")}`,
    choices: OPTIMIZERS,
    help: OPTIMIZERS.join(", "),
  },
  {
    name: "learning_rate",
    group: "training",
    kind: "number",
    default: null,
    defaultText: "the optimizer's",
    placeholder: "x",
    expected: "a number above 0",
    help: "learning rate",
  },
  {
    ...count,
    name: "patience",
    group: "training",
    default: 100,
    help: "epochs without a better validation loss before stopping",
  },
  {
    ...count,
    name: "period",
    group: "training",
    default: 100,
    help: "least epochs between two ep….ckpt checkpoints, which only the best so far get",
  },
  {
    name: "checkpoint_epochs",
    group: "training",
    kind: "number",
    default: 1,
    placeholder: "n",
    expected: "an integer of at least 0 (0: no last.ckpt)",
    help: "epochs between two last.ckpt, from which --resume goes on; 0 for none",
  },
  {
    name: "checkpoint_minutes",
    group: "training",
    kind: "number",
    default: 10,
    placeholder: "x",
    expected: "a number of at least 0 (0: only between epochs)",
    help: "minutes between two last.ckpt within an epoch; 0 for none",
  },
  {
    name: "keep",
    group: "training",
    kind: "number",
    default: 0,
    defaultText: "all",
    placeholder: "n",
    expected: "an integer of at least 0 (0: all)",
    help: "how many ep….ckpt checkpoints stay, the newest",
  },
  {
    name: "on_nan",
    group: "training",
    kind: "name",
    default: "stop",
    placeholder: "what",
    expected: "stop or skip",
    choices: ["stop", "skip"],
    help: "what a loss or gradient that is not finite does: stop, or skip (back to the last good point at half the learning rate, at most three times)",
  },
  {
    name: "seed",
    group: "training",
    kind: "number",
    default: 1,
    placeholder: "n",
    expected: "an integer from 0 to 9007199254740991",
    help: "everything random follows from it",
  },
  {
    name: "device",
    group: "training",
    kind: "text",
    default: "auto",
    placeholder: "name",
    expected: "auto, cpu, cuda or cuda:N",
    help: "auto, cpu, cuda or cuda:N",
  },
  {
    name: "precision",
    group: "training",
    kind: "text",
    default: "auto",
    placeholder: "name",
    expected: "auto, fp32 or bf16",
    help: "auto, fp32 or bf16; auto takes bf16 where the hardware computes it",
  },
  {
    name: "threads",
    group: "training",
    kind: "number",
    default: 0,
    defaultText: "by cores",
    placeholder: "n",
    expected: "an integer from 0 (by cores) to 1024",
    help: "compute threads",
  },
  {
    name: "train_dir",
    group: "data",
    kind: "path",
    default: "data/train",
    placeholder: "dir",
    expected: "the path of a folder",
    help: "training images: one folder a class, or a flat folder",
  },
  {
    name: "valid_dir",
    group: "data",
    kind: "path",
    default: "data/valid",
    placeholder: "dir",
    expected: "the path of a folder",
    help: "validation images, likewise",
  },
  {
    ...boolean,
    name: "horizontal_flip",
    group: "data",
    default: true,
    help: "flip training images left to right at random",
  },
  {
    ...boolean,
    name: "vertical_flip",
    group: "data",
    default: true,
    help: "flip training images upside down at random",
  },
  {
    name: "interpolation",
    group: "data",
    kind: "name",
    default: "area",
    placeholder: "name",
    expected: `one of ${INTERPOLATIONS.join(", ")}`,
    choices: INTERPOLATIONS,
    help: "how images are resized: area, bilinear or nearest",
  },
  {
    name: "workers",
    group: "data",
    kind: "number",
    default: 0,
    defaultText: "by cores",
    placeholder: "n",
    expected: "an integer from 0 (by cores) to 1024",
    help: "image decoding threads",
  },
  {
    name: "cache",
    group: "data",
    kind: "name",
    default: "auto",
    placeholder: "where",
    expected: `one of ${CACHES.join(", ")}`,
    choices: CACHES,
    // The word also stands for no value at all; here it is one.
    synonyms: { none: "none", false: "none" },
    help: "where decoded images are kept: ram, disk (for later runs too), none, or auto, the first with room",
  },
  {
    name: "max_bad",
    group: "data",
    kind: "share",
    default: 0.05,
    defaultText: "5%",
    placeholder: "share",
    expected: "a share from 0 to 1, or from 0% to 100%",
    help: "share of a set's images that may be unusable: 5% or 0.05; more end the training",
  },
  {
    name: "max_pixels",
    group: "data",
    kind: "number",
    default: MAX_PIXELS,
    placeholder: "n",
    expected: "an integer from 1 to 1073741824",
    help: "images of more pixels are taken for bad, before memory is taken for them",
  },
  {
    name: "save_dir",
    group: "output",
    kind: "path",
    default: null,
    defaultText: "logs/ae_YYYYMMDD_HHMMSS",
    placeholder: "dir",
    expected: "the path of a folder",
    help: "run folder",
  },
  {
    name: "save_prefix",
    group: "output",
    kind: "text",
    default: "AE",
    placeholder: "name",
    expected: "a name of 1 to 64 letters, digits, dots, dashes or underscores",
    help: "name of the model, kept in setting.yaml and inside ae.pt and en.pt",
  },
  {
    ...boolean,
    name: "overwrite",
    group: "output",
    default: false,
    help: "let save_dir be a folder that already holds files; an earlier run's are replaced",
  },
  {
    name: "preTrain_verbose",
    group: "output",
    kind: "number",
    default: 1,
    placeholder: "0|1|2",
    expected: "0 (silent), 1 (progress bar) or 2 (a line an epoch)",
    help: "0 silent, 1 progress bar, 2 a line an epoch",
  },
] as const satisfies readonly Parameter[];

export type ParameterName = (typeof TABLE)[number]["name"];

/** All parameters, in the order `--help` shows them. */
export const PARAMETERS: readonly (Parameter & { readonly name: ParameterName })[] = TABLE;

const byKey = new Map<string, Parameter & { readonly name: ParameterName }>();
for (const parameter of PARAMETERS) {
  byKey.set(nameKey(parameter.name), parameter);
  if (parameter.alias !== undefined) byKey.set(nameKey(parameter.alias), parameter);
}

/** The parameter that `name` spells, in any of its spellings. */
export function findParameter(
  name: string,
): (Parameter & { readonly name: ParameterName }) | undefined {
  return byKey.get(nameKey(name));
}

/** The spelling of its flag in the documentation, without the dashes. */
export function flagName(parameter: Parameter): string {
  return kebabCase(parameter.name);
}

/** The default as one would write it after the flag. */
export function defaultText(parameter: Parameter): string {
  if (parameter.defaultText !== undefined) return parameter.defaultText;
  return Array.isArray(parameter.default) ? parameter.default.join(",") : String(parameter.default);
}

/** The name in a message about a default that nobody wrote, and for a nearest-name suggestion. */
export function parameterNames(): string[] {
  return PARAMETERS.flatMap((p) => (p.alias === undefined ? [p.name] : [p.name, p.alias]));
}
