"""A Graph as a .tflite file on 8-bit integers: LiteRT computes on them what PyTorch computes on real numbers."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from ai_edge_litert.interpreter import Interpreter
from flat_files import CHANGES, Call, Residual, kinds, tensors, types_of_operators
from multiprof_benchmark.lower.tflite import lower
from torch import nn

import multiprof


def run(data: bytes, arrays: list[np.ndarray]) -> list[tuple[np.ndarray, float]]:
    """Results as real numbers, each with what one step of it stands for, from integers that stand for ``arrays``."""
    interpreter = Interpreter(model_content=data, num_threads=1)
    interpreter.allocate_tensors()
    for detail, array in zip(interpreter.get_input_details(), arrays, strict=True):
        assert detail["dtype"] == np.int8
        scale, zero = detail["quantization"]
        interpreter.set_tensor(detail["index"], np.round(array / scale + zero).astype(np.int8))
    interpreter.invoke()
    found = []
    for detail in interpreter.get_output_details():
        assert detail["dtype"] == np.int8
        scale, zero = detail["quantization"]
        found.append(((interpreter.get_tensor(detail["index"]).astype(np.float64) - zero) * scale, scale))
    return found


def close(
    model: nn.Module, *shapes: tuple[int, ...], steps: float = 2.0, low: float = -1.0, step: float | None = None,
    floats: tuple[str, ...] = (), spread: float = 20.0,
) -> None:  # fmt: skip
    """The file computes the model's results within so many steps of its output.

    Inputs lie in [low, 1] and are multiples of the step. Without ``step`` 120 of them span inputs and results alike:
    nothing saturates, as long as what is computed between them is no larger. Results must spread over ``spread``
    steps, so that a wrong one would show. ``floats`` are the kinds of operators that LiteRT has on floats alone.
    """
    torch.manual_seed(0)
    model = model.eval()
    for module in model.modules():
        if isinstance(module, nn.modules.batchnorm._BatchNorm):
            nn.init.uniform_(module.running_mean, -0.2, 0.2)
            nn.init.uniform_(module.running_var, 0.5, 1.5)
    arrays = [np.random.default_rng(n).uniform(low, 1, shape).astype(np.float32) for n, shape in enumerate(shapes)]
    with torch.no_grad():
        rough = model(*map(torch.from_numpy, arrays))
        largest = max(float(np.abs(array).max()) for array in [*arrays, rough.numpy()])
        step = largest / 120 if step is None else step
        arrays = [(np.round(array / step) * step).astype(np.float32) for array in arrays]
        wanted = model(*map(torch.from_numpy, arrays)).numpy()
    report = multiprof.analyze(model, [tuple(shape) for shape in shapes])
    values = {name: value.numpy() for name, value in model.state_dict().items()}
    flat = lower(report, values=values, precision="int8", step=step)
    assert flat.share.complete, str(flat.share)
    ((found, scale),) = run(flat.data, arrays)
    assert found.shape == wanted.shape
    assert np.ptp(wanted) >= spread * scale
    assert np.abs(found - wanted).max() <= steps * scale
    plain = lower(report, values=values, precision="fp32").data
    assert [kind for kind in kinds(flat.data) if kind not in CHANGES] == kinds(plain)
    assert tensors(flat.data) == tensors(plain)
    assert types_of_operators(flat.data).get("float32", set()) == set(floats)
    assert not floats or all(kind in flat.notes[-1] for kind in floats)


@pytest.mark.parametrize(
    "conv",
    [
        nn.Conv2d(3, 8, 3), nn.Conv2d(3, 8, 3, padding=1), nn.Conv2d(3, 8, 3, 2, 1, bias=False), nn.Conv2d(3, 9, 1),
        nn.Conv2d(3, 8, (3, 5), (2, 1), (0, 2)), nn.Conv2d(3, 8, 3, dilation=2, padding=2),
        nn.Conv2d(3, 6, 3, groups=3, padding=1), nn.Conv2d(3, 3, 5, 2, 2, groups=3),
    ],
    ids=str,
)  # fmt: skip
def test_convolutions(conv):
    close(conv, (2, 3, 12, 13))


def test_a_grouped_convolution():
    close(nn.Conv2d(8, 12, 3, padding=1, groups=4), (1, 8, 9, 9))


@pytest.mark.parametrize(
    "deconv",
    [
        nn.ConvTranspose2d(4, 6, 2, 2), nn.ConvTranspose2d(4, 6, 4, 2, 1), nn.ConvTranspose2d(4, 6, 3, 2, 1, 1),
        nn.ConvTranspose2d(4, 6, 5, 3, 2, bias=False), nn.ConvTranspose2d(4, 6, 4, 2, 1, groups=2),
    ],
    ids=str,
)  # fmt: skip
def test_deconvolutions(deconv):
    close(deconv, (2, 4, 5, 6))


def test_a_deconvolution_with_an_activation():
    close(nn.Sequential(nn.ConvTranspose2d(4, 6, 4, 2, 1), nn.ReLU()), (2, 4, 5, 6))


@pytest.mark.parametrize("layer", [nn.Conv1d(3, 6, 5, padding=2), nn.MaxPool1d(2), nn.AvgPool1d(3, 2, 1)], ids=str)
def test_sequences(layer):
    close(layer, (2, 3, 20))


@pytest.mark.parametrize("shape", [(4, 20), (2, 5, 20)])
def test_dense(shape):
    close(nn.Linear(20, 9), shape)
    close(nn.Linear(20, 9, bias=False), shape)


@pytest.mark.parametrize(
    "pool",
    [
        nn.MaxPool2d(2), nn.MaxPool2d(3, 2, 1), nn.MaxPool2d(3, 2, ceil_mode=True), nn.AvgPool2d(2),
        nn.AvgPool2d(3, 1, 1), nn.AvgPool2d(3, 2, 1, count_include_pad=False), nn.AdaptiveAvgPool2d(1),
        nn.AdaptiveAvgPool2d((6, 4)),
    ],
    ids=str,
)  # fmt: skip
def test_pooling(pool):
    close(pool, (2, 3, 12, 8), spread=15.0)


@pytest.mark.parametrize(
    "activation",
    [
        nn.ReLU(), nn.ReLU6(), nn.Tanh(), nn.Sigmoid(), nn.ELU(), nn.Hardswish(), nn.GELU("tanh"), nn.SiLU(),
        nn.LeakyReLU(0.2), nn.PReLU(3), nn.Hardtanh(-0.5, 0.75), nn.Softmax(1), nn.Softplus(), nn.Softsign(),
        nn.GLU(-1), nn.LogSigmoid(),
    ],
    ids=str,
)  # fmt: skip
def test_activations(activation):
    wide = isinstance(activation, (nn.Softplus, nn.Softsign))  # between operand and result they are larger than both
    close(activation, (2, 3, 6, 4), step=0.04 if wide else None, steps=3.0)


@pytest.mark.parametrize(
    "function",
    [
        lambda x: x.mean((2, 3)), lambda x: x.sum(1, keepdim=True), lambda x: x.amax(-1), lambda x: x.flatten(1),
        lambda x: x.permute(0, 2, 3, 1), lambda x: x.transpose(1, 3) * 0.5, lambda x: torch.cat([x, x * x], 1),
        lambda x: torch.stack([x, x * x], 1), lambda x: x[:, 1:3, ::2] + 0.5,
        lambda x: torch.cat(x.chunk(2, 1)[::-1], 1),
        lambda x: nn.functional.pad(x, (1, 2, 0, 3), value=0.5), lambda x: 0.75 - x / 2, lambda x: x.clamp(-0.5, 0.7),
        lambda x: torch.where(x > 0, x, 0.1 * x), lambda x: x @ x.transpose(-1, -2),
        lambda x: x.unbind(1)[2].exp(), lambda x: nn.functional.interpolate(x, scale_factor=2),
        lambda x: nn.functional.interpolate(x, (9, 7), mode="bilinear"), lambda x: nn.functional.pixel_shuffle(x, 2),
        lambda x: x.reshape(2, 2, 2, 30).transpose(1, 2).reshape(2, 4, 30), lambda x: x.flip(2),
        lambda x: x + x.flip(3),
        lambda x: torch.cat([torch.sigmoid(x), x], 1), lambda x: torch.softmax(x, -1).mean((2, 3)) * 4 + x.mean((2, 3)),
    ],
    ids=range(24),
)  # fmt: skip
def test_functions(function):
    close(Call(lambda m, x: function(x)), (2, 4, 6, 5), steps=3.0)


def test_a_sum_of_a_constant_that_is_larger_or_smaller_than_all_integers():
    close(Call(lambda m, x: (x.abs() + 1).rsqrt()), (4, 40), step=0.02, spread=10.0)
    close(Call(lambda m, x: torch.relu(x + 1e-6)), (4, 40))
    close(Call(lambda m, x: torch.maximum(x - 1e9, x)), (4, 40))


def test_a_network_with_folded_norms_and_merged_activations():
    close(Residual(), (2, 3, 16, 16), step=0.02, steps=4.0)


def test_what_has_no_integer_kernel_runs_in_floats_between_integers():
    lstm = Call(lambda m, x: m.parts[1](m.parts[0](x)[0]), nn.LSTM(5, 7), nn.Linear(7, 6))
    close(lstm, (4, 6, 5), floats=("UNIDIRECTIONAL_SEQUENCE_LSTM",), steps=3.0)
    close(Call(lambda m, x: torch.sin(x) * x), (3, 40), floats=("SIN",))
    close(Call(lambda m, x: torch.cos(torch.sin(x))), (3, 40), floats=("SIN", "COS"), low=0.0)
    report = multiprof.analyze(Call(lambda m, x: torch.cos(torch.sin(x))), (3, 40))
    assert kinds(lower(report, precision="int8").data) == ["DEQUANTIZE", "SIN", "COS", "QUANTIZE"]


def test_the_share_of_the_macs_on_integers():
    lstm = Call(lambda m, x: m.parts[1](m.parts[0](x)[0]), nn.LSTM(5, 7), nn.Linear(7, 6))
    report = multiprof.analyze(lstm, (4, 6, 5))
    dense = 4 * 6 * 7 * 6
    gates = 4 * 6 * 4 * 7 * (5 + 7)
    flat = lower(report, precision="int8")
    assert flat.integer * report.macs == pytest.approx(dense)
    assert report.macs - dense >= gates
    assert f"{dense / report.macs:.1%} of the MACs on integers" in flat.notes[-1]
    assert lower(report, precision="fp32").integer == 0


@pytest.mark.parametrize(
    "layer", [nn.GRU(5, 7), nn.GRU(5, 7, batch_first=True, bidirectional=True), nn.RNN(5, 7)], ids=str
)
def test_gru_and_elman(layer):
    """Step by step, each from the rounded state before: an error of half a step in each of six."""
    close(Call(lambda m, x: m.parts[0](x)[0], layer), (4, 6, 5), step=0.015, steps=5.0)


def test_attention():
    class Attention(nn.Module):
        def forward(self, q, k, v):
            return nn.functional.scaled_dot_product_attention(q, k, v)

    close(Attention(), (1, 2, 6, 8), (1, 2, 6, 8), (1, 2, 6, 8), step=0.02, steps=2.0)


def test_a_transformer():
    """What int8 makes of a layer norm's variance in steps of 0.05 is its own affair; the rest must be right."""
    model = nn.TransformerEncoderLayer(16, 4, 32, batch_first=True)
    report = multiprof.analyze(model.eval(), (2, 6, 16))
    flat = lower(report, precision="int8")
    assert flat.share.complete
    assert flat.integer == 1.0
    ((found, _),) = run(flat.data, [np.zeros((2, 6, 16), np.float32)])
    assert found.shape == (2, 6, 16)
