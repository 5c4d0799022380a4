"""The real program on one device: a bundle, pointed at Python's torch, trains on PNG files.

Unpacks the bundle, writes the files, then: `flexae doctor`; `flexae bench --json`, whose images are
in memory; `flexae run` from files, several epochs; `--resume` for one more. The table and
program.json say what each gave. Needs torch and Python's own library.
"""

from __future__ import annotations

import argparse
import ctypes
import json
import multiprocessing
import os
import shutil
import struct
import subprocess
import sys
import tarfile
import time
import zlib
from pathlib import Path

import torch
import torch.nn.functional as F

CHUNK = 50
EPOCHS = 3


def png(pixels: torch.Tensor) -> bytes:
    """A gray PNG of height x width bytes, each line by its differences (filter 1)."""
    height, width = pixels.shape
    lines = torch.ones(height, width + 1, dtype=torch.uint8)
    lines[:, 1] = pixels[:, 0]
    lines[:, 2:] = pixels[:, 1:] - pixels[:, :-1]
    # Without NumPy there is no quicker way from a tensor to bytes.
    raw = ctypes.string_at(lines.data_ptr(), lines.numel())

    def chunk(kind: bytes, data: bytes) -> bytes:
        body = kind + data
        return struct.pack(">I", len(data)) + body + struct.pack(">I", zlib.crc32(body))

    header = struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)
    return (
        b"\x89PNG\r\n\x1a\n"
        + chunk(b"IHDR", header)
        + chunk(b"IDAT", zlib.compress(raw, 1))
        + chunk(b"IEND", b"")
    )


def write_chunk(task: tuple[Path, int, int, int]) -> None:
    """Writes files `first` ... of smooth shapes under a little noise, as photographs have."""
    folder, first, count, side = task
    torch.set_num_threads(1)
    generator = torch.Generator().manual_seed(first)
    coarse = torch.rand(count, 1, 8, 8, generator=generator)
    smooth = F.interpolate(coarse, size=(side, side), mode="bicubic", align_corners=False)[:, 0]
    noise = 0.02 * torch.randn(smooth.shape, generator=generator)
    images = ((smooth + noise).clamp(0, 1) * 255).to(torch.uint8)
    for index, image in enumerate(images):
        (folder / f"{first + index:06d}.png").write_bytes(png(image))


def write_images(folder: Path, count: int, side: int, seed: int) -> None:
    """Makes a folder of `count` images, unless a finished one is there."""
    done = folder.with_suffix(f".{count}x{side}")
    if done.exists():
        return
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    starts = range(seed, seed + count, CHUNK)
    tasks = [(folder, first, min(CHUNK, seed + count - first), side) for first in starts]
    with multiprocessing.get_context("fork").Pool(os.cpu_count()) as pool:
        pool.map(write_chunk, tasks, chunksize=1)
    done.touch()


def unpack(archive: Path, folder: Path) -> Path:
    """The bundle's own folder below `folder`."""
    stat = archive.stat()
    mark = folder / f"unpacked-{stat.st_size}-{stat.st_mtime_ns}"
    if not mark.exists():
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
        with tarfile.open(archive) as tar:
            tar.extractall(folder, filter="tar")
        mark.touch()
    return next(path for path in folder.iterdir() if path.is_dir())


class Program:
    """`flexae`, with what each call took and said."""

    def __init__(self, bundle: Path, torch_folder: str, work: Path, out: Path):
        self.path, self.work, self.out = bundle / "bin" / "flexae", work, out
        self.environment = {
            **os.environ,
            "LIBTORCH": torch_folder,
            "FLEXAE_CACHE": str(work / "cache"),
            "NO_COLOR": "1",
        }

    def __call__(self, name: str, *arguments: str) -> str:
        """Ends this program, with what was said, if it fails."""
        start = time.monotonic()
        ended = subprocess.run(
            [self.path, *arguments],
            cwd=self.work,
            env=self.environment,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=False,
        )
        (self.out / f"program-{name}.txt").write_text(ended.stdout + ended.stderr)
        seconds = time.monotonic() - start
        print(f"flexae {' '.join(arguments[:2])}: exit code {ended.returncode}, {seconds:.1f} s")
        if ended.stderr:
            print(ended.stderr.rstrip())
        if ended.returncode != 0:
            print(ended.stdout[-2000:])
            sys.exit(f"{name} failed")
        return ended.stdout


def epochs_of(events: list[dict], images: int) -> list[dict]:
    """What is shown of each epoch: images/s by `flexae`, and over the epoch with validation."""
    return [
        {
            "epoch": event["epoch"],
            "imagesPerSecond": event["imagesPerSecond"],
            "withValidation": images / event["seconds"],
            "seconds": event["seconds"],
            "loss": event["loss"],
        }
        for event in events
        if event["event"] == "epoch"
    ]


def events(text: str) -> list[dict]:
    return [json.loads(line) for line in text.splitlines()]


def compare_clusters(flexae: Program, device: str) -> dict[str, float]:
    """Seconds of clusters and of a map of the run's embeddings on the device and on the CPU."""
    flexae("embed", "embed", "run", "train", "-o", "table.parquet", f"--device={device}")
    found, seconds = {}, {}
    for place in ("cpu", device):
        for method in ("kmeans", "gmm"):
            name = f"{method}-{place.replace(':', '')}"
            wish = ["cluster", "table.parquet", "-k", "16", "--restarts=2", f"--method={method}"]
            # Embeddings of a thousand numbers are too long for whole covariances.
            wish += ["--covariance=diag"] if method == "gmm" else []
            text = flexae(
                name, *wish, f"--device={place}", "--no-sheets", "--json", "-o", f"{name}.csv"
            )
            found[method, place] = json.loads(text.splitlines()[-1])
            seconds[name] = found[method, place]["seconds"]
        name = f"map-{place.replace(':', '')}"
        mapped = flexae(
            name, "map", "table.parquet", f"--device={place}", "--json", "-o", f"{name}.npy"
        )
        seconds[name] = json.loads(mapped.splitlines()[-1])["seconds"]
    for method in ("kmeans", "gmm"):
        here, there = (found[method, place]["inertia"] for place in ("cpu", device))
        # From other first centres: each draws its own where chances round otherwise.
        if abs(here - there) > 0.05 * here:
            sys.exit(f"{method} on {device} has an inertia of {there}, on the CPU of {here}")
    places = [
        (flexae.work / f"map-{place.replace(':', '')}.npy").read_bytes() for place in ("cpu", device)
    ]
    if places[0] != places[1]:
        sys.exit(f"the map made on {device} is not that of the CPU")
    return seconds


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--bundle", type=Path, required=True)
    parser.add_argument("--torch", default=os.path.dirname(torch.__file__))
    parser.add_argument("--work", type=Path, required=True, help="for the bundle and the images")
    parser.add_argument("--out", type=Path, required=True, help="for results")
    parser.add_argument("--device", default="cuda")
    parser.add_argument("--images", type=int, default=20_000)
    parser.add_argument("--side", type=int, default=256)
    parser.add_argument("--batch-size", type=int, default=256)
    options = parser.parse_args()
    work, out = options.work.resolve(), options.out.resolve()

    start = time.monotonic()
    bundle = unpack(options.bundle.resolve(), work / "bundle")
    print(f"Unpacked {options.bundle} in {time.monotonic() - start:.1f} s")
    start = time.monotonic()
    valid = max(options.images // 20, 1)
    write_images(work / "train", options.images, options.side, 0)
    write_images(work / "valid", valid, options.side, options.images)
    print(f"{options.images} + {valid} PNG files after {time.monotonic() - start:.1f} s")

    flexae = Program(bundle, options.torch, work, out)
    print(flexae("doctor", "doctor").rstrip())
    size = [f"--image-shape={options.side},{options.side}", f"--batch-size={options.batch_size}"]
    common = [*size, f"--device={options.device}", "--json"]
    # First, so that kernels are compiled before files are read.
    bench = json.loads(flexae("bench", "bench", *common))

    shutil.rmtree(work / "run", ignore_errors=True)
    folders = ["--train-dir=train", "--valid-dir=valid", "--save-dir=run"]
    ran = events(flexae("run", "run", *common, *folders, f"--train-epochs={EPOCHS}"))
    more = f"--train-epochs={EPOCHS + 1}"
    resumed = events(flexae("resume", "run", "--resume", "run", more, "--json"))

    epochs = epochs_of(ran, options.images)
    again = epochs_of(resumed, options.images)
    ends = [ran[-1], resumed[-1]]
    problems = [event for event in ran + resumed if event["event"] == "warning"]
    wanted = [*range(1, EPOCHS + 1)], [EPOCHS + 1]
    if ([row["epoch"] for row in epochs], [row["epoch"] for row in again]) != wanted:
        sys.exit("other epochs were trained than were asked for")
    if any(end["event"] != "end" or not end["pictures"] for end in ends):
        sys.exit("a training left no pictures")

    memory = bench["imagesPerSecond"]
    print(f"\n{bench['deviceName']}, {bench['precision']}, batches of {options.batch_size}:")
    print(f"{'images/s':>10}  of memory  with validation")
    print(f"{memory:10,.0f}       100 %                   bench: in memory")
    for note, rows in (("run", epochs), ("resumed", again)):
        for row in rows:
            rate, whole = row["imagesPerSecond"], row["withValidation"]
            print(
                f"{rate:10,.0f}  {100 * rate / memory:8.0f} %  {whole:15,.0f}   "
                f"{note}: epoch {row['epoch']}, {row['seconds']:.1f} s, loss {row['loss']:.4f}"
            )
    for problem in problems:
        print(f"warning: {problem.get('message', problem)}")
    seconds = compare_clusters(flexae, options.device)
    print("\nseconds, from a table of embeddings:")
    for name, value in seconds.items():
        print(f"{value:10.1f}  {name}")
    result = {"clusters": seconds, "bench": bench, "run": epochs, "resumed": again, "warnings": problems}
    (out / "program.json").write_text(json.dumps(result, indent=2))


if __name__ == "__main__":
    main()
