"""A peer is a process that runs steps when told to, so that several can take turns.

It is given one JSON object as its argument, says ``{"ready": true, ...}`` once it is warm, and then answers
each line ``{"steps": K}`` on stdin with ``{"seconds": S, ...}`` on stdout: the wall time of K steps.
"""

from __future__ import annotations

import json
import os
import sys
import time
from collections.abc import Callable
from typing import Any

import numpy as np

# Libraries print to stdout when they feel like it; the answers go where only this module writes.
_answers = os.fdopen(os.dup(1), "w")
os.dup2(2, 1)


def request() -> dict[str, Any]:
    """What the process was asked to be."""
    return json.loads(sys.argv[1])


def images(job: dict[str, Any]) -> np.ndarray:
    """The images of a job: uint8, N×C×H×W."""
    options = job["options"]
    shape = (-1, options["channels"], options["height"], options["width"])
    return np.fromfile(job["images"], dtype=np.uint8).reshape(shape)


def _answer(value: dict[str, Any]) -> None:
    print(json.dumps(value), file=_answers, flush=True)


def serve(run: Callable[[int], dict[str, Any]], facts: dict[str, Any], warm_up: int) -> None:
    """Warms up, then runs steps until stdin ends.

    ``run`` does so many steps, waits until they are really done, and may give something to report.
    """
    start = time.perf_counter()
    run(warm_up)
    _answer({"ready": True, "warmUpSeconds": time.perf_counter() - start, **facts})
    for line in sys.stdin:
        steps = json.loads(line)["steps"]
        start = time.perf_counter()
        result = run(steps)
        seconds = time.perf_counter() - start
        _answer({"seconds": seconds, **result})
