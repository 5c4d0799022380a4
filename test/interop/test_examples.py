"""The Python examples, on real digits."""

from __future__ import annotations

import csv
import re
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from sklearn.metrics import normalized_mutual_info_score

import program

SAMPLE = program.ROOT / "data" / "sample"
EXAMPLES = program.ROOT / "examples" / "python"


@pytest.fixture(scope="module")
def digits(tmp_path_factory) -> tuple[Path, Path]:
    """An encoder trained for some epochs on 300 digits, and a folder of 120 others."""
    folder = tmp_path_factory.mktemp("digits")
    for split, count in (("train", 30), ("valid", 12)):
        for label in range(10):
            source = SAMPLE / split / f"digit_{label}"
            files = sorted(source.glob("*.png"))[:count]
            assert len(files) == count, f"{source} is missing: make the sample data first"
            target = folder / split / f"digit_{label}"
            target.mkdir(parents=True)
            for file in files:
                shutil.copy(file, target)
    options = [
        "--image-shape=28,28",
        "--filters=16,32",
        "--pooling=no",
        "--kernel-size=3",
        "--dims=16",
        "--drop-rate=0",
        "--optimizer=adam",
        "--learning-rate=0.003",
        "--horizontal-flip=false",
        "--vertical-flip=false",
        "--train-epochs=8",
        "--device=cpu",
    ]
    program.cli(
        "run",
        "--json",
        *options,
        f"--train-dir={folder / 'train'}",
        f"--valid-dir={folder / 'valid'}",
        f"--save-dir={folder / 'run'}",
        folder=folder,
    )
    return folder / "run" / "en.pt", folder / "valid"


def test_embed_folder(digits, tmp_path):
    model, folder = digits
    table = tmp_path / "clusters.csv"
    done = subprocess.run(
        [sys.executable, EXAMPLES / "embed_folder.py", model, folder, "--save", table],
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert done.returncode == 0, done.stderr
    lines = done.stdout.splitlines()
    assert lines[0] == "120 images embedded, 16 numbers each"
    sizes = [int(re.fullmatch(r"cluster \d+: (\d+) images \(.*\)", line)[1]) for line in lines[1:]]
    assert len(sizes) == 10 and sum(sizes) == 120

    with table.open() as file:
        rows = list(csv.DictReader(file))
    encoder = torch.jit.load(model)
    for row in rows[::17]:
        pixels = torch.from_numpy(np.array(Image.open(row["file"])))[None, None]
        expected = encoder(pixels).detach().numpy()[0]
        np.testing.assert_allclose([float(row[f"e{i}"]) for i in range(16)], expected, rtol=1e-4, atol=1e-4)

    # Clusters follow the digits far beyond chance: random clusters give 0.18, rarely 0.25, at this size.
    labels = [Path(row["file"]).parent.name for row in rows]
    assert normalized_mutual_info_score(labels, [row["cluster"] for row in rows]) > 0.3


def test_embed_onnx(digits, tmp_path):
    """Images of odd sizes give the embeddings that this program gives, resizing included."""
    model, folder = digits
    program.cli("export", model.parent, "--to", "onnx", "-o", tmp_path / "exported", folder=tmp_path)
    images = tmp_path / "images"
    images.mkdir()
    sizes = [(28, 28), (57, 91), (41, 28), (20, 33), (300, 19), (9, 9)]
    for i, (size, file) in enumerate(zip(sizes, sorted(folder.rglob("*.png"))[::20], strict=False)):
        Image.open(file).resize(size, Image.Resampling.BICUBIC).save(images / f"{i}.png")
    program.cli(
        "embed", model, images, "-o", "expected.csv", "--precision=fp32", "--device=cpu", folder=tmp_path
    )
    with (tmp_path / "expected.csv").open() as file:
        rows = {row["filename"]: row for row in csv.DictReader(file)}
    files = sorted(images.iterdir())
    done = subprocess.run(
        [
            sys.executable,
            EXAMPLES / "embed_onnx.py",
            tmp_path / "exported" / "en.onnx",
            *files,
        ],
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert done.returncode == 0, done.stderr
    lines = done.stdout.splitlines()
    assert len(lines) == len(files) == len(rows)
    for path, line in zip(files, lines, strict=True):
        name, *numbers = line.split()
        assert name == str(path)
        expected = np.array([float(rows[path.name][f"embedding_{i}"]) for i in range(16)])
        # A grey level more or less in some pixels of those that were resized.
        tolerance = 1e-5 if path.name == "0.png" else 0.005
        scale = np.abs(expected).max()
        np.testing.assert_allclose(np.array(numbers, float) / scale, expected / scale, atol=tolerance)
