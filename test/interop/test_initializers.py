"""Initial weights are drawn as Keras draws them: same bounds, moments and distribution."""

from __future__ import annotations

import keras
import numpy as np
import pytest
from scipy import stats

import keras_reference
import program

# Layout and shape, PyTorch's. The transposed convolution matters: its fans swap against a convolution's.
SHAPES = {
    "dense": (200, 120),
    "conv": (48, 24, 5, 5),
    "conv_transpose": (48, 24, 5, 5),
}
RANDOM = [
    "random_uniform",
    "random_normal",
    "truncated_normal",
    "glorot_uniform",
    "glorot_normal",
    "he_uniform",
    "he_normal",
    "lecun_uniform",
    "lecun_normal",
]


def _ours(folder, name: str, layout: str, shape: tuple[int, ...], seed: int = 5) -> np.ndarray:
    out = program.probe(
        "initializer", folder, {}, name=name, seed=seed, layout=layout, shape=",".join(map(str, shape))
    )["w"]
    assert out.shape == shape
    return out


def _theirs(name: str, shape: tuple[int, ...], seed: int = 9) -> np.ndarray:
    """Keras's sample in PyTorch's layout."""
    keras.utils.set_random_seed(seed)
    keras_shape = keras_reference.to_keras(np.empty(shape)).shape
    sample = keras.initializers.get(name)(keras_shape)
    return keras_reference.to_torch(keras.ops.convert_to_numpy(sample))


@pytest.mark.parametrize("layout", SHAPES)
@pytest.mark.parametrize("name", RANDOM)
def test_distribution(name, layout, tmp_path):
    ours, theirs = _ours(tmp_path, name, layout, SHAPES[layout]), _theirs(name, SHAPES[layout])
    spread = theirs.std()
    assert abs(ours.mean()) < 5 * spread / np.sqrt(ours.size)
    np.testing.assert_allclose(ours.std(), spread, rtol=0.02)
    # The largest of a bounded distribution is close to its bound; a normal's largest varies more.
    np.testing.assert_allclose(
        np.abs(ours).max(), np.abs(theirs).max(), rtol=0.25 if name == "random_normal" else 0.01
    )
    # Both samples are fixed by their seeds, so this is the same comparison every time.
    assert stats.ks_2samp(ours.ravel(), theirs.ravel()).pvalue > 1e-3


@pytest.mark.parametrize("layout", SHAPES)
def test_every_weight_is_drawn_anew(layout, tmp_path):
    values = _ours(tmp_path, "glorot_uniform", layout, SHAPES[layout])
    assert np.unique(values).size > 0.99 * values.size
    np.testing.assert_array_equal(values, _ours(tmp_path, "glorot_uniform", layout, SHAPES[layout]))
    other = _ours(tmp_path, "glorot_uniform", layout, SHAPES[layout], seed=6)
    assert abs(np.corrcoef(values.ravel(), other.ravel())[0, 1]) < 0.05


@pytest.mark.parametrize("name", ["zeros", "ones"])
@pytest.mark.parametrize("layout", SHAPES)
def test_constants(name, layout, tmp_path):
    np.testing.assert_array_equal(
        _ours(tmp_path, name, layout, SHAPES[layout]), _theirs(name, SHAPES[layout])
    )


@pytest.mark.parametrize("shape", [(7, 7), (5, 9), (9, 5)])
def test_identity(shape, tmp_path):
    np.testing.assert_array_equal(_ours(tmp_path, "identity", "dense", shape), _theirs("identity", shape))


@pytest.mark.parametrize(
    ("layout", "shape"),
    [
        ("dense", (40, 60)),
        ("dense", (60, 40)),
        ("conv", (8, 6, 3, 3)),
        ("conv", (64, 2, 3, 3)),
        ("conv_transpose", (8, 6, 3, 3)),
    ],
)
def test_orthogonal(layout, shape, tmp_path):
    """As Keras flattens it, (everything else) × (last axis), the shorter side is orthonormal."""

    def products(weights: np.ndarray) -> np.ndarray:
        kernel = keras_reference.to_keras(weights)
        matrix = kernel.reshape(-1, kernel.shape[-1]).astype(np.float64)
        return matrix.T @ matrix if matrix.shape[0] >= matrix.shape[1] else matrix @ matrix.T

    ours, theirs = _ours(tmp_path, "orthogonal", layout, shape), _theirs("orthogonal", shape)
    np.testing.assert_allclose(products(theirs), np.eye(len(products(theirs))), atol=1e-5)
    np.testing.assert_allclose(products(ours), products(theirs), atol=2e-5)
