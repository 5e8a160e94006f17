"""Modules that torch.ao.quantization converted: the MACs of the float network, on integers, with their true bytes."""

from __future__ import annotations

import copy
import warnings
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.ao import quantization
from torch.ao.quantization.quantize_fx import convert_fx, prepare_fx

import multiprof


@pytest.fixture(autouse=True)
def engine() -> Iterator[None]:
    before = torch.backends.quantized.engine
    torch.backends.quantized.engine = "fbgemm" if "fbgemm" in torch.backends.quantized.supported_engines else "qnnpack"
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # that all of torch.ao.quantization will be moved
        yield
    torch.backends.quantized.engine = before


class Net(nn.Module):
    """Convolutions of one and two dimensions, a depthwise and a transposed one, branches, pooling."""

    def __init__(self) -> None:
        super().__init__()
        self.quant = quantization.QuantStub()
        self.conv = nn.Conv2d(3, 8, 3, stride=2, padding=1)
        self.relu = nn.ReLU()
        self.depthwise = nn.Conv2d(8, 8, 3, padding=2, dilation=2, groups=8, bias=False)
        self.up = nn.ConvTranspose2d(8, 4, 2, 2)
        self.line = nn.Conv1d(4, 6, 3)
        self.adds = nn.quantized.FloatFunctional()
        self.joins = nn.quantized.FloatFunctional()
        self.fc = nn.Linear(6, 5)
        self.dequant = quantization.DeQuantStub()

    def forward(self, x: Tensor) -> Tensor:
        y = self.relu(self.conv(self.quant(x)))
        y = self.adds.add(y, self.depthwise(y))
        y = self.up(F.max_pool2d(y, 2))
        y = self.joins.cat([y, y], 2)
        y = self.line(y.flatten(2))
        return self.dequant(self.fc(y.mean(2)))


X = (2, 3, 8, 8)
# conv to 4×4, depthwise of the same, deconvolution of each of 2×2 by 2×2, 1-D over 4·4·2 values less 2, linear
MACS = 2 * (8 * 16 * 27 + 8 * 16 * 9 + 8 * 4 * 4 * 4 + 6 * 30 * 12 + 30)
WEIGHTS = 8 * 27 + 8 * 9 + 8 * 4 * 4 + 6 * 12 + 30
BIASES = 8 + 4 + 6 + 5


def eagerly() -> nn.Module:
    model = Net().eval()
    model.qconfig = quantization.get_default_qconfig("fbgemm")
    # a transposed convolution takes no scales per channel
    model.up.qconfig = quantization.default_qconfig
    quantization.fuse_modules(model, [["conv", "relu"]], inplace=True)
    prepared = quantization.prepare(model)
    prepared(torch.randn(X))
    return quantization.convert(prepared)


def by_fx() -> nn.Module:
    mapping = quantization.get_default_qconfig_mapping("fbgemm").set_object_type(
        nn.ConvTranspose2d, quantization.default_qconfig
    )
    model = Net().eval()
    model.quant = model.dequant = nn.Identity()
    prepared = prepare_fx(model, mapping, torch.zeros(X))
    prepared(torch.randn(X))
    return convert_fx(prepared)


@pytest.mark.parametrize("make", [eagerly, by_fx])
def test_a_converted_network(make: Callable[[], nn.Module]) -> None:
    model = make()
    expected = model(torch.randn(X))
    state = copy.deepcopy(model.state_dict())
    report = multiprof.analyze(model, X)
    assert report.macs == multiprof.analyze(Net().eval(), X).macs == MACS
    assert (report.params, report.weight_bytes) == (WEIGHTS + BIASES, WEIGHTS + 4 * BIASES)
    assert not report.unsupported()
    products = [layer for layer in report.graph.layers if layer.op in ("conv", "conv_transpose", "linear")]
    assert len(products) == 5
    for layer in products:
        assert (layer.x.dtype, layer.inputs["weight"].dtype, layer.y.dtype) == ("uint8", "int8", "uint8")
    assert [(s.shape, s.dtype) for s in report.graph.outputs] == [(tuple(expected.shape), "float32")]
    now = model.state_dict()
    assert now.keys() == state.keys()
    for name, value in state.items():
        if isinstance(value, Tensor):
            assert torch.equal(value, now[name]) if not value.is_quantized else value.equal(now[name])


def test_figures_of_the_arithmetic_are_those_of_the_float_network() -> None:
    quantised, plain = (multiprof.analyze(model, X).by_op() for model in (eagerly(), Net().eval()))
    own = {"quantize", "dequantize"}
    assert {op: total.flops for op, total in quantised.items() if op not in own} == {
        op: total.flops for op, total in plain.items()
    }
    # 384 inputs quantised: a division, an addition, two comparisons each; 10 results back: an addition, a product
    assert (quantised["quantize"].flops, quantised["dequantize"].flops) == (384 * 4, 10 * 2)


class Sequences(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.lstm = nn.LSTM(8, 4, 2, bidirectional=True)
        self.gru = nn.GRU(8, 3)
        self.fc = nn.Linear(3, 7)

    def forward(self, x: Tensor) -> Tensor:
        return self.fc(self.gru(self.lstm(x)[0])[0])


@pytest.mark.parametrize("dtype", [torch.qint8, torch.float16])
def test_dynamically_quantised(dtype: torch.dtype) -> None:
    model = quantization.quantize_dynamic(Sequences().eval(), {nn.LSTM, nn.GRU, nn.Linear}, dtype=dtype)
    x = torch.randn(5, 2, 8)
    expected = model(x)
    report = multiprof.analyze(model, x)
    weights = 2 * (16 * (8 + 4) + 16 * (8 + 4)) + 9 * (8 + 3) + 3 * 7
    biases = 2 * 2 * 2 * 16 + 2 * 9 + 7
    assert report.macs == 10 * weights  # every weight meets every step once
    assert report.params == weights + biases
    assert report.weight_bytes == weights * (1 if dtype is torch.qint8 else 2) + 4 * biases
    assert not report.unsupported()
    assert [(s.shape, s.dtype) for s in report.graph.outputs] == [(tuple(expected.shape), "float32")]
    if dtype is torch.qint8:
        linear = next(layer for layer in report.graph.layers if layer.op == "linear")
        assert (linear.x.dtype, linear.inputs["weight"].dtype, linear.y.dtype) == ("uint8", "int8", "float32")


def module(name: str) -> tuple[nn.Module, tuple[int, ...], int]:
    """A quantised module of its own, an input shape, and how many MACs it needs."""
    q = torch.ao.nn.quantized

    def ones(n: int) -> nn.Parameter:
        return nn.Parameter(torch.ones(n))

    made: dict[str, tuple[Any, tuple[int, ...], int]] = {
        "conv3d": (lambda: q.Conv3d(2, 4, 3), (1, 2, 4, 5, 6), 4 * 2 * 3 * 4 * 54),
        "conv_transpose1d": (lambda: q.ConvTranspose1d(2, 4, 3, 2), (1, 2, 5), 10 * 3 * 4),
        "conv_transpose3d": (lambda: q.ConvTranspose3d(2, 4, 2), (1, 2, 3, 3, 3), 54 * 8 * 4),
        "batch_norm": (lambda: q.BatchNorm2d(3), (1, 3, 4, 4), 0),
        "hardswish": (lambda: q.Hardswish(0.1, 0), (1, 3, 4), 0),
        "leaky_relu": (lambda: q.LeakyReLU(0.1, 0), (1, 3, 4), 0),
        "sigmoid": (lambda: q.Sigmoid(0.1, 0), (1, 3, 4), 0),
        "layer_norm": (lambda: q.LayerNorm((4,), ones(4), ones(4), 0.1, 0), (1, 3, 4), 0),
        "group_norm": (lambda: q.GroupNorm(1, 3, ones(3), ones(3), 0.1, 0), (1, 3, 4), 0),
        "dropout": (lambda: q.Dropout(0.1), (1, 3, 4), 0),
    }
    build, shape, macs = made[name]
    return nn.Sequential(q.Quantize(0.1, 0, torch.quint8), build(), q.DeQuantize()).eval(), shape, macs


@pytest.mark.parametrize(
    "name",
    [
        "conv3d", "conv_transpose1d", "conv_transpose3d", "batch_norm", "hardswish", "leaky_relu", "sigmoid",
        "layer_norm", "group_norm", "dropout",
    ],
)  # fmt: skip
def test_modules(name: str) -> None:
    model, shape, macs = module(name)
    expected = model(torch.rand(shape))
    report = multiprof.analyze(model, shape)
    assert report.macs == macs
    assert not report.unsupported()
    assert report.graph.outputs[0].shape == tuple(expected.shape)
    inside = [layer for layer in report.graph.layers if layer.op not in ("quantize", "dequantize")]
    assert all(layer.y.dtype == "uint8" for layer in inside)


def test_a_packed_embedding() -> None:
    model = nn.Sequential(nn.Embedding(12, 8))
    model.qconfig = quantization.float_qparams_weight_only_qconfig
    model = quantization.convert(quantization.prepare(model.eval()))
    report = multiprof.analyze(model, torch.zeros(3, 2, dtype=torch.int64))
    assert (report.params, report.weight_bytes, report.macs) == (96, 96, 0)
    assert report.graph.outputs[0].shape == (3, 2, 8)
