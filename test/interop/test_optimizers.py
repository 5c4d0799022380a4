"""The optimizers step as Keras's do, with Keras's default hyper-parameters."""

from __future__ import annotations

import keras
import numpy as np
import pytest

import program

# Each with the learning rate that it has in Keras when none is named.
OPTIMIZERS = {
    "sgd": keras.optimizers.SGD,
    "rmsprop": keras.optimizers.RMSprop,
    "adagrad": keras.optimizers.Adagrad,
    # Keras 2's and the program's default; Keras 3 lowered its own to 0.001.
    "adadelta": lambda **given: keras.optimizers.Adadelta(
        **{"learning_rate": 1.0, "rho": 0.95, "epsilon": 1e-7} | given
    ),
    "adam": keras.optimizers.Adam,
    "adamw": keras.optimizers.AdamW,
    "adamax": keras.optimizers.Adamax,
    "nadam": keras.optimizers.Nadam,
}
STEPS = 5
SHAPES = [(5, 4), (4,), (3, 2, 3, 3)]


def _problem() -> tuple[list[np.ndarray], list[list[np.ndarray]]]:
    """Parameters and their gradients of every step; sizes from 1e-4 to 10, some exactly zero."""
    rng = np.random.default_rng(11)
    parameters = [rng.standard_normal(shape).astype(np.float32) for shape in SHAPES]
    gradients = [
        [
            (rng.standard_normal(shape) * 10 ** rng.uniform(-4, 1, shape)).astype(np.float32)
            * (rng.random(shape) > 0.1)
            for shape in SHAPES
        ]
        for _ in range(STEPS)
    ]
    return parameters, gradients


@pytest.mark.parametrize("rate", ["default", 0.05])
@pytest.mark.parametrize("name", OPTIMIZERS)
def test_five_steps(name, rate, tmp_path):
    parameters, gradients = _problem()
    optimizer = OPTIMIZERS[name](**({} if rate == "default" else {"learning_rate": rate}))

    tensors = {f"p{i}": value for i, value in enumerate(parameters)}
    for step, values in enumerate(gradients):
        tensors |= {f"g{step}_{i}": value for i, value in enumerate(values)}
    ours = program.probe(
        "optimizer",
        tmp_path,
        tensors,
        name=name,
        learning_rate=float(keras.ops.convert_to_numpy(optimizer.learning_rate)),
        steps=STEPS,
    )

    variables = [keras.Variable(value) for value in parameters]
    for step, values in enumerate(gradients):
        optimizer.apply([keras.ops.convert_to_tensor(value) for value in values], variables)
        for i, variable in enumerate(variables):
            theirs = keras.ops.convert_to_numpy(variable)
            np.testing.assert_allclose(
                ours[f"p{step}_{i}"], theirs, rtol=2e-5, atol=2e-6, err_msg=f"step {step}, parameter {i}"
            )
    assert all(
        np.abs(keras.ops.convert_to_numpy(variable) - before).max() > 1e-5
        for variable, before in zip(variables, parameters, strict=True)
    ), "parameters that stand still would prove nothing"
