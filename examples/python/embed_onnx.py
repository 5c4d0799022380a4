#!/usr/bin/env python3
"""Embeds image files with an exported encoder, by onnxruntime.

    npx flexae export RUN --to onnx -o exported
    python examples/python/embed_onnx.py exported/en.onnx IMAGE...

Prints a line an image: its path, and the numbers. Needs onnxruntime, pillow and numpy.
"""

import sys

import numpy as np
import onnxruntime
from area_resize import resize
from PIL import Image, ImageOps


def main() -> None:
    session = onnxruntime.InferenceSession(sys.argv[1])
    _, channels, height, width = session.get_inputs()[0].shape
    for path in sys.argv[2:]:
        with Image.open(path) as file:
            image = ImageOps.exif_transpose(file).convert("L" if channels == 1 else "RGB")
        pixels = np.asarray(image).reshape(image.height, image.width, channels)
        resized = resize(pixels, width, height).astype(np.float32)
        images = resized.transpose(2, 0, 1)[None] / 255
        (embedding,) = session.run(["embedding"], {"images": images})
        print(path, *embedding.ravel())


if __name__ == "__main__":
    main()
