"""The program under test, as its users and its test tool drive it."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from safetensors.numpy import load_file, save_file

ROOT = Path(__file__).resolve().parents[2]
CLI = Path(os.environ.get("FLEXAE_CLI", ROOT / "dist" / "cli" / "main.js"))
NODE = os.environ.get("FLEXAE_NODE") or shutil.which("node") or "node"


def _probe() -> Path:
    if given := os.environ.get("FLEXAE_PROBE"):
        return Path(given)
    places = [ROOT / folder / "flexae_probe" for folder in ("build/Release", "build", "build-test")]
    return next((place for place in places if place.is_file()), places[0])


def _run(command: list[str | Path], timeout: float, folder: Path = ROOT, **environment: str) -> str:
    done = subprocess.run(
        [str(part) for part in command],
        capture_output=True,
        text=True,
        timeout=timeout,
        cwd=folder,
        env=os.environ | environment,
    )
    if done.returncode != 0:
        shown = " ".join(str(part) for part in command)
        raise AssertionError(f"exit {done.returncode} from {shown}\n{done.stdout}{done.stderr}")
    return done.stdout


def cli(*arguments: str | Path, folder: Path, timeout: float = 300) -> str:
    """Standard output of the command ``flexae`` run in ``folder``, where it keeps its table of scores.

    Fails with what the command said if it exits other than 0.
    """
    assert CLI.is_file(), f"{CLI} is missing: build the package first, or set FLEXAE_CLI"
    return _run([NODE, CLI, *arguments], timeout, folder)


def node(script: str, *arguments: str | Path, timeout: float = 300) -> str:
    """Standard output of a short ES module; the package's folder is its working directory."""
    return _run([NODE, "--input-type=module", "--eval", script, "--", *arguments], timeout)


def probe(
    operation: str, folder: Path, tensors: dict[str, np.ndarray], **options: Any
) -> dict[str, np.ndarray]:
    """One call of the native core through ``flexae_probe``: named tensors in, named tensors out."""
    executable = _probe()
    assert executable.is_file(), f"{executable} is missing: build the native tests, or set FLEXAE_PROBE"
    given, got = folder / "in.safetensors", folder / "out.safetensors"
    metadata = {
        name: value if isinstance(value, str) else json.dumps(value) for name, value in options.items()
    }
    save_file({name: np.ascontiguousarray(value) for name, value in tensors.items()}, given, metadata)
    got.unlink(missing_ok=True)
    # Its tensors are too small for a second thread to be worth waking.
    _run([executable, operation, given, got], 300, OMP_NUM_THREADS="1")
    return load_file(got)


class Run(NamedTuple):
    """A finished training run."""

    folder: Path
    events: list[dict[str, Any]]
    """What ``run --json`` printed, a line an entry."""
    images: np.ndarray
    """The training images as written to disk, N×H×W×C bytes."""

    def load(self, name: str) -> torch.jit.ScriptModule:
        """``ae`` or ``en``, as Python's PyTorch loads it."""
        return torch.jit.load(self.folder / f"{name}.pt")

    def weights(self, name: str = "ae") -> dict[str, np.ndarray]:
        return {key: value.numpy() for key, value in self.load(name).state_dict().items()}

    def config(self, name: str = "ae") -> dict[str, Any]:
        """The resolved config that travels with the model."""
        extra = {"config.json": ""}
        torch.jit.load(self.folder / f"{name}.pt", _extra_files=extra)
        return json.loads(extra["config.json"])
