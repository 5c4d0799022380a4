"""Checkpoints and models are ordinary files of their formats, as docs/formats.md describes them."""

from __future__ import annotations

import json
import zipfile

import google_crc32c
import pytest
import torch
from safetensors import safe_open

import program


@pytest.fixture(scope="module")
def run(trained) -> program.Run:
    return trained("small")


def crc32c_with_zeros(data: bytes, at: int) -> str:
    """Of `data` with the eight digits from `at` on taken as zeros."""
    return f"{google_crc32c.value(data[:at] + b'0' * 8 + data[at + 8 :]):08x}"


def test_a_checkpoint_is_a_safetensors_file(run):
    with safe_open(run.folder / "best.ckpt", "pt") as file:
        names, metadata = file.keys(), file.metadata()
        weights = {n.removeprefix("model."): file.get_tensor(n) for n in names if n.startswith("model.")}
        slots = [n for n in names if n.startswith("optimizer.")]
        history = file.get_tensor("history")
    exported = torch.jit.load(run.folder / "ae.pt").state_dict()
    assert weights.keys() == exported.keys()
    for name, value in exported.items():
        torch.testing.assert_close(weights[name], value, rtol=0, atol=0)
    assert slots
    assert metadata["format"] == "flexible-autoencoder checkpoint 2"
    assert history.shape == (int(metadata["epoch"]), 14)
    epochs = [event for event in run.events if event["event"] == "epoch"]
    for row, event in zip(history.tolist(), epochs):
        assert row[0] == event["epoch"]
        assert row[1] == event["loss"]
        assert row[5] == event["validLoss"]
        assert row[13] == event["learningRate"]
    assert json.loads(metadata["config"])["model"] == json.loads(
        zipfile.ZipFile(run.folder / "ae.pt").read("archive/extra/config.json")
    )["model"]


def test_a_checkpoint_has_the_checksum_it_says(run):
    data = (run.folder / "last.ckpt").read_bytes()
    at = data.index(b'"checksum":"') + len(b'"checksum":"')
    assert data[at : at + 8].decode() == crc32c_with_zeros(data, at)


@pytest.mark.parametrize("kind", ["ae", "en"])
def test_a_model_is_a_zip_file_with_its_checksum_in_the_comment(run, kind):
    path = run.folder / f"{kind}.pt"
    archive = zipfile.ZipFile(path)
    assert archive.testzip() is None
    data = path.read_bytes()
    prefix, digits = archive.comment[:-8], archive.comment[-8:]
    assert prefix == b"flexible-autoencoder crc32c "
    assert digits.decode() == crc32c_with_zeros(data, len(data) - 8)

    index = json.loads(archive.read("archive/extra/weights.json"))
    assert index["kind"] == {"ae": "autoencoder", "en": "encoder"}[kind]
    exported = torch.jit.load(path).state_dict()
    assert {entry["name"] for entry in index["weights"]} == exported.keys()
    for i, entry in enumerate(index["weights"]):
        raw = torch.frombuffer(bytearray(archive.read(f"archive/data/{i}")), dtype=torch.float32)
        torch.testing.assert_close(raw.reshape(entry["shape"]), exported[entry["name"]], rtol=0, atol=0)
