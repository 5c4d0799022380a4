#!/usr/bin/env python3
"""Embeds a folder of images with a trained encoder and groups them by k-means.

    python examples/python/embed_folder.py MODEL FOLDER [--clusters N] [--save FILE.csv]

MODEL is the en.pt of a run; nothing but PyTorch is needed to load it. FOLDER may hold one folder a
class: the classes are then counted in each cluster. Needs torch, pillow, numpy and scikit-learn.
"""

from __future__ import annotations

import argparse
import csv
import json
from collections import Counter
from pathlib import Path

import numpy as np
import torch
from area_resize import resize
from PIL import Image, ImageOps
from sklearn.cluster import KMeans

SUFFIXES = {".png", ".jpg", ".jpeg", ".bmp", ".tif", ".tiff", ".webp"}


def load_encoder(path: Path) -> tuple[torch.jit.ScriptModule, dict]:
    """The encoder, and the options of its network."""
    extra = {"config.json": ""}
    encoder = torch.jit.load(path, map_location="cpu", _extra_files=extra)
    return encoder.eval(), json.loads(extra["config.json"])["model"]


def read_image(path: Path, options: dict) -> torch.Tensor:
    """C×H×W bytes; the encoder scales them itself."""
    with Image.open(path) as file:
        image = ImageOps.exif_transpose(file).convert("L" if options["channels"] == 1 else "RGB")
    pixels = np.array(image).reshape(image.height, image.width, -1)
    if image.size != (options["width"], options["height"]):
        pixels = resize(pixels, options["width"], options["height"])
    return torch.from_numpy(pixels).permute(2, 0, 1)


@torch.inference_mode()
def embed(encoder: torch.jit.ScriptModule, options: dict, files: list[Path]) -> np.ndarray:
    """One row an image."""
    rows = []
    for start in range(0, len(files), 64):
        batch = [read_image(path, options) for path in files[start : start + 64]]
        rows.append(encoder(torch.stack(batch)).numpy())
    return np.concatenate(rows)


def main() -> None:
    parser = argparse.ArgumentParser(description="Embed a folder of images and group them by k-means.")
    parser.add_argument("model", type=Path, help="en.pt of a run")
    parser.add_argument("folder", type=Path, help="images, or one folder of images a class")
    parser.add_argument("--clusters", type=int, default=10)
    parser.add_argument("--save", type=Path, metavar="FILE.csv", help="write file, cluster and embedding")
    arguments = parser.parse_args()

    files = sorted(p for p in arguments.folder.rglob("*") if p.suffix.lower() in SUFFIXES)
    if len(files) < arguments.clusters:
        parser.error(f"{arguments.folder} holds {len(files)} images, fewer than {arguments.clusters} clusters")
    encoder, options = load_encoder(arguments.model)
    embeddings = embed(encoder, options, files)
    print(f"{len(files)} images embedded, {embeddings.shape[1]} numbers each")

    clusters = KMeans(arguments.clusters, n_init=4, random_state=0).fit_predict(embeddings)
    for cluster in range(arguments.clusters):
        members = [path for path, its in zip(files, clusters, strict=True) if its == cluster]
        classes = Counter(str(path.parent.relative_to(arguments.folder)) for path in members)
        shown = ", ".join(f"{name} {count}" for name, count in classes.most_common(4))
        print(f"cluster {cluster}: {len(members)} images ({shown})")

    if arguments.save is not None:
        with arguments.save.open("w", newline="") as file:
            writer = csv.writer(file)
            writer.writerow(["file", "cluster", *(f"e{i}" for i in range(embeddings.shape[1]))])
            for path, cluster, row in zip(files, clusters, embeddings, strict=True):
                writer.writerow([path, cluster, *row])


if __name__ == "__main__":
    main()
