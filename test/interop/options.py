"""The options of a model, as the exported models carry them in ``config.json``.

The keys are those of the library's type ``Network``. ``resolve`` also takes a partial description and
fills in the program's defaults, so that a test names only what it is about.
"""

from __future__ import annotations

import copy
import re
from typing import Any

_NO_PENALTY = {"l1": 0.0, "l2": 0.0}

DEFAULTS: dict[str, Any] = {
    "height": 256,
    "width": 256,
    "channels": 1,
    "filters": [32, 64, 128, 256],
    "pooling": ["avg", "avg", "no", "no"],
    "kernelSize": [5, 5, 3],
    "strides": [2, 2, 2],
    "activation": "elu",
    "lastActivation": "selu",
    "dropRate": 0.5,
    "dims": [1000],
    "mlp": True,
    "useBias": True,
    "kernelInitializer": "glorot_uniform",
    "biasInitializer": "zeros",
    "kernelRegularizer": _NO_PENALTY,
    "biasRegularizer": _NO_PENALTY,
    "activityRegularizer": _NO_PENALTY,
    "kernelConstraint": {"name": "none"},
    "biasConstraint": {"name": "none"},
    "cnnKernelInitializer": "glorot_uniform",
    "cnnBiasInitializer": "zeros",
    "cnnKernelRegularizer": _NO_PENALTY,
    "batchNormMomentum": 0.99,
    "batchNormEpsilon": 1e-3,
}

# Where the command line's parameter is not simply the snake-case form of the model's option.
_CLI_NAMES = {"mlp": "AutoencoderMLP_switch", "dropRate": "dropRate"}


def resolve(partial: dict[str, Any]) -> dict[str, Any]:
    """Complete options: defaults filled in, the lists of the convolutions as long as ``filters``."""
    unknown = set(partial) - set(DEFAULTS)
    if unknown:
        raise KeyError(f"not model options: {sorted(unknown)}")
    options = copy.deepcopy(DEFAULTS) | copy.deepcopy(partial)
    count = len(options["filters"])
    for name in ("pooling", "kernelSize", "strides"):
        values = options[name]
        options[name] = (values + [values[-1]] * count)[:count]
    return options


def command_line_parameters(partial: dict[str, Any]) -> dict[str, Any]:
    """The same options under the names that a config file of the program uses."""
    parameters: dict[str, Any] = {}
    for name, value in partial.items():
        if name in ("height", "width"):
            continue
        if isinstance(value, dict):
            raise TypeError(f"{name}: spell penalties and constraints out in the test's own parameters")
        parameters[_CLI_NAMES.get(name) or re.sub("[A-Z]", lambda m: "_" + m[0].lower(), name)] = value
    parameters["imageShape"] = [
        partial.get("height", DEFAULTS["height"]),
        partial.get("width", DEFAULTS["width"]),
    ]
    return parameters
