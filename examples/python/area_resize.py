"""Resizes images as this program does with `interpolation: area`, to within a grey level."""

import numpy as np


def _weights(source: int, target: int) -> np.ndarray:
    """What each of `target` pixels takes of `source` pixels along one axis."""
    pixels = np.arange(source)
    if target <= source:
        # The share of each pixel that lies under the new one.
        edges = np.arange(target + 1) * source / target
        first, last = edges[:-1, None], edges[1:, None]
        overlap = np.minimum(last, pixels + 1) - np.maximum(first, pixels)
        return np.clip(overlap, 0, None) * target / source
    # Between the two pixels whose centres are nearest.
    centres = np.clip((np.arange(target) + 0.5) * source / target - 0.5, 0, source - 1)
    return np.clip(1 - np.abs(centres[:, None] - pixels), 0, None)


def resize(image: np.ndarray, width: int, height: int) -> np.ndarray:
    """H×W×C bytes to height×width×C bytes."""
    rows = _weights(image.shape[0], height)
    columns = _weights(image.shape[1], width)
    resized = np.einsum("ah,hwc,bw->abc", rows, image.astype(np.float32), columns, optimize=True)
    return np.clip(np.rint(resized), 0, 255).astype(np.uint8)
