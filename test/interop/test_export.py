"""What a run leaves is plain TorchScript: Python's PyTorch runs it, and gives what the package gives."""

from __future__ import annotations

import io
import json
import re

import numpy as np
import pytest
import torch

import program
from configurations import NETWORKS
from conftest import make_images
from options import resolve

KINDS = ["ae", "en"]
CHOSEN = ["small", "RGB", "no MLP", "odd sizes, pooled", "two dims"]

_NORM = r"_bn\.(weight|bias|running_mean|running_var)"
NAMES = re.compile(
    rf"(encoder\.conv_\d+|decoder\.deconv_(\d+|end))({_NORM}|\.(weight|bias))"
    rf"|(encoder|decoder)\.dense_\d+({_NORM}|\.(weight|bias))"
)


@pytest.fixture(params=CHOSEN, scope="module")
def run(request, trained) -> tuple[dict, program.Run]:
    return resolve(NETWORKS[request.param]), trained(request.param)


def images(options: dict, count: int, seed: int = 31) -> torch.Tensor:
    """N×C×H×W bytes."""
    shape = options["height"], options["width"], options["channels"]
    return torch.from_numpy(make_images(count, *shape, seed)).permute(0, 3, 1, 2).contiguous()


@pytest.fixture(params=KINDS)
def kind(request) -> str:
    return request.param


@torch.no_grad()
def test_bytes_and_floats_are_the_same_images(run, kind):
    options, run = run
    model, given = run.load(kind), images(options, 3)
    output = model(given.float() / 255)
    assert output.dtype == torch.float32
    torch.testing.assert_close(model(given), output, rtol=0, atol=1e-6)
    if kind == "ae":
        assert output.shape == given.shape
        assert 0 <= output.min() and output.max() <= 1


@torch.no_grad()
@pytest.mark.parametrize("count", [1, 7])
def test_any_batch_size(run, kind, count):
    options, run = run
    model, given = run.load(kind), images(options, 7)
    together = model(given)
    pieces = torch.cat([model(part) for part in given.split(count)])
    torch.testing.assert_close(pieces, together, rtol=1e-5, atol=1e-5)


@torch.no_grad()
def test_double_precision(run, kind):
    options, run = run
    model, given = run.load(kind), images(options, 2).double() / 255
    single = model(given.float())
    double = model.to(torch.float64)(given)
    assert double.dtype == torch.float64
    torch.testing.assert_close(double.float(), single, rtol=1e-4, atol=1e-4)


@torch.no_grad()
def test_training_mode_can_be_set_and_left(run, kind):
    options, run = run
    model, given = run.load(kind), images(options, 4)
    assert not model.training
    before = model(given)
    model.train()
    assert model.training and all(part.training for part in model.modules())
    model.eval()
    assert not any(part.training for part in model.modules())
    torch.testing.assert_close(model(given), before, rtol=0, atol=0)


def _nodes(block):
    for node in block.nodes():
        yield node
        for inner in node.blocks():
            yield from _nodes(inner)


def test_stock_operators_and_no_device(run, kind):
    _, run = run
    nodes = list(_nodes(run.load(kind).inlined_graph))
    used = {node.kind() for node in nodes}
    assert "aten::conv2d" in used or "aten::convolution" in used
    assert all(name.startswith("aten::") or name.startswith("prim::") for name in used), used
    assert "prim::PythonOp" not in used
    devices = [
        node for node in nodes if any(str(out.type()) in ("Device", "Device?") for out in node.outputs())
    ]
    assert not devices, "a model that names a device cannot be moved"


def test_names(run, kind):
    _, run = run
    names = run.load(kind).state_dict().keys()
    assert names and all(NAMES.fullmatch(name) for name in names), sorted(names)
    if kind == "en":
        assert all(name.startswith("encoder.") for name in names)


def test_config_travels_along(run, kind):
    options, run = run
    assert run.config(kind)["model"] == options


@torch.no_grad()
def test_saved_again_by_python(run, kind):
    options, run = run
    model, given = run.load(kind), images(options, 2)
    buffer = io.BytesIO()
    torch.jit.save(model, buffer)
    buffer.seek(0)
    torch.testing.assert_close(torch.jit.load(buffer)(given), model(given), rtol=0, atol=0)


@torch.no_grad()
def test_frozen(run, kind):
    """The usual step before deployment."""
    options, run = run
    model, given = run.load(kind), images(options, 2)
    frozen = torch.jit.optimize_for_inference(torch.jit.freeze(run.load(kind)))
    torch.testing.assert_close(frozen(given.float() / 255), model(given), rtol=1e-4, atol=1e-4)


_PACKAGE = """
import { readFileSync, writeFileSync } from "node:fs";
import { load } from "flexible-autoencoder";
const [ae, en, images, folder] = process.argv.slice(1);
const bytes = readFileSync(images);
const batch = new Float32Array(bytes.buffer, bytes.byteOffset, bytes.byteLength / 4);
const save = (name, { data, shape }) => {
  writeFileSync(`${folder}/${name}.bin`, Buffer.from(data.buffer, data.byteOffset, data.byteLength));
  writeFileSync(`${folder}/${name}.json`, JSON.stringify(shape));
};
const autoencoder = await load(ae, { device: "cpu" });
save("reconstruction", await autoencoder.reconstruct(batch));
save("embedding", await autoencoder.encode(batch));
const encoder = await load(en, { device: "cpu" });
save("encoder", await encoder.encode(batch));
autoencoder.dispose();
encoder.dispose();
"""


@torch.no_grad()
def test_the_package_gives_the_same(run, tmp_path):
    options, run = run
    given = images(options, 5).float() / 255
    given.numpy().tofile(tmp_path / "images.bin")
    program.node(_PACKAGE, run.folder / "ae.pt", run.folder / "en.pt", tmp_path / "images.bin", tmp_path)

    def result(name: str) -> torch.Tensor:
        shape = json.loads((tmp_path / f"{name}.json").read_text())
        return torch.from_numpy(np.fromfile(tmp_path / f"{name}.bin", np.float32).reshape(shape))

    embedding = run.load("en")(given)
    torch.testing.assert_close(result("encoder"), embedding, rtol=1e-5, atol=1e-6)
    torch.testing.assert_close(result("embedding"), embedding, rtol=1e-5, atol=1e-6)
    torch.testing.assert_close(result("reconstruction"), run.load("ae")(given), rtol=1e-5, atol=1e-6)
