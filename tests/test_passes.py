"""Which layers fold, which are prepared, and that passes leave the graph they were given as it was."""

from __future__ import annotations

from collections.abc import Callable
from copy import deepcopy
from dataclasses import replace
from typing import Any

import pytest

from multiprof.ir import BUFFER, CONSTANT, FOLDED, PREPARED, TensorSpec
from multiprof.passes import count_unmasked_pairs, default_passes, fold_batch_norm, mark_prepared
from multiprof.testing.graphs import GraphBuilder, resnet50

Tweak = Callable[[GraphBuilder], None]


def block(op: str = "conv", tweak: Tweak | None = None, **norm: Any) -> GraphBuilder:
    """host → batch norm → relu, foldable as it stands."""
    net = GraphBuilder()
    if op == "linear":
        x, w = net.input((2, 3)), net.parameter("host.weight", (4, 3))
        y = net.layer("linear", {"x": x, "weight": w}, (2, 4), name="host", in_features=3, out_features=4)
    else:
        x, w = net.input((2, 3, 8, 8)), net.parameter("host.weight", (4, 3, 1, 1))
        attrs = {"kernel_size": (1, 1), "groups": 1, "in_channels": 3, "out_channels": 4}
        y = net.layer(op, {"x": x, "weight": w}, (2, 4, 8, 8), name="host", **attrs)
    stats = {
        role: net.parameter(f"norm.{role}", (4,), BUFFER if role in ("mean", "var") else "parameter")
        for role in ("weight", "bias", "mean", "var")
    }
    y = net.layer("batch_norm", {"x": y, **stats}, name="norm", **{"channels": 4, **norm})
    net.layer("relu", {"x": y}, name="act")
    if tweak:
        tweak(net)
    return net


@pytest.mark.parametrize("op", ["conv", "conv_transpose", "deform_conv", "linear"])
def test_a_norm_folds_into_the_linear_layer_before_it(op: str) -> None:
    marks = fold_batch_norm(block(op).graph()).marks
    assert list(marks) == ["norm"]
    assert (marks["norm"].state, marks["norm"].host) == (FOLDED, "host")
    assert "host" in marks["norm"].reason


def test_without_affine_parameters_it_folds_too() -> None:
    def no_affine(net: GraphBuilder) -> None:
        for role in ("weight", "bias"):
            del net.layers[1].inputs[role]

    assert list(fold_batch_norm(block(tweak=no_affine).graph()).marks) == ["norm"]


def _second_reader(net: GraphBuilder) -> None:
    net.layer("relu", {"x": net.layers[0].y}, name="second")


def _reader_inside_the_norm(net: GraphBuilder) -> None:
    net.layers[1].inputs["bias"] = net.layers[0].y


def _activation_between(net: GraphBuilder) -> None:
    host, norm, _ = net.layers
    y = net.layer("relu", {"x": host.y}, name="between")
    norm.inputs["x"] = y
    net.layers.insert(1, net.layers.pop())


def _reshape_between(net: GraphBuilder) -> None:
    _activation_between(net)
    net.layers[1].op = "reshape"


def _other_region(net: GraphBuilder) -> None:
    net.region("loop", "loop", trips=2)
    net.layers[1].region = "loop"


def _computed_scale(net: GraphBuilder) -> None:
    net.layers[1].inputs["weight"] = net.layer("mean", {"x": net.inputs[0]}, (4,), name="scale")
    net.layers.insert(0, net.layers.pop())


def _computed_host_weight(net: GraphBuilder) -> None:
    net.layers[0].inputs["weight"] = net.layer("mean", {"x": net.inputs[0]}, (4, 3, 1, 1), name="kernel")
    net.layers.insert(0, net.layers.pop())


def _other_host(net: GraphBuilder) -> None:
    net.layers[0].op = "max_pool"


def _other_channels(net: GraphBuilder) -> None:
    net.layers[0].attrs["out_channels"] = 8


@pytest.mark.parametrize(
    "tweak",
    [
        _second_reader,
        _reader_inside_the_norm,
        _activation_between,
        _reshape_between,
        _other_region,
        _computed_scale,
        _computed_host_weight,
        _other_host,
        _other_channels,
    ],
)
def test_what_does_not_fold(tweak: Tweak) -> None:
    assert not fold_batch_norm(block(tweak=tweak).graph()).marks


def test_a_norm_of_batch_statistics_does_not_fold() -> None:
    assert not fold_batch_norm(block(batch_stats=True).graph()).marks


def test_a_host_whose_output_the_model_returns_does_not_fold() -> None:
    net = block()
    assert not fold_batch_norm(net.graph(net.layers[0].y)).marks
    assert fold_batch_norm(net.graph(net.layers[1].y)).marks


def test_after_an_einstein_sum_no_norm_folds() -> None:
    """Which dimension of the result its weight makes is not known: here the first, not the last."""

    def summed(net: GraphBuilder) -> None:
        net.layers[0].attrs["equation"] = "ij,kj->ki"

    assert not fold_batch_norm(block("linear", summed).graph()).marks


@pytest.mark.parametrize(
    ("shape", "channels", "folds"),
    [
        ((2, 5, 4), 4, True),  # the last dimension, which the linear layer makes
        ((2, 5, 4), 5, False),  # dimension 1, a position
        ((2, 4, 4), 4, False),  # either
    ],
)
def test_after_a_linear_layer_only_a_norm_of_its_features_folds(
    shape: tuple[int, ...], channels: int, folds: bool
) -> None:
    def wider(net: GraphBuilder) -> None:
        for layer in net.layers[:2]:
            layer.outputs["y"] = replace(layer.outputs["y"], shape=shape)
        net.layers[1].inputs["x"] = net.layers[0].y

    assert bool(fold_batch_norm(block("linear", wider, channels=channels).graph()).marks) == folds


def test_a_norm_folds_into_a_layer_whose_weight_is_prepared() -> None:
    def weight_norm(net: GraphBuilder) -> None:
        w = net.parameters["host.weight"].spec
        net.layers[0].inputs["weight"] = net.layer("mul", {"x0": w}, name="weight_norm")
        net.layers.insert(0, net.layers.pop())

    graph = block(tweak=weight_norm).graph()
    assert not fold_batch_norm(graph).marks
    for apply in default_passes:
        graph = apply(graph)
    assert {name: mark.state for name, mark in graph.marks.items()} == {"weight_norm": PREPARED, "norm": FOLDED}


def test_resnet50_folds_every_norm() -> None:
    marks = fold_batch_norm(resnet50()).marks
    assert len(marks) == 53  # one a convolution: 1 + 16 blocks of 3 + 4 on the skip paths
    assert {mark.state for mark in marks.values()} == {FOLDED}


def test_what_is_computed_from_weights_alone_is_prepared() -> None:
    net = GraphBuilder()
    x = net.input((1, 4), "x")
    w = net.parameter("w", (4, 4))
    s = net.parameter("scale", (4, 1), CONSTANT)
    ids = net.parameter("ids", (4,), BUFFER, dtype="int64")
    q = net.layer("mul", {"x0": w, "x1": s}, name="dequantize")
    t = net.layer("transpose", {"x": q}, (4, 4), name="turn", alias="view")
    c = net.layer("constant", {}, (4, 4), name="written")
    u = net.layer("add", {"x0": t, "x1": c}, name="shift")
    net.layer("add", {"x0": ids}, name="positions")
    net.layer("linear", {"x": x, "weight": u}, (1, 4), name="fc")
    marks = mark_prepared(net.graph()).marks
    assert list(marks) == ["dequantize", "turn", "shift", "positions"]
    assert {mark.state for mark in marks.values()} == {PREPARED}


@pytest.mark.parametrize("op", ["fill", "arange", "random"])
def test_what_starts_from_a_created_tensor_is_work_of_every_run(op: str) -> None:
    """A generator that starts from zeros or noise has no input at all, and yet does all its work each time."""
    net = GraphBuilder()
    z = net.layer(op, {}, (1, 4), name="z")
    y = net.layer("linear", {"x": z, "weight": net.parameter("w", (4, 4))}, (1, 4), name="fc")
    assert not mark_prepared(net.graph(y)).marks


def test_existing_marks_stay() -> None:
    graph = fold_batch_norm(block().graph())
    assert mark_prepared(graph).marks == graph.marks
    assert fold_batch_norm(graph).marks == graph.marks


def attention(causal: bool) -> GraphBuilder:
    net = GraphBuilder()
    qkv = {role: net.input((1, 2, 5, 8), role) for role in "qkv"}
    net.layer("attention", qkv, name="attend", causal=causal, heads=2)
    return net


def test_unmasked_pairs_are_an_attribute_of_causal_attention_only() -> None:
    changed = count_unmasked_pairs(attention(causal=True).graph())
    assert changed.layers[0].attrs == {"causal": True, "heads": 2, "pairs": "unmasked"}
    graph = attention(causal=False).graph()
    assert count_unmasked_pairs(graph) == graph


@pytest.mark.parametrize("apply", [fold_batch_norm, mark_prepared, count_unmasked_pairs])
def test_passes_change_nothing_they_are_given(apply: Callable[..., Any]) -> None:
    for graph in (resnet50(), attention(causal=True).graph()):
        before = deepcopy(graph)
        after = apply(graph)
        assert graph == before
        assert after.parameters is graph.parameters


def test_a_norm_of_tensors_from_nowhere_is_left_alone() -> None:
    net = block()
    net.layers[1].inputs["mean"] = TensorSpec((4,), name="ghost")
    assert not fold_batch_norm(net.graph()).marks
