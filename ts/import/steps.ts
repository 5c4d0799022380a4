/**
 * Keras layers in one form: options as they are when nothing is left out, activations as steps of
 * their own. What has no form here cannot be expressed, and is said.
 */
import { ACTIVATIONS } from "../config/choices.js";
import { isMapping } from "../config/values.js";
import { type ForeignLayer, shown } from "./foreign.js";

/** What one step computes. */
export interface Step {
  /** A class name of Keras. */
  kind: string;
  /** What must be equal for two steps to compute the same. */
  options: Record<string, number | string | readonly number[]>;
  /** Whose step it is. */
  layer: ForeignLayer;
}

/** The steps of a model, and what of it has none. */
export interface Steps {
  steps: Step[];
  /** `name (Kind): why`. */
  problems: string[];
}

/** Names of activations that mean the same. */
const SYNONYMS: Record<string, string> = { swish: "silu" };

/** Reads the options of a layer, and notes what cannot be. */
class Options {
  readonly problems: string[] = [];
  readonly layer: ForeignLayer;
  readonly kerasMajor: number;

  constructor(layer: ForeignLayer, kerasMajor: number) {
    this.layer = layer;
    this.kerasMajor = kerasMajor;
  }

  get(name: string): unknown {
    return this.layer.config[name];
  }

  problem(why: string): void {
    this.problems.push(`${shown(this.layer.name)} (${shown(this.layer.kind)}): ${why}`);
  }

  /** Notes an option that has another value than these; what is left out has the first. */
  must(name: string, ...allowed: unknown[]): void {
    const value = this.get(name) ?? allowed[0];
    const text = JSON.stringify(value);
    if (allowed.some((one) => JSON.stringify(one) === text)) return;
    this.problem(`${name} ${shown(text)}, and only ${JSON.stringify(allowed[0])} is known`);
  }

  number(name: string, fallback?: number): number {
    const value = this.get(name) ?? fallback;
    if (typeof value === "number") return value;
    this.problem(`${name} ${shown(JSON.stringify(value))} is no number`);
    return Number.NaN;
  }

  /** One number for rows and columns, or one each. */
  pair(name: string, fallback?: readonly number[]): readonly number[] {
    const value = this.get(name) ?? fallback;
    if (typeof value === "number") return [value, value];
    if (Array.isArray(value) && value.length === 2 && value.every((v) => typeof v === "number")) {
      return value as number[];
    }
    this.problem(`${name} ${shown(JSON.stringify(value))} is no pair of numbers`);
    return [Number.NaN, Number.NaN];
  }

  /** The activation that an option names; linear if it names none. */
  activation(name = "activation"): string {
    let value: unknown = this.get(name) ?? "linear";
    // Keras writes its own functions by their names alone.
    if (isMapping(value)) {
      const { config, class_name } = value;
      value = `${shown(typeof config === "string" ? config : class_name)} of the file's own`;
    }
    const known = SYNONYMS[String(value)] ?? String(value);
    if (known === "hard_sigmoid" && this.kerasMajor < 3) {
      this.problem("Keras 2's hard_sigmoid has a slope of 1/5, Keras 3's one of 1/6");
    } else if (!(ACTIVATIONS as readonly string[]).includes(known)) {
      this.problem(`activation ${shown(known)} is not known`);
    }
    return known;
  }
}

type Reader = (options: Options) => Omit<Step, "layer">[];

/** An activation as a step; none if it is linear. */
function activationStep(activation: string): Omit<Step, "layer">[] {
  return activation === "linear" ? [] : [{ kind: "Activation", options: { activation } }];
}

function imagesLast(options: Options): void {
  options.must("data_format", "channels_last");
}

const convolution: Reader = (options) => {
  imagesLast(options);
  options.must("dilation_rate", [1, 1], 1);
  options.must("groups", 1);
  options.must("output_padding", null);
  const kernel_size = options.pair("kernel_size");
  const strides = options.pair("strides", [1, 1]);
  // Without padding, a window of one pixel is at the same places.
  if (kernel_size.join() !== "1,1" && options.get("padding") !== "same") {
    options.problem(`padding ${shown(JSON.stringify(options.get("padding") ?? "valid"))}`);
  }
  if (kernel_size[0] !== kernel_size[1]) options.problem(`kernel_size ${kernel_size.join("×")}`);
  if (strides[0] !== strides[1]) options.problem(`strides ${strides.join("×")}`);
  const filters = options.number("filters");
  return [
    { kind: options.layer.kind, options: { filters, kernel_size, strides } },
    ...activationStep(options.activation()),
  ];
};

const pooling: Reader = (options) => {
  imagesLast(options);
  const pool_size = options.pair("pool_size", [2, 2]);
  const strides = options.pair("strides", pool_size);
  if (strides.join() !== pool_size.join()) options.problem(`strides ${strides.join("×")}`);
  // Of even sizes both paddings give the same: see match.ts.
  const padding = options.get("padding") === "same" ? "same" : "valid";
  return [{ kind: options.layer.kind, options: { pool_size, padding } }];
};

/** A layer that is an activation with these options, and no other. */
const activationLayer =
  (activation: string, ...required: [name: string, ...values: unknown[]][]): Reader =>
  (options) => {
    for (const [name, ...values] of required) options.must(name, ...values);
    return activationStep(activation);
  };

const upsampling: Reader = (options) => {
  imagesLast(options);
  options.must("interpolation", "nearest");
  return [{ kind: "UpSampling2D", options: { size: options.pair("size", [2, 2]) } }];
};

const cropping: Reader = (options) => {
  imagesLast(options);
  const value = options.get("cropping");
  const axes = typeof value === "number" ? [value, value] : value;
  const pairs = (Array.isArray(axes) ? axes : []).map((axis) =>
    typeof axis === "number" ? [axis, axis] : axis,
  );
  const cut = pairs.flat().map(Number);
  if (cut.length !== 4) options.problem(`cropping ${shown(JSON.stringify(value))}`);
  return cut.every((size) => size === 0) ? [] : [{ kind: "Cropping2D", options: { cut } }];
};

const reshape: Reader = (options) => {
  const shape = options.get("target_shape");
  const sizes = Array.isArray(shape) ? shape.map(Number) : [];
  if (sizes.length === 1) return [{ kind: "Flatten", options: {} }];
  return [{ kind: "Reshape", options: { target_shape: sizes } }];
};

const READERS: Record<string, Reader> = {
  Conv2D: convolution,
  Conv2DTranspose: convolution,
  Dense: (options) => [
    { kind: "Dense", options: { units: options.number("units") } },
    ...activationStep(options.activation()),
  ],
  BatchNormalization(options) {
    const axis = options.get("axis") ?? -1;
    const last = Array.isArray(axis) && axis.length === 1 ? Number(axis[0]) : Number(axis);
    if (![-1, 1, 3].includes(last)) options.problem(`axis ${shown(JSON.stringify(axis))}`);
    // Of a network that is trained already it means nothing; but it must be one.
    options.number("momentum", 0.99);
    return [
      {
        kind: "BatchNormalization",
        // Whether it is the last one depends on what comes in: see match.ts.
        options: { axis: last, epsilon: options.number("epsilon", 0.001) },
      },
    ];
  },
  AveragePooling2D: pooling,
  MaxPooling2D: pooling,
  Flatten(options) {
    imagesLast(options);
    return [{ kind: "Flatten", options: {} }];
  },
  Reshape: reshape,
  Dropout(options) {
    const rate = options.number("rate", 0);
    return rate === 0 ? [] : [{ kind: "Dropout", options: { rate } }];
  },
  UpSampling2D: upsampling,
  Cropping2D: cropping,
  Activation: (options) => activationStep(options.activation()),
  ELU: activationLayer("elu", ["alpha", 1]),
  ReLU: activationLayer("relu", ["max_value", null], ["negative_slope", 0], ["threshold", 0]),
  LeakyReLU(options) {
    const slope = options.number(
      options.get("alpha") === undefined ? "negative_slope" : "alpha",
      0.3,
    );
    // Kept as fp32 by some versions.
    if (Math.abs(slope - 0.2) > 1e-6) {
      options.problem(`a slope of ${slope}, and only 0.2 is known`);
    }
    return activationStep("leaky_relu");
  },
  Identity: () => [],
};

/** Layers that compute what no one knows before they are run. */
const CODE = ["Lambda", "TFOpLambda", "SlicingOpLambda"];

/** min(max(x + 3, 0), 6) / 6, as exports for Keras 2 have it, whose hard_sigmoid is another one. */
const HARD_SIGMOID: readonly (readonly [kind: string, options: Record<string, number>])[] = [
  ["Rescaling", { scale: 1, offset: 3 }],
  ["ReLU", { max_value: 6, negative_slope: 0, threshold: 0 }],
  ["Rescaling", { scale: 1 / 6, offset: 0 }],
];

/** What layers have that leave an option out. */
const LEFT_OUT: Record<string, number> = { offset: 0, negative_slope: 0, threshold: 0 };

/** Whether the layers from `at` on are a hard sigmoid in parts. */
function isHardSigmoid(layers: readonly ForeignLayer[], at: number): boolean {
  return HARD_SIGMOID.every(([kind, options], i) => {
    const layer = layers[at + i];
    if (layer?.kind !== kind || !layer.isKeras) return false;
    return Object.entries(options).every(([name, meant]) => {
      const value = layer.config[name] ?? LEFT_OUT[name];
      // Kept as fp32 by some versions.
      return typeof value === "number" && Math.abs(value - meant) < 1e-6;
    });
  });
}

/** The steps of layers, in their order. */
export function stepsOf(layers: readonly ForeignLayer[], kerasMajor: number): Steps {
  const all: Steps = { steps: [], problems: [] };
  for (let i = 0; i < layers.length; i++) {
    const layer = layers[i] as ForeignLayer;
    if (isHardSigmoid(layers, i)) {
      const activation = { kind: "Activation", options: { activation: "hard_sigmoid" } };
      all.steps.push({ ...activation, layer });
      i += HARD_SIGMOID.length - 1;
      continue;
    }
    const options = new Options(layer, kerasMajor);
    const read = Object.hasOwn(READERS, layer.kind) ? READERS[layer.kind] : undefined;
    if (!layer.isKeras) {
      options.problem("it is a class of the file's own");
    } else if (read !== undefined) {
      all.steps.push(...read(options).map((step) => ({ ...step, layer })));
    } else {
      options.problem(
        CODE.includes(layer.kind)
          ? "it is code, which is never run"
          : "this program has no such layer",
      );
    }
    all.problems.push(...options.problems);
  }
  return all;
}
