/**
 * The one table of parameters. Flags, `--help`, config-file keys, library options and types, what a
 * run that goes on may change, the README's table and what C++ reads (`native/core/spec/settings.h`)
 * all come from it; `npm run tables` writes the last two. It imports nothing heavy, so
 * `flexae --help` stays fast.
 */
import {
  ACTIVATIONS,
  CACHES,
  INITIALIZERS,
  INTERPOLATIONS,
  LARGEST_COUNT,
  MAX_PIXELS,
  OPTIMIZERS,
  POOLINGS,
} from "./choices.js";
import { kebabCase, nameKey } from "./names.js";
import type { Parameter } from "./parameter.js";

export * from "./choices.js";
export { defaultText, expectedText, GROUPS, type Group, type Kind } from "./parameter.js";
export type { Parameter };

/** Counts of a layer's maps or units, and how many layers there may be. */
const LARGEST_WIDTH = 2 ** 20;
const MOST_LAYERS = 64;
/** Of a convolution's window, and of its steps. */
const LARGEST_WINDOW = 255;

/** What a network is. Every command that makes one takes it. */
const network = {
  group: "model",
  part: "network",
  commands: ["run", "summary", "bench"],
  resume: "fixed",
} as const;

/** How a network is trained, to the bit. */
const training = { group: "training", part: "training", resume: "fixed" } as const;

/** Which images are seen, and how. */
const data = { group: "data", commands: ["run"] } as const;

const output = { group: "output", commands: ["run"] } as const;

const boolean = { kind: "boolean" } as const;
const count = { kind: "number", bounds: { integer: true, least: 1, most: LARGEST_COUNT } } as const;
const countOrZero = {
  kind: "number",
  bounds: { integer: true, least: 0, most: LARGEST_COUNT },
} as const;
const threads = {
  kind: "number",
  bounds: { integer: true, least: 0, most: 1024 },
  zero: "by cores",
} as const;
const widths = {
  kind: "numbers",
  bounds: { integer: true, least: 1, most: LARGEST_WIDTH },
  mostEntries: MOST_LAYERS,
} as const;
const windows = {
  kind: "numbers",
  bounds: { integer: true, least: 1, most: LARGEST_WINDOW },
  perLayer: true,
} as const;
const activation = {
  kind: "name",
  choices: ACTIVATIONS,
  synonyms: { swish: "silu", none: "linear" },
} as const;
const initializer = {
  kind: "name",
  choices: INITIALIZERS,
  synonyms: { zero: "zeros", one: "ones", uniform: "random_uniform", normal: "random_normal" },
} as const;
const regularizer = { kind: "regularizer", default: null } as const;
const constraint = { kind: "constraint", default: null } as const;

const TABLE = [
  {
    ...network,
    name: "imageShape",
    kind: "numbers",
    bounds: { integer: true, least: 8, most: 2 ** 16 },
    entries: ["height", "width"],
    placeholder: "h,w",
    default: [256, 256],
    commands: ["run", "summary", "bench", "check"],
    help: "height and width the images are resized to",
  },
  {
    ...network,
    name: "channels",
    kind: "number",
    among: { 1: "grayscale", 3: "RGB" },
    default: 1,
    commands: ["run", "summary", "bench", "check"],
    help: "1 grayscale, 3 RGB",
  },
  {
    ...network,
    ...widths,
    name: "filters",
    default: [32, 64, 128, 256],
    help: "filters of the convolutions, one a layer",
  },
  {
    ...network,
    name: "pooling",
    kind: "names",
    choices: POOLINGS,
    perLayer: true,
    synonyms: { none: "no", average: "avg", false: "no" },
    placeholder: "p,p,…",
    default: ["avg", "avg", "no", "no"],
    help: "2×2 pooling of each layer: avg, max or no",
  },
  {
    ...network,
    ...windows,
    name: "kernel_size",
    default: [5, 5, 3],
    help: "kernel size of each layer",
  },
  { ...network, ...windows, name: "strides", default: [2, 2, 2], help: "stride of each layer" },
  {
    ...network,
    ...activation,
    name: "activation",
    default: "elu",
    help: "activation of the hidden layers",
  },
  {
    ...network,
    ...activation,
    name: "last_activation",
    default: "selu",
    help: "activation of the last dense layers of the encoder and the decoder",
  },
  {
    ...network,
    name: "dropRate",
    kind: "number",
    bounds: { least: 0, most: 1, below: true },
    placeholder: "share",
    default: 0.5,
    help: "dropout of the flattened convolutions and of the dense encoder",
  },
  {
    ...network,
    ...widths,
    name: "dims",
    default: [1000],
    help: "widths of the dense encoder; the last is the embedding",
  },
  {
    ...network,
    ...boolean,
    name: "AutoencoderMLP_switch",
    alias: "mlp",
    default: true,
    help: "dense layers on or off; off, the embedding is the flattened convolutions",
  },
  {
    ...network,
    ...boolean,
    name: "use_bias",
    default: true,
    help: "bias in the dense layers",
  },
  {
    ...network,
    ...initializer,
    name: "kernel_initializer",
    default: "glorot_uniform",
    help: "initial weights of the dense layers, by Keras's names",
  },
  {
    ...network,
    ...initializer,
    name: "bias_initializer",
    default: "zeros",
    help: "initial biases of the dense layers",
  },
  {
    ...network,
    ...regularizer,
    name: "kernel_regularizer",
    help: "penalty on the dense weights, e.g. l2(0.001)",
  },
  {
    ...network,
    ...regularizer,
    name: "bias_regularizer",
    help: "penalty on the dense biases",
  },
  {
    ...network,
    ...regularizer,
    name: "activity_regularizer",
    help: "penalty on the dense outputs",
  },
  {
    ...network,
    ...constraint,
    name: "kernel_constraint",
    help: "constraint on the dense weights, e.g. max_norm(2)",
  },
  {
    ...network,
    ...constraint,
    name: "bias_constraint",
    help: "constraint on the dense biases",
  },
  {
    ...network,
    ...initializer,
    name: "cnn_kernel_initializer",
    default: "glorot_uniform",
    help: "initial weights of the convolutions",
  },
  {
    ...network,
    ...initializer,
    name: "cnn_bias_initializer",
    default: "zeros",
    help: "initial biases of the convolutions",
  },
  {
    ...network,
    ...regularizer,
    name: "cnn_kernel_regularizer",
    help: "penalty on the convolutions' weights",
  },
  {
    ...network,
    name: "batch_norm_momentum",
    kind: "number",
    bounds: { least: 0, most: 1, below: true },
    default: 0.99,
    help: "momentum of the batch normalisation's moving statistics",
  },
  {
    ...network,
    name: "batch_norm_epsilon",
    kind: "number",
    bounds: { least: 0, above: true },
    default: 0.001,
    help: "epsilon of the batch normalisation",
  },
  {
    ...training,
    ...count,
    name: "train_epochs",
    key: "epochs",
    default: 100,
    commands: ["run"],
    resume: "free",
    help: "epochs",
  },
  {
    ...training,
    ...count,
    name: "batch_size",
    default: 32,
    commands: ["run", "summary", "bench", "evaluate"],
    help: "images in a batch",
  },
  {
    ...training,
    name: "optimizer",
    kind: "name",
    choices: OPTIMIZERS,
    default: "adadelta",
    commands: ["run", "summary", "bench"],
    help: OPTIMIZERS.join(", "),
  },
  {
    ...training,
    name: "learning_rate",
    kind: "number",
    bounds: { least: 0, above: true },
    default: null,
    defaultText: "the optimizer's",
    commands: ["run", "bench"],
    resume: "telling",
    help: "learning rate",
  },
  {
    ...training,
    ...count,
    name: "patience",
    default: 100,
    commands: ["run"],
    resume: "free",
    help: "epochs without a better validation loss before stopping",
  },
  {
    ...training,
    ...count,
    name: "period",
    default: 100,
    commands: ["run"],
    resume: "free",
    help: "least epochs between two ep….ckpt checkpoints, which only the best so far get",
  },
  {
    ...training,
    ...countOrZero,
    name: "checkpoint_epochs",
    zero: "no last.ckpt",
    default: 1,
    commands: ["run"],
    resume: "free",
    local: true,
    help: "epochs between two last.ckpt, from which --resume goes on; 0 for none",
  },
  {
    ...training,
    name: "checkpoint_minutes",
    kind: "number",
    bounds: { least: 0, most: 1e6 },
    zero: "only between epochs",
    default: 10,
    commands: ["run"],
    resume: "free",
    local: true,
    help: "minutes between two last.ckpt within an epoch; 0 for none",
  },
  {
    ...training,
    ...countOrZero,
    name: "keep",
    zero: "all",
    default: 0,
    commands: ["run"],
    resume: "free",
    local: true,
    help: "how many ep….ckpt checkpoints stay, the newest",
  },
  {
    ...training,
    name: "on_nan",
    kind: "name",
    choices: ["stop", "skip"],
    placeholder: "what",
    default: "stop",
    commands: ["run"],
    resume: "free",
    help: "what a loss or gradient that is not finite does: stop, or skip (back to the last good point at half the learning rate, at most three times)",
  },
  {
    ...training,
    ...boolean,
    name: "sync_batch_norm",
    default: true,
    commands: ["run"],
    help: "of several processes, normalize by the whole batch, as one would; or each by its own part",
  },
  {
    ...training,
    name: "seed",
    kind: "number",
    bounds: { integer: true, least: 0, most: Number.MAX_SAFE_INTEGER },
    default: 1,
    commands: ["run", "bench", "evaluate"],
    help: "everything random follows from it",
  },
  {
    ...training,
    name: "device",
    kind: "text",
    pattern: { regexp: /^(auto|cpu|cuda(:\d{1,3})?)$/, text: "auto, cpu, cuda or cuda:N" },
    default: "auto",
    commands: ["run", "summary", "bench", "evaluate"],
    resume: "telling",
    help: "auto, cpu, cuda or cuda:N",
  },
  {
    ...training,
    name: "precision",
    kind: "text",
    choices: ["auto", "fp32", "bf16"],
    default: "auto",
    commands: ["run", "bench"],
    resume: "telling",
    help: "auto, fp32 or bf16; auto takes bf16 where the hardware computes it",
  },
  {
    ...training,
    ...threads,
    name: "threads",
    default: 0,
    commands: ["run", "bench"],
    resume: "telling",
    help: "compute threads",
  },
  {
    ...data,
    name: "train_dir",
    kind: "path",
    default: "data/train",
    commands: ["run", "evaluate"],
    resume: "telling",
    help: "training images: a folder (one a class, or flat), a list of files, or tar, zip, Parquet, IDX or npy files; several with commas between, with weights as a:0.7,b:0.3",
  },
  {
    ...data,
    name: "valid_dir",
    kind: "path",
    default: "data/valid",
    commands: ["run", "evaluate"],
    resume: "free",
    help: "validation images, likewise",
  },
  {
    ...data,
    name: "valid_split",
    kind: "share",
    bounds: { least: 0, most: 1, below: true },
    zero: "none",
    default: 0,
    commands: ["run"],
    resume: "fixed",
    help: "share of each class of the training images that validates, in place of valid_dir: 10% or 0.1",
  },
  {
    ...data,
    ...boolean,
    name: "horizontal_flip",
    part: "training",
    default: true,
    commands: ["run", "bench"],
    resume: "fixed",
    help: "flip training images left to right at random",
  },
  {
    ...data,
    ...boolean,
    name: "vertical_flip",
    part: "training",
    default: true,
    commands: ["run", "bench"],
    resume: "fixed",
    help: "flip training images upside down at random",
  },
  {
    ...data,
    name: "interpolation",
    kind: "name",
    choices: INTERPOLATIONS,
    default: "area",
    commands: ["run", "evaluate"],
    resume: "fixed",
    help: "how images are resized: area, bilinear or nearest",
  },
  {
    ...data,
    ...threads,
    name: "workers",
    default: 0,
    commands: ["run", "evaluate", "check"],
    resume: "free",
    help: "image decoding threads",
  },
  {
    ...data,
    name: "cache",
    kind: "name",
    choices: CACHES,
    // The word also stands for no value at all; here it is one.
    synonyms: { none: "none", false: "none" },
    placeholder: "where",
    default: "auto",
    commands: ["run", "evaluate"],
    resume: "free",
    local: true,
    help: "where decoded images are kept: ram, disk (for later runs too), none, or auto, the first with room",
  },
  {
    ...data,
    name: "max_bad",
    kind: "share",
    bounds: { least: 0, most: 1 },
    default: 0.05,
    commands: ["run", "check"],
    resume: "free",
    help: "share of a set's images that may be unusable: 5% or 0.05; more end the training",
  },
  {
    ...data,
    name: "max_pixels",
    kind: "number",
    // More are beyond what OpenCV decodes.
    bounds: { integer: true, least: 1, most: 2 ** 30 },
    default: MAX_PIXELS,
    commands: ["run", "evaluate", "check"],
    resume: "free",
    help: "images of more pixels are taken for bad, before memory is taken for them",
  },
  {
    ...output,
    name: "save_dir",
    kind: "path",
    default: null,
    defaultText: "logs/ae_YYYYMMDD_HHMMSS",
    local: true,
    resume: "none",
    help: "run folder",
  },
  {
    ...output,
    name: "save_prefix",
    kind: "text",
    pattern: {
      regexp: /^[\p{L}\p{N}._-]{1,64}$/u,
      text: "a name of 1 to 64 letters, digits, dots, dashes or underscores",
    },
    default: "AE",
    // Models carry it, as their name.
    local: true,
    resume: "fixed",
    help: "name of the model, kept in setting.yaml and inside ae.pt and en.pt",
  },
  {
    ...output,
    ...boolean,
    name: "overwrite",
    default: false,
    local: true,
    resume: "none",
    help: "let save_dir be a folder that already holds files; an earlier run's are replaced",
  },
  {
    ...output,
    name: "preTrain_verbose",
    kind: "number",
    among: { 0: "silent", 1: "progress bar", 2: "a line an epoch" },
    default: 1,
    local: true,
    resume: "unsaid",
    help: "0 silent, 1 progress bar, 2 a line an epoch",
  },
] as const satisfies readonly Parameter[];

/** A row, with the literal types that other types are derived from. */
export type Row = (typeof TABLE)[number];

export type ParameterName = Row["name"];

/** The names of the parameters that mean something to a command. */
export type TakenBy<Command extends string, R = Row> = R extends Row
  ? Command extends R["commands"][number]
    ? R["name"]
    : never
  : never;

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

/** Every name and alias, for a nearest-name suggestion. */
export function parameterNames(): string[] {
  return PARAMETERS.flatMap((p) => (p.alias === undefined ? [p.name] : [p.name, p.alias]));
}

/** The names of the parameters that mean something to `command`. */
export function takenBy<Command extends string>(command: Command): readonly TakenBy<Command>[] {
  return PARAMETERS.filter(({ commands }) => commands.includes(command)).map(
    ({ name }) => name as TakenBy<Command>,
  );
}
