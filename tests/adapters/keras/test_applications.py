"""keras.applications, all of them, against Keras's own counts and multiply-adds from the shapes of their layers."""

from __future__ import annotations

from collections.abc import Callable
from math import prod
from typing import Any

import keras
import pytest
from keras import layers

from multiprof.report import Report

Analyze = Callable[..., Report]

# Parameters and running statistics together. Exact: the table that Keras's documentation had until 2020.
PUBLISHED = {
    "Xception": 22_910_480, "VGG16": 138_357_544, "VGG19": 143_667_240, "ResNet50": 25_636_712,
    "ResNet101": 44_707_176, "ResNet152": 60_419_944, "ResNet50V2": 25_613_800, "ResNet101V2": 44_675_560,
    "ResNet152V2": 60_380_648, "InceptionV3": 23_851_784, "InceptionResNetV2": 55_873_736, "MobileNet": 4_253_864,
    "MobileNetV2": 3_538_984, "DenseNet121": 8_062_504, "DenseNet169": 14_307_880, "DenseNet201": 20_242_984,
    "NASNetMobile": 5_326_716, "NASNetLarge": 88_949_818,
}  # fmt: skip
# In millions, rounded or cut: the table of today.
MILLIONS = {
    "EfficientNetB0": 5.3, "EfficientNetB1": 7.9, "EfficientNetB2": 9.2, "EfficientNetB3": 12.3,
    "EfficientNetB4": 19.5, "EfficientNetB5": 30.6, "EfficientNetB6": 43.3, "EfficientNetB7": 66.7,
    "EfficientNetV2B0": 7.2, "EfficientNetV2B1": 8.2, "EfficientNetV2B2": 10.2, "EfficientNetV2B3": 14.5,
    "EfficientNetV2S": 21.6, "EfficientNetV2M": 54.4, "EfficientNetV2L": 119.0, "ConvNeXtTiny": 28.6,
    "ConvNeXtSmall": 50.2, "ConvNeXtBase": 88.5, "ConvNeXtLarge": 197.7, "ConvNeXtXLarge": 350.1,
}  # fmt: skip
# In no table of Keras.
OTHERS = ("MobileNetV3Large", "MobileNetV3Small")
# Multiply-adds in millions as the papers of these networks have them, at the same size of the image.
PAPERS = {
    "MobileNet": 569, "MobileNetV2": 300, "NASNetMobile": 564, "NASNetLarge": 23_800, "ConvNeXtTiny": 4_500,
    "ConvNeXtSmall": 8_700, "ConvNeXtBase": 15_400, "ConvNeXtLarge": 34_400, "ConvNeXtXLarge": 60_900,
}  # fmt: skip

NAMES = (*PUBLISHED, *MILLIONS, *OTHERS)
# One of each family; the others are long.
SPREAD = (
    "ConvNeXtTiny", "DenseNet121", "EfficientNetB0", "EfficientNetV2B0", "InceptionV3", "MobileNet", "MobileNetV2",
    "MobileNetV3Small", "NASNetMobile", "ResNet50", "ResNet50V2", "VGG16", "Xception",
)  # fmt: skip


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


@pytest.mark.parametrize("name", [pytest.param(n, marks=() if n in SPREAD else pytest.mark.long) for n in NAMES])
def test_an_application_costs_what_the_shapes_of_its_layers_say(
    name: str, analyze: Analyze, kept: Callable[[Report], int]
) -> None:
    keras.utils.clear_session()
    # these two take an image of any size, and then nothing says the shapes of their layers
    model = getattr(keras.applications, name)(
        weights=None, **({"input_shape": (224, 224, 3)} if name in OTHERS else {})
    )
    report = analyze(model, dims={"batch": 1}, strict=True)
    assert report.macs == by_shapes(model)
    assert report.coverage == 1.0 and not report.unsupported()
    assert kept(report) == report.params + report.buffers == model.count_params()
    assert report.params == report.trainable_params == sum(prod(v.shape) for v in model.trainable_weights)
    assert set(report.graph.parameters) >= {v.path for v in model.weights}
    if name in PUBLISHED:
        assert kept(report) == PUBLISHED[name]
    if name in MILLIONS:
        assert abs(kept(report) / 1e6 - MILLIONS[name]) < 0.1
    if name in PAPERS:
        assert abs(report.macs / 1e6 / PAPERS[name] - 1) < 0.015


def test_every_application_is_in_the_list() -> None:
    found = {name for name in dir(keras.applications) if callable(getattr(keras.applications, name))}
    assert found == set(NAMES)


def test_the_resnet_of_keras_has_statistics_beside_its_parameters(analyze: Analyze) -> None:
    report = analyze(keras.applications.ResNet50(weights=None), (1, 224, 224, 3))
    assert (report.params, report.buffers, report.macs) == (25_583_592, 53_120, 3_857_973_248)
