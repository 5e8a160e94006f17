"""Recurrent networks, packed sequences and attention, counted exactly: on every device, with gradients and without.

Well-known counters give 0 for most of these. Each case writes its multiply-adds and parameters out as arithmetic.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from runpy import run_path
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import nn
from torch.nn.utils.rnn import PackedSequence, pack_padded_sequence, pack_sequence, pad_packed_sequence

from multiprof import Inputs, TensorSpec

_SHARED = run_path(str(Path(__file__).with_name("written.py")))
CASES = _SHARED["Cases"]()
case = CASES.case
module = _SHARED["module"]

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
assert CASES["LSTM, two layers, both directions"][1][1] == 117_964_800

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
      2 * (7 + 4 + 2) * 3 * 6 * (10 + 6), 2 * 3 * 6 * (10 + 6 + 2), gru=2)  # fmt: skip
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


@case(
    "a sequence packed from parts",
    Inputs([(7, 10), (4, 10), (2, 10)]),
    13 * 4 * 6 * (10 + 6),
    4 * 6 * (10 + 6 + 2),
    lstm=1,
)
def _parts() -> nn.Module:
    return module(lambda self, parts: self.lstm(pack_sequence(parts))[0].data, lstm=nn.LSTM(10, 6))


# -- attention -----------------------------------------------------------------------------------------------------


def sdpa(**options: Any) -> Callable[[], Any]:
    return lambda: lambda q, k, v: F.scaled_dot_product_attention(q, k, v, **options)


# L² scores of D in total and as many sums, whatever the heads.
for heads in (1, 4, 8):
    shape = (1, heads, 128, 64 // heads)
    case(f"sdpa with {heads} heads", Inputs(shape, shape, shape), 2 * 128 * 128 * 64, 0, attention=1)(sdpa())
    assert CASES[f"sdpa with {heads} heads"][1][1] == 2_097_152
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
    case(
        f"MultiheadAttention, need_weights={need}",
        (5, 3, 8),
        mha_macs(3, 5, 5, 8, 8, 8),
        4 * 8 * 8 + 4 * 8,
        attention=1,
        linear=2,
    )(lambda need=need: module(attend(need_weights=need), mha=nn.MultiheadAttention(8, 2)))
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


# Before its mask is looked at, a decoder cannot know that it is the causal one.
case(
    "decoder that is given its causal mask",
    Inputs((3, 4, 8), (3, 5, 8), tgt_mask=nn.Transformer.generate_square_subsequent_mask(4)),
    DECODER,
    DECODER_PARAMS,
    attention=2,
)(lambda: nn.TransformerDecoder(nn.TransformerDecoderLayer(8, 2, 32, batch_first=True), 1))
case(
    "whole transformer",
    Inputs((3, 5, 8), (3, 4, 8)),
    2 * ENCODER + 2 * DECODER,
    2 * ENCODER_PARAMS + 2 * DECODER_PARAMS + 2 * 2 * 8,
    attention=6,
)(lambda: nn.Transformer(8, 2, 2, 2, 32, batch_first=True))


@pytest.mark.parametrize("name", CASES)
def test_exact(exact: Any, name: str) -> None:
    build, figures, ops = CASES[name]
    exact(build, *figures, **ops)
