"""A peer is a process that runs steps when told to, so that several can take turns.

It is given one JSON object as its argument, says ``{"ready": true, ...}`` once it is warm, and then answers
each line ``{"steps": K}`` on stdin with ``{"seconds": S, "cpuSeconds": C, ...}`` on stdout: the wall time of K steps,
and the processor time of all threads of the process.
"""

from __future__ import annotations

import json
import math
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


def _warm_up(run: Callable[[int], dict[str, Any]], facts: dict[str, Any], steps: int) -> None:
    start = time.perf_counter()
    run(steps)
    _answer({"ready": True, "warmUpSeconds": time.perf_counter() - start, **facts})


def _timed(run: Callable[[int], dict[str, Any]], steps: int) -> None:
    cpu, start = time.process_time(), time.perf_counter()
    result = run(steps)
    seconds, cpu_seconds = time.perf_counter() - start, time.process_time() - cpu
    wrong = [name for name, value in result.items() if not math.isfinite(value)]
    if wrong:
        _answer({"error": f"not a finite number: {', '.join(wrong)}"})
    else:
        _answer({"seconds": seconds, "cpuSeconds": cpu_seconds, **result})


def serve(run: Callable[[int], dict[str, Any]], facts: dict[str, Any], warm_up: int) -> None:
    """Warms up, then runs steps until stdin ends.

    ``run`` does so many steps, waits until they are really done, and may give something to report.
    """
    _warm_up(run, facts, warm_up)
    for line in sys.stdin:
        _timed(run, json.loads(line)["steps"])


Served = tuple[Callable[[int], dict[str, Any]], dict[str, Any]]


def serve_many(make: Callable[[dict[str, Any]], Served], warm_up: int) -> None:
    """As ``serve()``, of several jobs in one process, which imports its libraries once.

    A line ``{"open": J, "id": N}`` makes job N of J, ``{"steps": K, "id": N}`` runs it, and
    ``{"close": N}`` forgets it. What cannot be made answers ``{"error": ...}``.
    """
    jobs: dict[int, Callable[[int], dict[str, Any]]] = {}
    for line in sys.stdin:
        asked = json.loads(line)
        if "close" in asked:
            jobs.pop(asked["close"], None)
        elif "open" in asked:
            try:
                jobs[asked["id"]], facts = make(asked["open"])
                _warm_up(jobs[asked["id"]], facts, warm_up)
            except (Exception, SystemExit) as error:
                jobs.pop(asked["id"], None)
                _answer({"error": f"{type(error).__name__}: {error}"})
        else:
            _timed(jobs[asked["id"]], asked["steps"])
