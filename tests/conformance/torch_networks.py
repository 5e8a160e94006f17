"""The networks in PyTorch."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn


def lenet() -> tuple[nn.Module, Any]:
    net = nn.Sequential(
        nn.Conv2d(1, 6, 5, padding=2),
        nn.Tanh(),
        nn.AvgPool2d(2),
        nn.Conv2d(6, 16, 5),
        nn.Tanh(),
        nn.AvgPool2d(2),
        nn.Flatten(),
        nn.Linear(400, 120),
        nn.Tanh(),
        nn.Linear(120, 84),
        nn.Tanh(),
        nn.Linear(84, 10),
    )
    return net.eval(), (1, 1, 28, 28)


class BasicBlock(nn.Module):
    def __init__(self, inputs: int, outputs: int, stride: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(inputs, outputs, 3, stride, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(outputs)
        self.conv2 = nn.Conv2d(outputs, outputs, 3, 1, 1, bias=False)
        self.bn2 = nn.BatchNorm2d(outputs)
        self.relu = nn.ReLU()
        self.shortcut = nn.Sequential()
        if inputs != outputs:
            self.shortcut = nn.Sequential(nn.Conv2d(inputs, outputs, 1, stride, bias=False), nn.BatchNorm2d(outputs))

    def forward(self, x: Tensor) -> Tensor:
        y = self.relu(self.bn1(self.conv1(x)))
        return self.relu(self.bn2(self.conv2(y)) + self.shortcut(x))


def resnet_stack() -> tuple[nn.Module, Any]:
    net = nn.Sequential(
        nn.Conv2d(3, 16, 3, padding=1, bias=False),
        nn.BatchNorm2d(16),
        nn.ReLU(),
        BasicBlock(16, 16, 1),
        BasicBlock(16, 32, 2),
        nn.AdaptiveAvgPool2d(1),
        nn.Flatten(),
        nn.Linear(32, 10),
    )
    return net.eval(), (2, 3, 32, 32)


class InvertedResidual(nn.Sequential):
    def __init__(self, inputs: int, expanded: int, outputs: int, stride: int) -> None:
        super().__init__(
            nn.Conv2d(inputs, expanded, 1, bias=False),
            nn.BatchNorm2d(expanded),
            nn.ReLU6(),
            nn.Conv2d(expanded, expanded, 3, stride, 1, groups=expanded, bias=False),
            nn.BatchNorm2d(expanded),
            nn.ReLU6(),
            nn.Conv2d(expanded, outputs, 1, bias=False),
            nn.BatchNorm2d(outputs),
        )
        self.residual = stride == 1 and inputs == outputs

    def forward(self, x: Tensor) -> Tensor:
        y: Tensor = super().forward(x)
        return x + y if self.residual else y


def mobilenetv2_block() -> tuple[nn.Module, Any]:
    net = nn.Sequential(InvertedResidual(16, 96, 16, 1), InvertedResidual(16, 96, 24, 2))
    return net.eval(), (1, 16, 28, 28)


class Inception(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.one = nn.Sequential(nn.Conv2d(192, 64, 1), nn.ReLU())
        self.three = nn.Sequential(nn.Conv2d(192, 96, 1), nn.ReLU(), nn.Conv2d(96, 128, 3, padding=1), nn.ReLU())
        self.five = nn.Sequential(nn.Conv2d(192, 16, 1), nn.ReLU(), nn.Conv2d(16, 32, 5, padding=2), nn.ReLU())
        self.pool = nn.Sequential(nn.MaxPool2d(3, 1, 1), nn.Conv2d(192, 32, 1), nn.ReLU())

    def forward(self, x: Tensor) -> Tensor:
        return torch.cat([self.one(x), self.three(x), self.five(x), self.pool(x)], 1)


def inception() -> tuple[nn.Module, Any]:
    return Inception().eval(), (1, 192, 14, 14)


def generator() -> tuple[nn.Module, Any]:
    net = nn.Sequential(
        nn.Linear(100, 4 * 4 * 64, bias=False),
        nn.Unflatten(1, (64, 4, 4)),
        nn.BatchNorm2d(64),
        nn.ReLU(),
        nn.ConvTranspose2d(64, 32, 4, 2, 1, bias=False),
        nn.BatchNorm2d(32),
        nn.ReLU(),
        nn.ConvTranspose2d(32, 3, 4, 2, 1),
        nn.Tanh(),
    )
    return net.eval(), (2, 100)


def grouped_deconvolution() -> tuple[nn.Module, Any]:
    net = nn.Sequential(
        nn.ConvTranspose2d(16, 32, 4, 2, 1, groups=4), nn.ReLU(), nn.Conv2d(32, 8, 3, padding=1, groups=4)
    )
    return net.eval(), (1, 16, 8, 8)


class FCNHead(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.head = nn.Sequential(nn.Conv2d(64, 128, 3, padding=1), nn.ReLU(), nn.Dropout(0.5), nn.Conv2d(128, 21, 1))
        self.up2 = nn.ConvTranspose2d(21, 21, 4, 2, 1, bias=False)
        self.score = nn.Conv2d(32, 21, 1)
        self.up8 = nn.ConvTranspose2d(21, 21, 16, 8, 4, bias=False)

    def forward(self, x: Tensor, skip: Tensor) -> Tensor:
        y: Tensor = self.up8(self.up2(self.head(x)) + self.score(skip))
        return y


def fcn_head() -> tuple[nn.Module, Any]:
    return FCNHead().eval(), [(1, 64, 12, 12), (1, 32, 24, 24)]


class BiLSTM(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.lstm = nn.LSTM(40, 64, num_layers=2, bidirectional=True, batch_first=True)
        self.dense = nn.Linear(128, 10)

    def forward(self, x: Tensor) -> Tensor:
        y: Tensor = self.dense(self.lstm(x)[0])
        return y


def bilstm() -> tuple[nn.Module, Any]:
    return BiLSTM().eval(), (2, 12, 40)


class GRU(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.gru = nn.GRU(32, 48, batch_first=True)
        self.dense = nn.Linear(48, 5)

    def forward(self, x: Tensor) -> Tensor:
        y: Tensor = self.dense(self.gru(x)[1][0])
        return y


def gru() -> tuple[nn.Module, Any]:
    return GRU().eval(), (2, 15, 32)


def transformer_encoder() -> tuple[nn.Module, Any]:
    layer = nn.TransformerEncoderLayer(64, 4, dim_feedforward=128, batch_first=True)
    return nn.TransformerEncoder(layer, 2, enable_nested_tensor=False).eval(), (2, 16, 64)


class MixerBlock(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.norm1, self.norm2 = nn.LayerNorm(64), nn.LayerNorm(64)
        self.tokens = nn.Sequential(nn.Linear(64, 32), nn.GELU(), nn.Linear(32, 64))
        self.channels = nn.Sequential(nn.Linear(64, 128), nn.GELU(), nn.Linear(128, 64))

    def forward(self, x: Tensor) -> Tensor:
        x = x + self.tokens(self.norm1(x).transpose(1, 2)).transpose(1, 2)
        return x + self.channels(self.norm2(x))


class MLPMixer(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Conv2d(3, 64, 4, 4)
        self.blocks = nn.Sequential(MixerBlock(), MixerBlock())
        self.norm = nn.LayerNorm(64)
        self.dense = nn.Linear(64, 10)

    def forward(self, x: Tensor) -> Tensor:
        tokens = self.stem(x).flatten(2).transpose(1, 2)
        y: Tensor = self.dense(self.norm(self.blocks(tokens)).mean(1))
        return y


def mlp_mixer() -> tuple[nn.Module, Any]:
    return MLPMixer().eval(), (1, 3, 32, 32)


def conv3d() -> tuple[nn.Module, Any]:
    net = nn.Sequential(
        nn.Conv3d(1, 8, 3, padding=1),
        nn.ReLU(),
        nn.MaxPool3d(2),
        nn.Conv3d(8, 16, 3, padding=1),
        nn.ReLU(),
        nn.AdaptiveAvgPool3d(1),
        nn.Flatten(),
        nn.Linear(16, 5),
    )
    return net.eval(), (1, 1, 8, 32, 32)


def speech() -> tuple[nn.Module, Any]:
    net = nn.Sequential(
        nn.Conv1d(40, 64, 5, padding=2, bias=False),
        nn.BatchNorm1d(64),
        nn.ReLU(),
        nn.Conv1d(64, 64, 9, padding=4, groups=64, bias=False),
        nn.Conv1d(64, 128, 1, bias=False),
        nn.BatchNorm1d(128),
        nn.ReLU(),
        nn.Conv1d(128, 128, 3, padding=2, dilation=2),
        nn.ReLU(),
        nn.AdaptiveAvgPool1d(1),
        nn.Flatten(),
        nn.Linear(128, 12),
    )
    return net.eval(), (1, 40, 100)


NETWORKS: dict[str, Callable[[], tuple[nn.Module, Any]]] = {
    "lenet": lenet,
    "resnet_stack": resnet_stack,
    "mobilenetv2_block": mobilenetv2_block,
    "inception": inception,
    "generator": generator,
    "grouped_deconvolution": grouped_deconvolution,
    "fcn_head": fcn_head,
    "bilstm": bilstm,
    "gru": gru,
    "transformer_encoder": transformer_encoder,
    "mlp_mixer": mlp_mixer,
    "conv3d": conv3d,
    "speech": speech,
}
CANNOT: dict[str, str] = {}
