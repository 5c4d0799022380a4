"""The network as its description has it, built from Keras's own layers: the oracle of the parity tests.

Nothing here shares code or numbers with the program under test. Images are N×H×W×C, as Keras likes them.
"""

from __future__ import annotations

import os

os.environ.setdefault("KERAS_BACKEND", "torch")

from typing import Any, NamedTuple

import keras
import numpy as np
from keras import layers

Weights = dict[str, np.ndarray]


class Reference(NamedTuple):
    """One network three ways; the models share their layers and so their weights."""

    autoencoder: keras.Model
    """Images to images in [0, 1]."""
    encoder: keras.Model
    """Images to embeddings."""
    logits: keras.Model
    """Images to what the last sigmoid takes: what the loss is computed from."""


def regularizer(options: dict[str, float]) -> keras.Regularizer | None:
    if options["l1"] == 0 and options["l2"] == 0:
        return None
    return keras.regularizers.L1L2(l1=options["l1"], l2=options["l2"])


def constraint(options: dict[str, Any]) -> keras.constraints.Constraint | None:
    match options["name"]:
        case "none":
            return None
        case "non_neg":
            return keras.constraints.NonNeg()
        case "unit_norm":
            return keras.constraints.UnitNorm()
        case "max_norm":
            return keras.constraints.MaxNorm(options["maxValue"])
        case "min_max_norm":
            return keras.constraints.MinMaxNorm(
                options["minValue"], options["maxValue"], options["rate"]
            )
    raise ValueError(f"no such constraint: {options['name']}")


def build(options: dict[str, Any]) -> Reference:
    """Builds the network of complete options (see ``options.resolve``) with fresh weights.

    Layers are named as in an exported model,: ``encoder.conv_0``,
    ``encoder.conv_0_bn``, ``decoder.deconv_end`` and so on.
    """
    filters, pooling = options["filters"], options["pooling"]
    kernels, strides = options["kernelSize"], options["strides"]
    count = len(filters)

    def batch_norm(x, name):
        return layers.BatchNormalization(
            momentum=options["batchNormMomentum"], epsilon=options["batchNormEpsilon"], name=name + "_bn"
        )(x)

    def conv(kind, width, i, name):
        return kind(
            width,
            kernels[i],
            strides=strides[i],
            padding="same",
            kernel_initializer=options["cnnKernelInitializer"],
            bias_initializer=options["cnnBiasInitializer"],
            kernel_regularizer=regularizer(options["cnnKernelRegularizer"]),
            name=name,
        )

    def dense(width, activation, name):
        return layers.Dense(
            width,
            activation=activation,
            use_bias=options["useBias"],
            kernel_initializer=options["kernelInitializer"],
            bias_initializer=options["biasInitializer"],
            kernel_regularizer=regularizer(options["kernelRegularizer"]),
            bias_regularizer=regularizer(options["biasRegularizer"]),
            activity_regularizer=regularizer(options["activityRegularizer"]),
            kernel_constraint=constraint(options["kernelConstraint"]),
            bias_constraint=constraint(options["biasConstraint"]),
            name=name,
        )

    def pool(x, kind):
        # "same": an odd size is rounded up, so that upsampling and cropping can give it back.
        if kind == "avg":
            return layers.AveragePooling2D(2, padding="same")(x)
        if kind == "max":
            return layers.MaxPooling2D(2, padding="same")(x)
        return x

    def unpool(x, kind):
        return x if kind == "no" else layers.UpSampling2D(2, interpolation="nearest")(x)

    def crop_to(x, height, width):
        spare = [x.shape[1] - height, x.shape[2] - width]
        if spare == [0, 0]:
            return x
        return layers.Cropping2D(tuple((0, s) for s in spare))(x)

    images = keras.Input((options["height"], options["width"], options["channels"]))
    x = images
    sizes = []
    for i in range(count):
        x = conv(layers.Conv2D, filters[i], i, f"encoder-conv_{i}")(x)
        sizes.append(x.shape[1:3])
        x = batch_norm(x, f"encoder-conv_{i}")
        x = layers.Activation(options["activation"])(x)
        x = pool(x, pooling[i])
    map_shape = x.shape[1:]
    x = layers.Flatten()(x)
    flat_length = x.shape[1]
    x = layers.Dropout(options["dropRate"])(x)

    if options["mlp"]:
        dims = options["dims"]
        for i, width in enumerate(dims[:-1]):
            x = dense(width, None, f"encoder-dense_{i}")(x)
            x = batch_norm(x, f"encoder-dense_{i}")
            x = layers.Activation(options["activation"])(x)
            x = layers.Dropout(options["dropRate"])(x)
        x = dense(dims[-1], options["lastActivation"], f"encoder-dense_{len(dims) - 1}")(x)
        embedding = x
        back = dims if len(dims) == 1 else dims[::-1][1:]
        for i, width in enumerate(back[:-1]):
            x = dense(width, None, f"decoder-dense_{i}")(x)
            x = batch_norm(x, f"decoder-dense_{i}")
            x = layers.Activation(options["activation"])(x)
        x = dense(back[-1], options["lastActivation"], f"decoder-dense_{len(back) - 1}")(x)
        x = dense(flat_length, options["lastActivation"], f"decoder-dense_{len(back)}")(x)
    else:
        embedding = x

    x = layers.Reshape(map_shape)(x)
    x = crop_to(unpool(x, pooling[-1]), *sizes[-1])
    for i in range(count - 2, -1, -1):
        x = unpool(x, pooling[i])
        x = conv(layers.Conv2DTranspose, filters[i], i + 1, f"decoder-deconv_{i}")(x)
        x = crop_to(x, *sizes[i])
        x = batch_norm(x, f"decoder-deconv_{i}")
        x = layers.Activation(options["activation"])(x)
    x = conv(layers.Conv2DTranspose, options["channels"], 0, "decoder-deconv_end")(x)
    x = crop_to(x, options["height"], options["width"])
    logits = batch_norm(x, "decoder-deconv_end")
    output = layers.Activation("sigmoid")(logits)
    return Reference(
        keras.Model(images, output), keras.Model(images, embedding), keras.Model(images, logits)
    )


def _parts(layer: layers.Layer) -> list[tuple[str, Any, bool]]:
    """An exported layer's parts: name in PyTorch, Keras variable, whether it is a kernel."""
    if isinstance(layer, layers.BatchNormalization):
        return [
            ("weight", layer.gamma, False),
            ("bias", layer.beta, False),
            ("running_mean", layer.moving_mean, False),
            ("running_var", layer.moving_variance, False),
        ]
    parts = [("weight", layer.kernel, True)]
    if layer.use_bias:
        parts.append(("bias", layer.bias, False))
    return parts


def _variables(model: keras.Model) -> dict[str, tuple[Any, bool]]:
    return {
        f"{layer.name.replace('-', '.')}.{part}": (variable, is_kernel)
        for layer in model.layers
        if layer.weights
        for part, variable, is_kernel in _parts(layer)
    }


def to_keras(kernel: np.ndarray) -> np.ndarray:
    """PyTorch's layout of a kernel to Keras's.

    (out, in) to (in, out); (out, in, h, w) to (h, w, in, out); of a transposed convolution
    (in, out, h, w) to (h, w, out, in).
    """
    return kernel.T if kernel.ndim == 2 else kernel.transpose(2, 3, 1, 0)


def to_torch(kernel: np.ndarray) -> np.ndarray:
    """The inverse of ``to_keras``."""
    return kernel.T if kernel.ndim == 2 else kernel.transpose(3, 2, 0, 1)


def load_weights(model: keras.Model, weights: Weights) -> None:
    """Puts weights named and laid out as in an exported model into a model of ``build``.

    Every weight must find its place and every place its weight.
    """
    variables = _variables(model)
    missing, spare = variables.keys() - weights.keys(), weights.keys() - variables.keys()
    if missing or spare:
        raise KeyError(f"missing weights {sorted(missing)}, weights without a place {sorted(spare)}")
    for name, (variable, is_kernel) in variables.items():
        value = np.asarray(weights[name], dtype=np.float32)
        variable.assign(to_keras(value) if is_kernel else value)


def save_weights(model: keras.Model) -> Weights:
    """The weights of a model of ``build``, named and laid out as in an exported model."""
    result = {}
    for name, (variable, is_kernel) in _variables(model).items():
        value = keras.ops.convert_to_numpy(variable)
        result[name] = np.ascontiguousarray(to_torch(value) if is_kernel else value)
    return result
