"""The core's own evaluation pass, and its exports, on weights that Keras made: no training needed.

The moving statistics are drawn at random, far from what they start as.
"""

from __future__ import annotations

import keras
import numpy as np
import pytest
import torch

import keras_reference
import program
from configurations import EACH_ACTIVATION, NETWORKS
from conftest import make_images
from options import resolve

ALL = NETWORKS | EACH_ACTIVATION


@pytest.mark.parametrize("name", ALL)
def test_forward_and_exports(name, tmp_path):
    options = resolve(ALL[name])
    keras.utils.set_random_seed(8)
    reference = keras_reference.build(options)
    weights = keras_reference.save_weights(reference.autoencoder)
    rng = np.random.default_rng(21)
    for key, value in weights.items():
        if key.endswith(("running_var", "_bn.weight")):
            value[:] = rng.uniform(0.5, 1.5, value.shape)
        elif key.endswith(("running_mean", "bias")):
            value[:] = rng.uniform(-0.5, 0.5, value.shape)
        elif "exponential" in (options["activation"], options["lastActivation"]):
            # Exponentials of exponentials: keep them within what fp32 holds.
            value *= 0.2
    keras_reference.load_weights(reference.autoencoder, weights)
    count = 1 if name == "default" else 5
    bytes_ = make_images(count, options["height"], options["width"], options["channels"], seed=3)
    images = bytes_.astype(np.float32) / 255
    embedding = reference.encoder.predict(images, verbose=0)
    output = reference.autoencoder.predict(images, verbose=0)
    assert np.isfinite(embedding).all()
    assert output.std() > 1e-3, "a constant output would prove nothing"

    def check(got_embedding: np.ndarray, got_output: np.ndarray) -> None:
        error = np.abs(got_embedding - embedding) / np.maximum(1, np.abs(embedding))
        assert error.max() <= 1e-4
        assert np.abs(got_output.transpose(0, 2, 3, 1) - output).max() <= 1e-4

    ours = program.probe("forward", tmp_path, {"images": bytes_} | weights, config=options)
    check(ours["embedding"], ours["output"])

    files = {kind: tmp_path / f"{kind}.pt" for kind in ("ae", "en")}
    program.probe(
        "export", tmp_path, weights, config=options, **{kind: str(path) for kind, path in files.items()}
    )
    given = torch.from_numpy(images).permute(0, 3, 1, 2)
    with torch.no_grad():
        check(torch.jit.load(files["en"])(given).numpy(), torch.jit.load(files["ae"])(given).numpy())
