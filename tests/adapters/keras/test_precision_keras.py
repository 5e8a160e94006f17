"""Policies of precision: weights are kept in one type and cast to another where they are used."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import keras
import pytest
from keras import layers

from multiprof.report import Report

Analyze = Callable[..., Report]


@contextmanager
def policy(name: str) -> Iterator[None]:
    before = keras.config.dtype_policy()
    keras.config.set_dtype_policy(name)
    try:
        yield
    finally:
        keras.config.set_dtype_policy(before)


@pytest.mark.parametrize("name", ["float32", "mixed_float16", "mixed_bfloat16"])
def test_a_policy_changes_types_and_no_count(name: str, analyze: Analyze) -> None:
    def made() -> list[Any]:
        return [
            layers.Conv2D(4, 3, activation="relu"),  # 8×8 → 6×6
            layers.BatchNormalization(),
            layers.Conv2DTranspose(4, 2),  # 6×6 → 7×7
            layers.SeparableConv2D(3, 2),  # 7×7 → 6×6
            layers.Flatten(),
            layers.Dense(5, dtype="float32", activation="softmax"),
        ]

    with policy(name):
        model = keras.Sequential([keras.Input((8, 8, 3), batch_size=2), *made()])
    report = analyze(model)
    by_hand = 6 * 6 * 4 * 27 + 6 * 6 * 4 * 4 * 4 + 6 * 6 * (4 * 4 + 4 * 3) + 108 * 5
    assert report.macs == 2 * by_hand
    assert report.params + report.buffers == model.count_params()
    hosts = [layer.op for layer in report.graph.layers if "bias" in layer.inputs and layer.op != "batch_norm"]
    assert hosts == ["conv", "conv_transpose", "conv", "linear"]
    assert not any(layer.op == "add" for layer in report.graph.layers)
    assert report.coverage == 1.0
