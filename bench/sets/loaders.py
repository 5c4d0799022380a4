"""Images from shards into batches, by the loaders people use for that in Python.

Is given one JSON object as its argument: the kind of loader, the set, pixels a side to reach, the
batch size and the number of cores. Prints what was tried out, then for each line on standard input
the images and seconds of a pass over the whole set, shuffled. What is faster here, the decoder and
the number of workers, is tried out beforehand and not counted. Nor are imports and the writing of
litdata's chunks.
"""

from __future__ import annotations

import glob
import io
import itertools
import json
import sys
import time
from collections.abc import Callable, Iterable
from pathlib import Path

import cv2
import numpy as np
import torch
import webdataset as wds
from litdata import StreamingDataLoader, StreamingDataset, optimize
from PIL import Image
from torch.utils.data import DataLoader, Dataset

# One thread each: the loader has a process a core.
cv2.setNumThreads(1)
torch.set_num_threads(1)
WORKERS = [0, 1, 2, 4]
Decode = Callable[[bytes, int], np.ndarray]


def by_opencv(data: bytes, side: int) -> np.ndarray:
    pixels = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_GRAYSCALE)
    if pixels.shape[0] == side:
        return pixels
    return cv2.resize(pixels, (side, side), interpolation=cv2.INTER_AREA)


def by_opencv_reduced(data: bytes, side: int) -> np.ndarray:
    """A JPEG at a quarter of its size, which no pixel more is decoded for."""
    pixels = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_REDUCED_GRAYSCALE_4)
    return pixels if pixels.shape[0] == side else cv2.resize(pixels, (side, side))


def by_pillow(data: bytes, side: int) -> np.ndarray:
    with Image.open(io.BytesIO(data)) as image:
        image.draft("L", (side, side))
        gray = image.convert("L")
        if gray.size[0] != side:
            gray = gray.resize((side, side), Image.Resampling.BOX)
        return np.asarray(gray)


class Files(Dataset):
    """A folder, as most have it."""

    def __init__(self, folder: str, decode: Decode, side: int):
        self.files = sorted(str(file) for file in Path(folder).rglob("*.*"))
        self.decode, self.side = decode, side

    def __len__(self) -> int:
        return len(self.files)

    def __getitem__(self, i: int) -> torch.Tensor:
        data = Path(self.files[i]).read_bytes()
        return torch.from_numpy(np.array(self.decode(data, self.side)))


def files(job: dict, decode: Decode, workers: int) -> Iterable[torch.Tensor]:
    data = Files(job["set"], decode, job["side"])
    return DataLoader(data, job["batch"], shuffle=True, num_workers=workers)


def webdataset(job: dict, decode: Decode, workers: int) -> Iterable[torch.Tensor]:
    shards = sorted(glob.glob(job["set"] + "/*.tar"))
    side = job["side"]

    def image(sample: dict) -> torch.Tensor:
        data = sample.get("png") or sample.get("jpg")
        return torch.from_numpy(np.array(decode(data, side)))

    data = wds.WebDataset(shards, shardshuffle=len(shards), empty_check=False)
    data = data.shuffle(1000).map(image).batched(job["batch"], collation_fn=torch.stack)
    return wds.WebLoader(data, batch_size=None, num_workers=min(workers, len(shards)))


class Chunks(StreamingDataset):
    """litdata's chunks of encoded images."""

    decode: Decode
    side: int

    def __getitem__(self, i):  # type: ignore[no-untyped-def]
        return torch.from_numpy(np.array(self.decode(super().__getitem__(i), self.side)))


def litdata(job: dict, decode: Decode, workers: int) -> Iterable[torch.Tensor]:
    data = Chunks(job["chunks"], shuffle=True)
    data.decode, data.side = decode, job["side"]
    return StreamingDataLoader(data, batch_size=job["batch"], num_workers=workers)


def write_chunks(job: dict) -> None:
    names = sorted(str(file) for file in Path(job["folder"]).rglob("*.*"))
    optimize(
        fn=read_bytes, inputs=names, output_dir=job["chunks"], chunk_bytes="64MB", num_workers=2
    )


def read_bytes(name: str) -> bytes:
    return Path(name).read_bytes()


LOADERS = {"files": files, "webdataset": webdataset, "litdata": litdata}


def run(batches: Iterable[torch.Tensor], most: int | None = None) -> tuple[int, float]:
    began = time.perf_counter()
    images = 0
    for batch in itertools.islice(batches, most):
        images += len(batch)
    return images, time.perf_counter() - began


def main() -> None:
    job = json.loads(sys.argv[1])
    kind = job["kind"]
    if kind == "litdata":
        write_chunks(job)
    decoders: list[Decode] = [by_opencv, by_pillow]
    if job["jpeg"]:
        decoders.append(by_opencv_reduced)
    best = (0.0, decoders[0], 0)
    for decode, workers in itertools.product(decoders, WORKERS):
        images, seconds = run(LOADERS[kind](job, decode, workers))
        best = max(best, (images / seconds, decode, workers), key=lambda tried: tried[0])
    _, decode, workers = best
    print(json.dumps({"decode": decode.__name__, "workers": workers}), flush=True)
    for _ in sys.stdin:
        images, seconds = run(LOADERS[kind](job, decode, workers))
        print(json.dumps({"images": images, "seconds": seconds}), flush=True)


if __name__ == "__main__":
    main()
