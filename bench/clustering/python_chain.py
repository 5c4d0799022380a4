"""The chain in Python: PyTorch, umap-learn and scikit-learn, from the same files to labels.

Is given one JSON object as its argument and prints one: the seconds of each step, and the scores.
What is faster here, the layout and precision of the network and the number of the loader's workers,
is tried out beforehand and not counted.
"""

from __future__ import annotations

import time

_start = time.perf_counter()

import contextlib  # noqa: E402
import json  # noqa: E402
import sys  # noqa: E402
from pathlib import Path  # noqa: E402
from typing import Any  # noqa: E402

import numpy as np  # noqa: E402
import torch  # noqa: E402
import torch.nn.functional as F  # noqa: E402
import umap  # noqa: E402
from PIL import Image  # noqa: E402
from scipy.optimize import linear_sum_assignment  # noqa: E402
from sklearn.cluster import KMeans  # noqa: E402
from sklearn.metrics import adjusted_rand_score, normalized_mutual_info_score  # noqa: E402
from sklearn.mixture import GaussianMixture  # noqa: E402
from torch.utils.data import DataLoader, Dataset  # noqa: E402

_IMPORTS = time.perf_counter() - _start

sys.path.insert(0, str(Path(__file__).parent.parent / "peers"))
from pytorch_network import Network, optimizer  # noqa: E402

# (channels_last, bf16) and numbers of workers that are tried, and for how many batches.
FORMS = [(False, False), (True, False), (False, True), (True, True)]
WORKERS = [0, 1, 2, 4]
TRIED = 40


class Images(Dataset):
    """The files of one folder a class, as floats in [0, 1]; half of them mirrored if asked for."""

    def __init__(self, folder: str, mirrored: bool):
        self.mirrored = mirrored
        files = sorted(Path(folder).glob("*/*.png"))
        names = sorted({file.parent.name for file in files})
        self.files = [str(file) for file in files]
        self.labels = np.array([names.index(file.parent.name) for file in files])

    def __len__(self) -> int:
        return len(self.files)

    def __getitem__(self, i: int) -> torch.Tensor:
        with Image.open(self.files[i]) as image:
            pixels = torch.from_numpy(np.array(image)).unsqueeze(0).float().div_(255)
        return pixels.flip(2) if self.mirrored and torch.rand(()) < 0.5 else pixels


class Training:
    """A network and its optimizer in one form."""

    def __init__(self, job: dict[str, Any], channels_last: bool, bf16: bool):
        torch.manual_seed(job["seed"])
        self.layout = torch.channels_last if channels_last else torch.contiguous_format
        self.bf16 = bf16
        self.model = Network(job["options"], channels_last)
        self.update = optimizer(job["optimizer"], job["learningRate"], self.model)

    def precision(self) -> contextlib.AbstractContextManager:
        if not self.bf16:
            return contextlib.nullcontext()
        return torch.autocast("cpu", dtype=torch.bfloat16)

    def step(self, x: torch.Tensor) -> torch.Tensor:
        x = x.contiguous(memory_format=self.layout)
        self.update.zero_grad(set_to_none=True)
        with self.precision():
            loss = F.binary_cross_entropy_with_logits(self.model(x), x)
        loss.backward()
        self.update.step()
        return loss.detach()


def loader(images: Images, job: dict[str, Any], workers: int, shuffle: bool) -> DataLoader:
    return DataLoader(
        images,
        job["batchSize"],
        shuffle=shuffle,
        num_workers=workers,
        persistent_workers=workers > 0,
        drop_last=shuffle,
    )


def fastest_form(images: Images, job: dict[str, Any]) -> tuple[tuple[bool, bool], float]:
    """The fastest form, and the seconds of its step on a batch in memory."""
    count = min(job["batchSize"], len(images))
    batch = torch.stack([images[i] for i in range(count)])
    times = {}
    for form in FORMS:
        training = Training(job, *form)
        for _ in range(5):
            training.step(batch)
        start = time.perf_counter()
        for _ in range(TRIED):
            training.step(batch)
        times[form] = (time.perf_counter() - start) / TRIED
    best = min(times, key=times.get)
    return best, times[best]


def fastest_workers(images: Images, job: dict[str, Any], form: tuple[bool, bool]) -> int:
    times = {}
    for workers in WORKERS:
        training = Training(job, *form)
        batches = iter(loader(images, job, workers, True))
        training.step(next(batches))
        start = time.perf_counter()
        steps = 0
        for batch in batches:
            training.step(batch)
            steps += 1
            if steps == TRIED:
                break
        times[workers] = (time.perf_counter() - start) / max(steps, 1)
        del batches
    return min(times, key=times.get)


def scores(labels: np.ndarray, clusters: np.ndarray) -> dict[str, float]:
    table = np.zeros((labels.max() + 1, clusters.max() + 1), dtype=np.int64)
    np.add.at(table, (labels, clusters), 1)
    rows, columns = linear_sum_assignment(-table)
    return {
        "acc": float(table[rows, columns].sum() / len(labels)),
        "nmi": float(normalized_mutual_info_score(labels, clusters)),
        "ari": float(adjusted_rand_score(labels, clusters)),
    }


def main() -> None:
    job = json.loads(sys.argv[1])
    torch.set_num_threads(job["threads"])
    seconds: dict[str, float] = {}
    lap = time.perf_counter()

    def done(step: str) -> None:
        nonlocal lap
        now = time.perf_counter()
        seconds[step] = now - lap
        lap = now

    images = Images(job["images"], job["mirrored"])
    listing = time.perf_counter() - lap
    form, step_seconds = fastest_form(images, job)
    workers = fastest_workers(images, job, form)
    lap = time.perf_counter()

    training = Training(job, *form)
    batches = loader(images, job, workers, True)
    loss = 0.0
    for epoch in range(job["epochs"]):
        total, steps = torch.zeros(()), 0
        for batch in batches:
            total += training.step(batch)
            steps += 1
        loss = total.item() / steps
        print(f"epoch {epoch + 1}: loss {loss:.5f}", file=sys.stderr, flush=True)
    done("train")
    seconds["train"] += _IMPORTS + listing

    training.model.eval()
    images.mirrored = False
    with torch.inference_mode(), training.precision():
        codes = [
            training.model.encode(batch.contiguous(memory_format=training.layout)).float()
            for batch in loader(images, job, workers, False)
        ]
    embeddings = torch.cat(codes).numpy()
    done("embed")

    # Without a seed, umap-learn uses all cores.
    places = umap.UMAP(
        n_neighbors=job["neighbors"], min_dist=job["minDist"], n_components=job["dims"]
    ).fit_transform(embeddings)
    done("map")

    mixture = GaussianMixture(
        job["clusters"],
        covariance_type=job["covariance"],
        n_init=job["restarts"],
        random_state=job["seed"],
    )
    found = mixture.fit_predict(places)
    done("cluster")
    seconds["total"] = sum(seconds.values())

    means = KMeans(job["clusters"], n_init=10, random_state=job["seed"]).fit_predict(embeddings)
    result = {
        "seed": job["seed"],
        "seconds": seconds,
        "mixture": scores(images.labels, found),
        "kmeans": scores(images.labels, means),
        "loss": loss,
        # What training would take if no file were read in it.
        "trainInMemory": step_seconds * len(batches) * job["epochs"],
        "workers": workers,
        "layout": "channels_last" if form[0] else "nchw",
        "precision": "bf16" if form[1] else "fp32",
        "version": torch.__version__,
    }
    print(json.dumps(result))


if __name__ == "__main__":
    main()
