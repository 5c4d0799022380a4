"""Whole training steps against Keras's train_on_batch: losses, weights and moving statistics."""

from __future__ import annotations

import keras
import numpy as np
import pytest

import keras_reference
import program
from conftest import make_images
from options import resolve

STEPS, BATCH = 4, 6

_BASE = {
    "height": 20,
    "width": 16,
    "filters": [4, 6],
    "pooling": ["avg", "no"],
    "kernelSize": [5, 3],
    "strides": [2, 1],
    "dims": [14, 8],
    "dropRate": 0.0,
    "batchNormMomentum": 0.8,
}

CASES = {
    "plain": {},
    "RGB, max pooling, odd size": {"channels": 3, "pooling": ["max", "avg"], "height": 19, "width": 21},
    "no MLP": {"mlp": False},
    "one width": {"dims": [8]},
    "kernel penalty": {"kernelRegularizer": {"l1": 0.002, "l2": 0.01}},
    "bias penalty": {"biasRegularizer": {"l1": 0.05, "l2": 0.1}, "biasInitializer": "ones"},
    "activity penalty": {"activityRegularizer": {"l1": 0.003, "l2": 0.02}},
    "convolution penalty": {"cnnKernelRegularizer": {"l1": 0.001, "l2": 0.01}},
    "norms at most 0.5": {
        "kernelConstraint": {"name": "max_norm", "maxValue": 0.5},
        "biasConstraint": {"name": "max_norm", "maxValue": 0.01},
    },
    "unit norms": {"kernelConstraint": {"name": "unit_norm"}},
    "not negative": {"kernelConstraint": {"name": "non_neg"}, "biasConstraint": {"name": "non_neg"}},
    "norms between": {
        "kernelConstraint": {"name": "min_max_norm", "minValue": 0.4, "maxValue": 0.9, "rate": 0.5}
    },
    "no bias": {"useBias": False},
}


def _optimizer(name: str, rate: float) -> keras.Optimizer:
    kinds = {"sgd": keras.optimizers.SGD, "adam": keras.optimizers.Adam, "adadelta": keras.optimizers.Adadelta}
    return kinds[name](learning_rate=rate)


def _compare(options, optimizer: str, rate: float, folder) -> None:
    keras.utils.set_random_seed(8)
    reference = keras_reference.build(options)
    model = reference.logits
    images = make_images(STEPS * BATCH, options["height"], options["width"], options["channels"], seed=5)
    before = keras_reference.save_weights(model)

    ours = program.probe(
        "train_step",
        folder,
        {"images": images} | before,
        config=options,
        optimizer=optimizer,
        learning_rate=rate,
        steps=STEPS,
        batch_size=BATCH,
    )

    model.compile(_optimizer(optimizer, rate), keras.losses.BinaryCrossentropy(from_logits=True))
    for step in range(STEPS):
        batch = images[step * BATCH : (step + 1) * BATCH].astype(np.float32) / 255
        # Keras averages the loss it returns over the steps since the last reset.
        model.reset_metrics()
        theirs = float(model.train_on_batch(batch, batch))
        assert ours[f"loss{step}"].item() == pytest.approx(theirs, rel=2e-5), f"loss of step {step}"

    after = keras_reference.save_weights(model)
    for name, value in after.items():
        np.testing.assert_allclose(ours[name], value, rtol=1e-3, atol=2e-5, err_msg=name)
        moved = np.abs(value - before[name]).max()
        # A bias before a batch normalization has no gradient but for rounding.
        if name.endswith(("running_mean", "running_var")) or name == "decoder.deconv_end.weight":
            assert moved > 1e-4, f"{name} stood still, which would prove nothing"


@pytest.mark.parametrize("case", CASES)
def test_steps(case, tmp_path):
    _compare(resolve(_BASE | CASES[case]), "sgd", 0.1, tmp_path)


@pytest.mark.parametrize(("optimizer", "rate"), [("adam", 1e-3), ("adadelta", 1.0)])
def test_steps_with_an_adaptive_optimizer(optimizer, rate, tmp_path):
    # Adam's and Adadelta's first steps turn a gradient that is zero but for rounding into a full
    # step of random sign. Such are the biases before a batch normalization: compare the losses, which
    # do not depend on those biases.
    options = resolve(_BASE)
    keras.utils.set_random_seed(8)
    model = keras_reference.build(options).logits
    images = make_images(STEPS * BATCH, options["height"], options["width"], options["channels"], seed=5)
    ours = program.probe(
        "train_step",
        tmp_path,
        {"images": images} | keras_reference.save_weights(model),
        config=options,
        optimizer=optimizer,
        learning_rate=rate,
        steps=STEPS,
        batch_size=BATCH,
    )
    model.compile(_optimizer(optimizer, rate), keras.losses.BinaryCrossentropy(from_logits=True))
    for step in range(STEPS):
        batch = images[step * BATCH : (step + 1) * BATCH].astype(np.float32) / 255
        model.reset_metrics()
        theirs = float(model.train_on_batch(batch, batch))
        assert ours[f"loss{step}"].item() == pytest.approx(theirs, rel=1e-4), f"loss of step {step}"
