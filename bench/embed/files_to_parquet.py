"""Image files through an exported encoder into a Parquet file, as one would write it in Python.

Is given one JSON object as its argument, and prints one: the seconds and the images of each pass.
What is faster here, the decoder, the number of the loader's workers, the layout and the precision,
is tried out beforehand and not counted. Nor are imports and the loading of the model.
"""

from __future__ import annotations

import contextlib
import json
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import torch
from PIL import Image
from torch.utils.data import DataLoader, Dataset

# Images that are tried with each number of workers.
TRIED = 2048
WORKERS = [0, 1, 2, 4]
# (channels_last, bf16)
FORMS = [(False, False), (True, False), (False, True), (True, True)]


class Images(Dataset):
    """The files of one folder a class, as bytes."""

    def __init__(self, files: list[Path]):
        self.files = [str(file) for file in files]

    def __len__(self) -> int:
        return len(self.files)

    def __getitem__(self, i: int) -> torch.Tensor:
        with Image.open(self.files[i]) as image:
            return torch.from_numpy(np.array(image)).unsqueeze(0)


class Encoder:
    """The frozen encoder in one form."""

    def __init__(self, path: str, channels_last: bool, bf16: bool):
        self.layout = torch.channels_last if channels_last else torch.contiguous_format
        self.bf16 = bf16
        model = torch.jit.load(path).eval()
        self.model = torch.jit.optimize_for_inference(torch.jit.freeze(model))

    def __call__(self, batch: torch.Tensor) -> torch.Tensor:
        x = batch.float().div_(255).contiguous(memory_format=self.layout)
        autocast = torch.autocast("cpu", torch.bfloat16) if self.bf16 else contextlib.nullcontext()
        with autocast:
            return self.model(x).float()


def loader(files: list[Path], batch: int, workers: int) -> DataLoader:
    return DataLoader(Images(files), batch, num_workers=workers)


def embed(encoder: Encoder, files: list[Path], job: dict[str, Any], workers: int, out: str) -> float:
    """Writes path, class and embedding of all files; gives the seconds."""
    start = time.perf_counter()
    schema = pa.schema(
        [("path", pa.string()), ("class", pa.string()), ("embedding", pa.list_(pa.float32()))]
    )
    at = 0
    with pq.ParquetWriter(out, schema, compression="NONE") as writer:
        for batch in loader(files, job["batchSize"], workers):
            rows = encoder(batch).flatten(1).numpy()
            named = files[at : at + len(rows)]
            at += len(rows)
            offsets = np.arange(0, rows.size + 1, rows.shape[1], dtype=np.int32)
            embedding = pa.ListArray.from_arrays(offsets, rows.ravel())
            paths = [f"{file.parent.name}/{file.name}" for file in named]
            classes = [file.parent.name for file in named]
            writer.write_table(pa.table([paths, classes, embedding], schema=schema))
    return time.perf_counter() - start


def fastest_form(job: dict[str, Any], files: list[Path]) -> tuple[bool, bool]:
    batch = next(iter(loader(files[: job["batchSize"]], job["batchSize"], 0)))
    times = {}
    for form in FORMS:
        encoder = Encoder(job["encoder"], *form)
        # Freezing profiles the first runs.
        for _ in range(3):
            encoder(batch)
        start = time.perf_counter()
        for _ in range(5):
            encoder(batch)
        times[form] = time.perf_counter() - start
    return min(times, key=times.get)


def main() -> None:
    job = json.loads(sys.argv[1])
    torch.set_num_threads(job["threads"])
    files = sorted(Path(job["images"]).glob("*/*"))
    out = job["out"]
    with torch.inference_mode():
        tried = files[:TRIED]
        form = fastest_form(job, tried)
        encoder = Encoder(job["encoder"], *form)
        times = {workers: embed(encoder, tried, job, workers, out) for workers in WORKERS}
        workers = min(times, key=times.get)
        print(json.dumps({"channelsLast": form[0], "bf16": form[1], "workers": workers}), flush=True)
        for _ in sys.stdin:
            seconds = embed(encoder, files, job, workers, out)
            print(json.dumps({"images": len(files), "seconds": seconds}), flush=True)


main()
