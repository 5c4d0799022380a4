import { z } from "zod";
import type { ModelOptions } from "../addon/types.js";
import { ACTIVATIONS, INITIALIZERS, POOLINGS } from "./parameters.js";

/** Sizes past this overflow what the network's libraries count with. */
const LARGEST = 2 ** 31 - 1;
const size = z.int().min(1).max(LARGEST);
const sizes = z.array(size).min(1);
const side = z.int().min(8).max(LARGEST);
const factor = z.number().min(0);

const regularizer = z.strictObject({ l1: factor, l2: factor });
const constraint = z.discriminatedUnion("name", [
  z.strictObject({ name: z.literal("none") }),
  z.strictObject({ name: z.literal("non_neg") }),
  z.strictObject({ name: z.literal("unit_norm") }),
  z.strictObject({ name: z.literal("max_norm"), maxValue: z.number().positive() }),
  z
    .strictObject({
      name: z.literal("min_max_norm"),
      minValue: z.number().min(0),
      maxValue: z.number().positive(),
      rate: z.number().min(0).max(1),
    })
    .refine((c) => c.minValue <= c.maxValue),
]);

export const modelSchema = z.strictObject({
  imageShape: z.tuple([side, side]),
  channels: z.literal([1, 3]),
  filters: sizes,
  pooling: z.array(z.enum(POOLINGS)).min(1),
  kernel_size: sizes,
  strides: sizes,
  activation: z.enum(ACTIVATIONS),
  last_activation: z.enum(ACTIVATIONS),
  dropRate: z.number().min(0).lt(1),
  dims: sizes,
  AutoencoderMLP_switch: z.boolean(),
  use_bias: z.boolean(),
  kernel_initializer: z.enum(INITIALIZERS),
  bias_initializer: z.enum(INITIALIZERS),
  kernel_regularizer: regularizer,
  bias_regularizer: regularizer,
  activity_regularizer: regularizer,
  kernel_constraint: constraint,
  bias_constraint: constraint,
  cnn_kernel_initializer: z.enum(INITIALIZERS),
  cnn_bias_initializer: z.enum(INITIALIZERS),
  cnn_kernel_regularizer: regularizer,
  batch_norm_momentum: z.number().min(0).lt(1),
  batch_norm_epsilon: z.number().positive(),
});

export type ModelSettings = z.infer<typeof modelSchema>;

/** `list` at `length`: a shorter one repeats its last entry, a longer one is cut. */
export function fitLength<T>(list: readonly T[], length: number): T[] {
  return Array.from({ length }, (_, i) => list[Math.min(i, list.length - 1)] as T);
}

/** The network these settings describe, as the addon takes it. */
export function toModelOptions(settings: ModelSettings): ModelOptions {
  const [height, width] = settings.imageShape;
  return {
    height,
    width,
    channels: settings.channels,
    filters: settings.filters,
    pooling: settings.pooling,
    kernelSize: settings.kernel_size,
    strides: settings.strides,
    activation: settings.activation,
    lastActivation: settings.last_activation,
    dropRate: settings.dropRate,
    dims: settings.dims,
    mlp: settings.AutoencoderMLP_switch,
    useBias: settings.use_bias,
    kernelInitializer: settings.kernel_initializer,
    biasInitializer: settings.bias_initializer,
    kernelRegularizer: settings.kernel_regularizer,
    biasRegularizer: settings.bias_regularizer,
    activityRegularizer: settings.activity_regularizer,
    kernelConstraint: settings.kernel_constraint,
    biasConstraint: settings.bias_constraint,
    cnnKernelInitializer: settings.cnn_kernel_initializer,
    cnnBiasInitializer: settings.cnn_bias_initializer,
    cnnKernelRegularizer: settings.cnn_kernel_regularizer,
    batchNormMomentum: settings.batch_norm_momentum,
    batchNormEpsilon: settings.batch_norm_epsilon,
  };
}
