/** `.h5` files: whole models as Keras 2 saved them, which Keras 3 still reads. */
import { differs } from "./bits.js";
import { addWeight, checkWeight, groupOf, readHdf5, writeHdf5 } from "./hdf5.js";
import type { KerasLayer } from "./keras_layers.js";
import { writeNewFile } from "./new_file.js";

/** A layer as Keras 2 serializes it. */
interface LegacyConfig {
  class_name: string;
  config: Record<string, unknown>;
}

/** The version whose files these are like. What reads them asks only whether it was Keras 1. */
const KERAS_VERSION = "2.2.4";
const BACKEND = "tensorflow";

/** Names of weights, in the order in which Keras has them. */
const WEIGHTS: Record<string, readonly string[]> = {
  BatchNormalization: ["gamma", "beta", "moving_mean", "moving_variance"],
  Conv2D: ["kernel", "bias"],
  Conv2DTranspose: ["kernel", "bias"],
  Dense: ["kernel", "bias"],
};

/**
 * An attribute is kept where the file's groups are described, which takes 64 KiB. Keras keeps texts
 * elsewhere; but such a text is bytes to one version of h5py and characters to another, and old
 * versions of Keras want bytes. One of a fixed length is bytes to all, so only a longer one is not.
 */
const LONGEST_ATTRIBUTE = 60_000;

/** Activations that are the same function by the same name in both. */
const SAME = new Set([
  "elu",
  "exponential",
  "gelu",
  "relu",
  "selu",
  "sigmoid",
  "softplus",
  "softsign",
  "tanh",
]);

/** Other names, and layers that compute what Keras 3 means by a name. */
const OTHERS: Record<string, (name: string) => LegacyConfig[]> = {
  silu: (name) => [{ class_name: "Activation", config: { name, activation: "swish" } }],
  leaky_relu: (name) => [{ class_name: "LeakyReLU", config: { name, alpha: 0.2 } }],
  // In Keras 2 it is clip(0.2 x + 0.5, 0, 1), in Keras 3 and here clip(x / 6 + 0.5, 0, 1).
  hard_sigmoid: (name) => [
    { class_name: "Rescaling", config: { name: `${name}_shift`, scale: 1, offset: 3 } },
    { class_name: "ReLU", config: { name, max_value: 6 } },
    { class_name: "Rescaling", config: { name: `${name}_scale`, scale: 1 / 6, offset: 0 } },
  ],
};

function legacyConfigs({ config: { class_name, config } }: KerasLayer): LegacyConfig[] {
  if (class_name !== "Activation") return [{ class_name, config }];
  const activation = String(config.activation);
  if (SAME.has(activation)) return [{ class_name, config }];
  const write = OTHERS[activation];
  if (write === undefined) throw new Error(`no layer of Keras 2 is known for ${activation}`);
  return write(String(config.name));
}

/** The text of `model_config`. */
function configText(name: string, shape: readonly number[], layers: readonly KerasLayer[]): string {
  const [channels, height, width] = shape;
  const input = {
    class_name: "InputLayer",
    config: {
      batch_input_shape: [null, height, width, channels],
      dtype: "float32",
      sparse: false,
      name: "images",
    },
  };
  return JSON.stringify({
    class_name: "Sequential",
    config: { name, layers: [input, ...layers.flatMap(legacyConfigs)] },
  });
}

type Attributes = Pick<ReturnType<typeof groupOf>, "create_attribute" | "get_attribute">;

/** Adds a text, or a list of them, as ASCII. */
function addText(to: Attributes, name: string, text: string | readonly string[]): void {
  if (typeof text === "string") {
    const type = text.length > LONGEST_ATTRIBUTE ? "A" : `A${text.length + 1}`;
    to.create_attribute(name, text, [], type);
  } else {
    const longest = Math.max(...text.map(({ length }) => length));
    to.create_attribute(name, [...text], [text.length], `A${longest + 1}`);
  }
}

function checkText(
  path: string,
  of: Attributes | null,
  name: string,
  text: string | readonly string[],
): void {
  const found = of?.get_attribute(name, false);
  if (JSON.stringify(found) !== JSON.stringify(text)) throw differs(path, name);
}

/**
 * Writes and verifies a model of these layers.
 *
 * @param shape - Of an image: C, H, W.
 */
export async function writeLegacyKeras(
  path: string,
  name: string,
  shape: readonly number[],
  layers: readonly KerasLayer[],
): Promise<void> {
  const origin = { keras_version: KERAS_VERSION, backend: BACKEND };
  const whole = { ...origin, model_config: configText(name, shape, layers) };
  const weighted = layers
    .filter(({ weights }) => weights.length > 0)
    .map(({ config: { class_name, config }, weights }) => {
      const layer = String(config.name);
      const known = WEIGHTS[class_name];
      if (known === undefined) throw new Error(`no weights of Keras 2 are known of ${class_name}`);
      const names = weights.map((_, i) => `${layer}/${known[i]}:0`);
      return { layer, weights, names };
    });
  const contents = { ...origin, layer_names: weighted.map(({ layer }) => layer) };

  await writeNewFile(path, async (handle) => {
    const place = { path, handle, offset: 0 };
    const length = await writeHdf5(place, (open) => {
      const { file } = open;
      for (const [key, text] of Object.entries(whole)) addText(file, key, text);
      const all = groupOf(file, "model_weights");
      for (const [key, text] of Object.entries(contents)) addText(all, key, text);
      for (const { layer, weights, names } of weighted) {
        const group = groupOf(all, layer);
        addText(group, "weight_names", names);
        const inner = groupOf(group, layer);
        for (const [i, weight] of weights.entries()) {
          const name = (names[i] as string).slice(layer.length + 1);
          addWeight(open, inner, name, weight);
        }
      }
    });
    await readHdf5(place, length, (open) => {
      const { file, h5wasm } = open;
      const groupAt = (at: string) => {
        const found = file.get(at);
        return found instanceof h5wasm.Group ? found : null;
      };
      for (const [key, text] of Object.entries(whole)) checkText(path, file, key, text);
      const all = groupAt("model_weights");
      for (const [key, text] of Object.entries(contents)) checkText(path, all, key, text);
      for (const { layer, weights, names } of weighted) {
        checkText(path, groupAt(`model_weights/${layer}`), "weight_names", names);
        for (const [i, weight] of weights.entries()) {
          checkWeight(open, `model_weights/${layer}/${names[i]}`, weight);
        }
      }
    });
  });
}
