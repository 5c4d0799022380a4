"""The networks that the parity tests train and compare: what each is there for is its name.

Small images and few filters wherever the point allows it, so that the whole list trains in a minute or two.
``batchNormMomentum`` is low where it can be: the moving statistics then leave their initial values
far behind after a few batches, and a mistake in using them shows.
"""

from __future__ import annotations

from typing import Any

SMALL: dict[str, Any] = {
    "height": 32,
    "width": 32,
    "filters": [6, 8, 10],
    "pooling": ["avg", "no", "no"],
    "kernelSize": [5, 3, 3],
    "strides": [2, 2, 1],
    "dims": [12],
    "batchNormMomentum": 0.6,
}

NETWORKS: dict[str, dict[str, Any]] = {
    "default": {},
    "small": SMALL,
    "two dims": SMALL | {"dims": [24, 12]},
    "four dims": SMALL | {"dims": [40, 24, 16, 8]},
    "no MLP": SMALL | {"mlp": False},
    "RGB": SMALL | {"channels": 3},
    "rectangular": SMALL | {"height": 48, "width": 80},
    "even kernels": SMALL | {"kernelSize": [4, 2, 6]},
    "kernel smaller than stride": SMALL | {"kernelSize": [2, 1, 3], "strides": [3, 2, 1], "height": 36, "width": 36},
    "stride 1": SMALL | {"strides": [1, 1, 1]},
    "stride 3": SMALL | {"strides": [3, 2, 1], "height": 48, "width": 36},
    "max pooling": SMALL | {"pooling": ["max", "max", "no"]},
    "pooling on the last layer": SMALL | {"pooling": ["no", "avg", "max"]},
    "one layer": SMALL | {"filters": [7], "pooling": ["max"], "kernelSize": [5], "strides": [2]},
    "28 to 14 to 7 to 4": SMALL | {"height": 28, "width": 28, "pooling": ["no"], "strides": [2, 2, 2]},
    "odd sizes, pooled": SMALL
    | {"height": 45, "width": 51, "pooling": ["avg", "max", "avg"], "strides": [2, 1, 2], "kernelSize": [5, 4, 3]},
    "no bias": SMALL | {"useBias": False, "dims": [24, 12]},
    "no bias, RGB, no MLP": SMALL | {"useBias": False, "channels": 3, "mlp": False},
    "other epsilon": SMALL | {"batchNormEpsilon": 0.1},
}

ACTIVATIONS = [
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
    "swish",
    "silu",
    "leaky_relu",
]

_TINY: dict[str, Any] = SMALL | {
    "height": 16,
    "width": 16,
    "filters": [4, 6],
    "pooling": ["no"],
    "strides": [2],
    "dims": [10, 6],
}

# Hidden and last activation differ, so that a mix-up of the two shows.
EACH_ACTIVATION: dict[str, dict[str, Any]] = {
    f"activation {name}": _TINY
    | {"activation": name, "lastActivation": ACTIVATIONS[(i + 3) % len(ACTIVATIONS)]}
    for i, name in enumerate(ACTIVATIONS)
}
