"""The work of layers by kind of kernel: bytes of operands and multiply-adds by hand."""

from __future__ import annotations

import pytest

from multiprof.cost import index_formulas
from multiprof.engine import price
from multiprof.formulas import multiprof_formulas
from multiprof.layer_report import LayerReport
from multiprof.testing.graphs import GraphBuilder
from multiprof.work import Work, kinds, sequential_steps, weights, works

FORMULAS = index_formulas(multiprof_formulas())


def row(net: GraphBuilder, *args, **more) -> LayerReport:
    return price(net.graph(net.layer(*args, **more)), FORMULAS).layers[-1]


def conv(op: str = "conv", *, channels: int, outer: int, groups: int = 1, kernel: int = 3, stride: int = 1):
    net = GraphBuilder()
    side = 6 if op == "conv_transpose" and stride == 2 else 3
    inputs = {
        "x": net.input((1, channels, 3, 3)),
        "weight": net.parameter("w", (outer, channels // groups, kernel, kernel)),
        "bias": net.parameter("b", (outer,)),
    }
    return row(
        net, op, inputs, (1, outer, side, side), kernel_size=(kernel, kernel), stride=(stride, stride), groups=groups,
        in_channels=channels, out_channels=outer, padding=((1, 1), (1, 1)),
    )  # fmt: skip


@pytest.mark.parametrize(
    ("layer", "named"),
    [
        (conv(channels=8, outer=8, groups=8), ("depthwise",)),
        (conv(channels=3, outer=8), ("thin", "convolution")),
        (conv(channels=8, outer=8, groups=2), ("thin", "convolution")),
        (conv(channels=8, outer=4, kernel=1), ("pointwise", "convolution")),
        (conv(channels=8, outer=4), ("convolution",)),
        (conv("conv_transpose", channels=8, outer=4, stride=2), ("deconvolution",)),
        (conv("conv_transpose", channels=8, outer=4), ("convolution", "deconvolution")),
    ],
)
def test_kinds_of_convolutions(layer, named):
    assert kinds(layer) == named


@pytest.mark.parametrize(
    ("op", "named"),
    [
        ("relu", ()),
        ("sigmoid", ("transcendental",)),
        ("tanh", ("transcendental",)),
        ("gelu", ("transcendental",)),
        ("transpose", ("transpose",)),
        ("identity", ()),
    ],
)
def test_kinds_of_layers_with_one_operand(op, named):
    net = GraphBuilder()
    assert kinds(row(net, op, {"x": net.input((2, 3))})) == named


def test_adding_two_tensors_is_work_and_adding_a_number_is_not():
    net = GraphBuilder()
    two = row(net, "add", {"x0": net.input((2, 3), "a"), "x1": net.input((2, 3), "b")})
    assert works(two) == (Work(("elementwise",), "float32", 0, 4 * 12, 0, 4 * 6),)
    net = GraphBuilder()
    assert works(row(net, "add", {"x0": net.input((2, 3))}, scalar=1.0)) == ()


def test_operands_of_a_product():
    net = GraphBuilder(dtype="int8")
    inputs = {"x": net.input((2, 8)), "weight": net.parameter("w", (4, 8)), "bias": net.parameter("b", (4,))}
    found = works(row(net, "linear", inputs, (2, 4), in_features=8))
    assert found == (Work(("linear",), "int8", 2 * 8 * 4, 16, 32, 8),)  # the bias is no operand of the product
    net = GraphBuilder()
    pair = {"x0": net.input((3, 2, 8), "a"), "x1": net.input((3, 8, 4), "b")}
    found = works(row(net, "matmul", pair, (3, 2, 4), contracted=8))
    assert found == (Work(("matmul",), "float32", 3 * 2 * 8 * 4, 4 * 48, 4 * 96, 4 * 24),)


def test_trips_read_the_weight_again_and_again():
    net = GraphBuilder()
    region = net.region("loop", "loop", trips=5)
    inputs = {"x": net.input((2, 8)), "weight": net.parameter("w", (4, 8))}
    (found,) = works(row(net, "linear", inputs, (2, 4), in_features=8, region=region))
    assert found == Work(("linear",), "float32", 5 * 64, 5 * 64, 128, 5 * 32, 5)
    assert found.operands == {"x": 320, "weight": 640, "y": 160}


def test_attention_is_two_products_with_scaling_and_softmax_between():
    net = GraphBuilder()
    # 2 heads, 3 queries, 5 keys of 4, values of 6: 30 scores
    inputs = {role: net.input((1, 2, length, size), role) for role, length, size in
              (("q", 3, 4), ("k", 5, 4), ("v", 5, 6))}  # fmt: skip
    sizes = {"batch": 1, "heads": 2, "kv_heads": 2, "q_len": 3, "kv_len": 5, "qk_dim": 4, "v_dim": 6}
    found = works(row(net, "attention", inputs, (1, 2, 3, 6), **sizes))
    named = ("attention", "matmul")
    assert found == (
        Work(named, "float32", 30 * 4, 4 * 24, 4 * 40, 4 * 30),
        Work(("elementwise",), "float32", 0, 120, 0, 120),
        Work(("softmax",), "float32", 0, 120, 0, 120),
        Work(named, "float32", 30 * 6, 4 * 30, 4 * 60, 4 * 36),
    )
    unscaled = works(row(net, "attention", inputs, (1, 2, 3, 6), **sizes, scale=1.0))
    assert unscaled[1] == Work(("elementwise",), "float32")


@pytest.mark.parametrize(
    ("shape", "more", "steps"),
    [
        ((7, 2, 3), {"steps": 14}, 7),
        ((2, 7, 3), {"steps": 14, "batch_first": True}, 7),
        ((7, 3), {"steps": 7}, 7),
        ((9, 3), {"steps": 9, "batch_sizes": (3, 3, 2, 1)}, 4),
    ],
)
def test_steps_of_a_recurrent_layer(shape, more, steps):
    net = GraphBuilder()
    inputs = {
        "x": net.input(shape), "weight_ih": net.parameter("i", (16, 3)), "weight_hh": net.parameter("h", (16, 4)),
    }  # fmt: skip
    layer = row(net, "lstm", inputs, (*shape[:-1], 4), input_size=3, hidden_size=4, **more)
    assert sequential_steps(layer) == steps
    product, gates = works(layer)
    total = more["steps"]
    assert product == Work(
        ("recurrent", "linear"), "float32", total * 4 * 4 * (3 + 4), 4 * total * 3, 4 * 16 * 7, 4 * total * 4, steps
    )
    assert product.operands["weight"] == steps * 4 * 16 * 7
    # four gates and the tanh of the cell
    assert gates == Work(("transcendental",), "float32", 0, 4 * total * 5 * 4, 0, 4 * total * 5 * 4)


def test_weights_are_what_is_read_of_parameters():
    net = GraphBuilder()
    inputs = {"x": net.input((2, 8)), "weight": net.parameter("w", (4, 8)), "bias": net.parameter("b", (4,))}
    graph = net.graph(net.layer("linear", inputs, (2, 4), in_features=8))
    (layer,) = price(graph, FORMULAS).layers
    assert weights(layer, graph.parameters) == 4 * (32 + 4)
    assert weights(layer, {}) == 0
    net = GraphBuilder()
    inputs = {"x": net.input((3,), dtype="int64"), "weight": net.parameter("w", (100, 8))}
    graph = net.graph(net.layer("embedding", inputs, (3, 8), dtype="float32"))
    (layer,) = price(graph, FORMULAS).layers
    assert weights(layer, graph.parameters) == layer.bytes_read < 4 * 800  # three rows of a hundred


def test_what_has_no_size_has_no_work():
    net = GraphBuilder()
    inputs = {"x": net.input((None, 8)), "weight": net.parameter("w", (4, 8))}
    assert works(row(net, "linear", inputs, (None, 4), in_features=8)) == ()
