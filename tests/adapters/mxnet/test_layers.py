"""What operators become: layers, macs and parameters against closed forms written out here."""

from __future__ import annotations

from math import prod
from typing import Any

import pytest

import multiprof

LAYOUTS = {1: ("NCW", "NWC"), 2: ("NCHW", "NHWC"), 3: ("NCDHW", "NDHWC")}


def image(layout: str, channels: int, size: int) -> tuple[int, ...]:
    return tuple({"N": 2, "C": channels}.get(letter, size) for letter in layout)


@pytest.mark.parametrize("rank", [1, 2, 3])
@pytest.mark.parametrize("groups", [1, 2])
@pytest.mark.parametrize("last", [False, True])
def test_convolution(files: Any, rank: int, groups: int, last: bool) -> None:
    """Every output element meets K·C_i/G inputs; the bias is one addition for each."""
    layout = LAYOUTS[rank][last]
    net = files.Net()
    attrs = {"kernel": (3,) * rank, "stride": (2,) * rank, "pad": (1,) * rank, "num_filter": 6, "num_group": groups}
    net.op("Convolution", "conv", [net.var("data")], "weight", "bias", layout=layout, **attrs)
    report = multiprof.analyze(files.symbol(net.graph()), image(layout, 4, 9))
    outputs = 2 * 6 * 5**rank  # ⌊(9 + 2 − 3)/2⌋ + 1 = 5
    assert report.macs == outputs * 3**rank * 4 // groups
    assert report.flops == 2 * report.macs + outputs
    assert report.params == 6 * 4 // groups * 3**rank + 6
    expected = (*(6, 3, 3, 3)[: rank + 1], 4 // groups) if last else (6, 4 // groups, 3, 3, 3)[: rank + 2]
    assert report.graph.parameters["conv_weight"].spec.shape == expected


@pytest.mark.parametrize("rank", [1, 2, 3])
@pytest.mark.parametrize("groups", [1, 2])
def test_deconvolution(files: Any, rank: int, groups: int) -> None:
    """Every input element meets K·C_o/G filters; the result is (n − 1)·s − 2p + k + a = 4·2 − 2 + 4 + 1 = 11 wide."""
    net = files.Net()
    attrs = {"kernel": (4,) * rank, "stride": (2,) * rank, "pad": (1,) * rank, "adj": (1,) * rank, "num_filter": 6}
    net.op("Deconvolution", "up", [net.var("data")], "weight", "bias", num_group=groups, no_bias=False, **attrs)
    report = multiprof.analyze(files.symbol(net.graph()), (2, 4, *(5,) * rank))
    assert report.graph.outputs[0].shape == (2, 6, *(11,) * rank)
    assert report.macs == 2 * 4 * 5**rank * 4**rank * 6 // groups
    assert report.flops == 2 * report.macs + 2 * 6 * 11**rank
    assert report.graph.parameters["up_weight"].spec.shape == (4, 6 // groups, *(4,) * rank)


def test_deconvolution_to_a_size(files: Any) -> None:
    """target_shape 9 of the 12 there are: 3 too many, so 2 before and behind, and 1 added again."""
    net = files.Net()
    net.op(
        "Deconvolution",
        "up",
        [net.var("data")],
        "weight",
        kernel=(4, 4),
        stride=(2, 2),
        target_shape=(9, 9),
        num_filter=1,
    )
    report = multiprof.analyze(files.symbol(net.graph()), (1, 1, 5, 5))
    layer = report.layers[0].layer
    assert layer.attrs["padding"] == ((2, 2), (2, 2)) and layer.attrs["output_padding"] == (1, 1)
    assert layer.y.shape == (1, 1, 9, 9)
    assert report.macs == 25 * 16


def test_pooling_conventions(files: Any) -> None:
    """112 wide, window 3, stride 2: valid ⌊109/2⌋ + 1, full ⌈109/2⌉ + 1."""
    for convention, size in (("valid", 55), ("full", 56)):
        net = files.Net()
        net.op("Pooling", "pool", [net.var("data")], kernel=(3, 3), stride=(2, 2), pooling_convention=convention)
        report = multiprof.analyze(files.symbol(net.graph()), (1, 2, 112, 112))
        assert report.graph.outputs[0].shape == (1, 2, size, size)
        assert report.flops == 2 * size * size * 8
    net = files.Net()
    net.op("Pooling", "pool", [net.var("data")], kernel=(1, 1), global_pool=True, pool_type="avg")
    assert multiprof.analyze(files.symbol(net.graph()), (1, 2, 7, 7)).flops == 2 * 48 + 2


@pytest.mark.parametrize(("flatten", "features", "rows"), [(True, 12, 2), (False, 4, 6)])
def test_fully_connected(files: Any, flatten: bool, features: int, rows: int) -> None:
    net = files.Net()
    net.op("FullyConnected", "fc", [net.var("data")], "weight", "bias", num_hidden=5, flatten=flatten)
    report = multiprof.analyze(files.symbol(net.graph()), (2, 3, 4))
    assert report.macs == rows * 5 * features
    assert report.params == 5 * features + 5


GATES = {"lstm": 4, "gru": 3, "rnn_tanh": 1, "rnn_relu": 1}


def recurrent(files: Any, mode: str, layers: int, both: bool, projection: int = 0) -> tuple[Any, int, int]:
    """The report of a stack with 5 inputs and 6 units over 7 steps of 2 sequences, its macs and parameters."""
    net = files.Net()
    states = ("state", "state_cell") if mode == "lstm" else ("state",)
    attrs = {"projection_size": projection} if projection else {}
    net.op("RNN", "rnn", [net.var("data")], "parameters", *states, state_size=6, num_layers=layers, bidirectional=both,
           mode=mode, state_outputs=True, **attrs)  # fmt: skip
    heads = [[len(net.nodes) - 1, i, 0] for i in range(1 + len(states))]
    report = multiprof.analyze(files.symbol(net.graph(*heads)), {"data": (7, 2, 5)}, strict=True)
    gates, directions, back = GATES[mode], 2 if both else 1, projection or 6
    macs = parameters = 0
    for level in range(layers):
        below = 5 if level == 0 else directions * back
        weights = gates * 6 * (below + back) + projection * 6
        macs += directions * 7 * 2 * weights
        parameters += directions * (weights + 2 * gates * 6)
    return report, macs, parameters


@pytest.mark.parametrize("mode", GATES)
@pytest.mark.parametrize("layers", [1, 2])
@pytest.mark.parametrize("both", [False, True])
def test_recurrent(files: Any, mode: str, layers: int, both: bool) -> None:
    report, macs, parameters = recurrent(files, mode, layers, both)
    assert (report.macs, report.params) == (macs, parameters)
    op = "rnn" if mode.startswith("rnn") else mode
    stack = [row.layer for row in report.layers if row.layer.op == op]
    assert len(stack) == layers * (2 if both else 1)
    assert all(layer.inputs[role].name == "rnn_parameters" for layer in stack for role in ("weight_ih", "bias_hh"))
    assert stack[0].inputs["weight_ih"].shape == (GATES[mode] * 6, 5)
    assert report.graph.outputs[0].shape == (7, 2, 12 if both else 6)
    assert report.graph.outputs[1].shape == (layers * (2 if both else 1), 2, 6)
    assert report.graph.inputs[0].name == "data"


def test_projected_lstm(files: Any) -> None:
    report, macs, parameters = recurrent(files, "lstm", 2, True, 3)
    assert (report.macs, report.params) == (macs, parameters)
    assert report.graph.outputs[0].shape == (7, 2, 6)


def test_gluons_joined_parameters(files: Any) -> None:
    """Gluon joins matrices and biases of the layer, whose input width it may not know; each layer reads its own."""
    net = files.Net()
    data = net.var("data")
    parts = []
    for name, shape in (("i2h_weight", (24, 0)), ("h2h_weight", (24, 6)), ("i2h_bias", (24,)), ("h2h_bias", (24,))):
        variable = net.var(f"lstm_{name}", __shape__=shape, __init__="zeros")
        parts.append(net.op("Reshape", f"flat_{name}", [variable], shape=(-1,)))
    vector = net.op("_rnn_param_concat", "joined", parts, dim=0, num_args=4)
    x = net.op("RNN", "lstm", [data, vector], "state", "state_cell", state_size=6, num_layers=1, mode="lstm")
    report = multiprof.analyze(files.symbol(net.graph(x)), {"data": (7, 2, 5)}, strict=True)
    assert report.params == 24 * 5 + 24 * 6 + 48
    assert report.macs == 14 * 24 * 11
    (layer,) = [row.layer for row in report.layers]
    assert layer.inputs["weight_ih"].name == "lstm_i2h_weight"


def test_products(files: Any) -> None:
    """A product with a parameter is linear, of two activations a matmul; transposing is free."""
    net = files.Net()
    weight = net.var("weight", __init__="zeros", __shape__="(7, 4)")
    a, b = net.var("a"), net.var("b")
    net.op("dot", "d", [net.op("batch_dot", "bd", [a, b], transpose_b=True), weight], transpose_b=True)
    graph = net.graph()
    graph["nodes"][-1]["op"] = "relu"
    graph["nodes"][-1]["inputs"] = graph["nodes"][-1]["inputs"][:1]
    assert multiprof.analyze(files.symbol(graph), {"a": (3, 2, 5), "b": (3, 4, 5)}).macs == 3 * 2 * 4 * 5
    net = files.Net()
    weight = net.var("weight", __init__="zeros", __shape__="(7, 4)")
    net.op("dot", "d", [net.var("a"), weight], transpose_b=True)
    report = multiprof.analyze(files.symbol(net.graph()), (2, 4))
    assert report.macs == 2 * 7 * 4
    assert report.layers[-1].layer.op == "linear"


def test_attention_of_gluonnlp(files: Any) -> None:
    """Length 5, 2 sequences, 3 heads of 4: scores and values cost N·h·L·L·D each, the scale one product a score."""
    net = files.Net()
    qkv = net.var("qkv")
    scores = net.op("_contrib_interleaved_matmul_selfatt_qk", "qk", [qkv], heads=3)
    soft = net.op("softmax", "soft", [scores])
    net.op("_contrib_interleaved_matmul_selfatt_valatt", "av", [qkv, soft], heads=3)
    report = multiprof.analyze(files.symbol(net.graph()), (5, 2, 36), strict=True)
    assert report.graph.outputs[0].shape == (5, 2, 12)
    assert report.macs == 2 * (2 * 3 * 5 * 5 * 4)
    softmax = 2 * 3 * 5 * (4 + 5 + 5 + 4 + 5)
    assert report.flops == 2 * report.macs + 2 * 3 * 5 * 5 + softmax


@pytest.mark.parametrize(
    ("op", "attrs", "shape"),
    [
        ("Reshape", {"shape": "(0, -1)"}, (2, 60)),
        ("Reshape", {"shape": "(-2,)"}, (2, 3, 4, 5)),
        ("Reshape", {"shape": "(-3, -3)"}, (6, 20)),
        ("Reshape", {"shape": "(-4, 1, 2, -2)"}, (1, 2, 3, 4, 5)),
        ("Reshape", {"shape": "(0, -4, -1, 1, -2)"}, (2, 3, 1, 4, 5)),
        ("Reshape", {"shape": "(-1, 0)", "reverse": "True"}, (24, 5)),
        ("Reshape", {"target_shape": "(2, 0)"}, (2, 60)),
        ("reshape", {"target_shape": "(0, 12, 5)", "keep_highest": "True"}, (2, 12, 5)),
        ("_npx_reshape", {"newshape": "(-2, -5, -4)"}, (2, 12, 5)),
        ("_npx_reshape", {"newshape": "(-6, 1, -1, -4)"}, (1, 2, 3, 4, 5)),
        ("Flatten", {}, (2, 60)),
        ("SwapAxis", {"dim1": "1", "dim2": "3"}, (2, 5, 4, 3)),
        ("transpose", {}, (5, 4, 3, 2)),
        ("slice", {"begin": "(None, 1)", "end": "(None, -1)"}, (2, 1, 4, 5)),
        ("slice", {"begin": "(1, None)", "end": "(None, 0)", "step": "(-1, -1)"}, (2, 2, 4, 5)),
        ("slice_axis", {"axis": "-1", "begin": "-3", "end": "None"}, (2, 3, 4, 3)),
        ("sum", {"axis": "(1, 2)", "exclude": "True"}, (3, 4)),
        ("sum", {}, (1,)),
        ("_np_sum", {}, ()),
        ("tile", {"reps": "(2, 1, 1, 1, 1)"}, (2, 2, 3, 4, 5)),
        ("topk", {"k": "2", "ret_typ": "value"}, (2, 3, 4, 2)),
    ],
)
def test_shapes(files: Any, op: str, attrs: dict[str, str], shape: tuple[int, ...]) -> None:
    net = files.Net()
    net.op(op, "op", [net.var("data")], **attrs)
    report = multiprof.analyze(files.symbol(net.graph()), (2, 3, 4, 5))
    assert report.graph.outputs[0].shape == shape
    assert op in ("sum", "_np_sum", "tile", "topk") or prod(shape) <= 120


def test_shapes_deduced_backwards(files: Any) -> None:
    """The initial state of an unrolled cell is zeros of an unknown batch, which the sum it enters decides."""
    net = files.Net()
    start = net.op("_zeros", "start", [], shape="(0, 4)")
    x = net.op("FullyConnected", "fc", [net.var("data")], "weight", "bias", num_hidden=4)
    hidden = net.op("FullyConnected", "hh", [start], "weight", "bias", num_hidden=4)
    report = multiprof.analyze(files.symbol(net.graph(net.op("elemwise_add", "sum", [x, hidden]))), (3, 5))
    assert report.macs == 3 * 4 * 5 + 3 * 4 * 4


# -- control flow ------------------------------------------------------------------------------------------------------


def scan(files: Any) -> dict[str, Any]:
    """h = fc(x) + h over the first dimension of the data, as MXNet's foreach writes it."""
    inner = files.Net()
    x = inner.op("FullyConnected", "fc", [inner.var("x0")], "weight", "bias", num_hidden=4)
    total = inner.op("elemwise_add", "add", [x, inner.var("h0")])
    body = inner.graph(total, total)
    net = files.Net()
    inputs = [net.var(name) for name in ("data", "h", "fc_weight", "fc_bias")]
    loop = net.op("_foreach", "loop", inputs, num_args=5, num_outputs=2, num_out_data=1,
                  in_data_locs="[0]", in_state_locs="[3]", remain_locs="[1, 2]")  # fmt: skip
    net.nodes[-1]["subgraphs"] = [body]
    return net.graph(loop, [loop[0], 1, 0])


def test_foreach(files: Any) -> None:
    report = multiprof.analyze(files.symbol(scan(files)), {"data": (6, 2, 3)}, strict=True)
    assert report.macs == 6 * 2 * 3 * 4
    assert report.params == 3 * 4 + 4
    assert [spec.shape for spec in report.graph.outputs] == [(6, 2, 4), (2, 4)]
    region = report.graph.regions["loop"]
    assert (region.kind, region.trips, region.stateful) == ("loop", 6, True)
    assert {spec.name: spec.shape for spec in report.graph.inputs} == {"data": (6, 2, 3), "h": (2, 4)}


def test_while_loop(files: Any) -> None:
    """How often it runs depends on values: the bound is advice, and the caller says."""
    test, body, net = files.Net(), files.Net(), files.Net()
    condition = test.graph(test.op("_lesser_scalar", "less", [test.var("i")], scalar=5))
    i, w = body.var("i"), body.var("w")
    product = body.op("dot", "dot", [i, w])
    step = body.op("_plus_scalar", "plus", [i], scalar=1)
    inputs = [net.var("i"), net.var("w")]
    loop = net.op("_while_loop", "loop", inputs, num_args=4, num_outputs=2, num_out_data=1, max_iterations=9,
                  cond_input_locs="[0]", func_input_locs="[0, 1]", func_var_locs="[0]")  # fmt: skip
    net.nodes[-1]["subgraphs"] = [condition, body.graph(product, step)]
    path = files.symbol(net.graph(loop, [loop[0], 1, 0]))
    shapes = {"i": (2, 3), "w": (3, 4)}
    report = multiprof.analyze(path, shapes)
    assert [spec.shape for spec in report.graph.outputs] == [(9, 2, 4), (2, 3)]
    assert report.graph.regions["loop"].trips is None
    assert any("--trips loop=9" in warning for warning in report.warnings)
    assert multiprof.analyze(path, shapes, trips={"loop": 5}).macs == 5 * 2 * 3 * 4


def test_cond(files: Any) -> None:
    """Both branches are shown and the dearer one is counted."""
    parts = []
    for hidden in (3, 8):
        inner = files.Net()
        x = inner.op("FullyConnected", "fc", [inner.var("x")], "weight", no_bias=True, num_hidden=hidden)
        parts.append(inner.graph(inner.op("sum", "sum", [x])))
    test = files.Net()
    test_graph = test.graph(test.op("_copy", "same", [test.var("flag")]))
    net = files.Net()
    inputs = [net.var(name) for name in ("flag", "x", "then_weight", "else_weight")]
    net.op("_cond", "choice", inputs, num_args=7, num_outputs=1, cond_input_locs="[0]",
           then_input_locs="[1, 2]", else_input_locs="[1, 3]")  # fmt: skip
    net.nodes[-1]["subgraphs"] = [test_graph, *parts]
    report = multiprof.analyze(files.symbol(net.graph()), {"x": (2, 5), "flag": (1,)}, strict=True)
    assert report.params == 5 * 3 + 5 * 8
    assert report.macs == 2 * 5 * 8
    assert {region.group for region in report.graph.regions.values()} == {"choice"}


# -- quantised ---------------------------------------------------------------------------------------------------------


def test_quantised_convolution(files: Any) -> None:
    """As many multiply-adds as its float twin, on int8; int32 comes out, and is brought back to int8."""
    net = files.Net()
    q = net.op("_contrib_quantize_v2", "q", [net.var("data")], out_type="int8", min_calib_range=-1, max_calib_range=1)
    low, high = [q[0], 1, 0], [q[0], 2, 0]
    weight = net.var("conv_weight", __dtype__="5")
    ends = [net.var(f"conv_weight_{end}", __shape__="(1,)", __init__="zeros") for end in ("min", "max")]
    conv = net.op(
        "_contrib_quantized_conv", "conv", [q, weight, low, high, *ends], kernel=(3, 3), num_filter=4, no_bias=True
    )
    r = net.op(
        "_contrib_requantize", "r", [conv, [conv[0], 1, 0], [conv[0], 2, 0]], min_calib_range=-1, max_calib_range=1
    )
    net.op("_contrib_dequantize", "d", [r, [r[0], 1, 0], [r[0], 2, 0]])
    report = multiprof.analyze(files.symbol(net.graph()), (1, 3, 8, 8), strict=True)
    assert report.macs == 4 * 6 * 6 * 27
    layers = {row.layer.name: row.layer for row in report.layers}
    assert [layers[name].op for name in ("q", "conv", "r", "d")] == ["quantize", "conv", "requantize", "dequantize"]
    assert layers["conv"].x.dtype == layers["conv"].inputs["weight"].dtype == "int8"
    assert layers["conv"].y.dtype == "int32" and layers["r"].y.dtype == "int8" and layers["d"].y.dtype == "float32"
    assert report.graph.parameters["conv_weight"].kind == "parameter"
