"""The ResNet-50s of Keras, MXNet and PyTorch: each its own number, and their differences by closed form."""

from __future__ import annotations

from typing import Any

import keras
import models
import pytest
import torch
from torch import Tensor, nn

import multiprof

# (blocks, width w of the bottleneck, height and width of the stage's results); a block gives 4·w channels
STAGES = ((3, 64, 56), (4, 128, 28), (6, 256, 14), (3, 512, 7))


class Bottleneck(nn.Module):
    """He et al. 2015, with the stride in the 3×3 as torchvision has it ("v1.5")."""

    def __init__(self, inputs: int, width: int, stride: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(inputs, width, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(width)
        self.conv2 = nn.Conv2d(width, width, 3, stride, 1, bias=False)
        self.bn2 = nn.BatchNorm2d(width)
        self.conv3 = nn.Conv2d(width, 4 * width, 1, bias=False)
        self.bn3 = nn.BatchNorm2d(4 * width)
        self.shortcut = nn.Sequential()
        if inputs != 4 * width:
            self.shortcut = nn.Sequential(
                nn.Conv2d(inputs, 4 * width, 1, stride, bias=False), nn.BatchNorm2d(4 * width)
            )

    def forward(self, x: Tensor) -> Tensor:
        y = torch.relu(self.bn1(self.conv1(x)))
        y = torch.relu(self.bn2(self.conv2(y)))
        return torch.relu(self.bn3(self.conv3(y)) + self.shortcut(x))


def of_torch() -> nn.Module:
    parts: list[nn.Module] = [
        nn.Conv2d(3, 64, 7, 2, 3, bias=False), nn.BatchNorm2d(64), nn.ReLU(), nn.MaxPool2d(3, 2, 1)
    ]  # fmt: skip
    inputs = 64
    for stage, (blocks, width, _) in enumerate(STAGES):
        for block in range(blocks):
            parts.append(Bottleneck(inputs, width, 2 if stage and not block else 1))
            inputs = 4 * width
    return nn.Sequential(*parts, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(2048, 1000)).eval()


@pytest.fixture(scope="module")
def reports() -> dict[str, multiprof.Report]:
    images: Any = (1, 224, 224, 3)
    channels_first = (1, 3, 224, 224)
    return {
        "keras": multiprof.analyze(keras.applications.ResNet50(weights=None), images, strict=True),
        "mxnet": multiprof.analyze(models.mx.gluon.model_zoo.vision.resnet50_v1(), channels_first, strict=True),
        "torch": multiprof.analyze(of_torch(), channels_first, strict=True),
    }


def test_each_is_its_own_right_number_and_the_differences_follow(reports: dict[str, multiprof.Report]) -> None:
    found = reports
    assert {name: report.macs for name, report in found.items()} == {
        "keras": 3_857_973_248,
        "mxnet": 3_857_973_248,
        "torch": 4_089_184_256,
    }
    # In the first block of a later stage the first 1×1 reads 2·w channels and makes w: with the stride at s·s places,
    # without it at four times as many.
    assert found["torch"].macs - found["keras"].macs == sum((4 - 1) * s * s * 2 * w * w for _, w, s in STAGES[1:])
    # Nothing else differs: the 3×3 has results of the same size, and so has what comes after.
    assert {name: report.params for name, report in found.items()} == {
        "keras": 25_583_592,
        "mxnet": 25_575_912,
        "torch": 25_557_032,
    }
    # In Keras every convolution has a bias: the stem's, three of each block, one of each shortcut.
    every = 64 + sum(blocks * (w + w + 4 * w) + 4 * w for blocks, w, _ in STAGES)
    assert found["keras"].params - found["torch"].params == every
    # In Gluon both 1×1 of a block have one, and nothing else has.
    assert found["mxnet"].params - found["torch"].params == sum(blocks * (w + 4 * w) for blocks, w, _ in STAGES)
    # As many norms in all: a mean and a variance for every channel that a convolution makes; PyTorch's norms each
    # count the batches they have seen.
    norms = 1 + sum(3 * blocks + 1 for blocks, _, _ in STAGES)
    assert found["keras"].buffers == found["mxnet"].buffers == 2 * every == 53_120
    assert found["torch"].buffers == 2 * every + norms


def by_scale(report: multiprof.Report) -> dict[int, int]:
    """Multiply-adds of the convolutions by the height of their result, whatever the order of their axes."""
    total: dict[int, int] = {}
    for row in report.layers:
        if row.layer.op == "conv":
            y, order = row.layer.y, str(row.layer.attrs["data_format"])
            height = y.shape[order.index("H")]
            assert height is not None and row.macs is not None
            total[height] = total.get(height, 0) + row.macs
    return total


def test_the_difference_lies_where_the_stride_does(reports: dict[str, multiprof.Report]) -> None:
    """Stage by stage: what torch has more stands at the size that the stage before has."""
    found = reports
    of_keras, of_pytorch = by_scale(found["keras"]), by_scale(found["torch"])
    assert of_keras == by_scale(found["mxnet"])
    # The first 1×1 of a later stage, 2·w channels to w: at the stage's own size, or at four times as many places.
    entering = {s: 2 * w * w * s * s for _, w, s in STAGES[1:]}
    for _, _, s in STAGES:
        assert of_pytorch[s] - of_keras[s] == 4 * entering.get(s // 2, 0) - entering.get(s, 0)
    assert of_pytorch[112] == of_keras[112] == 112 * 112 * 64 * 49 * 3
