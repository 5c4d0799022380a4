/** The settings of this program that a row of Keras layers follows from, if any do. */
import { INITIALIZERS } from "../config/choices.js";
import { snakeCase } from "../config/names.js";
import type { ParameterName } from "../config/parameters.js";
import { checkValue } from "../config/settings.js";
import { isMapping } from "../config/values.js";
import type { ForeignLayer } from "./foreign.js";
import type { Step } from "./steps.js";

/** What was found. Whether it is what the layers compute is for `match.ts` to see. */
export interface FoundNetwork {
  values: Record<string, unknown>;
  /** Why there can be none. */
  problems: string[];
  /** What was left out, since it means nothing to a network that is trained already. */
  notes: string[];
}

const first = (steps: readonly Step[], kind: string) => steps.find((step) => step.kind === kind);

/** The activation right behind a step, or right behind the normalization that follows it. */
function activationAfter(steps: readonly Step[], step: Step | undefined): string {
  let at = step === undefined ? -1 : steps.indexOf(step) + 1;
  if (steps[at]?.kind === "BatchNormalization") at++;
  const next = at > 0 ? steps[at] : undefined;
  return next?.kind === "Activation" ? String(next.options.activation) : "linear";
}

/** Of each convolution, how its result is pooled before the next layer with weights. */
function poolings(steps: readonly Step[], convolutions: readonly Step[]): string[] {
  return convolutions.map((convolution) => {
    for (const { kind } of steps.slice(steps.indexOf(convolution) + 1)) {
      if (kind === "AveragePooling2D") return "avg";
      if (kind === "MaxPooling2D") return "max";
      if (kind !== "BatchNormalization" && kind !== "Activation") break;
    }
    return "no";
  });
}

const factor = (value: unknown) => (typeof value === "number" ? value : 0);

/** A regularizer as a setting; undefined if there is none like it. */
function regularizer(value: unknown): { l1: number; l2: number } | undefined {
  if (value === null || value === undefined) return { l1: 0, l2: 0 };
  if (!isMapping(value) || !isMapping(value.config)) return undefined;
  if (!["L1", "L2", "L1L2"].includes(String(value.class_name))) return undefined;
  // Keras keeps factors as fp32, and some versions write them so.
  const shortest = (number: number) => Number(number.toPrecision(7));
  return { l1: shortest(factor(value.config.l1)), l2: shortest(factor(value.config.l2)) };
}

function constraint(value: unknown): Record<string, unknown> | undefined {
  if (value === null || value === undefined) return { name: "none" };
  if (!isMapping(value) || !isMapping(value.config)) return undefined;
  const { min_value, max_value, rate, axis = 0 } = value.config;
  const name = snakeCase(String(value.class_name));
  if (name === "non_neg") return { name };
  if (axis !== 0) return undefined;
  if (name === "unit_norm") return { name };
  if (name === "max_norm") return { name, maxValue: max_value };
  if (name === "min_max_norm") {
    return { name, minValue: min_value, maxValue: max_value, rate };
  }
  return undefined;
}

/** An initializer's name: of no consequence to weights that are there, but it is kept. */
function initializer(value: unknown): string | undefined {
  if (!isMapping(value)) return undefined;
  const options = isMapping(value.config) ? value.config : {};
  let name = snakeCase(String(value.class_name));
  if (name === "variance_scaling" && options.scale === 1 && options.mode === "fan_avg") {
    // As Keras before 2.4 wrote the default.
    name = options.distribution === "uniform" ? "glorot_uniform" : "glorot_normal";
  }
  return (INITIALIZERS as readonly string[]).includes(name) ? name : undefined;
}

/** Settings of training that layers carry, where all layers of a kind have the same. */
class Carried {
  readonly values: Record<string, unknown> = {};
  readonly notes: string[] = [];

  take(
    setting: ParameterName,
    layers: readonly ForeignLayer[],
    option: string,
    read: (value: unknown) => unknown,
  ): void {
    const found = layers.map(({ config }) => read(config[option]));
    const texts = new Set(found.map((value) => JSON.stringify(value)));
    const isUsable = found[0] !== undefined && checkValue(setting, found[0]) !== undefined;
    if (texts.size === 1 && isUsable) this.values[setting] = found[0];
    else if (texts.size > 0 && read !== initializer) {
      this.notes.push(
        `${option} was left out: ${texts.size > 1 ? "the layers differ in it" : "it is not known"}`,
      );
    }
  }
}

function carried(steps: readonly Step[], dense: readonly Step[], convolutions: readonly Step[]) {
  const all = new Carried();
  const norms = steps.filter(({ kind }) => kind === "BatchNormalization").map(({ layer }) => layer);
  const layers = dense.map(({ layer }) => layer);
  const cnn = convolutions.map(({ layer }) => layer);
  for (const what of ["kernel", "bias", "activity"] as const) {
    all.take(`${what}_regularizer`, layers, `${what}_regularizer`, regularizer);
  }
  for (const what of ["kernel", "bias"] as const) {
    all.take(`${what}_constraint`, layers, `${what}_constraint`, constraint);
    all.take(`${what}_initializer`, layers, `${what}_initializer`, initializer);
    all.take(`cnn_${what}_initializer`, cnn, `${what}_initializer`, initializer);
  }
  all.take("batch_norm_momentum", norms, "momentum", (value) => value ?? 0.99);
  all.take("cnn_kernel_regularizer", cnn, "kernel_regularizer", regularizer);
  return all;
}

/** How many dense layers the encoder has; null if no network of ours has so many in all. */
function encoderDepth(dense: number): number | null {
  if (dense === 3) return 1;
  return dense === 0 || (dense >= 4 && dense % 2 === 0) ? dense / 2 : null;
}

/**
 * Reads settings off a row of steps.
 *
 * @param inputShape - [H, W, C].
 */
export function networkOf(steps: readonly Step[], inputShape: readonly number[]): FoundNetwork {
  const convolutions = steps.filter(({ kind }) => kind === "Conv2D");
  const transposed = steps.filter(({ kind }) => kind === "Conv2DTranspose");
  const dense = steps.filter(({ kind }) => kind === "Dense");
  const problems: string[] = [];
  const [height, width, channels] = inputShape;
  if (inputShape.length !== 3) problems.push(`its input has ${inputShape.length} sizes, not 3`);
  if (convolutions.length === 0) problems.push("it has no Conv2D layer");
  else if (transposed.length === 0) {
    problems.push("it has no Conv2DTranspose layer: an encoder alone is no autoencoder");
  }
  const depth = encoderDepth(dense.length);
  if (depth === null && problems.length === 0) {
    problems.push(
      `it has ${dense.length} dense layers: one width has 3 in all, several have two each`,
    );
  }
  if (problems.length > 0 || depth === null) return { values: {}, problems, notes: [] };
  const norm = first(steps, "BatchNormalization");
  const each = (name: string) => convolutions.map(({ options }) => options[name]);
  const { values, notes } = carried(steps, dense, [...convolutions, ...transposed]);
  return {
    values: {
      imageShape: [height, width],
      channels,
      filters: each("filters"),
      kernel_size: each("kernel_size").map((pair) => (pair as number[])[0]),
      strides: each("strides").map((pair) => (pair as number[])[0]),
      pooling: poolings(steps, convolutions),
      activation: activationAfter(steps, convolutions[0]),
      dropRate: first(steps, "Dropout")?.options.rate ?? 0,
      AutoencoderMLP_switch: depth > 0,
      ...(depth === 0
        ? {}
        : {
            dims: dense.slice(0, depth).map(({ options }) => options.units),
            last_activation: activationAfter(steps, dense[depth - 1]),
            use_bias: dense.some(({ layer }) => layer.config.use_bias !== false),
          }),
      ...(norm === undefined ? {} : { batch_norm_epsilon: norm.options.epsilon }),
      ...values,
    },
    problems,
    notes,
  };
}
