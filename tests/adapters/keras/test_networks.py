"""Whole networks: keras.applications against a count from the shapes of their layers, and small ones by hand."""

from __future__ import annotations

from collections.abc import Callable
from math import prod
from typing import Any

import keras
import pytest
from keras import layers

from multiprof.report import Report

Analyze = Callable[..., Report]


def by_shapes(model: Any) -> int:
    """Multiply-adds of a network of convolutions and dense layers for one sample: |y| · kernel elements · C_i/G."""
    total = 0
    for layer in model._flatten_layers():
        if isinstance(layer, layers.DepthwiseConv2D):
            total += prod(layer.output.shape[1:]) * prod(layer.kernel_size)
        elif isinstance(layer, layers.SeparableConv2D):
            _, height, width, out = layer.output.shape
            depth = layer.depth_multiplier * layer.input.shape[-1]
            total += height * width * depth * (prod(layer.kernel_size) + out)
        elif isinstance(layer, layers.Conv2D):
            total += prod(layer.output.shape[1:]) * prod(layer.kernel.shape[:3])
        elif isinstance(layer, layers.Dense):
            total += prod(layer.output.shape[1:]) * layer.kernel.shape[0]
    return total


KNOWN = {"ResNet50": 3_857_973_248, "MobileNetV2": 300_774_272}


@pytest.mark.parametrize("name", ["ResNet50", "MobileNetV2", "EfficientNetB0", "DenseNet121", "Xception"])
def test_an_application_costs_what_its_layers_shapes_say(
    name: str, analyze: Analyze, kept: Callable[[Report], int]
) -> None:
    model = getattr(keras.applications, name)(weights=None)
    report = analyze(model, dims={"batch": 1})
    assert report.macs == by_shapes(model) == KNOWN.get(name, report.macs)
    assert kept(report) == model.count_params()
    assert report.params == report.trainable_params == sum(prod(v.shape) for v in model.trainable_weights)
    assert not report.unsupported()
    assert set(report.graph.parameters) >= {v.path for v in model.weights}


def test_the_resnet_of_keras_has_statistics_beside_its_parameters(analyze: Analyze) -> None:
    report = analyze(keras.applications.ResNet50(weights=None), (1, 224, 224, 3))
    buffers = [p.spec.numel for p in report.graph.parameters.values() if p.kind == "buffer"]
    assert (report.params, sum(buffers)) == (25_583_592, 53_120)


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
