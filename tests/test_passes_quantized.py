"""What runs on integers between a dequantisation and a quantisation, and what does not."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest

from multiprof import engine
from multiprof.cost import Counts, index_formulas
from multiprof.formulas import multiprof_formulas
from multiprof.ir import BUFFER, FOLDED, PREPARED, Graph, Quant, Shape, TensorSpec
from multiprof.passes import default_passes, fold_quantization
from multiprof.report import Report
from multiprof.testing.graphs import GraphBuilder, resnet50

SCALED = Quant((0.5,), (3,))
FORMULAS = index_formulas(multiprof_formulas())


def priced(graph: Graph) -> Report:
    for apply in default_passes:
        graph = apply(graph)
    return engine.price(graph, FORMULAS)


class Net(GraphBuilder):
    """Writes one network in either form: ``pairs`` of dequantize and quantize around real layers, or integer layers."""

    def __init__(self, pairs: bool) -> None:
        super().__init__("net")
        self.pairs = pairs

    def quantize(self, x: TensorSpec, name: str) -> TensorSpec:
        return self.layer("quantize", {"x": x}, name=name, dtype="uint8", quant=SCALED)

    def dequantize(self, x: TensorSpec, name: str) -> TensorSpec:
        return self.layer("dequantize", {"x": x}, name=name, dtype="float32")

    def weight(self, name: str, shape: Shape) -> TensorSpec:
        stored = self.parameter(name, shape, dtype="int8", quant=SCALED)
        return self.dequantize(stored, f"{name}/dequantize") if self.pairs else stored

    def bias(self, name: str, size: int) -> TensorSpec:
        stored = self.parameter(name, (size,), dtype="int32", quant=SCALED)
        return self.dequantize(stored, f"{name}/dequantize") if self.pairs else stored

    def reads(self, x: TensorSpec, name: str) -> TensorSpec:
        return self.dequantize(x, f"{name}/dequantize") if self.pairs else x

    def writes(self, y: TensorSpec) -> TensorSpec:
        return self.quantize(y, f"{y.name}/quantize") if self.pairs else y

    def compute(self, op: str, inputs: dict[str, TensorSpec], y: Shape, name: str, **attrs: object) -> TensorSpec:
        """A layer of real numbers, or the same of the integers that stand for them."""
        if self.pairs:
            return self.layer(op, inputs, y, name=name, dtype="float32", **attrs)
        return self.layer(op, inputs, y, name=name, dtype="uint8", quant=SCALED, **attrs)

    def conv(self, x: TensorSpec, channels: int, k: int, name: str) -> TensorSpec:
        n, c, h, w = (size or 0 for size in x.shape)
        attrs = {"kernel_size": (k, k), "groups": 1, "in_channels": c, "out_channels": channels}
        weights = {
            "weight": self.weight(f"{name}.weight", (channels, c, k, k)),
            "bias": self.bias(f"{name}.bias", channels),
        }
        return self.compute("conv", {"x": self.reads(x, name), **weights}, (n, channels, h, w), name, **attrs)


def residual(pairs: bool) -> Graph:
    """conv, relu, a second conv added to the first one's result, global average pooling, a classifier."""
    net = Net(pairs)
    x = net.quantize(net.input((2, 3, 8, 8)), "in")
    y = net.writes(net.compute("relu", {"x": net.conv(x, 4, 3, "a")}, (2, 4, 8, 8), "a/relu"))
    z = net.writes(net.conv(y, 4, 1, "b"))
    y = net.writes(net.compute("add", {"x0": net.reads(y, "skip"), "x1": net.reads(z, "branch")}, (2, 4, 8, 8), "add"))
    size = {"input_size": (8, 8), "output_size": (1, 1)}
    y = net.writes(net.compute("adaptive_avg_pool", {"x": net.reads(y, "pool")}, (2, 4, 1, 1), "pool", **size))
    y = net.writes(net.compute("reshape", {"x": net.reads(y, "flat")}, (2, 4), "flat"))
    weights = {"weight": net.weight("fc.weight", (5, 4)), "bias": net.bias("fc.bias", 5)}
    y = net.writes(net.compute("linear", {"x": net.reads(y, "fc"), **weights}, (2, 5), "fc", in_features=4))
    return net.graph(net.dequantize(y, "out"))


def test_pairs_cost_what_the_integer_network_costs() -> None:
    pairs, integers = priced(residual(True)), priced(residual(False))
    a, b, fc = 2 * 4 * 64 * 9 * 3, 2 * 4 * 64 * 4, 2 * 5 * 4
    assert pairs.macs == integers.macs == a + b + fc
    y = 2 * 4 * 64
    in_and_out = (1 + 1 + 2) * 2 * 3 * 64 + (1 + 1) * 2 * 5  # 1 div, 1 add, 2 cmps; 1 add, 1 mul
    biases_relu_add = 2 * y + y + y + 2 * 5
    mean = 2 * 4 * 63 + 2 * 4
    assert pairs.flops == integers.flops == 2 * pairs.macs + in_and_out + biases_relu_add + mean
    assert pairs.counts.casts == integers.counts.casts == 2 * 3 * 64


def test_pairs_have_the_types_traffic_and_memory_of_the_integer_network() -> None:
    pairs, integers = priced(residual(True)), priced(residual(False))

    def work(report: Report) -> dict[str, tuple[int, int]]:
        totals = {dtype: (total.macs, total.flops) for dtype, total in report.by_dtype().items()}
        return {dtype: figures for dtype, figures in totals.items() if any(figures)}

    assert work(pairs) == work(integers)
    assert work(pairs)["uint8×int8"][0] == pairs.macs
    assert {row.cost.dot_dtypes for row in pairs.layers if row.cost and row.cost.dot_dtypes} == {
        ("uint8", "int8", "int32")
    }
    assert pairs.traffic_bytes == integers.traffic_bytes
    # integers at the residual addition: both operands and the sum, 2·4·8·8 bytes each
    assert pairs.peak_bytes == integers.peak_bytes
    assert pairs.activation_bytes == integers.activation_bytes


def test_every_pair_within_the_network_is_folded_with_its_reason() -> None:
    report = priced(residual(True))
    states = {row.name: row.state for row in report.layers if row.op in ("quantize", "dequantize")}
    weights = {f"{name}.{role}/dequantize" for name in ("a", "b", "fc") for role in ("weight", "bias")}
    assert {name for name, state in states.items() if state == PREPARED} == weights
    assert {name for name, state in states.items() if state == "priced"} == {"in", "out"}
    folded = report.folded()
    assert {row.name for row in folded} == states.keys() - weights - {"in", "out"}
    assert all(row.flops == 0 and row.bytes == 0 for row in folded)
    assert report.layer("a/relu:y/quantize").reason == "a writes integers itself"
    assert report.layer("skip/dequantize").reason == "add reads the integers themselves"
    # what it would cost on its own stays known: 2·4·8·8 elements, 1 add and 1 mul each
    assert report.layer("skip/dequantize").unfolded is not None
    assert report.layer("skip/dequantize").unfolded.counts == Counts(adds=512, muls=512)


def test_applied_twice_it_changes_nothing_more() -> None:
    graph = residual(True)
    for apply in default_passes:
        graph = apply(graph)
    assert fold_quantization(graph) == graph


def block(op: str = "conv") -> Net:
    """in → dequantize → a → quantize → dequantize → relu, which the model returns."""
    net = Net(True)
    x = net.quantize(net.input((2, 3, 8, 8)), "in")
    if op == "conv":
        y = net.conv(x, 4, 1, "a")
    else:
        weight = net.weight("a.weight", (4, 8))
        y = net.compute("linear", {"x": net.reads(x, "a"), "weight": weight}, (2, 3, 8, 4), "a", in_features=8)
    y = net.reads(net.writes(y), "back")
    net.compute("relu", {"x": y}, y.shape, "act")
    return net


def integer_layers(net: Net, *outputs: TensorSpec) -> set[str]:
    """The layers that run on integers: their main operand is one."""
    graph = net.graph(*outputs, net.layers[-1].y)
    for apply in default_passes:
        graph = apply(graph)
    quant = ("quantize", "dequantize")
    return {layer.name for layer in graph.layers if layer.op not in quant and layer.x.dtype == "uint8"}


def test_a_block_runs_on_integers_and_what_follows_does_not() -> None:
    assert integer_layers(block()) == {"a"}


def _position(net: Net, name: str) -> int:
    return next(number for number, layer in enumerate(net.layers) if layer.name == name)


def _second_reader(net: Net) -> None:
    net.layer("relu", {"x": net.layers[_position(net, "a")].y}, name="second")


def _no_quantize(net: Net) -> None:
    number = _position(net, "a:y/quantize")
    net.layers[_position(net, "act")].inputs["x"] = net.layers[number].x
    del net.layers[number : number + 2]


def _real_weight(net: Net) -> None:
    net.layers[_position(net, "a")].inputs["weight"] = net.parameter("real", (4, 3, 1, 1))


def _real_input(net: Net) -> None:
    net.layers[_position(net, "a")].inputs["x"] = net.inputs[0]


def _op_without_integer_kernel(net: Net) -> None:
    net.layers[_position(net, "a")].op = "layer_norm"
    net.layers[_position(net, "a")].attrs["normalized_size"] = 4


def _something_between(net: Net) -> None:
    number = _position(net, "a:y/quantize")
    y = net.layer("layer_norm", {"x": net.layers[number].x}, name="between", normalized_size=8)
    net.layers[number].inputs["x"] = y
    net.layers.insert(number, net.layers.pop())


def _other_region(net: Net) -> None:
    net.region("loop", "loop", trips=2)
    net.layers[_position(net, "a:y/quantize")].region = "loop"


def _wide_integers(net: Net) -> None:
    number = _position(net, "a/dequantize")
    net.layers[number].inputs["x"] = replace(net.layers[number].x, dtype="int32")
    number = _position(net, "in")
    net.layers[number].outputs["y"] = replace(net.layers[number].y, dtype="int32")


@pytest.mark.parametrize(
    "tweak",
    [
        _second_reader,
        _no_quantize,
        _real_weight,
        _real_input,
        _op_without_integer_kernel,
        _something_between,
        _other_region,
        _wide_integers,
    ],
)
def test_what_does_not_run_on_integers(tweak: Callable[[Net], None]) -> None:
    net = block()
    tweak(net)
    assert integer_layers(net) == set()
    report = priced(net.graph(net.layers[-1].y))
    assert not report.folded()
    assert report.layer("a").cost is not None
    dtypes = report.layer("a").cost.dot_dtypes
    assert dtypes is None or "float32" in dtypes


def test_a_result_that_the_model_returns_stays_real() -> None:
    net = block()
    assert integer_layers(net, net.layers[_position(net, "a")].y) == set()


def test_a_product_with_a_matrix_may_leave_a_real_result() -> None:
    net = block("linear")
    _no_quantize(net)
    report = priced(net.graph(net.layers[-1].y))
    row = report.layer("a")
    assert row.cost is not None
    assert row.cost.dot_dtypes == ("uint8", "int8", "int32")
    assert row.layer.y.dtype == "float32"
    # 2·3·8·8 input and 4·8 weight bytes; 2·3·8·4 results of 4 bytes
    assert (row.bytes_read, row.bytes_written) == (384 + 32, 192 * 4)
    assert [row.name for row in report.folded()] == ["a/dequantize"]


def test_a_dequantisation_with_another_reader_is_work_of_its_own() -> None:
    net = block()
    shared = net.layers[_position(net, "a/dequantize")].y
    net.layer("exp", {"x": shared}, name="real")
    report = priced(net.graph(net.layers[-1].y))
    assert report.layer("a/dequantize").state == "priced"
    assert report.layer("a").cost is not None
    assert report.layer("a").cost.dot_dtypes == ("uint8", "int8", "int32")
    assert report.layer("real").layer.x.dtype == "float32"


def test_a_folded_norm_between_takes_part() -> None:
    """conv → batch norm → relu → quantize: one integer kernel, whose weights hold the norm."""
    net = block()
    number = _position(net, "a:y/quantize")
    y = net.layers[number].x
    stats = {role: net.parameter(f"norm.{role}", (4,), BUFFER) for role in ("mean", "var")}
    y = net.layer("batch_norm", {"x": y, **stats}, name="norm", channels=4)
    y = net.layer("relu", {"x": y}, name="first")
    net.layers[number].inputs["x"] = y
    net.layers[number:number] = [net.layers.pop(-2), net.layers.pop(-1)]
    report = priced(net.graph(net.layers[-1].y))
    assert {row.name: row.reason for row in report.folded()} == {
        "a/dequantize": "a reads the integers themselves",
        "norm": "merges into a at inference",
        "a:y/quantize": "a writes integers itself",
    }
    assert report.layer("first").layer.y.dtype == "uint8"


@pytest.mark.parametrize("returned", [False, True])
def test_what_moves_data_moves_integers_where_its_readers_take_them(returned: bool) -> None:
    """dequantize → reshape → linear → relu → reshape → quantize, and the same with the first reshape returned."""
    net = Net(True)
    x = net.quantize(net.input((2, 3, 4)), "in")
    flat = net.compute("reshape", {"x": net.reads(x, "flat")}, (2, 12), "flat")
    y = net.compute("linear", {"x": flat, "weight": net.weight("w", (6, 12))}, (2, 6), "fc", in_features=12)
    y = net.compute("reshape", {"x": net.compute("relu", {"x": y}, (2, 6), "act")}, (2, 3, 2), "back")
    y = net.reads(net.writes(y), "out")
    report = priced(net.graph(y, *([flat] if returned else [])))
    dtypes = {name: report.layer(name).layer.y.dtype for name in ("flat", "fc", "act", "back")}
    assert dtypes == {"flat": "float32" if returned else "uint8", "fc": "uint8", "act": "uint8", "back": "uint8"}
    row = report.layer("fc")
    assert row.cost is not None
    assert row.cost.dot_dtypes == ("uint8", "int8", "int32")
    assert {row.name for row in report.folded()} == {"back:y/quantize"} | (set() if returned else {"flat/dequantize"})


def test_every_piece_of_a_split_must_be_quantised() -> None:
    net = Net(True)
    x = net.reads(net.quantize(net.input((2, 6)), "in"), "cut")
    net.layer("split", {"x": x}, name="cut", outputs={"y0": (2, 2), "y1": (2, 4)}, axis=1, sizes=(2, 4))
    first, second = net.layers[-1].outputs.values()
    a = net.reads(net.writes(first), "a")
    graph = net.graph(a, net.reads(net.writes(second), "b"))
    assert {row.name for row in priced(graph).folded()} == {"cut/dequantize", "cut:y0/quantize", "cut:y1/quantize"}
    net.layer("relu", {"x": second}, name="real")
    graph = net.graph(a, net.layers[-1].y)
    assert not priced(graph).folded()


def test_weights_that_are_turned_after_dequantisation() -> None:
    """A weight may be moved about, ahead of time, before it is used."""
    net = Net(True)
    x = net.reads(net.quantize(net.input((2, 3)), "in"), "fc")
    turned = net.layer("transpose", {"x": net.weight("w", (4, 3))}, (3, 4), name="turn", perm=(1, 0))
    y = net.compute("linear", {"x": x, "weight": turned}, (2, 4), "fc", in_features=3)
    report = priced(net.graph(net.reads(net.writes(y), "out")))
    assert report.layer("turn").state == PREPARED
    row = report.layer("fc")
    assert row.cost is not None
    assert row.cost.dot_dtypes == ("uint8", "int8", "int32")


def test_integers_of_another_scale_are_no_pair() -> None:
    """An integer layer followed by a change of scale, as TFLite writes it: nothing here was real."""
    net = Net(False)
    x = net.quantize(net.input((2, 3)), "in")
    y = net.compute("linear", {"x": x, "weight": net.weight("w", (4, 3))}, (2, 4), "fc", in_features=3)
    y = net.layer("quantize", {"x": y}, name="again", dtype="int8", quant=SCALED)
    net.layer("softmax", {"x": net.dequantize(y, "out")}, name="real", n=4)
    graph = net.graph(net.layers[-1].y)
    assert fold_quantization(graph) is graph
    assert not priced(graph).folded()


def test_weights_that_are_integers_as_they_stand() -> None:
    """Activations in pairs, weights stored without one."""
    net = Net(True)
    x = net.reads(net.quantize(net.input((2, 3)), "in"), "fc")
    weight = net.parameter("w", (4, 3), dtype="int8", quant=SCALED)
    y = net.compute("linear", {"x": x, "weight": weight}, (2, 4), "fc", in_features=3)
    report = priced(net.graph(net.reads(net.writes(y), "out")))
    assert {row.name for row in report.folded()} == {"fc/dequantize", "fc:y/quantize"}


def test_weights_alone_being_integers_change_nothing() -> None:
    """Weights stored as integers, activations real: products of real numbers."""
    net = Net(True)
    y = net.compute("linear", {"x": net.input((2, 3)), "weight": net.weight("w", (4, 3))}, (2, 4), "fc", in_features=3)
    graph = net.graph(y)
    assert fold_quantization(graph) is graph
    assert [row.state for row in priced(graph).layers] == [PREPARED, "priced"]


def test_a_network_of_real_numbers_is_returned_as_it_is() -> None:
    graph = resnet50()
    assert fold_quantization(graph) is graph


def test_marks_name_hosts_that_exist() -> None:
    graph = residual(True)
    for apply in default_passes:
        graph = apply(graph)
    names = {layer.name for layer in graph.layers}
    assert all(mark.host in names for mark in graph.marks.values() if mark.state == FOLDED)
