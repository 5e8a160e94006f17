"""Functions of the model, and operators that onnx defines by a body: their nodes in place of the call."""

from __future__ import annotations

from typing import Any

import numpy as np
import onnx
import pytest
from onnx import helper

import multiprof
from multiprof.errors import ModelError

node = helper.make_node
IMPORTS = [helper.make_opsetid("", 17), helper.make_opsetid("local", 1)]


def function(name: str, nodes: list[onnx.NodeProto], inputs: list[str], attrs: tuple[str, ...] = ()) -> Any:
    return helper.make_function("local", name, inputs, ["out"], nodes, IMPORTS, list(attrs))


DENSE = function(
    "Dense", [node("MatMul", ["a", "b"], ["p"], name="mm"), node("Elu", ["p"], ["out"], name="act")], ["a", "b"]
)  # fmt: skip


def twice(models: Any, *functions: Any) -> onnx.ModelProto:
    nodes = [
        node("Dense", ["x", "w0"], ["h"], name="layers.0", domain="local"),
        node("Dense", ["h", "w1"], ["y"], name="layers.1", domain="local"),
    ]
    made: onnx.ModelProto = models.model(
        nodes, [models.info("x", [2, 8])], ["y"], [models.weight("w0", (8, 16)), models.weight("w1", (16, 4))],
        domains=["local"], functions=functions or (DENSE,),
    )  # fmt: skip
    return made


def test_a_function_called_twice(models: Any) -> None:
    model = twice(models)
    graph = models.read(model)
    assert [(layer.name, layer.op) for layer in graph.layers] == [
        ("layers.0/mm", "linear"), ("layers.0/act", "elu"), ("layers.1/mm", "linear"), ("layers.1/act", "elu"),
    ]  # fmt: skip
    assert [spec.name for spec in graph.outputs] == ["y"]
    assert graph.outputs[0].shape == models.run(model, {"x": np.zeros((2, 8), np.float32)})["y"].shape
    assert multiprof.analyze(models.save(model)).macs == 2 * 8 * 16 + 2 * 16 * 4


def test_attributes_that_refer_to_those_of_the_call(models: Any) -> None:
    inner = node("Elu", ["a"], ["out"], name="act")
    inner.attribute.add(name="alpha", ref_attr_name="slope", type=onnx.AttributeProto.FLOAT)
    turn = node("Concat", ["a", "a"], ["c"], name="join")
    turn.attribute.add(name="axis", ref_attr_name="along", type=onnx.AttributeProto.INT)
    body = [turn, node("Identity", ["c"], ["a2"], name="same"), inner]
    body[2].input[0] = "a2"
    model = models.model(
        [node("F", ["x"], ["y"], name="call", domain="local", along=1, slope=0.25)], [models.info("x", [2, 8])], ["y"],
        domains=["local"], functions=[function("F", body, ["a"], ("along", "slope"))],
    )  # fmt: skip
    graph = models.read(model)
    assert graph.outputs[0].shape == (2, 16)
    assert graph.layers[0].attrs["axis"] == 1
    assert graph.layers[-1].attrs["alpha"] == 0.25


def test_an_operand_that_the_call_leaves_out(models: Any) -> None:
    body = [node("Clip", ["a", "low", "high"], ["out"], name="limit")]
    model = models.model(
        [node("F", ["x", "", "six"], ["y"], name="call", domain="local")], [models.info("x", [2])], ["y"],
        [models.tensor("six", np.float32(6))], domains=["local"],
        functions=[function("F", body, ["a", "low", "high"])],
    )  # fmt: skip
    assert models.read(model).layers[0].attrs["max"] == 6.0


def test_functions_call_functions(models: Any) -> None:
    outer = function("Dense", [node("Inner", ["a", "b"], ["out"], name="inner", domain="local")], ["a", "b"])
    inner = function("Inner", [node("MatMul", ["a", "b"], ["out"], name="mm")], ["a", "b"])
    graph = models.read(twice(models, outer, inner))
    assert [layer.name for layer in graph.layers] == ["layers.0/inner/mm", "layers.1/inner/mm"]


def test_a_function_that_calls_itself(models: Any) -> None:
    again = function("Dense", [node("Dense", ["a", "b"], ["out"], name="again", domain="local")], ["a", "b"])
    with pytest.raises(ModelError, match="'Dense' calls itself"):
        models.read(twice(models, again))


def test_functions_that_multiply_without_end(models: Any) -> None:
    """Each calls the next one twice: 2^40 nodes in all."""
    made = [function("F40", [node("Relu", ["a"], ["out"])], ["a"])]
    for number in range(20):
        call = [node(f"F{number + 1}" if number < 19 else "F40", [i], [o], domain="local") for i, o in ("am", "mn")]
        call.append(node("Identity", ["n"], ["out"]))
        made.append(function(f"F{number}", call, ["a"]))
    model = models.model(
        [node("F0", ["x"], ["y"], domain="local")], [models.info("x", [1])], ["y"], domains=["local"], functions=made
    )  # fmt: skip
    with pytest.raises(ModelError, match="when functions are expanded"):
        models.read(model)


def test_a_function_that_a_formula_claims_stays_whole(models: Any) -> None:
    graph = models.read(twice(models), leaves=["onnx.local.Dense"])
    assert [(layer.name, layer.op) for layer in graph.layers] == [
        ("layers.0", "onnx.local.Dense"), ("layers.1", "onnx.local.Dense"),
    ]  # fmt: skip


def test_operators_without_a_rule_are_their_bodies(models: Any) -> None:
    """AffineGrid's or another's: whatever has no rule and a body in onnx's own definition is its body's nodes."""
    from multiprof.adapters.onnx.rules._table import table

    without = [
        schema.name
        for schema in onnx.defs.get_all_schemas()
        if schema.has_function and not schema.domain and ("", schema.name) not in table().rules
    ]
    unary = [
        name for name in without if onnx.defs.get_schema(name).min_input == onnx.defs.get_schema(name).max_input == 1
    ]
    for name in unary:
        model = models.model([node(name, ["x"], ["y"], name="op")], [models.info("x", [2, 6])], ["y"], opset=24)
        graph = models.read(model)
        assert graph.layers and all(layer.name.startswith("op/") for layer in graph.layers), name
        assert not any(layer.op.startswith("onnx.") for layer in graph.layers), name
