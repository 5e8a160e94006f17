"""Small networks, by hand."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import keras
from keras import layers

from multiprof.report import Report

Analyze = Callable[..., Report]


def test_a_sequence_of_layers(analyze: Analyze, ops_of: Callable[[Report], dict[str, list[Any]]]) -> None:
    model = keras.Sequential(
        [
            layers.Input((32, 32, 3)),
            layers.Conv2D(8, 3, activation="relu", name="stem"),
            layers.MaxPooling2D(),
            layers.Flatten(),
            layers.Dense(10, name="head"),
        ]
    )
    report = analyze(model, dims={"batch": 2})
    found = ops_of(report)
    assert [(layer.op, layer.scope) for layer in found["conv"] + found["linear"] + found["relu"]] == [
        ("conv", "stem"),
        ("linear", "head"),
        ("relu", "stem"),
    ]
    assert report.macs == 2 * (30 * 30 * 8 * 27 + 15 * 15 * 8 * 10)
    assert report.params == 8 * 27 + 8 + 1800 * 10 + 10
    assert [(spec.name, spec.shape) for spec in report.graph.inputs] == [(model.inputs[0].name, (2, 32, 32, 3))]
    assert report.graph.metadata["modules"]["stem"].endswith("Conv2D")
