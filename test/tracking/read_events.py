"""Prints what TensorBoard reads in the folders given, as JSON by folder."""

import io
import json
import sys

from PIL import Image
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

ALL = {"scalars": 0, "images": 0, "tensors": 0}


def pixels(encoded):
    image = Image.open(io.BytesIO(encoded))
    return [image.width, image.height, list(image.convert("RGB").tobytes())]


def read(folder):
    events = EventAccumulator(folder, size_guidance=ALL)
    events.Reload()
    tags = events.Tags()
    texts = {}
    for tag in tags["tensors"]:
        for event in events.Tensors(tag):
            for text in event.tensor_proto.string_val:
                texts.setdefault(tag, []).append([event.step, text.decode()])
    return {
        "scalars": {
            tag: [[event.step, event.value, event.wall_time] for event in events.Scalars(tag)]
            for tag in tags["scalars"]
        },
        "images": {
            tag: [[event.step, *pixels(event.encoded_image_string)] for event in events.Images(tag)]
            for tag in tags["images"]
        },
        "texts": texts,
        "tensors": tags["tensors"],
    }


print(json.dumps({folder: read(folder) for folder in sys.argv[1:]}))
