"""price(): the five states, what is refused, and whole networks against numbers worked by hand."""

from __future__ import annotations

from collections.abc import Callable
from copy import deepcopy
from dataclasses import replace
from typing import Any

import pytest

from multiprof.cost import Cost, Counts, Formula, elementwise, formula, free, index_formulas
from multiprof.engine import accumulator, dot_dtypes, price
from multiprof.errors import (
    FormulaClashError,
    FormulaError,
    ModelError,
    PluginError,
    UnknownDimensionError,
    UnsupportedOpError,
)
from multiprof.formulas import multiprof_formulas
from multiprof.ir import FOLDED, PREPARED, Layer, Mark, TensorSpec
from multiprof.passes import fold_batch_norm
from multiprof.testing.graphs import GraphBuilder, resnet50

BUILT_IN = index_formulas(multiprof_formulas())


@formula("linear")
def linear(layer: Layer) -> Cost:
    """dot: |y|·C_i macs"""
    return Cost({"dot": Counts(macs=layer.y.numel * layer.attrs["in_features"], dots=layer.y.numel)})


relu = elementwise("relu", cmps=1).supplied_by("one")
FORMULAS: dict[str, Formula] = {"linear": linear, "relu": relu, "reshape": free("reshape", reason="a view")}


def net() -> GraphBuilder:
    """linear 3 → 4 on a batch of 2, relu, a view, an op nobody knows."""
    net = GraphBuilder("net")
    x = net.input((2, 3))
    y = net.layer("linear", {"x": x, "weight": net.parameter("w", (4, 3))}, (2, 4), name="fc", in_features=3)
    y = net.layer("relu", {"x": y}, name="act")
    y = net.layer("reshape", {"x": y}, (8,), name="flat", alias="view")
    net.layer("toy.mystery", {"x": y, "table": net.parameter("table", (5,))}, (7,), name="odd")
    return net


def test_each_layer_has_its_cost_state_and_reason() -> None:
    report = price(net().graph(), FORMULAS)
    fc, act, flat, odd = report.layers
    # 2·4 outputs of 3 products each; reads 2·3 + 4·3 elements of 4 bytes, writes 2·4
    assert (fc.state, fc.reason, fc.macs, fc.flops) == ("priced", "", 24, 48)
    assert (fc.bytes_read, fc.bytes_written) == (72, 32)
    assert (act.state, act.macs, act.flops, act.provider) == ("priced", 0, 8, "one")
    assert (flat.state, flat.reason, flat.flops, flat.bytes) == ("free", "a view", 0, 0)
    assert (odd.state, odd.reason, odd.cost, odd.macs, odd.flops, odd.bytes) == (
        "unsupported",
        "no formula",
        None,
        None,
        None,
        None,
    )
    assert (report.macs, report.flops) == (24, 56)
    assert report.coverage == 0.75
    assert report.unsupported() == {"toy.mystery": ["odd"]}


def test_the_graph_is_left_as_it_was_and_prices_alike_twice() -> None:
    graph = net().graph()
    before = deepcopy(graph)
    assert price(graph, FORMULAS) == price(graph, FORMULAS)
    assert graph == before


def test_an_upper_bound_is_said_at_its_layer_and_once_for_all() -> None:
    @formula("relu", bound=lambda layer: "an upper bound: luck" if layer.name == "act" else "")
    def lucky(layer: Layer) -> Cost:
        """luck: |y| cmps"""
        return Cost({"luck": Counts(cmps=layer.y.numel)})

    two = net()
    del two.layers[2:]
    two.layer("relu", {"x": two.layers[-1].y}, name="sure")
    report = price(two.graph(), FORMULAS | {"relu": lucky})
    assert [(row.state, row.reason) for row in report.layers[1:]] == [
        ("priced", "an upper bound: luck"),
        ("priced", ""),
    ]
    assert report.warnings == ("upper bounds, since the work depends on values: relu",)
    assert price(two.graph(), FORMULAS).warnings == ()


def test_a_bound_that_fails_is_an_error_of_its_formula() -> None:
    unlucky = replace(relu, bound=lambda layer: str(layer.attrs["missing"]))
    with pytest.raises(FormulaError, match="layer act: the formula of one for op relu failed: KeyError: 'missing'"):
        price(net().graph(), FORMULAS | {"relu": unlucky})


def test_what_a_folded_quantisation_leaves_is_nothing() -> None:
    quantised = net()
    y = quantised.layers[0].y
    quantised.layers[1:] = []
    quantised.layer("quantize", {"x": y}, name="q", dtype="int8")
    graph = replace(quantised.graph(), marks={"q": Mark(FOLDED, "fc writes integers itself", "fc")})
    row = price(graph, BUILT_IN).layer("q")
    assert (row.state, row.flops) == ("folded", 0)
    assert row.unfolded == Cost({"quantize": Counts(divs=8, adds=8, cmps=16, casts=8)})


def test_strict_names_ops_reasons_and_layers() -> None:
    tweaked = net()
    for n in range(4):
        tweaked.layer("toy.other", {"x": tweaked.inputs[0]}, name=f"other{n}")
    with pytest.raises(UnsupportedOpError) as raised:
        price(tweaked.graph(), FORMULAS, strict=True)
    assert str(raised.value) == (
        "net has ops without a cost: toy.mystery (no formula; layer odd); "
        "toy.other (no formula; layer other0, other1, other2 and 1 more)"
    )
    del tweaked.layers[3:]
    assert price(tweaked.graph(), FORMULAS, strict=True).coverage == 1


def test_two_formulas_for_an_op_clash_only_where_it_is_priced() -> None:
    table: dict[str, Any] = {**FORMULAS, "toy.mystery": [relu, linear.supplied_by("two")], "unused": [relu, relu]}
    with pytest.raises(FormulaClashError, match=r"op toy.mystery \(layer odd\) has 2 formulas, from one and two"):
        price(net().graph(), table)
    calm = net()
    del calm.layers[3:]
    assert price(calm.graph(), table).coverage == 1


def test_lists_of_one_and_of_none() -> None:
    report = price(net().graph(), {"linear": [linear], "relu": (relu,), "reshape": []})
    assert [row.state for row in report.layers] == ["priced", "priced", "unsupported", "unsupported"]


@pytest.mark.parametrize("wrong", [3, "relu", [3], lambda layer: Cost()])
def test_what_is_no_formula(wrong: Any) -> None:
    with pytest.raises(PluginError, match=r"op relu: .* is no Formula"):
        price(net().graph(), {"relu": wrong, "linear": linear})


def _unknown_dimension(layer: Layer) -> Cost:
    raise UnknownDimensionError("the number of boxes is data-dependent")


def _arithmetic_on_none(layer: Layer) -> Cost:
    return Cost({"x": Counts(adds=layer.y.shape[0] * 2)})  # type: ignore[operator]  # what is tested


def _unknown_mode(layer: Layer) -> Cost:
    raise UnsupportedOpError(f"layer {layer.name}: boxes has no formula for the mode 'soft'")


@pytest.mark.parametrize(
    ("work", "reason"),
    [
        (_unknown_mode, "boxes has no formula for the mode 'soft'"),
        (_unknown_dimension, "shape: the number of boxes is data-dependent"),
        (_arithmetic_on_none, r"shape: tensor l:y has the data-dependent shape (None, 4)"),
        (relu.price, "shape: tensor l:y has the data-dependent shape (None, 4)"),
    ],
)
def test_what_a_formula_cannot_price_is_unsupported_and_says_why(work: Callable[[Layer], Cost], reason: str) -> None:
    net = GraphBuilder()
    net.layer("boxes", {"x": net.input((3,))}, (None, 4), name="l")
    (row,) = price(net.graph(), {"boxes": Formula(("boxes",), work, "", provider="p")}).layers
    assert (row.state, row.reason, row.cost, row.bytes, row.provider) == ("unsupported", reason, None, None, "p")


def test_a_free_layer_of_unknown_size_is_free_and_its_traffic_unknown() -> None:
    net = GraphBuilder()
    net.layer("reshape", {"x": net.input((None,))}, (None, 1), name="l")
    report = price(net.graph(), FORMULAS)
    assert (report.layers[0].state, report.layers[0].bytes) == ("free", None)
    assert report.traffic_bytes is None
    assert report.coverage == 1


def _missing_attribute(layer: Layer) -> Cost:
    return Cost({"x": Counts(adds=layer.attrs["size"])})


def _type_error_of_its_own(layer: Layer) -> Cost:
    return Cost({"x": Counts(adds=len(3))})  # type: ignore[arg-type]  # what is tested


@pytest.mark.parametrize(
    ("work", "message"),
    [
        (_missing_attribute, "failed: KeyError: 'size'"),
        (_type_error_of_its_own, "failed: TypeError: object of type 'int' has no len"),
        (lambda layer: None, "gives None: it takes a Cost"),
        (lambda layer: 7, "gives 7: it takes a Cost"),
        (lambda layer: Cost({"x": 7}), "it takes a Cost whose counts are integers"),
        (lambda layer: Cost({"x": Counts(macs=-1)}), "integers from 0 on"),
        (lambda layer: Cost({"x": Counts(casts=-1)}), "integers from 0 on"),
        (lambda layer: Cost({"x": Counts(adds=1.5)}), "integers from 0 on"),  # type: ignore[arg-type]
        (lambda layer: Cost({"x": Counts(exps=None)}), "integers from 0 on"),  # type: ignore[arg-type]
    ],
)
def test_a_formula_that_fails_is_named_with_its_op_and_layer(work: Any, message: str) -> None:
    table = {**FORMULAS, "relu": Formula(("relu",), work, "", provider="somebody")}
    with pytest.raises(FormulaError, match=message) as raised:
        price(net().graph(), table)
    assert str(raised.value).startswith("layer act: the formula of somebody for op relu ")


def test_a_failing_traffic_is_the_formulas_fault_too() -> None:
    def traffic(layer: Layer) -> tuple[int, int]:
        return layer.attrs["read"], 0

    table = {**FORMULAS, "relu": elementwise("relu", traffic=traffic, cmps=1)}
    with pytest.raises(FormulaError, match=r"layer act: .*an unnamed provider.* KeyError: 'read'"):
        price(net().graph(), table)


def test_a_tensor_from_nowhere_is_refused() -> None:
    broken = net()
    broken.layers[1].inputs["x"] = TensorSpec((2, 4), name="ghost")
    with pytest.raises(ModelError, match="layer act reads 'ghost' as x, which comes from nowhere"):
        price(broken.graph(), FORMULAS)


@pytest.mark.parametrize(("bias", "adds"), [(False, 2 * 4), (True, 0)])
def test_a_folded_layer_costs_the_bias_its_host_lacks(bias: bool, adds: int) -> None:
    folding = GraphBuilder()
    x = folding.input((2, 3))
    inputs = {"x": x, "weight": folding.parameter("w", (4, 3))}
    if bias:
        inputs["bias"] = folding.parameter("b", (4,))
    y = folding.layer("linear", inputs, (2, 4), name="fc", in_features=3)
    folding.layer("batch_norm", {"x": y}, name="norm")
    graph = replace(folding.graph(), marks={"norm": Mark(FOLDED, "merges into fc", "fc")})
    norm = elementwise("batch_norm", term="affine", muls=1, adds=1)
    row = price(graph, {"linear": linear, "batch_norm": norm}).layer("norm")
    assert (row.state, row.reason, row.flops) == ("folded", "merges into fc", adds)
    assert row.unfolded == Cost({"affine": Counts(muls=8, adds=8)})
    assert row.bytes == 64  # memory is that of the graph as it stands


def test_a_mark_on_a_host_that_is_not_there() -> None:
    graph = replace(net().graph(), marks={"act": Mark(FOLDED, "", "gone")})
    with pytest.raises(ModelError, match="layer act is marked as folded into 'gone'"):
        price(graph, FORMULAS)


def test_prepared_layers_stand_apart_with_their_cost() -> None:
    preparing = GraphBuilder()
    w = preparing.parameter("w", (4, 3))
    v = preparing.layer("linear", {"x": w, "weight": preparing.parameter("v", (3, 3))}, (4, 3), name="p", in_features=3)
    preparing.layer("linear", {"x": preparing.input((2, 3)), "weight": v}, (2, 4), name="fc", in_features=3)
    graph = replace(preparing.graph(), marks={"p": Mark(PREPARED, "weights alone")})
    report = price(graph, FORMULAS)
    assert (report.layer("p").state, report.layer("p").reason, report.layer("p").macs) == (
        "prepared",
        "weights alone",
        36,
    )
    assert report.macs == 24
    assert report.traffic_bytes == report.layer("fc").bytes
    assert [row.name for row in report.prepared()] == ["p"]
    assert report.coverage == 1
    assert report.warnings == ("layers that compute from weights alone hold 36 macs, which are not in the totals",)


def test_a_prepared_layer_without_a_formula_is_unsupported_all_the_same() -> None:
    graph = replace(net().graph(), marks={"odd": Mark(PREPARED, "")})
    assert price(graph, FORMULAS).layer("odd").state == "unsupported"


@pytest.mark.parametrize(
    ("left", "right", "expected"),
    [
        ("float32", "float32", "float32"),
        ("float64", "float32", "float64"),
        ("float16", "float16", "float32"),
        ("bfloat16", "bfloat16", "float32"),
        ("float8_e4m3fn", "float8_e5m2", "float32"),
        ("int8", "int8", "int32"),
        ("uint8", "int8", "int32"),
        ("int4", "int8", "int32"),
        ("int32", "int32", "int32"),
        ("int64", "int32", "int64"),
        ("float16", "int4", "float32"),
        ("int8", "float64", "float64"),
        ("complex64", "complex64", "complex64"),
    ],
)
def test_accumulators(left: str, right: str, expected: str) -> None:
    assert accumulator(left, right) == expected


def test_the_engine_fills_in_the_types_of_dot_products() -> None:
    half = GraphBuilder(dtype="float16")
    x, w = half.input((2, 3)), half.parameter("w", (4, 3), dtype="int4")
    y = half.layer("linear", {"x": x, "weight": w}, (2, 4), in_features=3)
    half.layer("relu", {"x": y})
    report = price(half.graph(), FORMULAS)
    assert report.layers[0].cost is not None
    assert report.layers[0].cost.dot_dtypes == ("float16", "int4", "float32")
    assert report.layers[1].cost is not None
    assert report.layers[1].cost.dot_dtypes is None


def test_a_formula_may_say_the_types_itself() -> None:
    said = ("int8", "int8", "int64")
    shared = Cost({"dot": Counts(macs=1)}, said)
    table = {**FORMULAS, "linear": Formula(("linear",), lambda layer: shared, "")}
    assert price(net().graph(), table).layers[0].cost == shared


def test_a_cost_that_a_formula_hands_out_again_and_again_stays_as_it_is() -> None:
    shared = Cost({"dot": Counts(macs=1)})
    table = {**FORMULAS, "linear": Formula(("linear",), lambda layer: shared, "")}
    row = price(net().graph(), table).layers[0]
    assert row.cost is not None
    assert row.cost.dot_dtypes == ("float32", "float32", "float32")
    assert shared == Cost({"dot": Counts(macs=1)})


def test_types_of_layers_with_few_operands() -> None:
    spec = TensorSpec((1,), "float16", "x")
    assert dot_dtypes(Layer("l", "einsum", {"x0": spec}, {"y": TensorSpec((1,))})) == ("float16", "float16", "float32")
    assert dot_dtypes(Layer("l", "op", {}, {"y": spec})) == ("float16", "float16", "float32")


def test_warnings_of_reader_and_caller_each_once_in_order() -> None:
    graph = replace(net().graph(), metadata={"warnings": ["first", "second"]})
    assert price(graph, FORMULAS, warnings=("second", "third")).warnings == ("first", "second", "third")


def test_what_the_caller_says_of_the_origin_is_kept() -> None:
    report = price(
        net().graph(),
        FORMULAS,
        convention="other",
        tool={"name": "t", "version": "1"},
        environment={"python": "3"},
        model={"format": "onnx", "file_bytes": 7},
    )
    assert (report.convention, report.tool, report.environment) == (
        "other",
        {"name": "t", "version": "1"},
        {"python": "3"},
    )
    assert (report.file_bytes, report.model["format"]) == (7, "onnx")


def test_an_empty_graph() -> None:
    report = price(GraphBuilder().graph(), {})
    assert (report.macs, report.flops, report.params, report.coverage, report.peak_bytes) == (0, 0, 0, 1.0, 0)


def test_resnet50_by_hand() -> None:
    """The arithmetic of every term, with the layers of He et al. 2016, table 1; stride in the 3×3 convolution.

    A bottleneck of width w at h×h has w·4w (1×1), 9·w² (3×3) and 4w·w (1×1) macs a pixel; the first of a stage takes
    its first convolution at the size before the stride, and has a 1×1 convolution on its skip path.
    """

    def stage(c_in: int, w: int, blocks: int, before: int, after: int) -> int:
        first = c_in * w * before**2 + (9 * w * w + 4 * w * w + c_in * 4 * w) * after**2
        return first + (blocks - 1) * (4 * w * w + 9 * w * w + 4 * w * w) * after**2

    macs = 49 * 3 * 64 * 112**2
    macs += stage(64, 64, 3, 56, 56) + stage(256, 128, 4, 56, 28) + stage(512, 256, 6, 28, 14)
    macs += stage(1024, 512, 3, 14, 7) + 2048 * 1000
    assert macs == 4_089_184_256

    def outputs(w: int, blocks: int, before: int, after: int) -> dict[str, int]:
        inner = w * before**2 + w * after**2 + (blocks - 1) * 2 * w * after**2  # of the first two convolutions
        outer = 4 * w * after**2 * blocks
        return {"norms": inner + outer + 4 * w * after**2, "relus": inner + outer, "sums": outer}

    stages = [outputs(64, 3, 56, 56), outputs(128, 4, 56, 28), outputs(256, 6, 28, 14), outputs(512, 3, 14, 7)]
    stem = 64 * 112**2
    norms = stem + sum(s["norms"] for s in stages)
    relus = stem + sum(s["relus"] for s in stages)
    sums = sum(s["sums"] for s in stages)
    assert (norms, relus, sums) == (11_113_984, 9_608_704, 5_519_360)
    pooled = 64 * 56**2 * 8  # 3×3 windows: 8 comparisons
    average = 2048 * 48  # 7×7 windows: 48 additions and one division

    report = price(fold_batch_norm(resnet50()), BUILT_IN)
    assert report.counts == Counts(
        macs=macs,
        dots=norms + 1000,  # as many as there are outputs of convolutions and of the classifier
        adds=norms + sums + average + 1000,
        cmps=relus + pooled,
        divs=2048,
    )
    assert report.macs == 4_089_184_256
    assert report.flops == 8_206_317_544
    assert report.params == 25_557_032
    assert report.buffers == 53_120
    assert report.peak_bytes == 9_633_792
    assert report.coverage == 1
    assert len(report.folded()) == 53
    assert not report.warnings


def test_resnet50_with_the_stride_in_the_first_convolution() -> None:
    """3,857,973,248 macs, as in the paper's (and Keras's) variant."""
    assert price(resnet50(stride_in_first=True), BUILT_IN).macs == 3_857_973_248


def test_cost_is_linear_in_the_batch() -> None:
    one, four = (price(fold_batch_norm(resnet50(batch)), BUILT_IN) for batch in (1, 4))
    assert four.counts == 4 * one.counts
    assert four.params == one.params
    assert four.peak_bytes == 4 * 9_633_792
    assert (four.batch, four.macs_per_sample, four.flops_per_sample) == (4, one.macs, one.flops)


def test_of_very_many_warnings_the_first_are_kept_and_the_rest_counted():
    report = price(GraphBuilder("net").graph(), {}, warnings=[f"note {n}" for n in range(150)] * 2)
    assert report.warnings == (*(f"note {n}" for n in range(100)), "… and 50 more warnings")
