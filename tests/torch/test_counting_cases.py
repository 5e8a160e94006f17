"""What well-known counters get wrong, counted exactly: on every device, with gradients and without.

Each case writes its multiply-adds and parameters out as arithmetic from the definition of the network.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import nn
from torch.nn.utils.rnn import PackedSequence, pack_padded_sequence, pack_sequence, pad_packed_sequence
from transformers.pytorch_utils import Conv1D

import multiprof
from multiprof import Inputs, TensorSpec

DEVICES = ["cpu", "meta", *(["cuda"] if torch.cuda.is_available() else [])]


@dataclass
class Case:
    """A network, what it is given, and what it costs.

    ``ops`` are how many layers of some canonical ops it has, ``unpriced`` the operators that have no formula (none of
    them a contraction).
    """

    build: Callable[[], Any]
    inputs: Any
    macs: int
    params: int
    ops: dict[str, int] = field(default_factory=dict)
    unpriced: frozenset[str] = frozenset()


CASES: dict[str, Case] = {}


def case(
    name: str, inputs: Any, macs: int, params: int, unpriced: frozenset[str] = frozenset(), **ops: int
) -> Callable[[Callable[[], Any]], None]:
    def register(build: Callable[[], Any]) -> None:
        assert name not in CASES
        CASES[name] = Case(build, inputs, macs, params, ops, unpriced)

    return register


def module(forward: Callable[..., Any], **children: Any) -> nn.Module:
    """A module whose forward is ``forward(self, …)``; children, parameters and lists of modules by name."""

    class Written(nn.Module):
        pass

    Written.forward = forward  # type: ignore[method-assign]
    made = Written()
    for name, child in children.items():
        setattr(made, name, child)
    return made


def parameter(*shape: int) -> nn.Parameter:
    return nn.Parameter(torch.ones(shape))


# -- recurrent layers ----------------------------------------------------------------------------------------------

# Each direction and layer: four gates of H units see C_i inputs and H outputs, T times; 4·H·(C_i + H + 2) parameters.
case(
    "LSTM, two layers, both directions",
    (50, 1, 128),
    2 * 50 * 4 * 256 * (128 + 256) + 2 * 50 * 4 * 256 * (512 + 256),  # 117,964,800
    2 * 4 * 256 * (128 + 256 + 2) + 2 * 4 * 256 * (512 + 256 + 2),
    lstm=4,
    concat=2,
)(lambda: nn.LSTM(128, 256, 2, bidirectional=True))
assert CASES["LSTM, two layers, both directions"].macs == 117_964_800

case("LSTM, batch first, no bias", (3, 7, 10), 3 * 7 * 4 * 6 * (10 + 6), 4 * 6 * (10 + 6), lstm=1)(
    lambda: nn.LSTM(10, 6, batch_first=True, bias=False)
)
# With projection to P = 4 the gates see 4 outputs, and every step projects H = 6 to 4.
case(
    "LSTM with a projection",
    (7, 3, 10),
    7 * 3 * (4 * 6 * (10 + 4) + 6 * 4),
    4 * 6 * (10 + 4 + 2) + 4 * 6,
    lstm=1,
)(lambda: nn.LSTM(10, 6, proj_size=4))
case(
    "LSTM, two layers with a projection and both directions",
    (7, 3, 10),
    2 * 7 * 3 * (4 * 6 * (10 + 4) + 6 * 4) + 2 * 7 * 3 * (4 * 6 * (8 + 4) + 6 * 4),
    2 * (4 * 6 * (10 + 4 + 2) + 4 * 6) + 2 * (4 * 6 * (8 + 4 + 2) + 4 * 6),
    lstm=4,
)(lambda: nn.LSTM(10, 6, 2, proj_size=4, bidirectional=True))
case("GRU", (50, 1, 128), 50 * 3 * 128 * (128 + 128), 3 * 128 * (128 + 128 + 2), gru=1)(lambda: nn.GRU(128, 128))
case("RNN", (7, 3, 10), 7 * 3 * 6 * (10 + 6), 6 * (10 + 6 + 2), rnn=1)(lambda: nn.RNN(10, 6))
case("RNN of ReLUs, one sample without a batch", (7, 10), 7 * 6 * (10 + 6), 6 * (10 + 6 + 2), rnn=1)(
    lambda: nn.RNN(10, 6, nonlinearity="relu")
)
case(
    "LSTM with initial states",
    Inputs((7, 3, 10), ((1, 3, 6), (1, 3, 6))),
    7 * 3 * 4 * 6 * (10 + 6),
    4 * 6 * (10 + 6 + 2),
    lstm=1,
)(lambda: nn.LSTM(10, 6))


@case("cells in a loop", (7, 3, 10), 7 * 3 * (4 * 6 * (10 + 6) + 3 * 5 * (6 + 5) + 4 * (5 + 4)),
      4 * 6 * (10 + 6 + 2) + 3 * 5 * (6 + 5 + 2) + 4 * (5 + 4 + 2), lstm=7, gru=7, rnn=7)  # fmt: skip
def _cells() -> nn.Module:
    def forward(self: Any, x: torch.Tensor) -> torch.Tensor:
        h, c = x.new_zeros(x.shape[1], 6), x.new_zeros(x.shape[1], 6)
        g, r = x.new_zeros(x.shape[1], 5), x.new_zeros(x.shape[1], 4)
        for step in x:
            h, c = self.lstm(step, (h, c))
            g = self.gru(h, g)
            r = self.rnn(g, r)
        return r

    return module(forward, lstm=nn.LSTMCell(10, 6), gru=nn.GRUCell(6, 5), rnn=nn.RNNCell(5, 4))


# -- packed sequences: padding is not computed, S is the sum of the lengths -------------------------------------------


@case("packed sequences", (3, 7, 10), (7 + 4 + 2) * 4 * 6 * (10 + 6), 4 * 6 * (10 + 6 + 2), lstm=1)
def _packed() -> nn.Module:
    def forward(self: Any, x: torch.Tensor) -> torch.Tensor:
        packed = pack_padded_sequence(x, [7, 4, 2], batch_first=True)
        y, _ = self.lstm(packed)
        padded, lengths = pad_packed_sequence(y, batch_first=True)
        assert lengths.tolist() == [7, 4, 2]
        return padded

    return module(forward, lstm=nn.LSTM(10, 6, batch_first=True))


@case("packed sequences, both directions, in any order", Inputs((7, 3, 10), torch.tensor([2, 7, 4])),
      2 * (7 + 4 + 2) * 3 * 6 * (10 + 6), 2 * 3 * 6 * (10 + 6 + 2), frozenset({"torch.aten.sort"}), gru=2)  # fmt: skip
def _unsorted() -> nn.Module:
    def forward(self: Any, x: torch.Tensor, lengths: torch.Tensor) -> torch.Tensor:
        y, h = self.gru(pack_padded_sequence(x, lengths, enforce_sorted=False))
        assert h.shape == (2, 3, 6)
        return pad_packed_sequence(y)[0]

    return module(forward, gru=nn.GRU(10, 6, bidirectional=True))


@case("a packed sequence given", Inputs(PackedSequence(torch.zeros(13, 10), torch.tensor([3, 3, 2, 2, 1, 1, 1]))),
      13 * 6 * (10 + 6), 6 * (10 + 6 + 2), rnn=1)  # fmt: skip
def _given() -> nn.Module:
    return nn.RNN(10, 6)


@case("a sequence packed from parts", Inputs([(7, 10), (4, 10), (2, 10)]), 13 * 4 * 6 * (10 + 6), 4 * 6 * (10 + 6 + 2), lstm=1)
def _parts() -> nn.Module:
    return module(lambda self, parts: self.lstm(pack_sequence(parts))[0].data, lstm=nn.LSTM(10, 6))


# -- attention -----------------------------------------------------------------------------------------------------


def sdpa(**options: Any) -> Callable[[], Any]:
    return lambda: lambda q, k, v: F.scaled_dot_product_attention(q, k, v, **options)


# L² scores of D in total and as many sums, whatever the heads.
for heads in (1, 4, 8):
    shape = (1, heads, 128, 64 // heads)
    case(f"sdpa with {heads} heads", Inputs(shape, shape, shape), 2 * 128 * 128 * 64, 0, attention=1)(sdpa())
    assert CASES[f"sdpa with {heads} heads"].macs == 2_097_152
shape = (2, 4, 5, 8)
case("sdpa, causal", Inputs(shape, shape, shape), 2 * 4 * 5 * 5 * (8 + 8), 0, attention=1)(sdpa(is_causal=True))
case("sdpa, grouped heads", Inputs((2, 6, 5, 8), (2, 2, 9, 8), (2, 2, 9, 3)), 2 * 6 * 5 * 9 * (8 + 3), 0, attention=1)(
    sdpa(enable_gqa=True)
)


def attend(**options: Any) -> Callable[..., Any]:
    def forward(self: Any, *inputs: torch.Tensor) -> Any:
        return self.mha(*(inputs * 3 if len(inputs) == 1 else inputs), **options)

    return forward


def mha_macs(n: int, length: int, kv: int, width: int, kdim: int, vdim: int) -> int:
    """Three projections in, scores and sums over all heads, one projection out."""
    projections = length * width * width + kv * width * (kdim + vdim)
    return n * (projections + 2 * length * kv * width + length * width * width)


for need in (True, False):
    case(f"MultiheadAttention, need_weights={need}", (5, 3, 8), mha_macs(3, 5, 5, 8, 8, 8), 4 * 8 * 8 + 4 * 8, attention=1, linear=2)(
        lambda need=need: module(attend(need_weights=need), mha=nn.MultiheadAttention(8, 2))
    )
case(
    "MultiheadAttention of other keys and values",
    Inputs((3, 5, 8), (3, 7, 6), (3, 7, 10)),
    mha_macs(3, 5, 7, 8, 6, 10),
    8 * 8 + 8 * 6 + 8 * 10 + 8 * 8 + 4 * 8,
    attention=1,
    linear=4,
)(lambda: module(attend(), mha=nn.MultiheadAttention(8, 2, kdim=6, vdim=10, batch_first=True)))
case(
    "MultiheadAttention with two more keys",
    (5, 3, 8),
    mha_macs(3, 5, 5, 8, 8, 8) + 3 * 2 * 5 * 2 * 8,
    4 * 8 * 8 + 4 * 8 + 2 * 8,
    attention=1,
)(lambda: module(attend(), mha=nn.MultiheadAttention(8, 2, add_bias_kv=True, add_zero_attn=True)))

ENCODER = mha_macs(3, 5, 5, 8, 8, 8) + 3 * 5 * 2 * 8 * 32
ENCODER_PARAMS = (4 * 8 * 8 + 4 * 8) + (2 * 8 * 32 + 32 + 8) + 2 * 2 * 8
DECODER = mha_macs(3, 4, 4, 8, 8, 8) + mha_macs(3, 4, 5, 8, 8, 8) + 3 * 4 * 2 * 8 * 32
DECODER_PARAMS = 2 * (4 * 8 * 8 + 4 * 8) + (2 * 8 * 32 + 32 + 8) + 3 * 2 * 8


def encoder_layer(**options: Any) -> nn.Module:
    return nn.TransformerEncoderLayer(8, 2, 32, batch_first=True, **options)


case("encoder layer", (3, 5, 8), ENCODER, ENCODER_PARAMS, attention=1, linear=4)(lambda: encoder_layer().eval())
case("encoder layer, norm first, gelu", (3, 5, 8), ENCODER, ENCODER_PARAMS, attention=1, linear=4, gelu=1)(
    lambda: encoder_layer(norm_first=True, activation="gelu").eval()
)
case(
    "encoder with padding",
    Inputs((3, 5, 8), src_key_padding_mask=TensorSpec((3, 5), "bool")),
    2 * ENCODER,
    2 * ENCODER_PARAMS,
    attention=2,
)(lambda: nn.TransformerEncoder(encoder_layer(), 2).eval())
case(
    "decoder",
    Inputs((3, 4, 8), (3, 5, 8)),
    2 * DECODER,
    2 * DECODER_PARAMS,
    attention=4,
)(lambda: nn.TransformerDecoder(nn.TransformerDecoderLayer(8, 2, 32, batch_first=True), 2))


@case("decoder that makes its causal mask", Inputs((3, 4, 8), (3, 5, 8)), DECODER, DECODER_PARAMS, attention=2)
def _causal() -> nn.Module:
    def forward(self: Any, x: torch.Tensor, memory: torch.Tensor) -> torch.Tensor:
        mask = nn.Transformer.generate_square_subsequent_mask(x.shape[1], device=x.device)
        return self.decoder(x, memory, tgt_mask=mask)

    layer = nn.TransformerDecoderLayer(8, 2, 32, batch_first=True)
    return module(forward, decoder=nn.TransformerDecoder(layer, 1))


case(
    "whole transformer",
    Inputs((3, 5, 8), (3, 4, 8)),
    2 * ENCODER + 2 * DECODER,
    2 * ENCODER_PARAMS + 2 * DECODER_PARAMS + 2 * 2 * 8,
    attention=6,
)(lambda: nn.Transformer(8, 2, 2, 2, 32, batch_first=True))

# -- called as functions -------------------------------------------------------------------------------------------

case("@", Inputs((2, 5, 3), (2, 3, 4)), 2 * 5 * 3 * 4, 0, matmul=1)(lambda: lambda a, b: a @ b)
case("einsum", Inputs((2, 5, 3), (2, 4, 3)), 2 * 5 * 4 * 3, 0, einsum=1)(
    lambda: lambda a, b: torch.einsum("bid,bjd->bij", a, b)
)
case("einsum of three", Inputs((2, 30), (30, 3), (3, 40)), 2 * 30 * 3 + 2 * 3 * 40, 0, einsum=2)(
    lambda: lambda a, b, c: torch.einsum("ij,jk,kl->il", a, b, c)
)
case("bmm and baddbmm", Inputs((2, 5, 3), (2, 3, 4)), 2 * (2 * 5 * 3 * 4), 0, matmul=2, add=1)(
    lambda: lambda a, b: torch.baddbmm(torch.bmm(a, b), a, b)
)
case("F.linear", Inputs((2, 5, 3)), 2 * 5 * 3 * 4, 4 * 3 + 4, linear=1)(
    lambda: module(lambda self, x: F.linear(x, self.w, self.b), w=parameter(4, 3), b=parameter(4))
)
case("F.conv2d", (1, 3, 8, 8), 6 * 6 * 5 * 3 * 3 * 3, 5 * 3 * 3 * 3, conv=1)(
    lambda: module(lambda self, x: F.conv2d(x, self.w), w=parameter(5, 3, 3, 3))
)
case("addmm", (5, 3), 5 * 3 * 4, 3 * 4 + 4, linear=1)(
    lambda: module(lambda self, x: torch.addmm(self.b, x, self.w), w=parameter(3, 4), b=parameter(4))
)
case("Conv1D of transformers", (2, 5, 3), 2 * 5 * 3 * 4, 3 * 4 + 4, linear=1)(lambda: Conv1D(4, 3))

# -- convolutions --------------------------------------------------------------------------------------------------

case("deconvolution", (1, 8, 8, 8), 8 * 8 * 8 * 16 * 4, 8 * 4 * 16 + 4, conv_transpose=1)(
    lambda: nn.ConvTranspose2d(8, 4, 4, 2, 1)
)
assert CASES["deconvolution"].macs == 32_768
case("grouped deconvolution", (1, 8, 8, 8), 8 * 8 * 8 * 16 * 4 // 2, 8 * 2 * 16 + 4, conv_transpose=1)(
    lambda: nn.ConvTranspose2d(8, 4, 4, 2, 1, groups=2)
)
case("FCN upsampling", (1, 21, 5, 6), 21 * 21 * 4096 * 5 * 6, 21 * 21 * 4096, conv_transpose=1)(
    lambda: nn.ConvTranspose2d(21, 21, 64, 32, bias=False)
)
case("grouped convolution", (2, 8, 9, 9), 2 * 7 * 7 * 12 * 9 * 8 // 4, 12 * 9 * 8 // 4 + 12, conv=1)(
    lambda: nn.Conv2d(8, 12, 3, groups=4)
)
case("depthwise separable", (1, 6, 10, 10), 9 * 6 * 100 + 6 * 11 * 100, 9 * 6 + 6 * 11, conv=2)(
    lambda: nn.Sequential(nn.Conv2d(6, 6, 3, padding=1, groups=6, bias=False), nn.Conv2d(6, 11, 1, bias=False))
)
case("1-D and 3-D convolution", Inputs((1, 4, 16), (1, 2, 5, 6, 7)), 14 * 8 * 4 * 3 + 4 * 5 * 6 * 3 * 2 * 8, 8 * 4 * 3 + 3 * 2 * 8, conv=2)(
    lambda: module(
        lambda self, a, b: (self.one(a), self.three(b)), one=nn.Conv1d(4, 8, 3, bias=False), three=nn.Conv3d(2, 3, 2, bias=False)
    )
)  # fmt: skip

# -- how modules are used ------------------------------------------------------------------------------------------

case("linear on three dimensions", (2, 7, 300), 2 * 7 * 300 * 100, 300 * 100 + 100, linear=1)(lambda: nn.Linear(300, 100))
case("a module called twice", (2, 8), 2 * (2 * 8 * 8), 8 * 8 + 8, linear=2)(
    lambda: module(lambda self, x: self.fc(self.fc(x)), fc=nn.Linear(8, 8))
)
case("bare parameters", (2, 3), 2 * 3 * 4, 3 * 4 + 4, linear=1, add=1)(
    lambda: module(lambda self, x: x @ self.w + self.b, w=parameter(3, 4), b=parameter(4))
)
case("parameters in lists", (2, 3), 2 * 3 * 4 + 2 * 4 * 5, 3 * 4 + 4 * 5, linear=2)(
    lambda: module(
        lambda self, x: x @ self.ws[0] @ self.ws[1], ws=nn.ParameterList([parameter(3, 4), parameter(4, 5)])
    )
)


@case("tied weights", Inputs(TensorSpec((2, 6), "int64")), 2 * 6 * 8 * 50, 50 * 8, embedding=1, linear=1)
def _tied() -> nn.Module:
    made = module(lambda self, ids: self.head(self.table(ids)), table=nn.Embedding(50, 8), head=nn.Linear(8, 50, bias=False))
    made.head.weight = made.table.weight
    return made


@case("unused branches", (2, 3), 2 * 3 * 4, 3 * 4 + 3 * 5, linear=1)
def _unused() -> nn.Module:
    def forward(self: Any, x: torch.Tensor) -> torch.Tensor:
        return self.used(x) if x.dim() == 2 else self.unused(x)

    return module(forward, used=nn.Linear(3, 4, bias=False), unused=nn.Linear(3, 5, bias=False))


@case("integer inputs", Inputs(TensorSpec((2, 6), "int64")), 2 * 6 * 8 * 3, 50 * 8 + 8 * 3, embedding=1, linear=1)
def _integers() -> nn.Module:
    return nn.Sequential(nn.Embedding(50, 8), nn.Linear(8, 3, bias=False))


@case("a dict as the input", Inputs({"x": (2, 3), "ids": TensorSpec((2,), "int64")}), 2 * 3 * 4 + 2 * 4 * 5, 3 * 4 + 9 * 4 + 4 * 5, linear=2)
def _dict() -> nn.Module:
    def forward(self: Any, batch: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
        return {"y": self.b(self.a(batch["x"]) + self.table(batch["ids"]))}

    return module(
        forward, a=nn.Linear(3, 4, bias=False), b=nn.Linear(4, 5, bias=False), table=nn.Embedding(9, 4)
    )


@case("keyword inputs", {"x": (2, 3), "mask": TensorSpec((2, 1), "bool")}, 2 * 3 * 4, 3 * 4, linear=1)
def _keywords() -> nn.Module:
    def forward(self: Any, *, mask: torch.Tensor, x: torch.Tensor) -> torch.Tensor:
        return self.fc(x).masked_fill(mask, 0.0)

    return module(forward, fc=nn.Linear(3, 4, bias=False))


# -- control flow --------------------------------------------------------------------------------------------------


@case("a loop over the shape", (2, 5, 3), sum(2 * n * 3 * 3 for n in range(1, 6)), 9, linear=5)
def _loop() -> nn.Module:
    def forward(self: Any, x: torch.Tensor) -> torch.Tensor:
        parts = [self.fc(x[:, : n + 1]) for n in range(x.shape[1]) if len(x) > 1]
        return torch.cat(parts, dim=1)

    return module(forward, fc=nn.Linear(3, 3, bias=False))


@case("a branch on integers", Inputs((2, 3), torch.tensor([1, 0, 1])), 2 * 2 * 3 * 3, 3 * 9, linear=2)
def _routed() -> nn.Module:
    def forward(self: Any, x: torch.Tensor, route: torch.Tensor) -> torch.Tensor:
        for expert, chosen in zip(self.experts, route, strict=True):
            if chosen:
                x = expert(x)
        return x

    return module(forward, experts=nn.ModuleList(nn.Linear(3, 3, bias=False) for _ in range(3)))


# -- lazy and compiled models --------------------------------------------------------------------------------------


@case("lazy modules", (2, 3, 8, 8), 2 * 6 * 6 * 5 * 27 + 2 * 180 * 7, 5 * 27 + 5 + 180 * 7 + 7, conv=1, linear=1)
def _lazy() -> nn.Module:
    return nn.Sequential(nn.LazyConv2d(5, 3), nn.ReLU(), nn.Flatten(), nn.LazyLinear(7))


def never(graph: Any, inputs: Any) -> Any:
    raise AssertionError("a compilation was started")


case("a compiled model", (2, 8), 2 * 8 * 5, 8 * 5 + 5, linear=1, relu=1)(
    lambda: torch.compile(nn.Sequential(nn.Linear(8, 5), nn.ReLU()), backend=never)
)
case("a compiled submodule", (2, 8), 2 * 8 * 5 + 2 * 5 * 3, 8 * 5 + 5 + 5 * 3 + 3, linear=2, relu=1)(
    lambda: nn.Sequential(torch.compile(nn.Sequential(nn.Linear(8, 5), nn.ReLU()), backend=never), nn.Linear(5, 3))
)


@case("a module compiled in place", (2, 8), 2 * 8 * 5, 8 * 5 + 5, linear=1)
def _in_place() -> nn.Module:
    made = nn.Sequential(nn.Linear(8, 5))
    made.compile(backend=never)
    made[0].compile(backend=never)
    return made


@case("a compiled function", Inputs((2, 8), (8, 5)), 2 * 8 * 5, 0, matmul=1)
def _function() -> Any:
    return torch.compile(lambda a, b: a @ b, backend=never)


@pytest.mark.parametrize("grad", [True, False], ids=["grad", "no_grad"])
@pytest.mark.parametrize("device", DEVICES)
@pytest.mark.parametrize("name", CASES)
def test_exact(name: str, device: str, grad: bool) -> None:
    case = CASES[name]
    with torch.device(device):
        model = case.build()
    with torch.set_grad_enabled(grad):
        report = multiprof.analyze(model, case.inputs)
    assert report.macs == case.macs
    assert report.params == case.params
    assert set(report.unsupported()) <= case.unpriced
    assert not report.warnings or "training mode" in " ".join(report.warnings)
    made = {op: sum(layer.op == op for layer in report.layers) for op in case.ops}
    assert made == case.ops


def test_unused_parameters_are_named() -> None:
    report = multiprof.analyze(CASES["unused branches"].build(), (2, 3))
    assert list(report.unused_parameters()) == ["unused.weight"]


def test_a_lazy_model_stays_lazy() -> None:
    model = CASES["lazy modules"].build()
    multiprof.analyze(model, (2, 3, 8, 8))
    assert isinstance(model[0].weight, nn.UninitializedParameter)
    multiprof.analyze(model, (2, 4, 9, 9))
    assert isinstance(model[-1].weight, nn.UninitializedParameter)


class Deciding(nn.Module):
    """Decides by the sign of its input."""

    def __init__(self) -> None:
        super().__init__()
        self.often = nn.Linear(3, 4, bias=False)
        self.seldom = nn.Linear(3, 50, bias=False)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.often(x) if x.sum() > 0 else self.seldom(x)


@pytest.mark.parametrize("sign", [1, -1])
def test_a_branch_on_values_takes_the_way_of_the_values(sign: int) -> None:
    report = multiprof.analyze(Deciding(), sign * torch.ones(2, 3))
    assert report.macs == 2 * 3 * (4 if sign > 0 else 50)
    assert report.params == 3 * 4 + 3 * 50
    assert report.coverage == 1.0


def test_a_branch_on_values_of_which_only_shapes_are_known_says_so() -> None:
    with torch.device("meta"):
        model = Deciding()
    with pytest.raises(multiprof.ModelError, match="give a model with real parameters"):
        multiprof.analyze(model, torch.ones(2, 3))


def test_the_same_module_priced_as_compiled_and_as_written() -> None:
    model = nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.ReLU())
    written, compiled = multiprof.analyze(model, (1, 3, 8, 8)), multiprof.analyze(torch.compile(model, backend=never), (1, 3, 8, 8))
    assert written.layers == compiled.layers
