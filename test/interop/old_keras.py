"""Whole models as Keras 2.2 wrote them: HDF5, names counted from 1, and its own description of layers."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import h5py
import keras
import numpy as np

_GLOROT = {
    "class_name": "VarianceScaling",
    "config": {"scale": 1.0, "mode": "fan_avg", "distribution": "uniform", "seed": None},
}
_ZEROS = {"class_name": "Zeros", "config": {}}
_NAMES = {
    "InputLayer": "input",
    "Conv2D": "conv2d",
    "Conv2DTranspose": "conv2d_transpose",
    "BatchNormalization": "batch_normalization",
    "AveragePooling2D": "average_pooling2d",
    "MaxPooling2D": "max_pooling2d",
    "UpSampling2D": "up_sampling2d",
    "Cropping2D": "cropping2d",
}


def _regularizer(value: Any) -> Any:
    if value is None:
        return None
    return {"class_name": "L1L2", "config": {"l1": float(value.l1), "l2": float(value.l2)}}


def _options(layer: keras.layers.Layer) -> dict[str, Any]:
    """Options by the names that Keras 2.2 had for them."""
    last = {"data_format": "channels_last"}
    match type(layer).__name__:
        case "InputLayer":
            return {"batch_input_shape": [None, *layer.batch_shape[1:]], "dtype": "float32", "sparse": False}
        case "Conv2D" | "Conv2DTranspose" | "Dense" as kind:
            common = {
                "activation": layer.activation.__name__,
                "use_bias": layer.use_bias,
                "kernel_initializer": _GLOROT,
                "bias_initializer": _ZEROS,
                "kernel_regularizer": _regularizer(layer.kernel_regularizer),
                "bias_regularizer": _regularizer(layer.bias_regularizer),
                "activity_regularizer": _regularizer(layer.activity_regularizer),
                "kernel_constraint": None,
                "bias_constraint": None,
            }
            if kind == "Dense":
                return {"units": layer.units} | common
            windows = {
                "filters": layer.filters,
                "kernel_size": list(layer.kernel_size),
                "strides": list(layer.strides),
                "padding": layer.padding,
                "dilation_rate": [1, 1],
            }
            return windows | last | common | ({"output_padding": None} if kind != "Conv2D" else {})
        case "BatchNormalization":
            return {"axis": -1, "momentum": layer.momentum, "epsilon": layer.epsilon, "center": True, "scale": True}
        case "AveragePooling2D" | "MaxPooling2D":
            size = list(layer.pool_size)
            return {"pool_size": size, "padding": layer.padding, "strides": size} | last
        case "UpSampling2D":
            return {"size": list(layer.size), "interpolation": "nearest"} | last
        case "Cropping2D":
            return {"cropping": [list(axis) for axis in layer.cropping]} | last
        case "Reshape":
            return {"target_shape": list(layer.target_shape)}
        case "Dropout":
            return {"rate": layer.rate, "noise_shape": None, "seed": None}
        case "Flatten":
            return last
        case "Activation":
            return {"activation": layer.activation.__name__}
    raise ValueError(f"Keras 2.2 had no {type(layer).__name__} that is known here")


def write_old_keras(path: Path, model: keras.Model) -> None:
    """Writes ``model``, whose layers are a row."""
    counts: dict[str, int] = {}
    layers, groups, before = [], [], None
    for layer in model.layers:
        kind = type(layer).__name__
        base = _NAMES.get(kind) or re.sub("(?<!^)([A-Z])", r"_\1", kind).lower()
        counts[base] = counts.get(base, 0) + 1
        name = f"{base}_{counts[base]}"
        inbound = [] if before is None else [[[before, 0, 0, {}]]]
        config = {"name": name, "trainable": True} | _options(layer)
        layers.append({"name": name, "class_name": kind, "config": config, "inbound_nodes": inbound})
        groups.append((name, [(f"{name}/{weight.name}:0", np.asarray(value)) for weight, value in zip(layer.weights, layer.get_weights())]))
        before = name
    graph = {
        "name": "model_1",
        "layers": layers,
        "input_layers": [[layers[0]["name"], 0, 0]],
        "output_layers": [[before, 0, 0]],
    }
    with h5py.File(path, "w") as file:
        file.attrs["keras_version"] = np.bytes_("2.2.4")
        file.attrs["backend"] = np.bytes_("tensorflow")
        file.attrs["model_config"] = np.bytes_(json.dumps({"class_name": "Model", "config": graph}))
        weights = file.create_group("model_weights")
        weights.attrs["layer_names"] = [np.bytes_(name) for name, _ in groups]
        weights.attrs["backend"] = np.bytes_("tensorflow")
        for name, values in groups:
            group = weights.create_group(name)
            group.attrs["weight_names"] = [np.bytes_(weight) for weight, _ in values]
            for weight, value in values:
                group.create_dataset(weight, data=value)
        # Of a model that was compiled.
        file.create_group("optimizer_weights").attrs["weight_names"] = [np.bytes_("Adadelta/iterations:0")]
