"""Norms by rule: against torch's meta kernels, and what is recorded."""

from __future__ import annotations

import math
from typing import Any

import pytest
import torch
import torch.nn.functional as F

FLOAT, HALF = torch.float32, torch.float16


def maybe(random_tensors: Any, size: tuple[int, ...], dtype: torch.dtype = FLOAT) -> Any:
    """A weight, or none; now and then one that does not fit."""
    rng = random_tensors.rng
    if rng.random() < 0.3:
        return None
    if rng.random() < 0.06:
        size = (*size[:-1], size[-1] + 1)
    make = random_tensors.plain if rng.random() < 0.8 else random_tensors.strided
    return torch.nn.Parameter(make(size, HALF if rng.random() < 0.05 else dtype))


def images(random_tensors: Any) -> Any:
    """Rank 1 to 5, in any memory order."""
    shape = random_tensors.shape(random_tensors.rng.choice((1, 2, 3, 3, 4, 4, 4, 5)), empty=0.01)
    return random_tensors.tensor(shape, random_tensors.rng.choice((FLOAT, FLOAT, FLOAT, torch.float64)))


def test_batch_norm(compare: Any, random_tensors: Any) -> None:
    rng = random_tensors.rng
    ruled = {True: 0, False: 0}
    for _ in range(1000):
        x = images(random_tensors)
        size = (x.shape[1] if x.dim() > 1 else 3,)
        training = rng.random() < 0.4
        given = [maybe(random_tensors, size, x.dtype) for _ in range(4)]
        if rng.random() < 0.5:
            given[:2] = [random_tensors.plain(size, x.dtype) for _ in range(2)]
        call = compare(F.batch_norm, x, *given, training=training, eps=1e-3)
        ruled[training] += call.by_rule
        if call.by_rule:
            layer, *moves = call.layers
            assert layer.op == "batch_norm"
            moved = [tensor for tensor in given[:2] if training and tensor is not None]
            assert [move.op for move in moves] == ["lerp"] * len(moved)
            assert layer.attrs == {"eps": 1e-3, "channels": size[0], "batch_stats": training}
            assert ("mean" in layer.inputs) is not training
            assert ("weight" in layer.inputs) is (given[2] is not None)
            assert ("bias" in layer.inputs) is (given[3] is not None)
    assert ruled[True] > 100
    assert ruled[False] > 150


@pytest.mark.parametrize(
    ("module", "rank"), [(torch.nn.BatchNorm1d, 3), (torch.nn.BatchNorm2d, 4), (torch.nn.BatchNorm3d, 5)]
)
def test_batch_norm_module(module: Any, rank: int, compare: Any, random_tensors: Any) -> None:
    x = random_tensors.plain((2, 3, 4, 5, 6)[:rank])
    layer = compare(module(3, device="meta").eval(), x).layer
    assert set(layer.inputs) == {"x", "weight", "bias", "mean", "var"}
    layer = compare(module(3, affine=False, track_running_stats=False), x).layer
    assert (set(layer.inputs), layer.attrs["batch_stats"]) == ({"x"}, True)


def test_batch_norm_of_channels_last(compare: Any, random_tensors: Any) -> None:
    x = random_tensors.plain((2, 8, 8, 3)).permute(0, 3, 1, 2)
    weights = [torch.nn.Parameter(random_tensors.plain((3,))) for _ in range(4)]
    assert compare(F.batch_norm, x, *weights).by_rule


def test_instance_norm(compare: Any, random_tensors: Any) -> None:
    rng = random_tensors.rng
    ruled = {True: 0, False: 0}
    for _ in range(800):
        x = images(random_tensors)
        size = (x.shape[1] if x.dim() > 1 else 3,)
        own = rng.random() < 0.6
        given = [maybe(random_tensors, size, x.dtype) for _ in range(4)]
        if rng.random() < 0.5:
            given[:2] = [None, None] if own else [random_tensors.plain(size, x.dtype) for _ in range(2)]
        call = compare(F.instance_norm, x, *given, use_input_stats=own)
        ruled[own] += call.by_rule
        if call.by_rule:
            assert call.layer.op == "instance_norm"
            assert call.layer.attrs == {
                "eps": 1e-5,
                "channels": size[0],
                "batch": x.shape[0],
                "running_stats": not own,
            }
    assert ruled[True] > 60
    assert ruled[False] > 60
    layer = compare(torch.nn.InstanceNorm2d(3), random_tensors.plain((2, 3, 4, 5))).layer
    assert set(layer.inputs) == {"x"}


@pytest.mark.parametrize("beneath", [False, True])
def test_running_statistics_move(beneath: bool, compare: Any, compare_aten: Any, random_tensors: Any) -> None:
    """In training mode torch writes to them: what reads them later reads what was written."""
    x = random_tensors.plain((2, 4, 6, 8))
    mean, var, weight, bias = (torch.nn.Parameter(random_tensors.plain((4,)), requires_grad=False) for _ in range(4))

    def train_and_use(*args: Any) -> Any:
        y = F.batch_norm(*args, training=True, momentum=0.25)
        return y, F.batch_norm(*args)

    call = (compare_aten if beneath else compare)(train_and_use, x, mean, var, weight, bias)
    norm, *moves, again = [layer for layer in call.layers if layer.op != "fill"]
    assert (set(norm.inputs), norm.attrs["batch_stats"]) == ({"x", "weight", "bias"}, True)
    assert [(move.op, move.attrs) for move in moves] == [("lerp", {"scalar": 0.25})] * 2
    for move, batch, kept in zip(moves, ("batch_mean", "batch_var"), ("mean", "var"), strict=True):
        assert move.inputs["x1"] == norm.outputs[batch]
        assert move.aliases == (("y", "x0", "write"),)
        assert again.inputs[kept] == move.outputs["y"]
    assert call.by_rule is not beneath


def test_layer_and_rms_norm(compare: Any, random_tensors: Any) -> None:
    rng = random_tensors.rng
    ruled = {"layer": 0, "rms": 0}
    for _ in range(600):
        x = images(random_tensors)
        size = tuple(x.shape[rng.randrange(x.dim()) :])
        if rng.random() < 0.05:
            size = (*size[:-1], size[-1] + 1)
        weight, bias = maybe(random_tensors, size, x.dtype), maybe(random_tensors, size, x.dtype)
        call = compare(F.layer_norm, x, size, weight, bias)
        ruled["layer"] += call.by_rule
        if call.by_rule:
            assert call.layer.op == "layer_norm"
            assert call.layer.attrs == {"eps": 1e-5, "normalized_size": math.prod(size)}
            assert ("weight" in call.layer.inputs) is (weight is not None)
        call = compare(F.rms_norm, x, size, weight, rng.choice((None, 1e-6)))
        ruled["rms"] += call.by_rule
        if call.by_rule:
            assert call.layer.op == "rms_norm"
            assert call.layer.attrs["normalized_size"] == math.prod(size)
    assert ruled["layer"] > 250
    assert ruled["rms"] > 200
    x = random_tensors.plain((2, 5, 8))
    assert set(compare(torch.nn.LayerNorm(8, device="meta"), x).layer.inputs) == {"x", "weight", "bias"}
    assert set(compare(torch.nn.RMSNorm(8, device="meta"), x).layer.inputs) == {"x", "weight"}
    assert compare(torch.nn.RMSNorm((5, 8), eps=1e-6, device="meta"), x).layer.attrs == {
        "eps": 1e-6,
        "normalized_size": 40,
    }
    # after a permutation, as ConvNeXt and Swin have it
    assert compare(F.layer_norm, random_tensors.plain((2, 8, 4, 4)).permute(0, 2, 3, 1), (8,)).by_rule


def test_group_norm(compare: Any, random_tensors: Any) -> None:
    rng = random_tensors.rng
    ruled = 0
    for _ in range(600):
        x = images(random_tensors)
        size = (x.shape[1] if x.dim() > 1 else 3,)
        groups = rng.choice((1, 1, 2, 3, 4, size[0]))
        call = compare(
            F.group_norm, x, groups, maybe(random_tensors, size, x.dtype), maybe(random_tensors, size, x.dtype)
        )
        ruled += call.by_rule
        if call.by_rule:
            assert call.layer.op == "group_norm"
            assert call.layer.attrs == {"eps": 1e-5, "groups": groups, "channels": size[0], "batch": x.shape[0]}
    assert ruled > 150
    assert compare(torch.nn.GroupNorm(2, 4, device="meta"), random_tensors.plain((2, 4, 5))).by_rule


def test_local_response_norm(compare: Any, random_tensors: Any) -> None:
    ruled = 0
    for _ in range(200):
        x = images(random_tensors)
        size = random_tensors.rng.randint(0, 4)
        call = compare(F.local_response_norm, x, size, beta=0.5)
        ruled += bool(call.by_rule and call.layers)  # torch returns an empty tensor as it is
        if call.by_rule and call.layers:
            assert call.layer.op == "local_response_norm"
            assert call.layer.attrs == {"size": size, "channels": x.shape[1], "alpha": 1e-4, "beta": 0.5, "k": 1.0}
    assert ruled > 50


def test_normalize(compare: Any, compare_aten: Any, random_tensors: Any) -> None:
    rng = random_tensors.rng
    ruled = 0
    for _ in range(300):
        x = random_tensors.tensor(random_tensors.shape(), rng.choice((FLOAT, FLOAT, FLOAT, HALF, torch.int64)))
        p, axis = rng.choice((2.0, 1, math.inf)), rng.randint(-3, 3)
        call = compare(F.normalize, x, p, axis)
        ruled += call.by_rule
        if call.by_rule:
            assert call.ops == ["norm", "clip", "div"]
            assert call.layers[0].attrs == {"axis": (axis % x.dim(),), "keepdim": True, "ord": p}
    assert ruled > 80
    beneath = compare_aten(F.normalize, random_tensors.plain((2, 3, 4)))
    assert [op for op in beneath.ops if op != "expand"] == ["norm", "clip", "div"]


def test_operators_of_aten(compare_aten: Any, random_tensors: Any) -> None:
    """Without rules for the functions, their operators lead to the same layers."""
    x = random_tensors.plain((2, 4, 6, 8))
    w = [torch.nn.Parameter(random_tensors.plain((4,))) for _ in range(4)]

    def batch_norm(*args: Any, **kwargs: Any) -> Any:
        """The layer besides the empty tensor that torch makes on the way."""
        (layer,) = [layer for layer in compare_aten(F.batch_norm, *args, **kwargs).layers if layer.op != "fill"]
        return layer

    layer = batch_norm(x, *w)
    assert set(layer.inputs) == {"x", "weight", "bias", "mean", "var"}
    assert layer.attrs == {"eps": 1e-5, "channels": 4, "batch_stats": False}
    assert batch_norm(x, None, None, training=True).attrs["batch_stats"] is True
    layer = compare_aten(F.group_norm, x, 2, w[0], w[1]).layer
    assert (layer.op, layer.attrs) == ("group_norm", {"eps": 1e-5, "groups": 2, "channels": 4, "batch": 2})
    weight = torch.nn.Parameter(random_tensors.plain((6, 8)))
    layer = compare_aten(F.layer_norm, x, (6, 8), weight, weight).layer
    assert (layer.op, layer.attrs) == ("layer_norm", {"eps": 1e-5, "normalized_size": 48})
    # of one (1, N·C, …) image: each of the N·C channels has its own statistics
    (norm,) = [layer for layer in compare_aten(F.instance_norm, x).layers if layer.op == "batch_norm"]
    assert (norm.attrs["channels"], norm.attrs["batch_stats"]) == (8, True)


@pytest.mark.parametrize(
    "function",
    [
        lambda x: F.batch_norm(x, None, None),
        lambda x: F.batch_norm(x[:1, :, :1, :1], None, None, training=True),
        lambda x: F.layer_norm(x, (7,)),
        lambda x: F.layer_norm(x, ()),
        lambda x: F.rms_norm(x, (3,)),
        lambda x: F.group_norm(x, 3),
        lambda x: F.group_norm(x, 0),
        lambda x: F.group_norm(x[:1, :, :1, :1], 4),
        lambda x: F.instance_norm(x[:, :, :1, :1]),
        lambda x: F.local_response_norm(x[0, 0], 2),
        lambda x: F.normalize(x, dim=5),
    ],
)
def test_bad_arguments(function: Any, compare: Any, random_tensors: Any) -> None:
    assert compare(function, random_tensors.plain((2, 4, 6, 8))).error is not None


@pytest.mark.filterwarnings("ignore:.*weight_norm.*")
def test_weight_norm(compare: Any, compare_aten: Any, random_tensors: Any) -> None:
    rng = random_tensors.rng
    for _ in range(100):
        v = random_tensors.tensor(random_tensors.shape(rng.randint(1, 4), empty=0))
        axis = rng.randrange(v.dim())
        size = tuple(n if i == axis else 1 for i, n in enumerate(v.shape))
        g = random_tensors.plain(size if rng.random() < 0.9 else (2,))
        call = compare(torch._weight_norm, v, g, axis)
        if call.by_rule:
            assert call.ops == ["norm", "div", "mul"]
            assert call.layers[0].attrs["axis"] == tuple(i for i in range(v.dim()) if i != axis)
    v, g = random_tensors.plain((4, 3, 3)), random_tensors.plain((4, 1, 1))
    assert compare(torch._weight_norm, v, g, 0).by_rule
    assert compare_aten(torch._weight_norm, v, g, 0).ops == ["norm", "div", "mul"]
    for wrap in (torch.nn.utils.weight_norm, torch.nn.utils.parametrizations.weight_norm):
        module = wrap(torch.nn.Conv1d(3, 4, 3, device="meta"))
        call = compare(module, random_tensors.plain((2, 3, 8)))
        assert call.ops == ["norm", "div", "mul", "conv"]
        assert call.layers[-1].inputs["weight"].name == call.layers[-2].y.name
