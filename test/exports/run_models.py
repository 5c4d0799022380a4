"""Runs exported models in one framework, in a process of its own.

    python run_models.py PROGRAM FOLDER...

PROGRAM is `tf_keras`, `openvino`, or `keras`, whose backend KERAS_BACKEND names. Each folder has
`images.npy`, N×C×H×W floats, models in `float` and those of fp16 in `half`, and gets
`PROGRAM.npz`: what each model gives.
"""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np


def run_keras(program, folder, images):
    """Everything that `load_model` takes. Images and reconstructions are N×H×W×C there."""
    if program == "keras":
        import keras
    else:
        import tf_keras as keras
    outputs = {}
    images = np.ascontiguousarray(images.transpose(0, 2, 3, 1))
    for kind in (".keras", "_weights.h5") if program == "keras" else ("_weights.h5",):
        for stem in ("ae", "en"):
            model = keras.models.load_model(str(folder / f"{stem}{kind}"))
            # Not by `predict`, which compiles: that would take most of the time.
            output = model(images)
            output = keras.ops.convert_to_numpy(output) if program == "keras" else output.numpy()
            outputs[f"{stem}{kind}"] = output.transpose(0, 3, 1, 2) if stem == "ae" else output
    return outputs


def run_openvino(folder, images):
    import openvino

    core = openvino.Core()
    outputs = {}
    for name in ("float/ae.onnx", "float/en.onnx", "half/ae.onnx", "half/en.onnx"):
        # Without the hint it takes bf16 where the processor has it.
        hints = {"INFERENCE_PRECISION_HINT": "f32", "INFERENCE_NUM_THREADS": 1}
        model = core.compile_model(core.read_model(folder / name), "CPU", hints)
        results = model({"images": images})
        outputs |= {f"{name} {key.get_any_name()}": value for key, value in results.items()}
    return outputs


def main():
    program, *folders = sys.argv[1:]
    for folder in map(Path, folders):
        images = np.load(folder / "images.npy")
        if program == "openvino":
            outputs = run_openvino(folder, images)
        else:
            outputs = run_keras(program, folder / "float", images)
        np.savez(folder / f"{program}.npz", **outputs)


main()
