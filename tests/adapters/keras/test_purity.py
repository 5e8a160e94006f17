"""Reading a model leaves it, Keras and the generators of random numbers as they were."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from typing import Any

import keras
import numpy as np
import pytest
from keras import layers
from keras.src.layers.layer import Layer

import multiprof
from multiprof.report import Report

Analyze = Callable[..., Report]


def values(tensor: Any) -> Any:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # Keras's __array__ knows no copy=, which numpy 2 wants
        return keras.ops.convert_to_numpy(tensor).copy()


def network() -> Any:
    x = layers.Input((20, 7))
    y = layers.Dropout(0.5)(layers.LSTM(5, dropout=0.5)(x))
    return keras.Model(x, layers.BatchNormalization()(layers.Dense(3)(y)))


def plain_attributes(model: Any) -> list[dict[str, Any]]:
    kinds = (bool, int, float, str, type(None))
    return [
        {name: value for name, value in vars(layer).items() if type(value) in kinds}
        for layer in model._flatten_layers()
    ]


def methods() -> list[Any]:
    found: list[Any] = [Layer.__call__]
    for cls in (layers.RNN, layers.LSTM, layers.GRU, layers.SimpleRNN):
        found += [cls.inner_loop, cls.get_initial_state, cls._maybe_config_dropout_masks, cls.__call__]
    return found


def test_weights_attributes_and_random_numbers_are_left_alone(analyze: Analyze, seed: Callable[[int], None]) -> None:
    seed(3)
    expected = [values(keras.random.normal((2,))).tolist() for _ in range(2)]
    model = network()
    weights = [values(v) for v in model.variables]
    attributes, before = plain_attributes(model), methods()
    seed(3)
    first = values(keras.random.normal((2,))).tolist()
    analyze(model, (2, 20, 7))
    second = values(keras.random.normal((2,))).tolist()
    assert [first, second] == expected
    assert all(np.array_equal(a, values(b)) for a, b in zip(weights, model.variables, strict=True))
    assert plain_attributes(model) == attributes
    assert methods() == before
    assert analyze(model, (2, 20, 7)) == analyze(model, (2, 20, 7))


class Broken(keras.Model):
    def call(self, x: Any) -> Any:
        raise RuntimeError("broken")


def test_the_classes_are_restored_when_the_model_raises() -> None:
    before = methods()
    with pytest.raises(multiprof.MultiprofError, match="broken"):
        multiprof.analyze(Broken(), (2, 3))
    assert methods() == before


def test_a_model_computes_the_same_afterwards(analyze: Analyze) -> None:
    model = network()
    x = np.linspace(-1, 1, 2 * 20 * 7, dtype="float32").reshape(2, 20, 7)
    before = values(model(x, training=False))
    analyze(model, (2, 20, 7))
    assert np.array_equal(before, values(model(x, training=False)))
