"""What a model's own code keeps, draws or adds while it is called is not kept by a trace."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from typing import Any

import keras
import numpy as np
import pytest

import multiprof
from multiprof.report import Report

Analyze = Callable[..., Report]


def values(tensor: Any) -> Any:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # Keras's __array__ knows no copy=, which numpy 2 wants
        return keras.ops.convert_to_numpy(tensor).tolist()


class Keeping(keras.Model):
    def __init__(self) -> None:
        super().__init__()
        self.dense = keras.layers.Dense(3, activity_regularizer="l2")
        self.fails, self.calls, self.last, self.seen, self.table = False, 0, None, [], {}

    def call(self, x: Any) -> Any:
        self.calls += 1
        self.last = self.dense(x)
        self.seen.append(x)
        self.table["x"] = x
        self.add_loss(keras.ops.sum(x))
        if self.fails:
            raise RuntimeError("no luck today")
        return self.last


@pytest.mark.parametrize("fails", [False, True])
def test_attributes_lists_and_losses(fails: bool, analyze: Analyze) -> None:
    model = Keeping()
    last = model(np.ones((2, 4), "float32"))  # Keras runs it once more, to build it
    model.fails = fails
    calls, losses = model.calls, [values(loss) for loss in model.losses]
    attributes = [set(vars(layer)) for layer in model._flatten_layers()]
    if fails:
        with pytest.raises(multiprof.ModelError, match=r"RuntimeError.*no luck today"):
            analyze(model, (2, 4))
    else:
        assert analyze(model, (2, 4)).macs == 2 * 4 * 3
    assert (model.calls, len(model.seen), list(model.table)) == (calls, calls, ["x"])
    assert model.last is last
    assert [values(loss) for loss in model.losses] == losses
    assert [set(vars(layer)) for layer in model._flatten_layers()] == attributes


class Random(keras.Model):
    def __init__(self) -> None:
        super().__init__()
        self.generator = keras.random.SeedGenerator(5)

    def call(self, x: Any) -> Any:
        return x + keras.random.normal((2, 4), seed=self.generator)


def test_the_models_own_generator(analyze: Analyze) -> None:
    def draws(between: Callable[[Any], Any]) -> list[Any]:
        model = Random()
        found = []
        for _ in range(2):
            found.append(values(model(np.ones((2, 4), "float32"))))
            between(model)
        return found

    assert draws(lambda model: analyze(model, (2, 4))) == draws(lambda model: None)


def test_keras_generator_and_the_names_of_layers(analyze: Analyze, seed: Callable[[int], None]) -> None:
    """Of a model that is copied to be built: Keras seeds and names what it makes."""
    model = keras.Sequential([keras.layers.Dense(3), keras.layers.Dropout(0.5), keras.layers.Dense(2)])

    def drawn(between: Callable[[], Any]) -> list[Any]:
        seed(7)
        found = []
        for _ in range(2):
            found.append(values(keras.random.normal((2,))))
            found.append(keras.random.SeedGenerator()._initial_seed)
            between()
        return found

    before = int(keras.layers.Dense(1).name.rpartition("_")[2])
    assert drawn(lambda: analyze(model, (2, 5))) == drawn(lambda: None)
    assert int(keras.layers.Dense(1).name.rpartition("_")[2]) == before + 1
