"""Activations, regularizers, constraints and the loss against Keras, by value and by gradient."""

from __future__ import annotations

import keras
import numpy as np
import pytest
import torch

import keras_reference
import program
from configurations import ACTIVATIONS


def _gradient(function, x: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Value and gradient of the sum of a Keras function (torch backend) at x."""
    at = torch.from_numpy(x).requires_grad_()
    value = function(at)
    value.sum().backward()
    return value.detach().numpy(), at.grad.numpy()


@pytest.mark.parametrize("name", ACTIVATIONS)
def test_activation(name, tmp_path):
    x = np.concatenate([np.linspace(-8, 8, 401), [-40, -20, 20, 40]]).astype(np.float32)
    # Corners have no gradient to agree on; their neighbourhood is in the list.
    x = x[(x != 0) & (np.abs(x) != 3)]
    ours = program.probe("activation", tmp_path, {"x": x}, name=name)
    value, gradient = _gradient(keras.activations.get(name), x)
    np.testing.assert_allclose(ours["y"], value, rtol=2e-6, atol=2e-6)
    np.testing.assert_allclose(ours["grad"], gradient, rtol=1e-5, atol=2e-6)


@pytest.mark.parametrize(("l1", "l2"), [(0.01, 0.0), (0.0, 0.01), (0.3, 0.02)])
def test_regularizer(l1, l2, tmp_path):
    w = np.random.default_rng(2).standard_normal((9, 7)).astype(np.float32)
    ours = program.probe("regularizer", tmp_path, {"w": w}, l1=l1, l2=l2)
    value, gradient = _gradient(keras.regularizers.L1L2(l1, l2), w)
    np.testing.assert_allclose(ours["penalty"].item(), value, rtol=1e-5, atol=1e-12)
    np.testing.assert_allclose(ours["grad"], gradient, rtol=1e-5, atol=1e-7)


CONSTRAINTS = {
    "non_neg": (keras.constraints.NonNeg(), {}),
    "unit_norm": (keras.constraints.UnitNorm(), {}),
    "max_norm": (keras.constraints.MaxNorm(2), {"max_value": 2}),
    "max_norm 0.7": (keras.constraints.MaxNorm(0.7), {"max_value": 0.7}),
    "min_max_norm": (
        keras.constraints.MinMaxNorm(0.5, 1.5, 1.0),
        {"min_value": 0.5, "max_value": 1.5, "rate": 1.0},
    ),
    "min_max_norm slowly": (
        keras.constraints.MinMaxNorm(0.5, 1.5, 0.3),
        {"min_value": 0.5, "max_value": 1.5, "rate": 0.3},
    ),
}


@pytest.mark.parametrize("layout", ["dense", "bias"])
@pytest.mark.parametrize("case", CONSTRAINTS)
def test_constraint(case, layout, tmp_path):
    constraint, arguments = CONSTRAINTS[case]
    rng = np.random.default_rng(4)
    w = rng.standard_normal((12, 8) if layout == "dense" else (12,)).astype(np.float32)
    if layout == "dense":
        # Rows and columns of very different lengths, one row of zeros: the axis and the limits show.
        w *= np.geomspace(0.05, 3, 12, dtype=np.float32)[:, None]
        w[5] = 0
    ours = program.probe("constraint", tmp_path, {"w": w}, name=case.split()[0], layout=layout, **arguments)
    kernel = keras_reference.to_keras(w) if layout == "dense" else w
    theirs = keras.ops.convert_to_numpy(constraint(keras.ops.convert_to_tensor(kernel)))
    theirs = keras_reference.to_torch(theirs) if layout == "dense" else theirs
    assert not np.array_equal(theirs, w), "a constraint that changes nothing would prove nothing"
    np.testing.assert_allclose(ours["w"], theirs, rtol=2e-6, atol=1e-7)


@pytest.mark.parametrize("scale", [1.0, 30.0])
def test_loss_and_metrics(scale, tmp_path):
    rng = np.random.default_rng(6)
    logits = (rng.standard_normal((4, 3, 9, 7)) * scale).astype(np.float32)
    target = (rng.integers(0, 256, logits.shape) / 255).astype(np.float32)
    # Binary accuracy counts pixels that are exactly 0 or 1, and so there must be some.
    target[rng.random(logits.shape) < 0.4] = 0
    target[rng.random(logits.shape) < 0.3] = 1
    ours = program.probe("loss", tmp_path, {"logits": logits, "target": target})

    bce = keras.losses.BinaryCrossentropy(from_logits=True)
    value, gradient = _gradient(lambda x: bce(torch.from_numpy(target), x), logits)
    np.testing.assert_allclose(ours["bce"].item(), value, rtol=2e-6)
    np.testing.assert_allclose(ours["grad"], gradient, rtol=2e-5, atol=1e-9)

    prediction = keras.ops.sigmoid(logits)
    accuracy = keras.metrics.BinaryAccuracy()
    accuracy.update_state(target, prediction)
    share = float(accuracy.result())
    assert 0.1 < share < 0.9
    assert ours["accuracy"].item() == pytest.approx(share, abs=1e-6)
    error = keras.metrics.MeanSquaredError()
    error.update_state(target, prediction)
    assert ours["mse"].item() == pytest.approx(float(error.result()), rel=1e-5)
    # 10·log10(1 / mean squared error), the mean over all the pixels of the batch.
    expected = -10 * np.log10(float(error.result()))
    assert ours["psnr"].item() == pytest.approx(expected, rel=1e-5)


def test_accuracy_at_the_threshold(tmp_path):
    """A prediction of exactly one half is no one: Keras rounds it to 0."""
    logits = np.zeros((1, 1, 2, 4), np.float32)
    target = np.array([0, 0, 0, 1, 1, 0.5, 0, 1], np.float32).reshape(logits.shape)
    accuracy = keras.metrics.BinaryAccuracy()
    accuracy.update_state(target, keras.ops.sigmoid(logits))
    ours = program.probe("loss", tmp_path, {"logits": logits, "target": target})
    assert ours["accuracy"].item() == pytest.approx(float(accuracy.result()))
