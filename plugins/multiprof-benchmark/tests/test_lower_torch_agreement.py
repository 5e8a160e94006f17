"""With the real weights in it a lowered model gives what the model itself gives: the Graph is all that running takes.

The oracle is PyTorch's own execution of the model. Batch norms are given statistics that are not those of a new model,
so that folding them is seen.
"""

from __future__ import annotations

import importlib.util
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
import transformers
from multiprof_benchmark.lower.torch import Program, lower
from torch import nn

import multiprof

RESNET = Path(__file__).parents[3] / "examples" / "resnet50.py"


def settled(model: nn.Module) -> nn.Module:
    """The model as at inference, with statistics and affine parameters of its norms away from 0 and 1."""
    for module in model.modules():
        if isinstance(module, nn.modules.batchnorm._BatchNorm):
            module.running_mean.normal_()
            module.running_var.uniform_(0.5, 2)
            module.weight.data.uniform_(0.5, 1.5)
            module.bias.data.normal_()
    return model.eval()


def lowered(model: nn.Module, *inputs: torch.Tensor) -> Program:
    values = dict(model.named_parameters()) | dict(model.named_buffers())
    return lower(multiprof.analyze(model, list(inputs)), values=values)


def tensors(value: Any) -> list[torch.Tensor]:
    if isinstance(value, torch.Tensor):
        return [value]
    parts = value.values() if isinstance(value, dict) else value
    return [tensor for part in parts for tensor in tensors(part)] if isinstance(value, (tuple, list, dict)) else []


def agree(model: nn.Module, *inputs: torch.Tensor) -> Program:
    """Lower a model with its weights, and hold what it returns against the model's."""
    settled(model)
    program = lowered(model, *inputs)
    assert program.share.complete, str(program.share)
    assert program.drawn == ()
    assert program.differences(*inputs) == []
    with torch.no_grad():
        expected, got = tensors(model(*inputs)), program(*inputs)
    assert expected
    for theirs, ours in zip(expected, got, strict=False):
        torch.testing.assert_close(ours, theirs, rtol=1e-4, atol=1e-4)
    return program


@pytest.fixture(autouse=True)
def seeded() -> None:
    torch.manual_seed(0)


def merged(program: Program) -> int:
    """How many layers run inside another one."""
    return len(program.steps) - len({id(step) for step in program.steps.values()})


# -- convolutional networks --------------------------------------------------------------------------------------------


def test_resnet_50() -> None:
    spec = importlib.util.spec_from_file_location("resnet50_example", RESNET)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    program = agree(module.resnet50(), torch.randn(1, 3, 64, 64))
    assert merged(program) == 53  # every batch norm merges into the convolution before it


def test_without_folding_batch_norms_run_by_themselves() -> None:
    model = settled(nn.Sequential(nn.Conv2d(3, 8, 3), nn.BatchNorm2d(8)))
    x = torch.randn(2, 3, 9, 9)
    values = dict(model.named_parameters()) | dict(model.named_buffers())
    program = lower(multiprof.analyze(model, x), values=values, fold=False)
    assert merged(program) == 0
    with torch.no_grad():
        torch.testing.assert_close(program(x)[0], model(x), rtol=1e-4, atol=1e-4)


class Inverted(nn.Module):
    """MobileNetV2's block."""

    def __init__(self, channels: int, expand: int) -> None:
        super().__init__()
        wide = channels * expand
        self.net = nn.Sequential(
            nn.Conv2d(channels, wide, 1, bias=False), nn.BatchNorm2d(wide), nn.ReLU6(inplace=True),
            nn.Conv2d(wide, wide, 3, 1, 1, groups=wide, bias=False), nn.BatchNorm2d(wide), nn.ReLU6(inplace=True),
            nn.Conv2d(wide, channels, 1, bias=False), nn.BatchNorm2d(channels),
        )  # fmt: skip

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x + self.net(x)


class Dense(nn.Module):
    """DenseNet's block: batch norms before convolutions, which merge into nothing."""

    def __init__(self) -> None:
        super().__init__()
        self.norms = nn.ModuleList(nn.BatchNorm2d(8 + 4 * i) for i in range(3))
        self.convs = nn.ModuleList(nn.Conv2d(8 + 4 * i, 4, 3, padding=1, bias=False) for i in range(3))
        self.pool = nn.AvgPool2d(2, 2)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        for norm, conv in zip(self.norms, self.convs, strict=True):
            x = torch.cat([x, conv(torch.relu(norm(x)))], 1)
        return self.pool(x)


class UNet(nn.Module):
    """One level down and up again, by a deconvolution whose batch norm merges into it."""

    def __init__(self) -> None:
        super().__init__()
        self.down = nn.Sequential(nn.Conv2d(3, 8, 3, padding=1), nn.LeakyReLU(0.2), nn.MaxPool2d(3, 2, 1))
        self.up = nn.Sequential(nn.ConvTranspose2d(8, 6, 4, 2, 1, groups=2), nn.BatchNorm2d(6), nn.ELU())
        self.out = nn.Conv2d(9, 2, 3, padding="same", padding_mode="reflect")

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        y = self.up(self.down(x))
        return nn.functional.interpolate(self.out(torch.cat([x, y], 1)), scale_factor=1.5, mode="bilinear")


@pytest.mark.parametrize(
    ("model", "shape", "folded"),
    [(Inverted(8, 6), (2, 8, 10, 10), 3), (Dense(), (2, 8, 8, 8), 0), (UNet(), (1, 3, 16, 16), 1)],
)
def test_convolutional_networks(model: nn.Module, shape: tuple[int, ...], folded: int) -> None:
    assert merged(agree(model, torch.randn(shape))) == folded


CONVOLUTIONS: list[tuple[str, Callable[[], nn.Module], tuple[int, ...]]] = [
    ("conv1d", lambda: nn.Conv1d(4, 6, 5, 2, 3, 2, groups=2), (2, 4, 20)),
    ("conv2d", lambda: nn.Conv2d(4, 6, (3, 2), (1, 2), (2, 1), (1, 3)), (2, 4, 12, 11)),
    ("conv3d", lambda: nn.Conv3d(2, 4, 3, padding=(1, 0, 1)), (1, 2, 5, 6, 7)),
    ("without a batch", lambda: nn.Conv2d(4, 6, 3), (4, 9, 9)),
    ("same", lambda: nn.Conv2d(4, 6, 4, padding="same"), (1, 4, 9, 9)),
    ("deconv1d", lambda: nn.ConvTranspose1d(4, 6, 5, 3, 2, 2, groups=2), (2, 4, 9)),
    ("deconv2d", lambda: nn.ConvTranspose2d(4, 6, (3, 4), 2, (0, 1), dilation=(2, 1)), (1, 4, 5, 6)),
    ("deconv3d", lambda: nn.ConvTranspose3d(2, 4, 3, 2, 1, 1), (1, 2, 3, 4, 5)),
]  # fmt: skip


@pytest.mark.filterwarnings("ignore:Using padding='same' with even kernel lengths")  # torch says so
@pytest.mark.parametrize(("model", "shape"), [c[1:] for c in CONVOLUTIONS], ids=[c[0] for c in CONVOLUTIONS])
def test_convolutions(model: Callable[[], nn.Module], shape: tuple[int, ...]) -> None:
    agree(model(), torch.randn(shape))


POOLS: list[nn.Module] = [
    nn.MaxPool2d(3, 2, 1, ceil_mode=True), nn.MaxPool2d(2, 1, dilation=2, return_indices=True),
    nn.AvgPool2d(3, 2, 1, ceil_mode=True, count_include_pad=False), nn.AvgPool2d(3, 2, 1, ceil_mode=True),
    nn.AvgPool2d(2, divisor_override=3), nn.LPPool2d(2, 2, 1), nn.AdaptiveAvgPool2d((3, 5)), nn.AdaptiveMaxPool2d(4),
    nn.LocalResponseNorm(3), nn.GroupNorm(2, 4), nn.InstanceNorm2d(4, affine=True), nn.LayerNorm((4, 9, 10)),
    nn.PReLU(4), nn.GLU(1), nn.Softmax2d(), nn.PixelShuffle(2), nn.ChannelShuffle(2), nn.Unfold(3, padding=1),
    nn.ZeroPad2d((1, 2, 0, 3)), nn.ReflectionPad2d((1, 2, 3, 0)), nn.ReplicationPad2d(2),
    nn.CircularPad2d((1, 0, 2, 1)), nn.Upsample(scale_factor=2, mode="nearest"),
    nn.Upsample((13, 7), mode="bicubic", align_corners=True),
]  # fmt: skip


@pytest.mark.parametrize("model", POOLS, ids=str)
def test_layers_on_images(model: nn.Module) -> None:
    agree(model, torch.randn(2, 4, 9, 10))


ACTIVATIONS: list[nn.Module] = [
    nn.ReLU(), nn.ReLU6(), nn.LeakyReLU(0.3), nn.ELU(0.7), nn.SELU(), nn.CELU(0.6), nn.GELU(), nn.GELU("tanh"),
    nn.SiLU(), nn.Mish(), nn.Sigmoid(), nn.LogSigmoid(), nn.Hardsigmoid(), nn.Hardswish(),
    nn.Hardtanh(-0.3, 0.4), nn.Tanh(),
    nn.Softplus(2, 1), nn.Softsign(), nn.Tanhshrink(), nn.Softshrink(0.4), nn.Hardshrink(0.6), nn.Threshold(0.1, -2),
    nn.Softmax(-1), nn.LogSoftmax(1), nn.RMSNorm(6),
]  # fmt: skip


@pytest.mark.parametrize("model", ACTIVATIONS, ids=str)
def test_activations(model: nn.Module) -> None:
    agree(model, torch.randn(3, 5, 6))


# -- recurrent networks ------------------------------------------------------------------------------------------------


class Packed(nn.Module):
    """Sequences of 5, 3 and 2 steps, packed and unpacked again."""

    def __init__(self) -> None:
        super().__init__()
        self.rnn = nn.LSTM(8, 16, 2, bidirectional=True, batch_first=True)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        packed = nn.utils.rnn.pack_padded_sequence(x, torch.tensor([5, 3, 2]), batch_first=True)
        y, _ = self.rnn(packed)
        return nn.utils.rnn.pad_packed_sequence(y, batch_first=True)[0]


RECURRENT: list[tuple[str, Callable[[], nn.Module], tuple[int, ...]]] = [
    ("lstm", lambda: nn.LSTM(8, 16, 2, bidirectional=True), (7, 3, 8)),
    ("lstm without biases", lambda: nn.LSTM(8, 16, bias=False, batch_first=True), (3, 7, 8)),
    ("gru", lambda: nn.GRU(8, 16, 2, bidirectional=True, batch_first=True), (3, 7, 8)),
    ("rnn without a batch", lambda: nn.RNN(8, 16, 2, nonlinearity="relu"), (7, 8)),
    ("lstm cell", lambda: nn.LSTMCell(8, 16), (7, 8)),
    ("gru cell", lambda: nn.GRUCell(8, 16), (7, 8)),
    ("packed", Packed, (3, 5, 8)),
]  # fmt: skip


@pytest.mark.parametrize(("model", "shape"), [case[1:] for case in RECURRENT], ids=[case[0] for case in RECURRENT])
def test_recurrent_networks(model: Callable[[], nn.Module], shape: tuple[int, ...]) -> None:
    agree(model(), torch.randn(shape))


@pytest.mark.filterwarnings("ignore:LSTM with projections is not supported with oneDNN")  # torch's own kernel says so
def test_an_lstm_with_projections() -> None:
    agree(nn.LSTM(8, 16, 2, bidirectional=True, proj_size=5), torch.randn(7, 3, 8))


# -- transformers ------------------------------------------------------------------------------------------------------


def test_transformer() -> None:
    encoder = nn.TransformerEncoder(nn.TransformerEncoderLayer(32, 4, 64, batch_first=True, activation="gelu"), 2)
    agree(encoder, torch.randn(2, 9, 32))


def test_a_decoder() -> None:
    """Queries, keys and values of its attention to the encoder are pieces of one weight."""
    agree(nn.TransformerDecoderLayer(32, 4, 64), torch.randn(9, 2, 32), torch.randn(5, 2, 32))


def gpt2() -> nn.Module:
    config = transformers.GPT2Config(
        vocab_size=99, n_positions=32, n_embd=32, n_layer=2, n_head=4, bos_token_id=1, eos_token_id=2
    )
    return transformers.GPT2LMHeadModel(config)  # type: ignore[no-any-return]


def llama() -> nn.Module:
    """Grouped queries, rotary positions, RMS norms."""
    config = transformers.LlamaConfig(
        vocab_size=99, hidden_size=32, num_hidden_layers=2, num_attention_heads=4, num_key_value_heads=2,
        intermediate_size=64,
    )  # fmt: skip
    return transformers.LlamaForCausalLM(config)  # type: ignore[no-any-return]


@pytest.mark.parametrize("model", [gpt2, llama])
def test_language_models(model: Callable[[], nn.Module]) -> None:
    agree(model(), torch.randint(0, 99, (2, 12)))


def test_vision_transformer() -> None:
    """Its class token is broadcast over the batch, which is an operand larger than the parameter it names."""
    config = transformers.ViTConfig(
        hidden_size=32, num_hidden_layers=2, num_attention_heads=4, intermediate_size=64, image_size=32, patch_size=8
    )
    agree(transformers.ViTModel(config), torch.randn(2, 3, 32, 32))


# -- writes ------------------------------------------------------------------------------------------------------------


class Writes(nn.Module):
    """Views are written to, and their base is read afterwards."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        y = x * 2
        y[:, :2] += 1
        y[:, :, 0] = 5.0
        part = y[..., 1:]
        part.mul_(3)
        return y


def test_writes_reach_what_shares_their_memory() -> None:
    x = torch.randn(2, 4, 5)
    before = x.clone()
    agree(Writes(), x)
    assert torch.equal(x, before)
