/** The layers of a model as Keras 3 describes them. */
import type { ModelLayer, ModelWeight } from "../addon/types.js";

/** A layer as Keras serializes it; what is left out has Keras's default. */
interface KerasConfig {
  module: "keras.layers";
  class_name: string;
  config: Record<string, unknown>;
  registered_name: null;
}

/** A layer of Keras: what it is, and whose weights it has. */
export interface KerasLayer {
  config: KerasConfig;
  /** In Keras's order; empty if it has none. */
  weights: readonly ModelWeight[];
}

type Shape = readonly [number, number, number];

const nameOf = ({ name }: ModelLayer) => name.replace(".", "_");

function layerOf(
  class_name: string,
  config: Record<string, unknown>,
  weights: readonly ModelWeight[] = [],
): KerasLayer {
  return {
    config: { module: "keras.layers", class_name, config, registered_name: null },
    weights,
  };
}

/** The layer with options of its own. */
function sameKind(layer: ModelLayer, options: Record<string, unknown>): KerasLayer {
  return layerOf(layer.type, { name: nameOf(layer), ...options }, layer.weights);
}

/** What cuts images, `height` × `width` of them, to the size of the layer's output; if need be. */
function crop(layer: ModelLayer, height: number, width: number): KerasLayer[] {
  const [, rows, columns] = layer.outputShape as unknown as Shape;
  if (height === rows && width === columns) return [];
  const cropping = [
    [0, height - rows],
    [0, width - columns],
  ];
  return [layerOf("Cropping2D", { name: `${nameOf(layer)}_crop`, cropping })];
}

const convolution = (layer: ModelLayer) => ({
  filters: layer.outputShape[0],
  kernel_size: layer.kernel,
  strides: layer.stride,
  padding: "same",
});

/** What each kind is in Keras, by its name there. Activations are layers of their own. */
const LAYERS: Record<string, (layer: ModelLayer, momentum: number) => KerasLayer[]> = {
  Conv2D: (layer) => [sameKind(layer, convolution(layer))],
  Conv2DTranspose(layer) {
    const [, height, width] = layer.inputShape as unknown as Shape;
    // Keras itself cuts to that size.
    const [rows, columns] = [height * layer.stride[0], width * layer.stride[1]];
    return [sameKind(layer, convolution(layer)), ...crop(layer, rows, columns)];
  },
  Dense: (layer) => [
    sameKind(layer, { units: layer.outputShape[0], use_bias: layer.weights.length > 1 }),
  ],
  BatchNormalization: (layer, momentum) => [
    sameKind(layer, { axis: -1, momentum, epsilon: layer.constants.eps }),
  ],
  AveragePooling2D: (layer) => [sameKind(layer, { pool_size: layer.kernel, padding: "same" })],
  MaxPooling2D: (layer) => [sameKind(layer, { pool_size: layer.kernel, padding: "same" })],
  UpSampling2D(layer) {
    const [, height, width] = layer.inputShape as unknown as Shape;
    const options = { size: layer.stride, interpolation: "nearest" };
    return [
      sameKind(layer, options),
      ...crop(layer, height * layer.stride[0], width * layer.stride[1]),
    ];
  },
  Flatten: (layer) => [sameKind(layer, {})],
  Reshape(layer) {
    const [channels, height, width] = layer.outputShape as unknown as Shape;
    return [sameKind(layer, { target_shape: [height, width, channels] })];
  },
  Dropout: (layer) => [sameKind(layer, { rate: layer.dropRate })],
};

/** The layers that a `keras.Sequential` has for these. */
export function kerasLayers(layers: readonly ModelLayer[], momentum: number): KerasLayer[] {
  return layers.flatMap((layer) => {
    const write = LAYERS[layer.type];
    if (write === undefined) throw new Error(`no layer of Keras is known for ${layer.type}`);
    const written = write(layer, momentum);
    if (layer.activation === "linear") return written;
    const { activation } = layer;
    return [...written, layerOf("Activation", { name: `${nameOf(layer)}_activation`, activation })];
  });
}
