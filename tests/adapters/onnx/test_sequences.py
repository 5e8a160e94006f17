"""Sequences and optional tensors: names where the items are known; sizes as ONNX Runtime computes them."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from onnx import TensorProto, helper

from multiprof.errors import ModelError

node = helper.make_node


def test_a_sequence_whose_items_are_known_is_no_layer(models: Any) -> None:
    nodes = [
        node("SequenceConstruct", ["x", "x2"], ["s"]), node("SequenceInsert", ["s", "x3", "one"], ["t"]),
        node("SequenceErase", ["t", "nought"], ["u"]), node("SequenceAt", ["u", "nought"], ["item"]),
        node("SequenceLength", ["u"], ["count"]), node("Expand", ["item", "count"], ["wide"], name="widen"),
        node("Relu", ["wide"], ["y"], name="act"),
    ]  # fmt: skip
    inputs = [models.info("x", [3]), models.info("x2", [4]), models.info("x3", [1])]
    stored = [models.tensor("one", np.int64(1)), models.tensor("nought", np.int64(0))]
    nodes.insert(5, node("Unsqueeze", ["count", "front"], ["count1"]))
    nodes[6] = node("Expand", ["item", "count1"], ["wide"], name="widen")
    model = models.model(nodes, inputs, ["y"], [*stored, models.tensor("front", np.array([0]))])
    graph = models.read(model)
    assert [layer.name for layer in graph.layers] == ["widen", "act"]
    assert graph.layers[0].x.name == "x3"  # [x, x3, x2] without its first
    feeds = {"x": np.zeros(3, np.float32), "x2": np.zeros(4, np.float32), "x3": np.zeros(1, np.float32)}
    assert graph.outputs[0].shape == models.run(model, feeds)["y"].shape == (2,)


@pytest.mark.parametrize(
    ("split", "attrs", "joined", "sizes"),
    [
        (None, {"keepdims": 1}, {"axis": 0}, (1,) * 6),
        (None, {"keepdims": 0}, {"axis": 1, "new_axis": 1}, (1,) * 6),
        (np.int64(4), {}, {"axis": 0}, (4, 2)),
        (np.array([1, 2, 3]), {}, {"axis": 0}, (1, 2, 3)),
    ],
)
def test_a_tensor_cut_and_joined_again(models: Any, split: Any, attrs: Any, joined: Any, sizes: Any) -> None:
    nodes = [
        node("SplitToSequence", ["x"] if split is None else ["x", "split"], ["s"], name="cut", **attrs),
        node("ConcatFromSequence", ["s"], ["y"], name="join", **joined),
    ]
    stored = [] if split is None else [models.tensor("split", split)]
    model = models.model(nodes, [models.info("x", [6, 5])], ["y"], stored)
    graph = models.read(model)
    cut, join = graph.layers
    assert (cut.op, cut.attrs["sizes"]) == ("split", sizes)
    assert join.op == ("stack" if "new_axis" in joined else "concat")
    assert graph.outputs[0].shape == models.run(model, {"x": np.zeros((6, 5), np.float32)})["y"].shape


def test_a_map_over_known_items_is_unrolled(models: Any) -> None:
    body = models.graph([node("MatMul", ["item", "w"], ["r"], name="mm")], [models.info("item", None)], ["r"])
    nodes = [
        node("SequenceConstruct", ["a", "b"], ["s"]), node("SequenceMap", ["s"], ["t"], name="each", body=body),
        node("SequenceAt", ["t", "one"], ["y"]),
    ]  # fmt: skip
    graph = models.read(
        models.model(
            nodes,
            [models.info("a", [2, 8]), models.info("b", [3, 8])],
            ["y"],
            [models.weight("w", (8, 4)), models.tensor("one", np.int64(1))],
        )
    )
    assert [layer.name for layer in graph.layers] == ["each/0/mm", "each/1/mm"]
    assert graph.outputs[0].shape == (3, 4)


def test_a_position_that_there_is_not(models: Any) -> None:
    nodes = [node("SequenceConstruct", ["x"], ["s"]), node("SequenceAt", ["s", "five"], ["y"], name="take")]
    with pytest.raises(ModelError, match=r"'take'.*position 5 in a sequence of 1"):
        models.read(models.model(nodes, [models.info("x", [1])], ["y"], [models.tensor("five", np.int64(5))]))


def test_optional_tensors(models: Any) -> None:
    nodes = [
        node("Optional", ["x"], ["o"]), node("OptionalHasElement", ["o"], ["there"]),
        node("OptionalGetElement", ["o"], ["v"]), node("Relu", ["v"], ["y"], name="act"),
    ]  # fmt: skip
    graph = models.read(models.model(nodes, [models.info("x", [3])], ["y"]))
    assert [(layer.name, layer.x.name) for layer in graph.layers] == [("act", "x")]


def test_a_sequence_nobody_knows_is_a_foreign_layer(models: Any) -> None:
    sequence = helper.make_tensor_sequence_value_info("s", TensorProto.FLOAT, [2, 8])
    nodes = [node("SequenceAt", ["s", "nought"], ["v"], name="take"), node("MatMul", ["v", "w"], ["y"], name="mm")]
    stored = [models.tensor("nought", np.int64(0)), models.weight("w", (8, 4))]
    graph = models.read(models.model(nodes, [sequence], ["y"], stored))
    assert [layer.op for layer in graph.layers] == ["onnx.SequenceAt", "linear"]
    assert graph.layers[0].inputs["x0"].name == "s"
    assert graph.outputs[0].shape == (2, 4)  # the items' type is declared
