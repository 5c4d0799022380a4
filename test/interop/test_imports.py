"""What `flexae import` makes of models of Keras and PyTorch: the same numbers as they give there."""

from __future__ import annotations

import json
import logging
import os
import random
from collections import OrderedDict
from pathlib import Path
from typing import Any

os.environ.setdefault("KERAS_BACKEND", "torch")

import h5py
import keras
import numpy as np
import pytest
import torch
from safetensors.torch import save_file

import program
from configurations import EACH_ACTIVATION, NETWORKS
from drawn import draw_network
from keras_reference import build
from old_keras import write_old_keras
from options import command_line_parameters, resolve

SEED = int(os.environ.get("FLEXAE_IMPORT_SEED") or random.randrange(10**6))
DRAWN = int(os.environ.get("FLEXAE_IMPORT_NETWORKS") or 5)

# An exponential of an exponential leaves what fp32 holds, whatever computes it.
NAMED = {
    name: network
    for name, network in (NETWORKS | EACH_ACTIVATION).items()
    if name != "default" and "exponential" not in (network.get("activation"), network.get("lastActivation"))
}
DRAWINGS = {f"drawn by FLEXAE_IMPORT_SEED={SEED + i}": draw_network(SEED + i) for i in range(DRAWN)}
ALL = NAMED | DRAWINGS
# In every form that a file can have; the others, which are no longer rows than these, in some.
EVERY_FORM = ["four dims", "no MLP", "pooling on the last layer", *DRAWINGS]

# Keras advises against each of its older files.
logging.getLogger("absl").setLevel(logging.ERROR)

# One process for all: the networks are so small that starting one would take the most time.
_IMPORT = """
import { existsSync, readFileSync } from "node:fs";
import { exportModel, importModel } from "flexible-autoencoder";
const WHOLE = ["graph.keras", "graph.h5", "nested.keras", "nested.h5", "row.keras", "row.h5", "old.h5"];
const ALONE = ["graph.weights.h5", "nested.weights.h5"];
for (const { folder, parameters } of JSON.parse(readFileSync(process.argv[1], "utf8"))) {
  const take = async (name, settings) => {
    const [file, out] = [`${folder}/${name}`, `${folder}/${name.replace("export/", "")}.run`];
    if (existsSync(file)) await importModel(file, { out }, settings);
  };
  for (const name of WHOLE) await take(name);
  for (const name of ALONE) await take(name, parameters);
  await exportModel(`${folder}/graph.keras.run`, { to: "keras,pytorch,torchscript", out: `${folder}/export` });
  for (const name of ["ae.keras", "model.safetensors", "ae.pt"]) await take(`export/${name}`);
}
"""


def randomize(model: keras.Model, seed: int) -> None:
    """Weights that no initializer gives, so that one that is not taken shows."""
    rng = np.random.default_rng(seed)
    for layer in model.layers:
        for variable in layer.weights:
            # Sums of many products stay of the order of 1, so that 1e-5 is what rounding leaves.
            value = rng.normal(0, 1 / np.sqrt(max(4, np.prod(variable.shape[:-1]))), variable.shape)
            if variable.name in ("gamma", "moving_variance"):
                value = rng.uniform(0.5, 1.5, variable.shape)
            variable.assign(value.astype(np.float32))


def check_forms(model: keras.Model, images: np.ndarray, folder: Path) -> None:
    """Both files of ``model`` become runs that give what it gives for ``images``, N×H×W×C."""
    wanted = model.predict(images, verbose=0).transpose(0, 3, 1, 2)
    for file in ("ae.keras", "ae.h5"):
        model.save(folder / file)
        program.cli("import", folder / file, "-o", folder / f"{file}.run", folder=folder)
        with torch.no_grad():
            got = torch.jit.load(folder / f"{file}.run" / "ae.pt")(torch.from_numpy(images.transpose(0, 3, 1, 2)))
        assert np.abs(got.numpy() - wanted).max() <= 1e-5


class Case:
    """A model of Keras, what it gives, and the folder of its files."""

    def __init__(self, folder: Path, options: dict[str, Any], seed: int, every_form: bool) -> None:
        self.folder = folder
        reference = build(options)
        autoencoder, encoder = reference.autoencoder, reference.encoder
        randomize(autoencoder, seed)
        shape = options["height"], options["width"], options["channels"]
        images = np.random.default_rng(seed).uniform(0, 1, (3, *shape)).astype(np.float32)
        self.images = torch.from_numpy(np.ascontiguousarray(images.transpose(0, 3, 1, 2)))
        self.reconstruction = autoencoder.predict(images, verbose=0).transpose(0, 3, 1, 2)
        self.embedding = encoder.predict(images, verbose=0)
        autoencoder.save(folder / "graph.keras")
        autoencoder.save(folder / "graph.h5")
        # Keras 2's hard_sigmoid is another function: test/cli/import.test.ts has it refused.
        if "hard_sigmoid" not in (options["activation"], options["lastActivation"]):
            write_old_keras(folder / "old.h5", autoencoder)
        if not every_form:
            return
        given = keras.Input(shape)
        decoder = keras.Model(encoder.output, autoencoder.output, name="decoder")
        nested = keras.Model(given, decoder(encoder(given)))
        row = keras.Sequential([keras.Input(shape), *autoencoder.layers[1:]])
        for name, model in (("nested", nested), ("row", row)):
            model.save(folder / f"{name}.keras")
            model.save(folder / f"{name}.h5")
        for name, model in (("graph", autoencoder), ("nested", nested)):
            model.save_weights(folder / f"{name}.weights.h5")

    def check(self, name: str) -> None:
        run = self.folder / f"{name}.run"
        with torch.no_grad():
            reconstruction = torch.jit.load(run / "ae.pt")(self.images).numpy()
            embedding = torch.jit.load(run / "en.pt")(self.images).numpy()
        assert np.isfinite(self.embedding).all()
        assert reconstruction.shape == self.reconstruction.shape
        assert np.abs(reconstruction - self.reconstruction).max() <= 1e-5
        error = np.abs(embedding - self.embedding) / np.maximum(1, np.abs(self.embedding))
        assert error.max() <= 1e-5


@pytest.fixture(scope="module")
def cases(tmp_path_factory) -> dict[str, Case]:
    root = tmp_path_factory.mktemp("imports")
    requests, made = [], {}
    for i, (name, network) in enumerate(ALL.items()):
        folder = root / str(i)
        folder.mkdir()
        keras.backend.clear_session()
        made[name] = Case(folder, resolve(network), SEED + i, name in EVERY_FORM)
        requests.append({"folder": str(folder), "parameters": command_line_parameters(network)})
    (root / "requests.json").write_text(json.dumps(requests))
    program.node(_IMPORT, root / "requests.json")
    return made


@pytest.fixture(params=ALL)
def case(request, cases) -> Case:
    return cases[request.param]


def test_keras(case):
    for file in sorted([*case.folder.glob("*.keras"), *case.folder.glob("*.h5")]):
        case.check(file.name)


def test_every_form_is_there(cases):
    for name in EVERY_FORM:
        files = {file.name for file in cases[name].folder.iterdir()}
        forms = {f"{form}.{end}" for form in ("graph", "nested", "row") for end in ("keras", "h5")}
        assert forms | {"graph.weights.h5", "nested.weights.h5"} <= files
    assert sum((case.folder / "old.h5").exists() for case in cases.values()) > len(NETWORKS)


def test_our_own_exports_come_back(case):
    before = torch.jit.load(case.folder / "graph.keras.run" / "ae.pt").state_dict()
    for name in ("ae.keras", "model.safetensors", "ae.pt"):
        after = torch.jit.load(case.folder / f"{name}.run" / "ae.pt").state_dict()
        assert after.keys() == before.keys()
        for key, value in before.items():
            assert torch.equal(after[key], value), f"{name}: {key}"


def test_settings_are_those_of_the_network(cases):
    for name, case in cases.items():
        extra = {"config.json": ""}
        torch.jit.load(case.folder / "graph.keras.run" / "ae.pt", _extra_files=extra)
        found, options = json.loads(extra["config.json"])["model"], resolve(ALL[name])
        options["lastActivation"] = options["lastActivation"].replace("swish", "silu")
        options["activation"] = options["activation"].replace("swish", "silu")
        if not options["mlp"]:
            # Nothing in the file depends on them.
            for unused in ("dims", "lastActivation", "useBias"):
                found[unused] = options[unused]
        assert found == options, name


def test_penalties_and_constraints_come_along(tmp_path):
    options = resolve(
        NETWORKS["two dims"]
        | {
            "kernelRegularizer": {"l1": 0.0, "l2": 0.001},
            "activityRegularizer": {"l1": 1e-5, "l2": 0.0},
            "kernelConstraint": {"name": "max_norm", "maxValue": 3.0},
            "biasConstraint": {"name": "non_neg"},
            "cnnKernelRegularizer": {"l1": 0.01, "l2": 0.02},
            "kernelInitializer": "he_normal",
        }
    )
    model = build(options).autoencoder
    for file in ("ae.keras", "ae.h5"):
        model.save(tmp_path / file)
        program.cli("import", tmp_path / file, "-o", tmp_path / f"{file}.run", folder=tmp_path)
        extra = {"config.json": ""}
        torch.jit.load(tmp_path / f"{file}.run" / "ae.pt", _extra_files=extra)
        assert json.loads(extra["config.json"])["model"] == options


def test_state_dicts_of_pytorch(cases, tmp_path):
    case = cases["RGB"]
    parameters = tmp_path / "network.json"
    parameters.write_text(json.dumps(command_line_parameters(ALL["RGB"])))
    state = torch.jit.load(case.folder / "graph.keras.run" / "ae.pt").state_dict()
    wrapped = {f"module.{name}": value for name, value in state.items()}
    # As a module of PyTorch's own layers has it.
    wrapped["module.encoder.conv_0_bn.num_batches_tracked"] = torch.tensor(7)
    other = {f"layer{i}.w": value for i, value in enumerate(state.values())}
    turned = {name: value.t().contiguous().t() if value.dim() == 2 else value for name, value in state.items()}
    files = {
        "plain.pt": state,
        "wrapped.pth": OrderedDict(wrapped),
        "checkpoint.pt": {"epoch": 3, "state_dict": wrapped, "lr": 0.1},
        "renamed.pt": other,
        "strided.pt": turned,
        "doubles.pt": {name: value.double() for name, value in state.items()},
    }
    for name, content in files.items():
        torch.save(content, tmp_path / name)
    save_file({name: value.contiguous() for name, value in wrapped.items()}, tmp_path / "wrapped.safetensors")
    for name in [*files, "wrapped.safetensors"]:
        program.cli(
            "import", tmp_path / name, "--config", parameters, "-o", tmp_path / f"{name}.run", folder=tmp_path
        )
        after = torch.jit.load(tmp_path / f"{name}.run" / "ae.pt").state_dict()
        assert all(torch.equal(after[key], value) for key, value in state.items()), name
    for dtype in (torch.float16, torch.bfloat16):
        halves = {name: value.to(dtype) for name, value in state.items()}
        torch.save(halves, tmp_path / f"{dtype}.pt")
        save_file(halves, tmp_path / f"{dtype}.safetensors")
        for name in (f"{dtype}.pt", f"{dtype}.safetensors"):
            program.cli(
                "import", tmp_path / name, "--config", parameters, "-o", tmp_path / f"{name}.run", folder=tmp_path
            )
            after = torch.jit.load(tmp_path / f"{name}.run" / "ae.pt").state_dict()
            assert all(torch.equal(after[key], value.float()) for key, value in halves.items()), name


def test_what_keras_leaves_out_and_spells_otherwise(tmp_path):
    """No bias, scale or centre; activations as layers, or within others; paddings that are none."""
    layers = keras.layers
    model = keras.Sequential(
        [
            keras.Input((16, 16, 1)),
            layers.Conv2D(4, 3, strides=2, padding="same", use_bias=False),
            layers.BatchNormalization(scale=False),
            layers.ReLU(),
            layers.AveragePooling2D(2, padding="valid"),
            layers.Flatten(),
            layers.Dropout(0.0),
            layers.Dense(5, use_bias=False),
            layers.Activation("tanh"),
            layers.Dense(5, activation="tanh"),
            layers.Dense(64, activation=keras.activations.tanh),
            layers.Reshape((4, 4, 4)),
            layers.UpSampling2D(),
            layers.Conv2DTranspose(1, 3, strides=2, padding="same", use_bias=False),
            layers.BatchNormalization(center=False),
            layers.Activation("sigmoid"),
        ]
    )
    randomize(model, SEED)
    images = np.random.default_rng(SEED).uniform(0, 1, (4, 16, 16, 1)).astype(np.float32)
    check_forms(model, images, tmp_path)


def test_a_compiled_model_that_was_trained(tmp_path):
    """With the state of its optimizer in the file, and the names that Keras counts up."""
    model = build(resolve(NETWORKS["small"])).autoencoder
    images = np.random.default_rng(SEED).uniform(0, 1, (16, 32, 32, 1)).astype(np.float32)
    model.compile("adam", "binary_crossentropy")
    model.fit(images, images, epochs=2, batch_size=8, verbose=0)
    check_forms(model, images, tmp_path)


def test_maps_alone(tmp_path):
    """An encoder and a decoder of convolutions, with no vector between them."""
    layers = keras.layers
    model = keras.Sequential(
        [
            keras.Input((17, 14, 3)),
            layers.Conv2D(4, 3, strides=2, padding="same"),
            layers.BatchNormalization(),
            layers.Activation("relu"),
            layers.MaxPooling2D(2, padding="same"),
            layers.UpSampling2D(2),
            layers.Cropping2D(((0, 1), (0, 1))),
            layers.Conv2DTranspose(3, 3, strides=2, padding="same"),
            layers.Cropping2D(((0, 1), (0, 0))),
            layers.BatchNormalization(),
            layers.Activation("sigmoid"),
        ]
    )
    randomize(model, SEED)
    images = np.random.default_rng(SEED).uniform(0, 1, (4, 17, 14, 3)).astype(np.float32)
    check_forms(model, images, tmp_path)


def test_a_weight_that_is_missing_is_missed(tmp_path):
    model = build(resolve(NETWORKS["small"])).autoencoder
    model.save_weights(tmp_path / "all.weights.h5")
    model.save(tmp_path / "ae.h5")
    with h5py.File(tmp_path / "ae.h5", "a") as file:
        group = file["model_weights/encoder-conv_0"]
        names = [name for name in group.attrs["weight_names"] if "bias" not in str(name)]
        group.attrs["weight_names"] = names
    with pytest.raises(AssertionError, match="encoder-conv_0: its bias is not in the file"):
        program.cli("import", tmp_path / "ae.h5", "-o", tmp_path / "run", folder=tmp_path)
