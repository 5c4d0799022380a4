"""What `flexae export` writes, in programs too large for every day: the numbers of the native pass.

The networks are those of test/interop/test_exports.py. FLEXAE_EXPORT_NETWORKS says how many of them
are drawn, FLEXAE_EXPORT_SEED from which number on.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from exported import ALL, DRAWN, HALF, SEED, Case, export_networks

PROGRAMS = {
    "Keras 3 on TensorFlow": ("keras", {"KERAS_BACKEND": "tensorflow"}),
    "Keras 3 on PyTorch": ("keras", {"KERAS_BACKEND": "torch"}),
    "Keras 3 on JAX": ("keras", {"KERAS_BACKEND": "jax"}),
    "tf_keras 2": ("tf_keras", {"TF_USE_LEGACY_KERAS": "1"}),
    "OpenVINO": ("openvino", {}),
}
SAVED = ["ae.keras", "en.keras", "ae_weights.h5", "en_weights.h5"]
FILES = {
    "keras": SAVED,
    "tf_keras": SAVED[2:],
    "openvino": [
        f"{kind}/{output}"
        for kind in ("float", "half")
        for output in ("ae.onnx reconstruction", "ae.onnx embedding", "en.onnx embedding")
    ],
}


@pytest.fixture(scope="module")
def cases(tmp_path_factory) -> dict[str, Case]:
    print(f"FLEXAE_EXPORT_SEED={SEED}, {DRAWN} networks drawn")
    made = export_networks(tmp_path_factory.mktemp("exports"))
    for case in made.values():
        np.save(case.folder / "images.npy", case.images)
        case.images.tofile(case.folder / "images.bin")
        (case.folder / "shape.json").write_text(json.dumps(case.images.shape))
    return made


@pytest.mark.parametrize("name", PROGRAMS)
def test_same_numbers(cases, name):
    program, environment = PROGRAMS[name]
    script = Path(__file__).with_name("run_models.py")
    folders = [str(case.folder) for case in cases.values()]
    quiet = {"TF_CPP_MIN_LOG_LEVEL": "2", "CUDA_VISIBLE_DEVICES": ""}
    done = subprocess.run(
        [sys.executable, str(script), program, *folders],
        capture_output=True,
        text=True,
        env=os.environ | quiet | environment,
    )
    assert done.returncode == 0, f"{done.stdout}{done.stderr}"
    largest, wrong = 0.0, []
    for network, case in cases.items():
        path = case.folder / f"{program}.npz"
        outputs = np.load(path)
        assert sorted(outputs.files) == sorted(FILES[program])
        for file in outputs.files:
            is_image = "reconstruction" in file or file in ("ae.keras", "ae_weights.h5")
            ours = case.reconstruction if is_image else case.embedding
            assert outputs[file].shape == ours.shape
            error = (np.abs(outputs[file] - ours) / np.maximum(1, np.abs(ours))).max()
            if not file.startswith("half/"):
                largest = max(largest, error)
            if not error <= (HALF if file.startswith("half/") else 1e-5):
                wrong.append(f"{network}: {file} is off by {error:.2g}")
        path.unlink()
    print(f"{name}: {len(cases)} networks, at most {largest:.2g} off")
    assert len(cases) == len(ALL)
    assert not wrong, "\n".join(wrong)


@pytest.mark.parametrize("name", ["node", "browser"])
def test_same_numbers_in_javascript(cases, name):
    """By onnxruntime-node, and by onnxruntime-web in headless Chromium."""
    script = Path(__file__).with_name("run_models.mjs")
    folders = [str(case.folder) for case in cases.values()]
    done = subprocess.run(["node", str(script), name, *folders], capture_output=True, text=True)
    assert done.returncode == 0, f"{done.stdout}{done.stderr}"
    largest, wrong = 0.0, []
    for network, case in cases.items():
        for file in ("ae.reconstruction", "ae.embedding", "en.embedding"):
            ours = case.reconstruction if "reconstruction" in file else case.embedding
            got = np.fromfile(case.folder / f"{name}.{file}.bin", np.float32).reshape(ours.shape)
            error = (np.abs(got - ours) / np.maximum(1, np.abs(ours))).max()
            largest = max(largest, error)
            if not error <= 1e-5:
                wrong.append(f"{network}: {file} is off by {error:.2g}")
    print(f"onnxruntime in {name}: {len(cases)} networks, at most {largest:.2g} off")
    assert not wrong, "\n".join(wrong)
