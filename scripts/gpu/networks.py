"""The networks that are timed, as options of this program and for pytorch_network.py."""

from __future__ import annotations

from typing import Any

DEFAULTS: dict[str, Any] = {
    "height": 256,
    "width": 256,
    "channels": 1,
    "filters": [32, 64, 128, 256],
    "kernelSize": [5, 5, 3, 3],
    "strides": [2, 2, 2, 2],
    "pooling": ["avg", "avg", "no", "no"],
    "dims": [1000],
    "mlp": True,
    "activation": "elu",
    "lastActivation": "selu",
    "dropRate": 0.5,
    "useBias": True,
    "batchNormEpsilon": 1e-3,
    "batchNormMomentum": 0.99,
    "kernelRegularizer": {},
    "biasRegularizer": {},
    "activityRegularizer": {},
    "cnnKernelRegularizer": {},
}

# As bench/peers/networks.mjs has them.
NETWORKS: dict[str, dict[str, Any]] = {
    "default": {"options": {}, "optimizer": "adadelta", "learningRate": 1.0},
    "mnist": {
        "options": {
            "height": 28,
            "width": 28,
            "filters": [16, 32],
            "kernelSize": [3, 3],
            "strides": [2, 2],
            "pooling": ["no", "no"],
            "dims": [32],
            "activation": "relu",
            "lastActivation": "linear",
            "dropRate": 0,
        },
        "optimizer": "adam",
        "learningRate": 0.001,
    },
    "rgb": {
        "options": {"height": 128, "width": 128, "channels": 3},
        "optimizer": "adam",
        "learningRate": 0.001,
    },
    "deep": {
        "options": {
            "height": 512,
            "width": 512,
            "filters": [16, 32, 64, 128, 128, 256],
            "kernelSize": [5, 5, 3, 3, 3, 3],
            "strides": [2] * 6,
            "pooling": ["avg", "no", "no", "no", "no", "no"],
            "dims": [500, 100],
        },
        "optimizer": "adadelta",
        "learningRate": 1.0,
    },
}


def options(name: str) -> dict[str, Any]:
    """All options of a network."""
    return {**DEFAULTS, **NETWORKS[name]["options"]}


def flags(name: str) -> list[str]:
    """The same for flexae_train_bench. The peers turn no images over, so neither does it."""
    o, n = options(name), NETWORKS[name]
    join = lambda values: ",".join(str(value) for value in values)  # noqa: E731
    pairs = {
        "image-shape": join([o["height"], o["width"]]),
        "channels": o["channels"],
        "filters": join(o["filters"]),
        "kernel-size": join(o["kernelSize"]),
        "strides": join(o["strides"]),
        "pooling": join(o["pooling"]),
        "dims": join(o["dims"]),
        "activation": o["activation"],
        "last-activation": o["lastActivation"],
        "drop-rate": o["dropRate"],
        "optimizer": n["optimizer"],
        "learning-rate": n["learningRate"],
        "horizontal-flip": "false",
        "vertical-flip": "false",
    }
    return [text for key, value in pairs.items() for text in (f"--{key}", str(value))]


def traffic(name: str, itemsize: int, parameters: int, optimizer_slots: int) -> tuple[int, int]:
    """The least bytes a training step moves, as (an image, a batch).

    Counts normalization, activation and pooling as one pass, in which statistics are one more:
    forward, a convolution reads its input and writes its output, which is read for its statistics
    and again to be normalized into the next input; backward, the output and the gradient behind are
    read twice (sums, then gradient), the gradient is written, and read by both of the convolution's
    products, which read the input and write its gradient. The optimizer reads weights, gradients
    and slots and writes weights and slots; products read the weights twice.
    """
    o = options(name)
    image = 0

    def stage(inputs: int, output: int, passed: int) -> None:
        nonlocal image
        image += (3 * inputs + 7 * output + 3 * passed) * itemsize

    h, w, c = o["height"], o["width"], o["channels"]
    sizes = []
    for i, filters in enumerate(o["filters"]):
        inputs = h * w * c
        h, w, c = -(-h // o["strides"][i]), -(-w // o["strides"][i]), filters
        sizes.append((h, w))
        output = h * w * c
        if o["pooling"][i] != "no":
            h, w = -(-h // 2), -(-w // 2)
        stage(inputs, output, h * w * c)
    for i in range(len(sizes) - 2, -1, -1):
        # What is upsampled need not be written.
        inputs = h * w * c
        h, w = sizes[i]
        c = o["filters"][i]
        stage(inputs, h * w * c, 0)
    stage(h * w * c, o["height"] * o["width"] * o["channels"], 0)
    batch = parameters * 4 * (2 + 1 + 2 * (1 + optimizer_slots)) + 2 * parameters * itemsize
    return image, batch
