"""Writing a Graph: unique names, nested regions, and the kinds of what a file declares."""

from __future__ import annotations

import pytest

from multiprof import ModelError, TensorSpec
from multiprof.adapters._common import writer as module
from multiprof.adapters._common.writer import GraphWriter, checked_shape, known_dtype, quantised
from multiprof.ir import BUFFER, CONSTANT, LOOP, PARAMETER
from multiprof.structure import check


def spec(name: str, *shape: int, dtype: str = "float32") -> TensorSpec:
    return TensorSpec(shape, dtype, name)


def test_layers_get_unique_names_and_the_region_that_is_open():
    writer = GraphWriter("net", "toy")
    x = spec("x", 2)
    with writer.region("loop", LOOP, 3, stateful=True) as outer:
        writer.layer("a", "relu", {"x": x}, {"y": spec("a", 2)})
        with writer.region("loop") as inner:
            writer.layer("a", "relu", {"x": spec("a", 2)}, {"y": spec("b", 2)}, scope="s", source="Relu")
    writer.layer("", "relu", {"x": spec("b", 2)}, {"y": spec("c", 2)})
    graph = writer.graph([x], [spec("c", 2)], rung="file")
    check(graph)
    assert [(layer.name, layer.region) for layer in graph.layers] == [("a", "loop"), ("a_1", "loop_1"), ("relu", None)]
    assert (outer.id, outer.parent, outer.trips, outer.stateful) == ("loop", None, 3, True)
    assert (inner.id, inner.parent) == ("loop_1", "loop")
    assert graph.metadata == {"rung": "file", "warnings": []}


def test_tensors_between_layers_never_meet_those_announced():
    writer = GraphWriter("net", "toy")
    assert writer.taken("conv#1") == "conv#1"
    assert [writer.between((1, None), "int8", "conv").name for _ in range(2)] == ["conv#2", "conv#3"]
    assert [writer.taken("w"), writer.taken("w"), writer.taken("w_1")] == ["w", "w_1", "w_1_1"]


def test_kinds_by_dtype_then_by_role():
    writer = GraphWriter("net", "toy")
    x, y = spec("x", 1, 4), spec("y", 1, 4)
    declared = {
        "weight": spec("weight", 4, 4),
        "integer_weight": spec("integer_weight", 4, 4, dtype="int8"),
        "quantised_weight": TensorSpec((4, 4), "int8", "quantised_weight", quantised([0.5], [0])),
        "mean": spec("mean", 4),
        "both": spec("both", 4),  # statistics of one norm, weight of another
        "scale": spec("scale", 4),
        "table": spec("table", 9, dtype="int64"),
        "scalar": spec("scalar"),
        "unused": spec("unused", 7),
    }
    for item in declared.values():
        writer.declare(item)
    norm = {"x": x, "mean": declared["mean"], "var": declared["both"]}
    writer.layer("norm", "batch_norm", norm, {"y": y})
    writer.layer("norm2", "batch_norm", {"x": y, "weight": declared["both"]}, {"y": spec("y2", 1, 4)})
    stored = {"x": declared["integer_weight"], "scale": declared["scale"]}
    writer.layer("dq", "dequantize", stored, {"y": spec("w2", 4, 4)})
    graph = writer.graph([x], [y])
    assert {name: p.kind for name, p in graph.parameters.items()} == {
        "weight": PARAMETER,
        "integer_weight": PARAMETER,
        "quantised_weight": PARAMETER,
        "mean": BUFFER,
        "both": PARAMETER,
        "scale": CONSTANT,
        "table": CONSTANT,
        "scalar": CONSTANT,
        "unused": PARAMETER,
    }


def test_a_graph_without_end_is_refused(monkeypatch):
    monkeypatch.setattr(module, "MAX_LAYERS", 2)
    writer = GraphWriter("net", "toy")
    for number in range(2):
        writer.layer("fill", "fill", {}, {"y": spec(f"y{number}", 1)})
    with pytest.raises(ModelError, match="net has more than 2 layers"):
        writer.layer("fill", "fill", {}, {"y": spec("y2", 1)})


def test_shapes_and_dtypes_are_checked_with_their_place():
    assert checked_shape([1, None, 0], "tensor t") == (1, None, 0)
    with pytest.raises(ModelError, match=r"tensor t: the shape \(1, -5\) has a negative dimension"):
        checked_shape([1, -5], "tensor t")
    with pytest.raises(ModelError, match="tensor t: a tensor of 65 dimensions"):
        checked_shape([1] * 65, "tensor t")
    assert known_dtype("int4", "tensor t") == "int4"
    with pytest.raises(ModelError, match="tensor t: unknown element type 'int5'"):
        known_dtype("int5", "tensor t")


def test_what_is_set_aside_is_a_constant_before_and_after_it_is_declared() -> None:
    writer = GraphWriter("net", "toy")
    writer.declare(TensorSpec((4, 4), "float32", "before"))
    writer.set_aside("before")
    writer.set_aside("after")
    writer.declare(TensorSpec((4, 4), "float32", "after"))
    assert {name: p.kind for name, p in writer.graph([], []).parameters.items()} == {
        "before": "constant",
        "after": "constant",
    }
