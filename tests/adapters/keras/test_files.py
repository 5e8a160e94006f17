"""Files of Keras equal the live model, and run no code unless they are trusted; what is refused, in one line."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import keras
import pytest
from keras import layers

import multiprof
from multiprof.report import Report

Analyze = Callable[..., Report]


def saved(model: Any, path: Path) -> Path:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # Keras would rather have .keras files
        model.save(path)
    return path


def network(middle: Any) -> Any:
    return keras.Sequential([layers.Input((5,)), layers.Dense(3, name="first"), middle, layers.BatchNormalization()])


@pytest.mark.parametrize("suffix", [".keras", ".h5"])
def test_a_file_is_read_as_the_model_that_was_saved(suffix: str, analyze: Analyze, tmp_path: Path) -> None:
    model = network(layers.ReLU())
    live = analyze(model, dims={"batch": 2})
    report = analyze(saved(model, tmp_path / f"model{suffix}"), dims={"batch": 2})
    assert report.macs == 2 * 5 * 3
    assert report.params == live.params
    assert [(layer.op, layer.scope) for layer in report.graph.layers] == [
        (layer.op, layer.scope) for layer in live.graph.layers
    ]


@pytest.mark.parametrize("suffix", [".keras", ".h5"])
def test_code_in_a_file_runs_only_when_trusted(suffix: str, analyze: Analyze, tmp_path: Path) -> None:
    path = saved(network(layers.Lambda(lambda x: x * 2.0)), tmp_path / f"model{suffix}")
    with pytest.raises(multiprof.ModelError, match="--trust") as caught:
        analyze(path, dims={"batch": 2})
    assert "\n" not in str(caught.value)
    assert [layer.op for layer in analyze(path, dims={"batch": 2}, trust=True).graph.layers].count("mul") >= 1


@pytest.mark.parametrize("suffix", [".keras", ".h5"])
def test_half_a_file_is_refused(suffix: str, analyze: Analyze, tmp_path: Path) -> None:
    path = saved(network(layers.ReLU()), tmp_path / f"model{suffix}")
    data = path.read_bytes()
    path.write_bytes(data[: len(data) // 2])
    with pytest.raises(multiprof.ModelError, match="cannot be loaded") as caught:
        analyze(path, dims={"batch": 2})
    assert "\n" not in str(caught.value)


def test_sizes_that_nobody_gave_are_asked_for(analyze: Analyze) -> None:
    with pytest.raises(multiprof.InputsError, match="--dim batch=1"):
        analyze(network(layers.ReLU()))
    with pytest.raises(multiprof.InputsError, match="is declared batch×5"):
        analyze(network(layers.ReLU()), (2, 7))


def test_an_unbuilt_model_is_built_as_a_copy(analyze: Analyze) -> None:
    model = keras.Sequential([layers.Dense(3), layers.Dense(2)])
    with pytest.raises(multiprof.InputsError, match="--input"):
        analyze(model)
    assert analyze(model, (2, 5)).macs == 2 * (5 * 3 + 3 * 2)
    assert not model.built
    assert not model.layers[0].built
    assert model.layers[0].weights == []


class Unbuilt(keras.Model):
    def __init__(self, width: int) -> None:
        super().__init__()
        self.inner = layers.Dense(width)

    def call(self, x: Any) -> Any:
        return self.inner(x)


def test_an_unbuilt_model_that_cannot_be_copied_is_to_be_built(analyze: Analyze) -> None:
    with pytest.raises(multiprof.ModelError, match="build it first"):
        analyze(Unbuilt(3), (2, 5))
