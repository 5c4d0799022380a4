"""The oracle itself: its sizes are those the network's description gives."""

import numpy as np
import pytest

import keras_reference
from options import resolve


@pytest.mark.parametrize(
    ("partial", "total", "fixed", "encoder"),
    [
        ({}, 10_042_901, 1_410, 4_520_040),
        ({"dims": [500, 100]}, 5_048_001, None, 2_523_640),
        ({"mlp": False}, 844_805, None, 423_040),
    ],
    ids=["default", "two dims", "no MLP"],
)
def test_parameter_counts_of_the_description(partial, total, fixed, encoder):
    reference = keras_reference.build(resolve(partial))
    model = reference.autoencoder
    assert model.count_params() == total
    assert reference.encoder.count_params() == encoder
    if fixed is not None:
        assert sum(int(np.prod(w.shape)) for w in model.non_trainable_weights) == fixed


@pytest.mark.parametrize("size", [(8, 8), (9, 13), (28, 28), (37, 23)])
def test_every_size_comes_back(size):
    options = resolve(
        {"height": size[0], "width": size[1], "filters": [2, 3, 4], "pooling": ["avg", "max", "no"], "dims": [5]}
    )
    model = keras_reference.build(options).autoencoder
    assert model.output_shape == (None, *size, 1)


def test_weights_survive_the_change_of_layout():
    options = resolve({"height": 16, "width": 16, "filters": [2, 3], "dims": [7, 5], "channels": 3})
    first = keras_reference.build(options).autoencoder
    weights = keras_reference.save_weights(first)
    assert weights["encoder.conv_1.weight"].shape == (3, 2, 5, 5)
    assert weights["decoder.deconv_0.weight"].shape == (3, 2, 5, 5)
    assert weights["decoder.deconv_end.weight"].shape == (2, 3, 5, 5)
    second = keras_reference.build(options).autoencoder
    keras_reference.load_weights(second, weights)
    images = np.random.default_rng(0).random((2, 16, 16, 3), dtype=np.float32)
    np.testing.assert_array_equal(
        first.predict(images, verbose=0), second.predict(images, verbose=0)
    )
