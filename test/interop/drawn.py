"""Networks drawn at random, from all that the program can express on small images."""

from __future__ import annotations

import random
from typing import Any

from configurations import ACTIVATIONS

# Exponentials of exponentials leave what fp32 holds, in any program; configurations.py has one of them.
_BOUNDED = [name for name in ACTIVATIONS if name != "exponential"]


def draw_network(seed: int) -> dict[str, Any]:
    """Options of a network that fits its images; the same for a seed."""
    rng = random.Random(seed)
    while True:
        layers = rng.randint(1, 4)
        pooling = [rng.choice(["avg", "max", "no"]) for _ in range(layers)]
        network = {
            "height": rng.randint(9, 48),
            "width": rng.randint(9, 48),
            "channels": rng.choice([1, 3]),
            "filters": [rng.randint(1, 12) for _ in range(layers)],
            "pooling": pooling,
            "kernelSize": [rng.randint(1, 6) for _ in range(layers)],
            "strides": [rng.choice([1, 1, 2, 2, 3]) for _ in range(layers)],
            "dims": [rng.randint(2, 30) for _ in range(rng.randint(1, 3))],
            "mlp": rng.random() < 0.8,
            "useBias": rng.random() < 0.7,
            "dropRate": rng.choice([0.0, 0.5]),
            "activation": rng.choice(_BOUNDED),
            "lastActivation": rng.choice(_BOUNDED),
            "batchNormMomentum": 0.6,
            "batchNormEpsilon": rng.choice([1e-3, 1e-5, 0.1]),
        }
        if _fits(network):
            return network


def _fits(network: dict[str, Any]) -> bool:
    """Whether no layer meets an image smaller than its stride or its pooling."""
    sides = [network["height"], network["width"]]
    for stride, pooling in zip(network["strides"], network["pooling"]):
        for factor in (stride, 1 if pooling == "no" else 2):
            if min(sides) < factor:
                return False
            sides = [-(-side // factor) for side in sides]
    return True
