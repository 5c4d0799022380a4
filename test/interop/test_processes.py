"""Several processes that torchrun starts, and starts again when some of them are killed."""

from __future__ import annotations

import json
import os
import random
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest

import program
from conftest import make_images, write_images

SETTINGS = [
    "--image-shape=32,32",
    "--filters=8,16",
    "--kernel-size=3",
    "--strides=2",
    "--pooling=no",
    "--dims=16",
    "--optimizer=sgd",
    "--learning-rate=0.05",
    "--drop-rate=0.2",
    "--precision=fp32",
    "--batch-size=16",
    "--threads=1",
    "--no-report",
    "--json",
]


@pytest.fixture(scope="module")
def sets(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("processes")
    write_images(folder / "train", make_images(100, 32, 32, 1, seed=1))
    write_images(folder / "valid", make_images(20, 32, 32, 1, seed=2))
    return folder


def line(sets: Path, *more: str) -> list[str]:
    folders = [f"--train-dir={sets / 'train'}", f"--valid-dir={sets / 'valid'}"]
    return [program.NODE, str(program.CLI), "run", *folders, *SETTINGS, *more]


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def torchrun(sets: Path, processes: int, restarts: int, command: list[str]) -> subprocess.Popen:
    start = [sys.executable, "-m", "torch.distributed.run", "--no-python", f"--nproc-per-node={processes}"]
    start += [f"--max-restarts={restarts}", "--monitor-interval=0.5"]
    start += ["--rdzv-backend=c10d", f"--rdzv-endpoint=127.0.0.1:{free_port()}"]
    return subprocess.Popen(
        [*start, *command], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, cwd=sets
    )


def losses(run: Path) -> list[list[float]]:
    """Training and validation loss by epoch, as the run's table has them."""
    head, *rows = (run / "metrics.csv").read_text().splitlines()
    names = head.split(",")
    columns = [names.index("loss"), names.index("val_loss")]
    return [[float(row.split(",")[column]) for column in columns] for row in rows]


@pytest.fixture(scope="module")
def alone(sets) -> list[list[float]]:
    """40 epochs of 7 steps by one process."""
    command = line(sets, f"--save-dir={sets / 'alone'}", "--train-epochs=40")
    subprocess.run(command, check=True, capture_output=True, cwd=sets)
    return losses(sets / "alone")


def test_torchrun_trains_as_one_process_does(sets, alone):
    started = torchrun(sets, 2, 0, line(sets, f"--save-dir={sets / 'two'}", "--train-epochs=40"))
    out, errors = started.communicate(timeout=240)
    assert started.returncode == 0, errors
    # Rank 0's words alone.
    events = [json.loads(text)["event"] for text in out.splitlines() if text.startswith("{")]
    assert events == ["start", *["epoch"] * 40, "end"]
    for got, expected in zip(losses(sets / "two"), alone, strict=True):
        assert got == pytest.approx(expected, rel=1e-5)


def workers(agent: int) -> list[int]:
    """The processes of Node that an agent of torchrun's has started."""
    found = []
    for entry in Path("/proc").iterdir():
        if not entry.name.isdigit():
            continue
        try:
            parent = int(entry.joinpath("stat").read_text().rsplit(")", 1)[1].split()[1])
            words = entry.joinpath("cmdline").read_bytes()
        except OSError:
            continue  # It has ended meanwhile.
        if parent == agent and b"--save-dir" in words:
            found.append(int(entry.name))
    return found


def test_torchrun_goes_on_from_the_last_checkpoint_whoever_is_killed(sets, alone):
    seed = int(os.environ.get("FLEXAE_SEED", time.time_ns() % 2**31))
    print(f"kills of torchrun's processes: FLEXAE_SEED={seed}")
    rng = random.Random(seed)
    run = sets / "killed"
    kills = 3
    command = line(sets, f"--save-dir={run}", "--train-epochs=40", "--checkpoint-epochs=1")
    started = torchrun(sets, 2, 10, command)
    killed = 0
    seen: set[int] = set()
    deadline = time.monotonic() + 240
    while killed < kills and started.poll() is None and time.monotonic() < deadline:
        fresh = sorted(set(workers(started.pid)) - seen)
        if len(fresh) < 2:
            time.sleep(0.05)
            continue
        # Before they know each other, while they train, or as they end.
        time.sleep(rng.uniform(0.1, 2.5))
        try:
            os.kill(rng.choice(fresh), signal.SIGKILL)
            killed += 1
        except ProcessLookupError:
            pass
        seen |= set(fresh)
    _, errors = started.communicate(timeout=max(1, deadline + 60 - time.monotonic()))
    assert started.returncode == 0, errors[-3000:]
    assert killed > 0
    for got, expected in zip(losses(run), alone, strict=True):
        assert got == pytest.approx(expected, rel=1e-5)
    assert "state: finished" in (run / "setting.yaml").read_text()


def test_processes_that_may_be_started_again_must_find_their_run(sets):
    started = torchrun(sets, 2, 1, line(sets))
    _, errors = started.communicate(timeout=240)
    assert started.returncode != 0
    assert "name its folder with --save-dir" in errors
