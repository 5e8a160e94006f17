"""Concatenation, padding, repetition: against torch's meta kernels, and what is recorded."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
import torch.nn.functional as F

META = torch.device("meta")


def any_tensor(r: Any, least: int = 0) -> Any:
    return r.tensor(r.shape(r.rng.randint(least, 4)))


def cat(r: Any) -> Any:
    rng = r.rng
    shape = r.shape(rng.randint(1, 4))
    axis = r.axis(len(shape))
    parts = []
    for _ in range(rng.randint(1, 3)):
        sizes = list(shape)
        if -len(sizes) <= axis < len(sizes):
            sizes[axis] = rng.randint(0, 3)
        parts.append(r.tensor(tuple(sizes), rng.choice([torch.float32] * 12 + [torch.float16])))
    if rng.random() < 0.1:
        parts.insert(rng.randint(0, len(parts)), r.plain((0,)))  # joins with anything, as key-value caches begin
    if rng.random() < 0.05:
        parts.append(any_tensor(r))
    return rng.choice(
        (
            lambda *v: torch.cat(v, axis),
            lambda *v: torch.cat(list(v), dim=axis),
            lambda *v: torch.concat(v, axis=axis),
            lambda *v: torch.concatenate(v, dim=axis),
        )
    ), *parts


def images(r: Any) -> Any:
    """Channels-last images stay channels last."""
    parts = [r.plain((2, 3, 4, n)).to(memory_format=torch.channels_last) for n in (4, 5)]
    if r.rng.random() < 0.3:
        parts.append(r.plain((2, 3, 4, 2)))
    return r.rng.choice((lambda *v: torch.cat(v, -1), lambda *v: F.pad(v[0], (1, 2, 0, 1)))), *parts


def stack(r: Any) -> Any:
    shape = r.shape()
    axis = r.axis(len(shape) + 1)
    parts = [r.tensor(shape) for _ in range(r.rng.randint(1, 3))]
    if r.rng.random() < 0.05:
        parts.append(any_tensor(r))
    return r.rng.choice(
        (
            lambda *v: torch.stack(v, axis),
            lambda *v: torch.stack(list(v), dim=axis),
            lambda *v: torch.hstack(v),
            lambda *v: torch.vstack(v),
            lambda *v: torch.dstack(v),
            lambda *v: torch.column_stack(v),
        )
    ), *parts


def pad(r: Any) -> Any:
    x = any_tensor(r, 1)
    sides = 2 * r.rng.randint(1, x.dim() + (r.rng.random() < 0.05))
    amounts = [r.rng.choice((0, 1, 2, 0, -1)) for _ in range(sides)]
    return r.rng.choice(
        (
            lambda x: F.pad(x, amounts),
            lambda x: F.pad(x, tuple(amounts), value=2),
            lambda x: F.pad(x, amounts, "constant", 1.5),
            lambda x: torch.constant_pad_nd(x, amounts, 1),
        )
    ), x


def pad_with_itself(r: Any) -> Any:
    rng = r.rng
    mode, spatial = rng.choice(("reflect", "replicate", "circular")), rng.randint(1, 3)
    shape = [rng.randint(1, 5) for _ in range(spatial + rng.choice((1, 2)))]
    amounts = [rng.choice((0, 1, 2)) for _ in range(2 * spatial)]
    return lambda x: F.pad(x, amounts, mode=mode), r.tensor(tuple(shape))


def repeat(r: Any) -> Any:
    rng = r.rng
    x = any_tensor(r)
    repeats = [rng.randint(0, 3) for _ in range(x.dim() + rng.choice((0, 0, 1)))]
    tiles = [rng.randint(1, 3) for _ in range(rng.randint(1, x.dim() + 1))]
    axis, n = r.axis(x.dim()), rng.randint(0, 3)
    return rng.choice(
        (
            lambda x: x.repeat(*repeats),
            lambda x: x.repeat(repeats),
            lambda x: x.tile(tiles),
            lambda x: torch.tile(x, tuple(tiles)),
            lambda x: x.repeat_interleave(n, axis),
            lambda x: torch.repeat_interleave(x, n),
        )
    ), x


CASES: dict[Any, tuple[tuple[str, ...], float]] = {
    cat: (("concat",), 0.8),
    images: (("concat", "pad"), 1.0),
    stack: (("stack", "concat", "reshape"), 0.8),
    pad: (("pad",), 0.5),
    pad_with_itself: (("pad", "fill", "slice", "copy"), 0.95),
    repeat: (("repeat", "reshape", "expand", "copy"), 0.9),
}


@pytest.mark.parametrize("make", CASES)
def test_random_calls(sweep: Callable[..., None], make: Any) -> None:
    ops, share = CASES[make]
    sweep(make, ops, share=share, times=400)


def test_padding_by_nothing_is_a_copy(compare: Any) -> None:
    """Swin pads every window, mostly by nothing."""
    checked = compare(lambda x: F.pad(x, (0, 0, 0, 0, 0, 0)), torch.empty(1, 7, 7, 96, device=META))
    assert checked.by_rule
    assert checked.layer.attrs == {"padding": ((0, 0),) * 4, "mode": "constant", "value": 0}


@pytest.mark.parametrize("mode", ["constant", "reflect", "replicate", "circular"])
def test_padding_is_given_per_dimension(compare: Any, mode: str) -> None:
    x = torch.empty(1, 3, 8, 9, device=META)
    checked = compare(lambda x: F.pad(x, (1, 2, 3, 4), mode=mode), x)
    assert checked.by_rule
    assert checked.layer.attrs["padding"] == ((0, 0), (0, 0), (3, 4), (1, 2))
    assert checked.layer.attrs["mode"] == mode


def test_padding_by_tensors(trace: Any) -> None:
    """Audio models compute how much to pad."""
    layer = trace(lambda x, n: F.pad(x, (0, n[0])), (1, 2, 5), torch.tensor([3])).layers[-1]
    assert layer.attrs["padding"] == ((0, 0), (0, 0), (0, 3))


@pytest.mark.parametrize("module", [torch.nn.ZeroPad2d(1), torch.nn.ReflectionPad2d(1), torch.nn.CircularPad2d(1)])
def test_padding_modules(compare: Any, module: Any) -> None:
    checked = compare(lambda x: module(x), torch.empty(1, 2, 4, 4, device=META))
    assert checked.by_rule
    assert checked.ops == ["pad"]


def test_repeat_as_often_as_a_tensor_says(compare: Any, trace: Any) -> None:
    layer = trace(lambda x, n: x.repeat_interleave(n, 0), (2, 3), torch.tensor([3, 2])).layers[-1]
    assert layer.y.shape == (5, 3)
    assert layer.inputs["repeats"].name == "n"
    # With the size of the result given, no value is needed.
    x, n = torch.empty(2, 3, device=META), torch.empty(2, dtype=torch.int64, device=META)
    assert compare(lambda x, n: x.repeat_interleave(n, 0, output_size=5), x, n).layer.y.shape == (5, 3)


def test_roles_and_axes(compare: Any) -> None:
    x, y = torch.empty(2, 3, device=META), torch.empty(2, 1, device=META)
    layer = compare(lambda x, y: torch.cat((x, y), -1), x, y).layer
    assert (list(layer.inputs), layer.attrs) == (["x0", "x1"], {"axis": 1})
    layer = compare(lambda x: torch.stack((x, x), -1), x).layer
    assert (list(layer.inputs), layer.attrs, layer.y.shape) == (["x0", "x1"], {"axis": 2}, (2, 3, 2))


def test_kernels_record_the_same_layers(compare_aten: Any) -> None:
    def joins(x: Any) -> Any:
        y = F.pad(torch.cat((x, x)), (1, 1))
        return F.pad(y[None], (1, 1), mode="reflect"), torch.stack((y, y)), y.repeat(2, 1)

    assert set(compare_aten(joins, torch.empty(2, 3, device=META)).ops) == {
        "concat",
        "pad",
        "reshape",
        "stack",
        "repeat",
    }


def test_blocks_on_a_diagonal(compare: Any, compare_aten: Any) -> None:
    blocks = [torch.empty(2, 3, device=META), torch.empty(4, device=META), torch.empty((), device=META)]
    checked = compare(torch.block_diag, *blocks)
    assert checked.by_rule
    assert checked.result.shape == (4, 8)
    assert [layer.op for layer in checked.layers if layer.op != "reshape"] == ["fill", *["slice", "copy"] * 3]
    assert compare_aten(torch.block_diag, *blocks).ops == checked.ops
