"""Networks that `flexae export` wrote, and what the native pass makes of unseen images."""

from __future__ import annotations

import importlib.util
import json
import os
import random
from pathlib import Path
from typing import Any

import numpy as np

import program
from configurations import EACH_ACTIVATION, NETWORKS
from conftest import make_images
from drawn import draw_network
from options import command_line_parameters, resolve

SEED = int(os.environ.get("FLEXAE_EXPORT_SEED") or random.randrange(10**6))
DRAWN = int(os.environ.get("FLEXAE_EXPORT_NETWORKS") or 10)


def _tamed(network: dict[str, Any]) -> dict[str, Any]:
    """Exponentials of exponentials stay within what fp32 holds if the weights are small."""
    exponential = "exponential" in (network["activation"], network["lastActivation"])
    return network | ({"kernelInitializer": "random_normal"} if exponential else {})


ALL = (
    {name: network for name, network in NETWORKS.items() if name != "default"}
    | {name: _tamed(network) for name, network in EACH_ACTIVATION.items()}
    | {f"drawn by FLEXAE_EXPORT_SEED={SEED + i}": draw_network(SEED + i) for i in range(DRAWN)}
)
# By how much fp16 weights may change an output, relative to numbers greater than 1.
HALF = 5e-3

# One process for all: the networks are so small that starting one would take the most time.
_EXPORT = """
import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { exportModel, load, train } from "flexible-autoencoder";
const bytes = (floats) => Buffer.from(floats.buffer, floats.byteOffset, floats.byteLength);
for (const { folder, parameters } of JSON.parse(readFileSync(process.argv[1], "utf8"))) {
  const [images, seen] = ["train.bin", "images.bin"].map((name) => readFileSync(`${folder}/${name}`));
  const saveDir = `${folder}/run`;
  const settings = { ...parameters, saveDir, trainEpochs: 2, batchSize: 8, device: "cpu", threads: 1,
    optimizer: "sgd", learningRate: 0.001, seed: 3 };
  await train(settings, { images: { train: images, valid: images } });
  await exportModel(saveDir, { to: "onnx,pytorch,keras", out: `${folder}/float` });
  await exportModel(saveDir, { to: "onnx", input: "uint8", out: `${folder}/bytes` });
  await exportModel(saveDir, { to: "onnx,pytorch", half: true, out: `${folder}/half` });
  const model = await load(`${saveDir}/ae.pt`, { device: "cpu" });
  const floats = Float32Array.from(seen, (value) => value / 255);
  writeFileSync(`${folder}/embedding.bin`, bytes((await model.encode(floats)).data));
  writeFileSync(`${folder}/reconstruction.bin`, bytes((await model.reconstruct(floats)).data));
  model.dispose();
}
"""


class Case:
    """An exported network, and what the native pass gives for images that it has not seen."""

    def __init__(self, folder: Path, options: dict[str, Any]) -> None:
        self.folder = folder
        shape = options["channels"], options["height"], options["width"]
        self.bytes = np.fromfile(folder / "images.bin", np.uint8).reshape(-1, *shape)
        self.images = self.bytes.astype(np.float32) / 255
        count = len(self.bytes)
        self.embedding = np.fromfile(folder / "embedding.bin", np.float32).reshape(count, -1)
        self.reconstruction = np.fromfile(folder / "reconstruction.bin", np.float32).reshape(-1, *shape)

    def check(self, embedding: np.ndarray, reconstruction: np.ndarray | None, tolerance: float) -> None:
        assert np.isfinite(self.embedding).all()
        assert embedding.shape == self.embedding.shape
        error = np.abs(embedding - self.embedding) / np.maximum(1, np.abs(self.embedding))
        assert error.max() <= tolerance
        if reconstruction is not None:
            assert reconstruction.shape == self.reconstruction.shape
            assert np.abs(reconstruction - self.reconstruction).max() <= tolerance

    def module(self, folder: str = "float"):
        """What model.py defines, imported anew."""
        spec = importlib.util.spec_from_file_location("exported", self.folder / folder / "model.py")
        module = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
        return module


def export_networks(root: Path) -> dict[str, Case]:
    """Trains each network for two epochs, exports it into a folder below `root`, and runs it."""
    requests, folders = [], {}
    for i, (name, network) in enumerate(ALL.items()):
        folder = folders[name] = root / str(i)
        folder.mkdir()
        options = resolve(network)
        shape = options["height"], options["width"], options["channels"]
        for file, count, seed in (("train", 16, 1), ("images", 5, 2)):
            images = make_images(count, *shape, seed=seed)
            np.ascontiguousarray(images.transpose(0, 3, 1, 2)).tofile(folder / f"{file}.bin")
        requests.append({"folder": str(folder), "parameters": command_line_parameters(network)})
    (root / "requests.json").write_text(json.dumps(requests))
    program.node(_EXPORT, root / "requests.json")
    return {name: Case(folders[name], resolve(network)) for name, network in ALL.items()}
