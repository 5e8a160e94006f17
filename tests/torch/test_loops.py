"""The loops that formulas are held against compute what torch computes: they are the operations they claim to be."""

from __future__ import annotations

import random
from typing import Any

import pytest
import torch
import torch.nn.functional as F

from multiprof.testing import Array, Tally, cells, loops


def tensor(array: Array | None) -> Any:
    return None if array is None else torch.tensor(array.values(), dtype=torch.float64).reshape(array.shape)


def same(actual: Array, expected: torch.Tensor) -> None:
    assert actual.shape == tuple(expected.shape)
    torch.testing.assert_close(tensor(actual), expected, rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("seed", range(12))
@pytest.mark.parametrize("rank", [1, 2, 3])
def test_convolutions(rank: int, seed: int) -> None:
    pick = random.Random(100 * rank + seed)
    tally = Tally(seed)
    groups, group_in, group_out = pick.randint(1, 3), pick.randint(1, 2), pick.randint(1, 2)
    kernel, stride, dilation, padding = (tuple(pick.randint(low, 2) for _ in range(rank)) for low in (1, 1, 1, 0))
    extra = tuple(pick.randint(0, max(s, d) - 1) for s, d in zip(stride, dilation, strict=True))
    x = tally.array((2, groups * group_in, *(pick.randint(5, 6) for _ in range(rank))))
    bias = tally.array((groups * group_out,)) if pick.random() < 0.5 else None
    pairs = tuple((p, p) for p in padding)

    weight = tally.array((groups * group_out, group_in, *kernel))
    conv = (F.conv1d, F.conv2d, F.conv3d)[rank - 1]
    expected = conv(tensor(x), tensor(weight), tensor(bias), stride, padding, dilation, groups)
    same(loops.conv(tally, x, weight, bias, stride, pairs, dilation, groups), expected)

    weight = tally.array((groups * group_in, group_out, *kernel))
    transposed = (F.conv_transpose1d, F.conv_transpose2d, F.conv_transpose3d)[rank - 1]
    expected = transposed(tensor(x), tensor(weight), tensor(bias), stride, padding, extra, groups, dilation)
    same(loops.conv_transpose(tally, x, weight, bias, stride, pairs, extra, dilation, groups), expected)


def test_uneven_padding() -> None:
    tally = Tally()
    x, weight = tally.array((1, 2, 4, 5)), tally.array((3, 2, 2, 3))
    padded = F.pad(tensor(x), (2, 0, 0, 1))  # last dimension first
    y = loops.conv(tally, x, weight, None, (1, 1), ((0, 1), (2, 0)), (1, 1), 1)
    same(y, F.conv2d(padded, tensor(weight)))


def test_linear_matmul_and_einsum() -> None:
    tally = Tally()
    x, weight, bias = tally.array((2, 3, 4)), tally.array((5, 4)), tally.array((5,))
    same(loops.linear(tally, x, weight, bias), F.linear(tensor(x), tensor(weight), tensor(bias)))
    for a, b in [((2, 3), (3, 4)), ((5, 2, 3), (3, 4)), ((5, 1, 2, 3), (6, 3, 4)), ((1, 2, 3), (7, 3, 2))]:
        left, right = tally.array(a), tally.array(b)
        same(loops.matmul(tally, left, right), tensor(left) @ tensor(right))


@pytest.mark.parametrize(
    ("equation", "shapes"),
    [
        ("bij,bjk->bik", ((2, 3, 4), (2, 4, 5))),
        ("bhqd,bkhd->bhqk", ((2, 3, 4, 5), (2, 6, 3, 5))),
        ("i,j->ij", ((3,), (4,))),
        ("ij,ij->ij", ((3, 4), (3, 4))),
        ("ij,jk->ik", ((2, 1), (5, 3))),
        ("ij,k->ik", ((2, 4), (3,))),
        ("ij,ij->", ((2, 4), (2, 4))),
        ("ijk->ki", ((2, 3, 4),)),
        ("ii->", ((4, 4),)),
        ("ii->i", ((4, 4),)),
    ],
)
def test_einsum(equation: str, shapes: tuple[tuple[int, ...], ...]) -> None:
    tally = Tally()
    operands = [tally.array(shape) for shape in shapes]
    same(loops.einsum(tally, equation, *operands), torch.einsum(equation, *(tensor(item) for item in operands)))


RECURRENT = {"lstm": (torch.nn.LSTM, 4), "gru": (torch.nn.GRU, 3), "rnn": (torch.nn.RNN, 1)}


@pytest.mark.parametrize(
    ("op", "options"),
    [
        ("lstm", {}),
        ("lstm", {"bias": False}),
        ("lstm", {"proj_size": 2}),
        ("gru", {}),
        ("rnn", {}),
        ("rnn", {"nonlinearity": "relu"}),
    ],
)
def test_recurrent_layers_in_both_directions(op: str, options: dict[str, Any]) -> None:
    tally = Tally()
    module_class, gates = RECURRENT[op]
    units, width = 3, options.get("proj_size", 3)
    module = module_class(4, units, bidirectional=True, dtype=torch.float64, **options)
    x = tally.array((5, 4))
    outputs = []
    for suffix in ("l0", "l0_reverse"):
        shapes = {"weight_ih": (gates * units, 4), "weight_hh": (gates * units, width)}
        if options.get("bias", True):
            shapes |= {"bias_ih": (gates * units,), "bias_hh": (gates * units,)}
        if "proj_size" in options:
            shapes["weight_hr"] = (width, units)
        arrays = {name: tally.array(shape) for name, shape in shapes.items()}
        with torch.no_grad():
            for name, array in arrays.items():
                getattr(module, f"{name}_{suffix}").copy_(tensor(array))
        arguments: dict[str, Any] = {"reverse": suffix.endswith("reverse")}
        if "proj_size" in options:
            arguments["weight_hr"] = arrays["weight_hr"]
        if "nonlinearity" in options:
            arguments["nonlinearity"] = options["nonlinearity"]
        biases = (arrays.get("bias_ih"), arrays.get("bias_hh"))
        run: Any = getattr(cells, op)
        (steps,) = run(tally, [x], arrays["weight_ih"], arrays["weight_hh"], biases, **arguments)
        outputs.append(torch.tensor([[unit.value for unit in step] for step in steps], dtype=torch.float64))
    with torch.no_grad():
        expected, _ = module(tensor(x))
    torch.testing.assert_close(torch.cat(outputs, dim=1), expected, rtol=1e-9, atol=1e-9)


def test_the_gru_that_resets_the_state() -> None:
    """Torch has no such cell, so it is written out here with torch's operators."""
    tally = Tally()
    x, w, u = tally.array((4, 3)), tally.array((6, 3)), tally.array((6, 2))
    b, d = tally.array((6,)), tally.array((6,))
    (steps,) = cells.gru(tally, [x], w, u, (b, d), reset_after=False)
    h = torch.zeros(2, dtype=torch.float64)
    for row, step in zip(tensor(x), steps, strict=True):
        wx = (tensor(w) @ row + tensor(b)).chunk(3)
        ur, uz, un = tensor(u).chunk(3)
        dr, dz, dn = tensor(d).chunk(3)
        r, z = torch.sigmoid(wx[0] + ur @ h + dr), torch.sigmoid(wx[1] + uz @ h + dz)
        n = torch.tanh(wx[2] + un @ (r * h) + dn)
        h = (1 - z) * n + z * h
        torch.testing.assert_close(torch.tensor([unit.value for unit in step], dtype=torch.float64), h)


def test_the_lstm_with_peepholes() -> None:
    """Torch has no such cell, so it is written out here with torch's operators (Gers' definition)."""
    tally = Tally()
    x, w, u, p = tally.array((4, 3)), tally.array((8, 3)), tally.array((8, 2)), tally.array((3, 2))
    (steps,) = cells.lstm(tally, [x], w, u, peephole=p)
    h = c = torch.zeros(2, dtype=torch.float64)
    peep = tensor(p)
    for row, step in zip(tensor(x), steps, strict=True):
        i, f, g, o = (tensor(w) @ row + tensor(u) @ h).chunk(4)
        c = torch.sigmoid(f + peep[1] * c) * c + torch.sigmoid(i + peep[0] * c) * torch.tanh(g)
        h = torch.sigmoid(o + peep[2] * c) * torch.tanh(c)
        torch.testing.assert_close(torch.tensor([unit.value for unit in step], dtype=torch.float64), h)


@pytest.mark.parametrize("kv_heads", [1, 2, 4])
@pytest.mark.parametrize("mask", ["none", "added", "selected", "causal"])
def test_attention(mask: str, kv_heads: int) -> None:
    tally = Tally()
    q_len, kv_len = (3, 5)
    q, k, v = (
        tally.array((2, heads, length, width))
        for heads, length, width in ((4, q_len, 6), (kv_heads, kv_len, 6), (kv_heads, kv_len, 7))
    )
    added = tally.array((q_len, kv_len)) if mask == "added" else None
    selected = tally.array((q_len, kv_len), fill=1, integer=True) if mask == "selected" else None
    if selected is not None:
        selected[(0, 1)] = selected[(2, 4)] = tally.scalar(0, integer=True)
    expected = F.scaled_dot_product_attention(
        tensor(q),
        tensor(k),
        tensor(v),
        attn_mask=tensor(selected).bool() if selected is not None else tensor(added),
        is_causal=mask == "causal",
        scale=0.25,
        enable_gqa=True,
    )
    causal = "top_left" if mask == "causal" else ""
    for unmasked in (False, True):
        y = loops.attention(
            tally, q, k, v, scale=0.25, added=added, selected=selected, causal=causal, unmasked=unmasked
        )
        same(y, expected)


def test_causal_attention_aligned_at_the_bottom_right() -> None:
    tally = Tally()
    q, k, v = tally.array((1, 1, 2, 3)), tally.array((1, 1, 4, 3)), tally.array((1, 1, 4, 3))
    sees = torch.tensor([[True, True, True, False], [True, True, True, True]])
    expected = F.scaled_dot_product_attention(tensor(q), tensor(k), tensor(v), attn_mask=sees, scale=0.5)
    for unmasked in (False, True):
        same(loops.attention(tally, q, k, v, scale=0.5, causal="bottom_right", unmasked=unmasked), expected)
