"""What a Report says about a small net worked by hand."""

from __future__ import annotations

import sys
from collections.abc import Callable
from dataclasses import replace
from fractions import Fraction
from types import ModuleType
from typing import Any

import pytest

from multiprof import report as report_module
from multiprof.cost import Cost, Counts, Formula, elementwise, formula, free
from multiprof.engine import price
from multiprof.errors import UsageError
from multiprof.ir import BUFFER, CONSTANT, FOLDED, Layer, Mark
from multiprof.measurement import Measurement
from multiprof.memory import Peak
from multiprof.receptive_field import ReceptiveField
from multiprof.report import Report
from multiprof.testing.graphs import GraphBuilder


@formula("conv")
def conv(layer: Layer) -> Cost:
    """dot: |y|·K·C_i macs"""
    return Cost({"dot": Counts(macs=layer.y.numel * 9 * 3, dots=layer.y.numel)})


FORMULAS: dict[str, Formula] = {
    "conv": conv,
    "batch_norm": elementwise("batch_norm", muls=1, adds=1),
    "relu": elementwise("relu", cmps=1),
    "reshape": free("reshape", reason="a view"),
}


def builder() -> GraphBuilder:
    """conv 3×3, 3 → 4 channels on 2 images of 8×8, norm (folded), in-place relu, flatten, and an op nobody knows."""
    net = GraphBuilder("small")
    x = net.input((2, 3, 8, 8))
    w = net.parameter("conv.weight", (4, 3, 3, 3), tied=("head.weight", "tail.weight"))
    y = net.layer(
        "conv", {"x": x, "weight": w}, (2, 4, 8, 8), name="conv", scope="stem.conv", kernel_size=(3, 3), stride=(1, 1)
    )
    affine = {role: net.parameter(f"norm.{role}", (4,), trainable=False) for role in ("weight", "bias")}
    stats = {role: net.parameter(f"norm.{role}", (4,), BUFFER) for role in ("mean", "var")}
    y = net.layer("batch_norm", {"x": y, **affine, **stats}, name="norm", scope="stem.norm")
    y = net.layer("relu", {"x": y}, name="act", scope="stem", alias="write")
    y = net.layer("reshape", {"x": y}, (2, 256), name="flat", alias="view")
    table = {"table": net.parameter("table", (5, 5)), "extra": net.parameter("fixed", (10,), CONSTANT, dtype="int64")}
    net.layer("toy.mystery", {"x": y, **table}, (2, 7), name="odd", scope="head")
    net.parameter("spare", (3,))
    return net


def make(**metadata: Any) -> Report:
    net = builder()
    graph = net.graph(net.layers[-1].y, **metadata)
    return price(replace(graph, marks={"norm": Mark(FOLDED, "merges into conv", "conv")}), FORMULAS)


def test_counts_are_those_of_what_counts() -> None:
    report = make()
    # conv: 2·4·64 outputs of 27 products; the folded norm is a bias addition each; relu a comparison each
    assert report.counts == Counts(macs=512 * 27, dots=512, adds=512, cmps=512)
    assert report.macs == 13_824
    assert report.flops == 2 * 13_824 + 512 + 512
    assert report.total.layers == 5
    assert report.total.unsupported == 1


def test_parameters_by_kind() -> None:
    report = make()
    assert report.params == 108 + 4 + 4 + 25 + 3
    assert report.trainable_params == 108 + 25 + 3
    assert report.params_duplicated == report.params + 2 * 108
    assert report.buffers == 8
    assert (report.weight_bytes, report.buffer_bytes, report.constant_bytes) == (4 * 144, 4 * 8, 8 * 10)
    assert report.unused_parameters() == ["spare"]
    assert [p.name for p in report.layer_params("norm")] == ["norm.weight", "norm.bias"]
    assert report.layer_params("act") == []


def test_trainable_is_unknown_when_the_source_does_not_say() -> None:
    net = builder()
    net.parameter("whatever", (1,), trainable=None)
    assert price(net.graph(), FORMULAS).trainable_params is None


def test_a_weight_that_the_model_returns_is_used() -> None:
    net = builder()
    assert price(net.graph(net.parameters["spare"].spec), FORMULAS).unused_parameters() == []


def test_memory() -> None:
    report = make()
    image = 2 * 4 * 64 * 4  # bytes of conv's output, and of the norm's
    assert report.activation_bytes == image + image + 2 * 7 * 4
    assert report.space_elements == report.params + 512 + 512 + 14
    tensors = (("conv:y", image, (2, 4, 8, 8)), ("norm:y", image, (2, 4, 8, 8)))
    assert report.peak == Peak(2 * image, "norm", tensors)
    assert report.peak_bytes == 2 * image
    # conv reads its input and weight, norm its input and four vectors, relu its input; each writes an image
    assert report.traffic_bytes == (2 * 3 * 64 * 4 + 108 * 4) + (image + 64) + image + 3 * image


def test_coverage_says_what_touches_the_unknown() -> None:
    report = make()
    assert report.coverage == 1 - 1 / 5
    assert report.coverage_details == {
        "layers": 5,
        "unsupported_layers": 1,
        "unsupported_weight_bytes": 25 * 4,
        "unsupported_output_bytes": 2 * 7 * 4,
    }
    assert report.unsupported() == {"toy.mystery": ["odd"]}
    assert [row.name for row in report.folded()] == ["norm"]
    assert report.prepared() == []


def test_unknown_sizes_are_none() -> None:
    net = builder()
    net.layer("nonzero", {"x": net.inputs[0]}, (None, 4))
    report = price(net.graph(), FORMULAS)
    assert (report.peak, report.peak_bytes, report.activation_bytes, report.space_elements) == (None,) * 4
    assert report.coverage_details["unsupported_output_bytes"] is None


@pytest.mark.parametrize(
    ("query", "keys"),
    [
        (lambda r: r.by_op(), ["conv", "batch_norm", "relu", "reshape", "toy.mystery"]),
        (lambda r: r.by_family(), ["convolution", "normalization", "activation", "shape", "toy.mystery"]),
        (lambda r: r.by_scope(), ["stem.conv", "stem.norm", "stem", "", "head"]),
        (lambda r: r.by_scope(0), [""]),
        (lambda r: r.by_scope(1), ["stem", "", "head"]),
        (lambda r: r.by_scope(2), ["stem.conv", "stem.norm", "stem", "", "head"]),
        (lambda r: r.by_dtype(), ["float32"]),
    ],
)
def test_groups_add_up_to_the_whole(query: Callable[[Report], dict[str, Any]], keys: list[str]) -> None:
    report = make()
    groups = query(report)
    assert list(groups) == keys
    for field in ("layers", "unsupported", "macs", "flops", "bytes_read", "bytes_written"):
        assert sum(getattr(total, field) for total in groups.values()) == getattr(report.total, field), field
    assert sum(total.params for total in groups.values()) == report.params - 3  # the unused ones


def test_modules() -> None:
    found = make().modules()
    assert list(found) == ["", "stem", "stem.conv", "stem.norm", "head"]
    assert (found[""].layers, found["stem"].layers, found["stem"].macs, found["stem"].params) == (5, 3, 13_824, 116)


def test_a_negative_depth() -> None:
    with pytest.raises(UsageError, match="the depth -1 is negative"):
        make().by_scope(-1)


def test_a_layer_by_name_and_the_nearest_names_otherwise() -> None:
    report = make()
    assert report.layer("conv").op == "conv"
    with pytest.raises(UsageError, match=r"^small has no layer 'convs'; did you mean conv\?$"):
        report.layer("convs")
    with pytest.raises(UsageError, match=r"^small has no layer 'zzzzzz'$"):
        report.layer("zzzzzz")


def test_receptive_fields() -> None:
    report = make()
    assert report.receptive_field("act") == ReceptiveField((3, 3), (Fraction(1), Fraction(1)))
    assert report.receptive_field("flat") is None
    with pytest.raises(UsageError, match="no layer"):
        report.receptive_field("gone")


@pytest.mark.parametrize(
    ("declared", "batch"),
    [({}, None), ({"batch": True}, 2), ({"batch": 6}, 6), ({"batch": False}, None), ({"batch": 0}, None)],
)
def test_figures_per_sample_where_the_batch_is_declared(declared: dict[str, Any], batch: int | None) -> None:
    report = make(**declared)
    assert report.batch == batch
    assert report.macs_per_sample == (None if batch is None else 13_824 // batch)
    assert report.flops_per_sample == (None if batch is None else 28_672 / batch)


def test_a_batch_nobody_knows() -> None:
    for shape in ((), (None, 3)):
        net = GraphBuilder()
        net.input(shape)
        assert price(net.graph(batch=True), {}).batch is None
    assert price(GraphBuilder().graph(batch=True), {}).batch is None


def test_names_and_origin() -> None:
    report = replace(make(), model={"name": "not this", "framework": "nor this", "digest": "nor that", "file_bytes": 9})
    assert (report.name, report.framework, report.file_bytes) == ("small", "hand", 9)
    assert report.model == {"format": None, "file_bytes": 9}
    assert make().file_bytes is None
    assert make(format="onnx").model["format"] == "onnx"


def test_reports_are_equal_by_what_they_hold_not_by_what_was_asked() -> None:
    a, b = make(), make()
    assert a.peak is not None
    assert a.by_op()
    assert a == b
    assert a != replace(b, measurements=(Measurement((1.0,), "toy"),))
    assert a != replace(b, convention="other")


def test_a_short_repr() -> None:
    assert repr(make()) == "<Report small: 5 layers, 13824 macs, coverage 80.0%>"


def test_printing_asks_the_default_reporter(monkeypatch: pytest.MonkeyPatch) -> None:
    reporter = ModuleType("toy_reporter")
    reporter.render = lambda report: f"{report.name}, in a table"  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "toy_reporter", reporter)
    monkeypatch.setattr(report_module, "DEFAULT_REPORTER", "toy_reporter")
    assert str(make()) == "small, in a table"
