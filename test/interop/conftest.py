"""Shared by the interop tests: images on disk, and one short training a network."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any, Callable

os.environ["KERAS_BACKEND"] = "torch"

import numpy as np
import pytest
import torch
from PIL import Image

import program
from configurations import NETWORKS
from options import command_line_parameters, resolve

# The networks are small: threads would wait for each other more than they compute.
torch.set_num_threads(1)


def make_images(count: int, height: int, width: int, channels: int, seed: int) -> np.ndarray:
    """Bright discs on soft slopes, N×H×W×C bytes: smooth, with edges, no two alike."""
    rng = np.random.default_rng(seed)
    rows, columns = np.meshgrid(np.linspace(0, 1, height), np.linspace(0, 1, width), indexing="ij")
    images = np.empty((count, height, width, channels), np.uint8)
    for image in images:
        slope = rng.uniform(-1, 1, (2, channels))
        value = 0.5 + 0.4 * (rows[..., None] - 0.5) * slope[0] + 0.4 * (columns[..., None] - 0.5) * slope[1]
        inside = (rows - rng.uniform(0.2, 0.8)) ** 2 + (columns - rng.uniform(0.2, 0.8)) ** 2 < rng.uniform(0.02, 0.1)
        value = np.where(inside[..., None], rng.uniform(0.6, 1, channels), value)
        image[:] = np.clip(np.rint(value * 255), 0, 255)
    return images


def write_images(folder: Path, images: np.ndarray) -> None:
    """A flat folder of PNGs."""
    folder.mkdir(parents=True)
    for i, image in enumerate(images):
        Image.fromarray(image[..., 0] if image.shape[-1] == 1 else image).save(folder / f"{i:03d}.png")


@pytest.fixture(scope="session")
def trained(tmp_path_factory) -> Callable[..., program.Run]:
    """Trains a network of ``configurations.NETWORKS`` by the command line, once a session each."""
    done: dict[str, program.Run] = {}

    def train(name: str) -> program.Run:
        if name in done:
            return done[name]
        network = NETWORKS[name]
        options = resolve(network)
        folder = tmp_path_factory.mktemp("run")
        big = options["height"] > 100
        count = 4 if big else 24
        shape = options["height"], options["width"], options["channels"]
        images = make_images(count, *shape, seed=1)
        write_images(folder / "train", images)
        write_images(folder / "valid", make_images(4, *shape, seed=2))
        parameters: dict[str, Any] = command_line_parameters(network) | {
            "train_dir": str(folder / "train"),
            "valid_dir": str(folder / "valid"),
            "save_dir": str(folder / "run"),
            "train_epochs": 2,
            "batch_size": 2 if big else 8,
            "optimizer": "adam",
            "seed": 3,
            "device": "cpu",
        }
        (folder / "config.json").write_text(json.dumps(parameters))
        lines = program.cli("run", "--json", "--config", folder / "config.json", folder=folder).splitlines()
        done[name] = program.Run(folder / "run", [json.loads(line) for line in lines], images)
        return done[name]

    return train


@pytest.fixture(scope="session")
def test_images() -> Callable[[dict[str, Any], int], np.ndarray]:
    """Images that no run has seen, in the shape of the options: N×H×W×C floats in [0, 1]."""

    def make(options: dict[str, Any], count: int) -> np.ndarray:
        shape = options["height"], options["width"], options["channels"]
        return make_images(count, *shape, seed=77).astype(np.float32) / 255

    return make
