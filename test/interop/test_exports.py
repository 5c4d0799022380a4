"""What `flexae export` writes, in the programs it is for: the same numbers as the native pass."""

from __future__ import annotations

import io
import json
import os
import zipfile
from pathlib import Path

import h5py
import keras
import numpy as np
import onnx
import onnxruntime
import pytest
import torch
from PIL import Image
from safetensors import safe_open

import program
from conftest import make_images
from exported import ALL, HALF, Case, export_networks
from options import resolve

# Those that are compiled, which takes a second each.
COMPILED = ["small", "RGB", "no MLP", "odd sizes, pooled", "kernel smaller than stride", "two dims"]


@pytest.fixture(scope="module")
def cases(tmp_path_factory) -> dict[str, Case]:
    return export_networks(tmp_path_factory.mktemp("exports"))


@pytest.fixture(params=ALL)
def case(request, cases) -> Case:
    return cases[request.param]


def session(path: Path) -> onnxruntime.InferenceSession:
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    # A warning is of a graph that is not what it should be.
    options.log_severity_level = 3
    return onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])


def test_onnx(case):
    for kind, outputs in (("ae", ["embedding", "reconstruction"]), ("en", ["embedding"])):
        path = case.folder / "float" / f"{kind}.onnx"
        model = onnx.load(path)
        onnx.checker.check_model(model, full_check=True)
        assert [(opset.domain, opset.version) for opset in model.opset_import] == [("", 18)]
        runner = session(path)
        assert [given.name for given in runner.get_inputs()] == ["images"]
        assert [output.name for output in runner.get_outputs()] == outputs
        got = runner.run(None, {"images": case.images})
        case.check(got[0], got[1] if kind == "ae" else None, 1e-5)
        # Any number of images.
        alone = runner.run(None, {"images": case.images[:1]})
        assert np.abs(alone[0] - got[0][:1]).max() <= 1e-5 * max(1, np.abs(got[0]).max())


def test_onnx_sizes_follow_from_the_graph(case):
    inferred = onnx.shape_inference.infer_shapes(
        onnx.load(case.folder / "float" / "ae.onnx"), strict_mode=True, data_prop=True
    )
    shapes = {
        value.name: [d.dim_param or d.dim_value for d in value.type.tensor_type.shape.dim]
        for value in [*inferred.graph.value_info, *inferred.graph.output]
    }
    assert len(shapes) == len(inferred.graph.node)
    # Of the first one, the number of images, ONNX's inference loses track at a Resize.
    assert all(0 not in shape[1:] for shape in shapes.values()), shapes


def test_onnx_of_bytes(case):
    runner = session(case.folder / "bytes" / "ae.onnx")
    assert runner.get_inputs()[0].type == "tensor(uint8)"
    case.check(*runner.run(None, {"images": case.bytes}), 1e-5)
    case.check(session(case.folder / "bytes" / "en.onnx").run(None, {"images": case.bytes})[0], None, 1e-5)


# C×H×W of a model, and how its training resizes.
RESIZING = [((1, 28, 28), "area"), ((3, 45, 33), "area"), ((3, 24, 40), "bilinear"), ((1, 33, 20), "nearest")]

_EMBED_FILES = """
import { readFileSync, writeFileSync } from "node:fs";
import { exportModel, load, train } from "flexible-autoencoder";
import { loadAddon } from "./dist/addon/loader.js";
const { folder, shape, interpolation, files } = JSON.parse(process.argv[1]);
const [channels, height, width] = shape;
const saveDir = `${folder}/run`;
const settings = { saveDir, channels, imageShape: [height, width], interpolation, filters: [6, 8],
  kernelSize: [3], pooling: ["no"], dims: [10], trainEpochs: 1, device: "cpu", threads: 1 };
const images = readFileSync(`${folder}/train.bin`);
await train(settings, { images: { train: images, valid: images } });
await exportModel(saveDir, { to: "onnx", out: `${folder}/float` });
await exportModel(saveDir, { to: "onnx", out: `${folder}/resize`, withResize: true });
const model = await load(`${saveDir}/ae.pt`, { device: "cpu" });
const decode = { interpolation, workers: 1, cache: "none", maxPixels: 1e8 };
for (const file of files) {
  const { data } = await model.encode([file]);
  writeFileSync(`${file}.embedding`, Buffer.from(data.buffer, data.byteOffset, data.byteLength));
  writeFileSync(`${file}.bytes`, await loadAddon().decodeImages([file], { channels, height, width }, decode));
}
model.dispose();
"""


@pytest.mark.parametrize(("shape", "interpolation"), RESIZING)
def test_onnx_that_resizes(shape, interpolation, tmp_path):
    """Files of odd sizes: what goes into the network is ours to within a grey level, and what comes out."""
    channels, height, width = shape
    random_images = np.random.default_rng(4)
    np.ascontiguousarray(make_images(16, height, width, channels, seed=1).transpose(0, 3, 1, 2)).tofile(
        tmp_path / "train.bin"
    )
    sizes = [
        (height, width),
        (2 * height, 2 * width),
        (3 * height, 5 * width),
        (4 * height + 3, 2 * width + 7),
        (height, width - 5),
        (height - 7, 3 * width + 1),
        (301, width - 9),
        (height - 3, width - 1),
        (1, 2),
    ]
    files = []
    for rows, columns in sizes:
        pixels = random_images.integers(0, 256, (rows, columns, channels), dtype=np.uint8)
        files.append(tmp_path / f"{rows}x{columns}.png")
        Image.fromarray(pixels.squeeze(-1) if channels == 1 else pixels).save(files[-1])
    request = {"folder": str(tmp_path), "shape": shape, "interpolation": interpolation}
    program.node(_EMBED_FILES, json.dumps(request | {"files": [str(file) for file in files]}))

    for kind in ("ae", "en"):
        model = onnx.load(tmp_path / "resize" / f"{kind}.onnx")
        onnx.checker.check_model(model, full_check=True)
    contract = json.loads(next(entry.value for entry in model.metadata_props if entry.key == "input"))
    assert (contract["layout"], contract["type"], contract["shape"]) == ("NHWC", "uint8", ["H", "W", channels])
    assert contract["resizedTo"] == [height, width]
    model.graph.output.append(onnx.helper.make_tensor_value_info("resize.resized.output", 1, None))
    onnx.save(model, tmp_path / "both.onnx")
    both, plain = session(tmp_path / "both.onnx"), session(tmp_path / "float" / "en.onnx")
    whole = session(tmp_path / "resize" / "ae.onnx")
    different = 0
    for file in files:
        image = np.asarray(Image.open(file)).reshape(1, *Image.open(file).size[::-1], channels)
        # Several at once, of which the other is something else.
        embeddings, levels = both.run(None, {"images": np.concatenate([255 - image, image])})
        ours = np.fromfile(f"{file}.bytes", np.uint8).reshape(shape).astype(np.float32)
        difference = np.abs(levels[1] - ours)
        assert np.array_equal(levels, np.rint(levels))
        assert difference.max() <= 1, file.name
        different += np.mean(difference)
        expected = np.fromfile(f"{file}.embedding", np.float32)
        scale = np.maximum(1, np.abs(expected))
        # Nothing but the resizing may differ: of what the graph made of the file, and of our bytes.
        for pixels, embedding in ((levels[1], embeddings[1]), (ours, expected)):
            again = plain.run(None, {"images": pixels[None] / np.float32(255)})[0][0]
            assert (np.abs(again - embedding) / scale).max() <= 1e-5
        tolerance = 1e-5 if difference.max() == 0 else 0.005
        assert (np.abs(embeddings[1] - expected) / scale).max() <= tolerance
        alone = whole.run(None, {"images": image})
        assert (np.abs(alone[0][0] - embeddings[1]) / scale).max() <= 1e-5
        assert alone[1].shape == (1, *shape)
    # Seldom: where OpenCV, in floats of its own, comes out on the other side of a half.
    assert different / len(files) < (1e-9 if interpolation == "nearest" else 0.002)


@torch.no_grad()
def test_pytorch(case):
    model = case.module().load()
    images = torch.from_numpy(case.images)
    case.check(model.encode(images).numpy(), model(images).numpy(), 5e-6)
    # PyTorch's own operations on both sides: no more than a bit or two.
    script = torch.jit.load(case.folder / "run" / "ae.pt")
    torch.testing.assert_close(model(images), script(images), rtol=0, atol=1e-6)
    torch.testing.assert_close(model.encode(images), script.encode(images), rtol=1e-6, atol=1e-6)


def test_pytorch_weights_are_those_of_the_run(case):
    ours = torch.jit.load(case.folder / "run" / "ae.pt").state_dict()
    with safe_open(case.folder / "float" / "model.safetensors", "pt") as file:
        assert set(file.keys()) == set(ours)
        for name, value in ours.items():
            assert torch.equal(file.get_tensor(name), value), name
        assert file.metadata()["format"] == "pt"


def test_half_weights_are_the_nearest(case):
    ours = torch.jit.load(case.folder / "run" / "ae.pt").state_dict()
    with safe_open(case.folder / "half" / "model.safetensors", "pt") as file:
        assert set(file.keys()) == set(ours)
        for name, value in ours.items():
            # NumPy rounds by itself, not as PyTorch or this program do.
            meant = value.numpy().astype(np.float16) if value.dim() > 1 else value.numpy()
            found = file.get_tensor(name).numpy()
            assert found.dtype == meant.dtype and np.array_equal(found, meant), name


@torch.no_grad()
def test_half_computes_in_fp32(case):
    """With rounded weights, the same in both formats; and not far from what it was."""
    model = case.module("half").load()
    assert all(parameter.dtype == torch.float32 for parameter in model.parameters())
    images = torch.from_numpy(case.images)
    embedding, reconstruction = model.encode(images).numpy(), model(images).numpy()
    got = session(case.folder / "half" / "ae.onnx").run(None, {"images": case.images})
    assert [output.dtype for output in got] == [np.float32, np.float32]
    assert (np.abs(got[0] - embedding) / np.maximum(1, np.abs(embedding))).max() <= 1e-5
    assert np.abs(got[1] - reconstruction).max() <= 1e-5
    (alone,) = session(case.folder / "half" / "en.onnx").run(None, {"images": case.images})
    assert (np.abs(alone - embedding) / np.maximum(1, np.abs(embedding))).max() <= 1e-5
    assert not np.array_equal(embedding, case.embedding)
    case.check(embedding, reconstruction, HALF)


@torch.no_grad()
@pytest.mark.parametrize("name", ["small", "RGB"])
def test_half_computes_in_fp16_where_asked(cases, name):
    case = cases[name]
    model = case.module("half").load().half()
    images = torch.from_numpy(case.images).half()
    embedding, reconstruction = model.encode(images), model(images)
    assert embedding.dtype == reconstruction.dtype == torch.float16
    case.check(embedding.float().numpy(), reconstruction.float().numpy(), 10 * HALF)


@pytest.mark.parametrize("ending", [".keras", "_weights.h5"])
def test_keras(case, ending):
    images = np.ascontiguousarray(case.images.transpose(0, 2, 3, 1))
    autoencoder = keras.saving.load_model(case.folder / "float" / f"ae{ending}")
    encoder = keras.saving.load_model(case.folder / "float" / f"en{ending}")
    reconstruction = autoencoder.predict(images, verbose=0).transpose(0, 3, 1, 2)
    case.check(encoder.predict(images, verbose=0), reconstruction, 1e-5)
    assert {layer.name for layer in encoder.layers} <= {layer.name for layer in autoencoder.layers}


_LONG = """
import { writeLegacyKeras } from "./dist/export/keras_legacy.js";
const layer = (class_name, config, weights = []) => {
  return { config: { module: "keras.layers", class_name, config, registered_name: null }, weights };
};
const dense = [[2, 9], [2]].map((shape, i) => {
  const values = Float32Array.from({ length: i === 0 ? 18 : 2 }, (_, at) => at - 4 * i);
  return { name: `w${i}`, trained: true, shape, values };
});
const names = Array.from({ length: 30 }, (_, i) => `dropout_${"x".repeat(2500)}_${i}`);
const layers = names.map((name) => layer("Dropout", { name, rate: 0.5 }));
layers.push(layer("Flatten", { name: "flat" }), layer("Dense", { name: "dense", units: 2 }, dense));
await writeLegacyKeras(process.argv[1], "ae", [1, 3, 3], layers);
"""


def test_keras_2_of_many_layers(tmp_path):
    """What describes them is longer than an attribute of a fixed length may be."""
    program.node(_LONG, tmp_path / "long.h5")
    with h5py.File(tmp_path / "long.h5") as file:
        assert len(file.attrs["model_config"]) > 2**16
    model = keras.saving.load_model(tmp_path / "long.h5")
    images = np.arange(9, dtype=np.float32).reshape(1, 3, 3, 1)
    meant = images.reshape(1, 9) @ np.arange(18, dtype=np.float32).reshape(2, 9).T + [-4, -3]
    assert np.array_equal(keras.ops.convert_to_numpy(model(images)), meant)


@pytest.mark.parametrize("name", ["small", "no MLP"])
def test_keras_model_is_saved_again(cases, name, tmp_path):
    """Keras's own file of the same model holds the same weights at the same places."""
    case = cases[name]
    model = keras.saving.load_model(case.folder / "float" / "ae.keras")
    model.save(tmp_path / "again.keras")
    weights = []
    for path in (case.folder / "float" / "ae.keras", tmp_path / "again.keras"):
        with zipfile.ZipFile(path) as archive, archive.open("model.weights.h5") as file:
            found = {}
            h5py.File(io.BytesIO(file.read())).visititems(
                lambda name, entry, found=found: found.update({name: entry[()]}) if hasattr(entry, "dtype") else None
            )
            weights.append(found)
    assert weights[0].keys() == weights[1].keys()
    assert all(np.array_equal(weights[0][key], weights[1][key]) for key in weights[0])


@pytest.mark.parametrize("name", COMPILED)
def test_pytorch_exports(cases, name):
    case = cases[name]
    model = case.module().load()
    images = torch.from_numpy(case.images)
    exported = torch.export.export(model, (images,), dynamic_shapes=({0: torch.export.Dim("N", min=2)},))
    with torch.no_grad():
        for count in (2, 5):
            given = images[:count]
            torch.testing.assert_close(exported.module()(given), model(given), rtol=0, atol=1e-6)


@pytest.mark.skipif(not os.environ.get("FLEXAE_LONG"), reason="takes a minute: FLEXAE_LONG=1")
def test_aotinductor_compiles_the_module(cases, tmp_path):
    """As docs/pytorch.md has it: the way on from TorchScript, to a library that needs no Python."""
    case = cases["odd sizes, pooled"]
    model = case.module().load()
    images = torch.from_numpy(case.images)
    dynamic = ({0: torch.export.Dim("N", min=2)},)
    with torch.no_grad():
        exported = torch.export.export(model, (images,), dynamic_shapes=dynamic)
        path = torch._inductor.aoti_compile_and_package(exported, package_path=str(tmp_path / "ae.pt2"))
        compiled = torch._inductor.aoti_load_package(path)
        for count in (2, 5):
            torch.testing.assert_close(compiled(images[:count]), model(images[:count]), rtol=0, atol=1e-5)


@pytest.mark.parametrize("name", COMPILED)
def test_pytorch_gradients_are_those_of_our_training(cases, name, tmp_path):
    """Of one step of plain gradient descent at a rate of 1, which takes them off the weights."""
    case, options = cases[name], resolve(ALL[name])
    model = case.module().load().train()
    for module in model.modules():
        if isinstance(module, torch.nn.Dropout):
            module.p = 0.0
    before = {key: value.numpy().copy() for key, value in model.state_dict().items() if value.dim() > 0}
    after = program.probe(
        "train_step",
        tmp_path,
        {"images": case.bytes.transpose(0, 2, 3, 1)} | before,
        config=options | {"dropRate": 0.0},
        optimizer="sgd",
        learning_rate=1.0,
        steps=1,
        batch_size=len(case.bytes),
    )
    images = torch.from_numpy(case.images)
    loss = torch.nn.functional.binary_cross_entropy_with_logits(model.logits(images), images)
    loss.backward()
    assert after["loss0"].item() == pytest.approx(loss.item(), rel=1e-5)
    largest = 0.0
    for key, parameter in model.named_parameters():
        ours, theirs = before[key] - after[key], parameter.grad.numpy()
        np.testing.assert_allclose(ours, theirs, rtol=1e-3, atol=2e-6, err_msg=key)
        largest = max(largest, np.abs(theirs).max())
    assert largest > 1e-3, "no gradient to speak of would prove nothing"
    norm = model.decoder.deconv_end_bn
    assert norm.momentum == pytest.approx(1 - options["batchNormMomentum"])
    np.testing.assert_allclose(
        norm.running_mean, after["decoder.deconv_end_bn.running_mean"], rtol=1e-4, atol=1e-6
    )


def test_metadata(cases):
    case = cases["RGB"]
    for folder, kind, scale in (("float", "float32", [0, 1]), ("bytes", "uint8", [0, 255])):
        properties = {
            entry.key: entry.value
            for entry in onnx.load(case.folder / folder / "en.onnx").metadata_props
        }
        contract = json.loads(properties["input"])
        assert contract["shape"] == [3, 32, 32]
        assert (contract["type"], contract["range"], contract["channels"]) == (kind, scale, "RGB")
        assert contract["interpolation"] == "area"
        assert json.loads(properties["config"])["model"] == resolve(ALL["RGB"])
        assert properties["kind"] == "encoder"
    assert json.loads((case.folder / "float" / "config.json").read_text())["model"] == resolve(ALL["RGB"])


def test_checksums_are_checked_by_coreutils(cases):
    folder = cases["small"].folder / "float"
    program._run(["sha256sum", "--check", "--strict", "SHA256SUMS"], 60, folder)
