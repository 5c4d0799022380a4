"""Given the trained weights, Keras's network computes what the exported models compute."""

from __future__ import annotations

import json

import numpy as np
import pytest
import torch

import keras_reference
import program
from configurations import NETWORKS
from options import command_line_parameters, resolve

TOLERANCE = 1e-4


@pytest.fixture(params=NETWORKS, scope="module")
def case(request, trained):
    """Name, complete options, run and Keras's network with the run's weights."""
    name = request.param
    options = resolve(NETWORKS[name])
    run = trained(name)
    reference = keras_reference.build(options)
    keras_reference.load_weights(reference.autoencoder, run.weights())
    return name, options, run, reference


def assert_close(ours: np.ndarray, theirs: np.ndarray) -> None:
    """To 1e-4: of one for values up to one, of the value beyond."""
    assert ours.shape == theirs.shape
    assert np.isfinite(theirs).all()
    error = np.abs(ours - theirs) / np.maximum(1, np.abs(theirs))
    assert error.max() <= TOLERANCE, f"largest difference {error.max():.2e}"


def test_outputs(case, test_images):
    name, options, run, reference = case
    images = test_images(options, 2 if name == "default" else 5)
    ours = run.load("ae")(torch.from_numpy(images).permute(0, 3, 1, 2)).detach()
    theirs = reference.autoencoder.predict(images, verbose=0)
    assert theirs.std() > 1e-3, "a constant output would prove nothing"
    assert_close(ours.permute(0, 2, 3, 1).numpy(), theirs)


def test_embeddings(case, test_images):
    name, options, run, reference = case
    images = test_images(options, 2 if name == "default" else 5)
    ours = run.load("en")(torch.from_numpy(images).permute(0, 3, 1, 2)).detach().numpy()
    theirs = reference.encoder.predict(images, verbose=0)
    assert theirs.std() > 1e-3, "a constant embedding would prove nothing"
    assert_close(ours, theirs)


def test_moving_statistics_were_trained(case):
    """The comparison above would not see an unused statistic that kept its initial value."""
    *_, run, _ = case
    weights = run.weights()
    means = [value for name, value in weights.items() if name.endswith("running_mean")]
    variances = [value for name, value in weights.items() if name.endswith("running_var")]
    assert means and len(means) == len(variances)
    assert max(np.abs(mean).max() for mean in means) > 1e-3
    assert max(np.abs(variance - 1).max() for variance in variances) > 1e-3


def test_encoder_carries_the_weights_of_the_autoencoder(case):
    *_, run, _ = case
    whole, encoder = run.weights("ae"), run.weights("en")
    assert encoder.keys() == {name for name in whole if name.startswith("encoder.")}
    for name, value in encoder.items():
        np.testing.assert_array_equal(value, whole[name])


def test_parameter_counts(case, tmp_path):
    name, options, run, reference = case
    file = tmp_path / "config.json"
    file.write_text(json.dumps(command_line_parameters(NETWORKS[name])))
    summary = json.loads(program.cli("summary", "--json", "--config", file, folder=tmp_path))
    model = reference.autoencoder
    fixed = sum(int(np.prod(w.shape)) for w in model.non_trainable_weights)
    assert summary["parameters"] == {
        "total": model.count_params(),
        "trainable": model.count_params() - fixed,
        "nonTrainable": fixed,
    }
    assert summary["encoder"]["parameters"] == reference.encoder.count_params()
    assert summary["encoder"]["outputShape"][-1] == reference.encoder.output_shape[-1]
    assert sum(layer["parameters"] for layer in summary["layers"]) == model.count_params()
    assert sum(value.size for value in run.weights().values()) == model.count_params()
