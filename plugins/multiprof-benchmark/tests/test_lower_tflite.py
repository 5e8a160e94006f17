"""A Graph as a .tflite file: with the real weights of a PyTorch net, LiteRT computes what PyTorch computes."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from ai_edge_litert.interpreter import Interpreter
from flat_files import Call, Residual, kinds
from multiprof_benchmark.lower.tflite import lower
from torch import nn

import multiprof


def run(data: bytes, *arrays: np.ndarray) -> list[np.ndarray]:
    interpreter = Interpreter(model_content=data, num_threads=1)
    interpreter.allocate_tensors()
    for detail, array in zip(interpreter.get_input_details(), arrays, strict=True):
        interpreter.set_tensor(detail["index"], array)
    interpreter.invoke()
    return [interpreter.get_tensor(detail["index"]) for detail in interpreter.get_output_details()]


def same(model: nn.Module, *shapes: tuple[int, ...], tolerance: float = 1e-4, **settings: bool) -> None:
    """The file with the model's weights gives the model's results."""
    torch.manual_seed(0)
    model = model.eval()
    for module in model.modules():  # statistics that are not those of nothing
        if isinstance(module, nn.modules.batchnorm._BatchNorm):
            nn.init.uniform_(module.running_mean, -0.5, 0.5)
            nn.init.uniform_(module.running_var, 0.5, 1.5)
            nn.init.uniform_(module.weight, 0.5, 1.5)
            nn.init.uniform_(module.bias, -0.5, 0.5)
    arrays = [np.random.default_rng(n).normal(size=shape).astype(np.float32) for n, shape in enumerate(shapes)]
    with torch.no_grad():
        wanted = model(*map(torch.from_numpy, arrays))
    report = multiprof.analyze(model, [tuple(shape) for shape in shapes])
    flat = lower(report, values={name: value.numpy() for name, value in model.state_dict().items()}, **settings)
    assert flat.share.complete, str(flat.share)
    wanted = wanted if isinstance(wanted, tuple) else (wanted,)
    found = run(flat.data, *arrays)
    assert len(found) == len(wanted)
    for got, expected in zip(found, wanted, strict=True):
        assert got.shape == tuple(expected.shape)
        scale = max(float(expected.abs().max()), 1.0)
        assert np.abs(got - expected.numpy()).max() <= tolerance * scale


@pytest.mark.parametrize(
    "conv",
    [
        nn.Conv2d(3, 8, 3),
        nn.Conv2d(3, 8, 3, padding=1),
        nn.Conv2d(3, 8, 3, 2, 1, bias=False),
        nn.Conv2d(3, 8, (3, 5), (2, 1), (0, 2)),
        nn.Conv2d(3, 8, 3, dilation=2, padding=2),
        nn.Conv2d(3, 9, 1),
        nn.Conv2d(3, 6, 3, groups=3, padding=1),
        nn.Conv2d(3, 3, 5, 2, 2, groups=3),
    ],
    ids=str,
)
def test_convolutions(conv):
    same(conv, (2, 3, 12, 13))


def test_a_grouped_convolution():
    same(nn.Conv2d(8, 12, 3, padding=1, groups=4), (1, 8, 9, 9))


@pytest.mark.parametrize(
    "deconv",
    [
        nn.ConvTranspose2d(4, 6, 2, 2),
        nn.ConvTranspose2d(4, 6, 4, 2, 1),
        nn.ConvTranspose2d(4, 6, 3, 2, 1, 1),
        nn.ConvTranspose2d(4, 6, 3, 1, 1),
        nn.ConvTranspose2d(4, 6, 5, 3, 2, bias=False),
        nn.ConvTranspose2d(4, 6, 4, 2, 1, groups=2),
        nn.ConvTranspose2d(4, 6, 2, 3, output_padding=2),  # beyond the kernel there is the bias
        nn.ConvTranspose2d(4, 6, 1, 2, output_padding=1),
        nn.ConvTranspose1d(4, 6, 4, 2, 1),
    ],
    ids=str,
)
def test_deconvolutions(deconv):
    same(deconv, (2, 4, 5, 6)[: len(deconv.kernel_size) + 2])


@pytest.mark.parametrize("activation", [nn.ReLU(), nn.ReLU6(), nn.Hardtanh()], ids=str)
@pytest.mark.parametrize(("padding", "cut"), [(1, []), (2, ["SLICE"])], ids=["same", "cut"])
def test_deconvolutions_with_a_norm_and_an_activation(activation, padding, cut):
    """Each is one operator, with the norm in its weight and the activation fused; what is cropped is cut behind it."""
    model = nn.Sequential(nn.ConvTranspose2d(4, 6, 4, 2, padding, bias=False), nn.BatchNorm2d(6), activation)
    same(model, (2, 4, 5, 6))
    written = kinds(lower(multiprof.analyze(model.eval(), (2, 4, 5, 6))).data)
    assert [kind for kind in written if kind != "TRANSPOSE"] == ["TRANSPOSE_CONV", *cut]


@pytest.mark.parametrize(
    "layer",
    [
        nn.Conv1d(3, 6, 5, padding=2),
        nn.Conv1d(3, 6, 3, 2, dilation=2),
        nn.Conv1d(3, 3, 3, groups=3),
        nn.ConvTranspose1d(3, 6, 4, 2, 1),
        nn.MaxPool1d(2),
        nn.AvgPool1d(3, 2, 1),
        nn.AdaptiveAvgPool1d(1),
    ],
    ids=str,
)
def test_sequences(layer):
    same(layer, (2, 3, 20))


def test_volumes():
    same(nn.Conv3d(2, 4, 3, padding=1), (1, 2, 5, 6, 7))


@pytest.mark.parametrize(
    "pool",
    [
        nn.MaxPool2d(2),
        nn.MaxPool2d(3, 2, 1),
        nn.MaxPool2d(3, 2, ceil_mode=True),
        nn.AvgPool2d(2),
        nn.AvgPool2d(3, 1, 1),
        nn.AvgPool2d(3, 2, 1, count_include_pad=False),
        nn.AvgPool2d(3, 2, ceil_mode=True),
        nn.AdaptiveAvgPool2d(1),
        nn.AvgPool2d(2, divisor_override=3),
        nn.AdaptiveAvgPool2d((6, 4)),
        nn.AdaptiveMaxPool2d((2, 2)),
    ],
    ids=str,
)
def test_pooling(pool):
    same(pool, (2, 3, 12, 8))


@pytest.mark.parametrize(
    "activation",
    [
        nn.ReLU(),
        nn.ReLU6(),
        nn.Tanh(),
        nn.Sigmoid(),
        nn.ELU(),
        nn.Hardswish(),
        nn.GELU(),
        nn.GELU("tanh"),
        nn.SiLU(),
        nn.LeakyReLU(0.2),
        nn.PReLU(),
        nn.PReLU(3),
        nn.Hardsigmoid(),
        nn.Hardtanh(-2, 3),
        nn.Hardtanh(),
        nn.Softplus(),
        nn.Mish(),
        nn.LogSigmoid(),
        nn.Softsign(),
        nn.SELU(),
        nn.GLU(-1),
        nn.Softmax(-1),
        nn.Softmax(1),
        nn.LogSoftmax(1),
    ],
    ids=str,
)
def test_activations(activation):
    same(activation, (2, 3, 6, 4), tolerance=2e-3 if isinstance(activation, nn.GELU) else 1e-4)


@pytest.mark.parametrize(
    "norm",
    [
        nn.BatchNorm2d(8),
        nn.LayerNorm(6),
        nn.LayerNorm((5, 6)),
        nn.GroupNorm(4, 8),
        nn.InstanceNorm2d(8, affine=True),
        nn.RMSNorm(6),
        nn.LocalResponseNorm(5),
    ],
    ids=str,
)
def test_norms(norm):
    same(norm, (2, 8, 5, 6))


@pytest.mark.parametrize(
    "function",
    [
        lambda m, x: x.mean((2, 3)),
        lambda m, x: x.sum(1, keepdim=True),
        lambda m, x: x.amax(-1),
        lambda m, x: x.var(1, correction=0),
        lambda m, x: x.flatten(1),
        lambda m, x: x.permute(0, 2, 3, 1),
        lambda m, x: x.transpose(1, 3) * 2.0,
        lambda m, x: torch.cat([x, x * x], 1),
        lambda m, x: torch.stack([x, -x], 1),
        lambda m, x: x[:, 1:3, ::2] + 1,
        lambda m, x: torch.cat(x.chunk(2, 1)[::-1], 1),
        lambda m, x: torch.nn.functional.pad(x, (1, 2, 0, 3), value=0.5),
        lambda m, x: 3 - x / 2,
        lambda m, x: torch.where(x > 0, x, 0.1 * x),
        lambda m, x: x.clamp(-0.5, 0.7),
        lambda m, x: (x.abs() + 1).rsqrt(),
        lambda m, x: x @ x.transpose(-1, -2),
        lambda m, x: x.exp().unbind(1)[2],
        lambda m, x: nn.functional.interpolate(x, scale_factor=2),
        lambda m, x: nn.functional.pixel_shuffle(x, 2),
        lambda m, x: nn.functional.interpolate(x, (9, 7), mode="bilinear"),
        lambda m, x: x.expand(3, 2, 4, 6, 5)[0] * x,
        lambda m, x: nn.functional.channel_shuffle(x, 2),
        lambda m, x: torch.einsum("nchw,nkhw->nck", x, x),
        lambda m, x: x.reshape(2, 2, 2, 30).transpose(1, 2).reshape(2, 4, 30),
        lambda m, x: x.flip(2),
    ],
    ids=range(26),
)
def test_functions(function):
    same(Call(function), (2, 4, 6, 5))


def test_a_network_with_folded_norms_and_merged_activations():
    same(Residual(), (2, 3, 16, 16))


@pytest.mark.parametrize(
    "layer",
    [nn.LSTM(5, 7), nn.LSTM(5, 7, 2, batch_first=True, bidirectional=True), nn.LSTM(5, 7, proj_size=3)],
    ids=str,
)
@pytest.mark.filterwarnings("ignore:LSTM with projections is not supported with oneDNN")  # torch's own
@pytest.mark.parametrize("unrolled", [False, True])
def test_lstm(layer, unrolled):
    same(Call(lambda m, x: m.parts[0](x)[0], layer), (4, 6, 5), unrolled=unrolled)


def test_what_an_lstm_ends_with():
    """The cell state is no result of TensorFlow Lite's operator: where it is asked for, the steps are written out."""
    ends = Call(lambda m, x: torch.cat([m.parts[0](x)[1][at] for at in (0, 1)], -1), nn.LSTM(5, 7))
    same(ends, (4, 6, 5))
    same(Call(lambda m, x: m.parts[0](x)[1][0], nn.LSTM(5, 7)), (4, 6, 5))


@pytest.mark.parametrize(
    "layer",
    [
        nn.GRU(5, 7),
        nn.GRU(5, 7, 2, batch_first=True, bidirectional=True),
        nn.RNN(5, 7),
        nn.RNN(5, 7, nonlinearity="relu"),
    ],
    ids=str,
)
def test_gru_and_elman(layer):
    same(Call(lambda m, x: m.parts[0](x)[0], layer), (4, 6, 5))


def test_transformers():
    same(nn.TransformerEncoderLayer(16, 4, 32, batch_first=True), (2, 6, 16), tolerance=1e-3)
    same(nn.TransformerEncoderLayer(16, 4, 32, activation="gelu", norm_first=True), (6, 2, 16), tolerance=5e-3)


def test_what_cannot_be_written_is_named_and_weighed():
    class Half(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.a, self.b = nn.Linear(8, 8), nn.Linear(8, 8)

        def forward(self, x):
            return self.b(torch.fft.fft(self.a(x)).real)

    report = multiprof.analyze(Half(), (2, 8))
    flat = lower(report)
    assert flat.share.of_macs == 1.0
    assert not flat.share.complete
