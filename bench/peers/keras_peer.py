"""Training steps in Keras, on TensorFlow or PyTorch."""

from __future__ import annotations

import os
import sys

import protocol

job = protocol.request()
# Each is read when its library is imported.
os.environ["KERAS_BACKEND"] = job["backend"]
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
if job["backend"] == "tensorflow":
    import tensorflow as tf

    tf.config.threading.set_intra_op_parallelism_threads(job["threads"])
    tf.config.threading.set_inter_op_parallelism_threads(1)
else:
    import torch

    torch.set_num_threads(job["threads"])

# The parity tests' network: built of Keras's own layers.
sys.path.insert(0, job["reference"])

import keras
import numpy as np
from keras_reference import build

OPTIMIZERS = {
    "adadelta": lambda rate: keras.optimizers.Adadelta(rate, rho=0.95, epsilon=1e-7),
    "adam": keras.optimizers.Adam,
    "sgd": keras.optimizers.SGD,
}


def main() -> None:
    keras.utils.set_random_seed(1)
    if job["precision"] == "bf16":
        keras.mixed_precision.set_global_policy("mixed_bfloat16")
    model = build(job["options"]).logits
    model.compile(
        optimizer=OPTIMIZERS[job["optimizer"]](float(job["learningRate"])),
        loss=keras.losses.BinaryCrossentropy(from_logits=True),
        jit_compile=job["compile"],
    )
    images = np.ascontiguousarray(protocol.images(job).transpose(0, 2, 3, 1))
    images = images.astype(np.float32) / 255
    batch = job["batchSize"]
    batches = [images[i : i + batch] for i in range(0, len(images), batch)]
    # Tensors of the backend, so that a step copies nothing in.
    tensors = [keras.ops.convert_to_tensor(b) for b in batches]

    if job["backend"] == "tensorflow":
        # The function `fit` calls for each step, without what `fit` does around it.
        model.make_train_function()
        step = model.train_function
        endless = iter(
            tf.data.Dataset.from_tensor_slices((tf.stack(tensors), tf.stack(tensors)))
            .repeat()
            .prefetch(2)
        )

        def run(steps: int) -> dict[str, float]:
            model.reset_metrics()
            for _ in range(steps):
                logs = step(endless)
            # Reading the result waits for the steps.
            return {"loss": float(logs["loss"])}

    else:
        position = 0

        def run(steps: int) -> dict[str, float]:
            nonlocal position
            for k in range(steps):
                x = tensors[position % len(tensors)]
                position += 1
                logs = model.train_on_batch(x, x, return_dict=True)
            return {"loss": float(logs["loss"])}

    facts = {"parameters": model.count_params(), "version": keras.__version__}
    protocol.serve(run, facts, warm_up=3)


main()
