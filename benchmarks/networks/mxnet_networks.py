"""Four of the networks as MXNet's symbol files: two of its model zoo, and two of Gluon layers."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from multiprof.adapters.mxnet.compat import import_mxnet
from networks.generator import LAYERS

mx = import_mxnet()
nn = mx.gluon.nn


class Classifier(mx.gluon.HybridBlock):
    """Two layers of LSTM over 50 steps of 128 features, and ten classes from the last step."""

    def __init__(self) -> None:
        super().__init__(prefix="lstm_")
        with self.name_scope():
            self.lstm = mx.gluon.rnn.LSTM(256, num_layers=2, layout="NTC", input_size=128)
            self.head = nn.Dense(10, in_units=256)

    def hybrid_forward(self, F: Any, steps: Any) -> Any:
        return self.head(F.squeeze(F.slice_axis(self.lstm(steps), axis=1, begin=-1, end=None), axis=1))


def generator() -> Any:
    net = nn.HybridSequential(prefix="generator_")
    for in_channels, out_channels, stride, padding in LAYERS:
        net.add(nn.Conv2DTranspose(out_channels, 4, stride, padding, use_bias=False, in_channels=in_channels))
        net.add(nn.BatchNorm(in_channels=out_channels), nn.Activation("relu"))
    net.add(nn.Conv2DTranspose(3, 4, 2, 1, use_bias=False, in_channels=64), nn.Activation("tanh"))
    return net


NETWORKS = {
    "mobilenetv2": (lambda: mx.gluon.model_zoo.vision.mobilenet_v2_1_0(), (1, 3, 224, 224)),
    "resnet50": (lambda: mx.gluon.model_zoo.vision.resnet50_v1(), (1, 3, 224, 224)),
    "lstm": (Classifier, (1, 50, 128)),
    "generator": (generator, (1, 100, 1, 1)),
}


def export(name: str, folder: Path) -> Path:
    """``name``-symbol.json and its parameters."""
    make, shape = NETWORKS[name]
    net = make()
    net.initialize(mx.init.Xavier())
    net.hybridize()
    net(mx.nd.zeros(shape))
    net.export(str(folder / name))
    return folder / f"{name}-symbol.json"
