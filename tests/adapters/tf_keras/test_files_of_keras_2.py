"""Files that Keras 2 wrote, and what reading leaves of the process."""

from __future__ import annotations

import random
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tensorflow as tf

import multiprof
from multiprof.report import Report

Analyze = Callable[..., Report]
LSTM, GRU, DENSE = 2 * 20 * 4 * 5 * (7 + 5), 2 * 20 * 3 * 4 * (5 + 4), 2 * 4 * 3


def network(keras: Any, middle: Any = None) -> Any:
    layers = keras.layers
    first = [keras.Input((20, 7)), layers.LSTM(5, return_sequences=True, dropout=0.5)]
    last = [layers.GRU(4), layers.BatchNormalization(), layers.Dense(3)]
    return keras.Sequential([*first, *([] if middle is None else [middle]), *last])


def suffixes(version: str) -> list[str]:
    """.keras came with 2.12."""
    return [".h5", ".hdf5", ".keras"] if int(version.split(".")[1]) >= 12 else [".h5", ".hdf5"]


def saved(model: Any, path: Path, **options: Any) -> Path:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # Keras would rather have other files
        model.save(path, **options)
    return path


def test_a_file_is_read_as_the_model_that_was_saved(keras: Any, version: str, analyze: Analyze, tmp_path: Path) -> None:
    model = network(keras)
    live = analyze(model, dims={"batch": 2})
    assert live.macs == LSTM + GRU + DENSE
    for suffix in suffixes(version):
        path = saved(model, tmp_path / f"model{suffix}")
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of Keras 3, before it gives the file to tf_keras
            report = analyze(path, dims={"batch": 2})
        assert (report.macs, report.params) == (live.macs, live.params)
        assert [(layer.op, layer.scope) for layer in report.graph.layers] == [
            (layer.op, layer.scope) for layer in live.graph.layers
        ]


def test_a_saved_model_of_keras_2(keras: Any, tmp_path: Path) -> None:
    """It is read as the graph it holds: loops, whose trips are the steps."""
    model = network(keras)
    saved(model, tmp_path / "saved", save_format="tf")
    report = multiprof.analyze(tmp_path / "saved", (2, 20, 7))
    assert report.graph.framework == "tensorflow"
    assert report.macs == LSTM + GRU + DENSE
    assert report.params == sum(int(tf.size(v)) for v in model.trainable_weights)
    kept = sum(p.spec.numel for p in report.graph.parameters.values() if p.kind != "constant")
    assert kept == model.count_params()
    assert [r.trips for r in report.graph.regions.values() if r.kind == "loop"] == [20, 20]
    assert not report.unsupported()


def test_code_in_a_file_runs_only_when_trusted(keras: Any, version: str, analyze: Analyze, tmp_path: Path) -> None:
    for suffix in suffixes(version):
        path = saved(network(keras, keras.layers.Lambda(lambda x: x * 2.0)), tmp_path / f"model{suffix}")
        with pytest.raises(multiprof.ModelError, match="--trust") as caught:
            analyze(path, dims={"batch": 2})
        assert "\n" not in str(caught.value)
        report = analyze(path, dims={"batch": 2}, trust=True)
        assert report.macs == LSTM + GRU + DENSE
        assert "mul" in [layer.op for layer in report.graph.layers]


def test_half_a_file_and_a_file_of_weights_are_refused(keras: Any, analyze: Analyze, tmp_path: Path) -> None:
    model = network(keras)
    half, weights = saved(model, tmp_path / "half.h5"), tmp_path / "model.weights.h5"
    half.write_bytes(half.read_bytes()[: half.stat().st_size // 2])
    model.save_weights(weights)
    for path in (half, weights):
        with pytest.raises(multiprof.ModelError, match="cannot be loaded") as caught:
            analyze(path, dims={"batch": 2})
        assert "\n" not in str(caught.value)


def test_sizes_that_nobody_gave_are_asked_for(keras: Any, analyze: Analyze) -> None:
    with pytest.raises(multiprof.InputsError, match="--dim batch=1"):
        analyze(network(keras))
    with pytest.raises(multiprof.InputsError, match="is declared batch×20×7"):
        analyze(network(keras), (2, 7, 7))


def test_an_unbuilt_model_is_built_as_a_copy(keras: Any, analyze: Analyze) -> None:
    model = keras.Sequential([keras.layers.Dense(3), keras.layers.Dense(2)])
    with pytest.raises(multiprof.InputsError, match="--input"):
        analyze(model)
    assert analyze(model, (2, 5)).macs == 2 * (5 * 3 + 3 * 2)
    assert not model.built
    assert not model.layers[0].built
    assert model.layers[0].weights == []


def plain_attributes(model: Any) -> list[dict[str, Any]]:
    kinds = (bool, int, float, str, type(None))
    found = []
    for layer in model._flatten_layers():
        plain = {name: value for name, value in vars(layer).items() if type(value) in kinds}
        found.append(plain | {name: len(value) for name, value in vars(layer).items() if type(value) is list})
    return found


def methods(keras: Any) -> list[Any]:
    layers = keras.layers
    return [layers.Layer.__call__, *(cls.call for cls in (layers.RNN, layers.LSTM, layers.GRU, layers.SimpleRNN))]


def test_weights_attributes_and_random_numbers_are_left_alone(keras: Any, analyze: Analyze, tmp_path: Path) -> None:
    model, unbuilt = network(keras), keras.Sequential([keras.layers.Dense(3)])
    path = saved(model, tmp_path / "model.h5")
    tf.random.set_seed(3)
    random.seed(7)
    expected = [tf.random.normal((2,)).numpy().tolist() for _ in range(2)], random.random()
    x = np.linspace(-1, 1, 2 * 20 * 7, dtype="float32").reshape(2, 20, 7)
    result = model(x, training=False).numpy()
    weights, attributes, before = model.get_weights(), plain_attributes(model), methods(keras)
    number = int(keras.layers.Dense(1).name.rpartition("_")[2])
    tf.random.set_seed(3)
    random.seed(7)
    first = tf.random.normal((2,)).numpy().tolist()
    analyze(model, (2, 20, 7))
    analyze(unbuilt, (2, 5))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        analyze(path, (2, 20, 7))
    second = tf.random.normal((2,)).numpy().tolist()
    assert ([first, second], random.random()) == expected
    assert keras.layers.Dense(1).name == f"dense_{number + 1}"
    assert all(np.array_equal(a, b) for a, b in zip(weights, model.get_weights(), strict=True))
    assert plain_attributes(model) == attributes
    assert methods(keras) == before
    assert np.array_equal(result, model(x, training=False).numpy())
    assert analyze(model, (2, 20, 7)) == analyze(model, (2, 20, 7))


def test_the_classes_are_restored_when_the_model_raises(keras: Any) -> None:
    class Broken(keras.Model):  # type: ignore[misc, name-defined]
        def call(self, x: Any) -> Any:
            raise RuntimeError("broken")

    model, before = Broken(), methods(keras)
    model.built = True
    with pytest.raises(multiprof.MultiprofError, match="broken"):
        multiprof.analyze(model, (2, 3))
    assert methods(keras) == before
