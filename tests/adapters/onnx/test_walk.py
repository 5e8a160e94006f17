"""Nodes in order: what is a layer, what is a parameter, what follows from shapes alone."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from onnx import TensorProto, helper, numpy_helper

import multiprof
from multiprof.errors import ModelError

FLOAT, INT64 = TensorProto.FLOAT, TensorProto.INT64
node = helper.make_node


def ops(graph: Any) -> list[str]:
    return [layer.op for layer in graph.layers]


def flatten(models: Any, dynamic: bool = True) -> Any:
    """x.view(x.size(0), -1) @ w as PyTorch exports it: Shape, Gather, Unsqueeze, Concat, Reshape."""
    nodes = [
        node("Shape", ["x"], ["s"]), node("Gather", ["s", "zero"], ["n"]), node("Unsqueeze", ["n", "front"], ["n1"]),
        node("Concat", ["n1", "rest"], ["to"], axis=0), node("Reshape", ["x", "to"], ["flat"], name="flatten"),
        node("MatMul", ["flat", "w"], ["y"], name="fc"),
    ]  # fmt: skip
    stored = [
        models.tensor("zero", np.int64(0)), models.tensor("front", np.array([0])),
        models.tensor("rest", np.array([-1])), models.weight("w", (12, 5)),
    ]  # fmt: skip
    return models.model(nodes, [models.info("x", ["batch" if dynamic else 2, 3, 4])], ["y"], stored)


@pytest.mark.parametrize("batch", [1, 7])
def test_shape_arithmetic_is_no_layer(models: Any, batch: int) -> None:
    graph = models.read(flatten(models), dims={"batch": batch})
    assert ops(graph) == ["reshape", "linear"]
    assert graph.outputs[0].shape == (batch, 5)
    assert graph.metadata["dims"] == ("batch",)
    made = models.run(flatten(models), {"x": np.zeros((batch, 3, 4), np.float32)}, ["flat", "y"])
    assert {layer.y.name: layer.y.shape for layer in graph.layers} == {name: v.shape for name, v in made.items()}


def test_arithmetic_in_floats_on_the_way_to_a_size(models: Any) -> None:
    """Twice the height, by Cast, Mul, Floor and Cast back, as exporters of Upsample write it."""
    nodes = [
        node("Shape", ["x"], ["s"]), node("Slice", ["s", "two", "four", "front"], ["hw"]),
        node("Cast", ["hw"], ["f"], to=FLOAT), node("Mul", ["f", "scale"], ["g"]), node("Floor", ["g"], ["h"]),
        node("Cast", ["h"], ["size"], to=INT64), node("Slice", ["s", "front", "two", "front"], ["nc"]),
        node("Concat", ["nc", "size"], ["to"], axis=0),
        node("Resize", ["x", "", "", "to"], ["y"], mode="nearest", name="up"),
    ]  # fmt: skip
    stored = [
        models.tensor("front", np.array([0])), models.tensor("two", np.array([2])),
        models.tensor("four", np.array([4])), models.tensor("scale", np.array([2.0, 2.5], np.float32)),
    ]  # fmt: skip
    model = models.model(nodes, [models.info("x", [1, 3, 10, 11])], ["y"], stored)
    graph = models.read(model)
    assert ops(graph) == ["resize"]
    assert graph.outputs[0].shape == (1, 3, 20, 27)  # ⌊2.5 · 11⌋
    assert models.run(model, {"x": np.zeros((1, 3, 10, 11), np.float32)})["y"].shape == (1, 3, 20, 27)
    assert graph.parameters["scale"].kind == "constant"  # a table that no layer multiplies by is no weight


def test_sizes_of_which_one_is_unknown(models: Any) -> None:
    """After NonZero only the number of rows is unknown, and stays the only one."""
    nodes = [
        node("NonZero", ["x"], ["where"], name="find"), node("Shape", ["where"], ["s"]),
        node("Gather", ["s", "one"], ["n"]), node("Concat", ["n", "cols"], ["to"], axis=0),
        node("Expand", ["row", "to"], ["rows"], name="widen"), node("MatMul", ["rows", "w"], ["y"], name="fc"),
    ]  # fmt: skip
    stored = [
        models.tensor("one", np.array([1])), models.tensor("cols", np.array([6])), models.weight("w", (6, 4)),
    ]  # fmt: skip
    model = models.model(nodes, [models.info("x", [8]), models.info("row", [1, 6])], ["y"], stored)
    graph = models.read(model)
    assert ops(graph) == ["nonzero", "expand", "linear"]
    assert graph.outputs[0].shape == (None, 4)


def test_integers_that_a_layer_reads_are_declared(models: Any) -> None:
    """Positions computed from the length of the input are a constant of the network, not a layer."""
    nodes = [
        node("Shape", ["x"], ["s"]), node("Gather", ["s", "one"], ["n"]),
        node("Range", ["zero", "n", "step"], ["positions"], name="count"),
        node("Gather", ["table", "positions"], ["embedded"], name="embed"),
        node("Add", ["x", "embedded"], ["y"], name="add"),
    ]  # fmt: skip
    stored = [
        models.tensor("zero", np.int64(0)), models.tensor("one", np.int64(1)), models.tensor("step", np.int64(1)),
        models.weight("table", (16, 4)),
    ]  # fmt: skip
    graph = models.read(models.model(nodes, [models.info("x", [2, 7, 4])], ["y"], stored))
    assert ops(graph) == ["embedding", "add"]
    assert graph.parameters["positions"].kind == "constant"
    assert graph.parameters["positions"].spec.shape == (7,)


def test_what_is_computed_from_weights_stays_a_layer_and_is_prepared(models: Any) -> None:
    nodes = [node("Transpose", ["w"], ["wt"], name="turn"), node("MatMul", ["x", "wt"], ["y"], name="fc")]
    model = models.model(nodes, [models.info("x", [2, 8])], ["y"], [models.weight("w", (3, 8))])
    report = multiprof.analyze(models.save(model))
    assert report.macs == 2 * 8 * 3
    assert [layer.name for layer in report.layers if layer.state == "prepared"] == ["turn"]


def test_weights_that_were_left_out_of_the_file(models: Any) -> None:
    """A ConstantOfShape whose shape is stored stands for an initializer of that shape, in whatever role."""
    nodes = [
        node("ConstantOfShape", ["w_shape"], ["w"]), node("ConstantOfShape", ["c_shape"], ["var"]),
        node("ConstantOfShape", ["s_shape"], ["shift"]), node("Conv", ["x", "w"], ["c"], name="conv"),
        node("BatchNormalization", ["c", "gain", "bias", "mean", "var"], ["b"], name="norm"),
        node("Add", ["b", "shift"], ["y"], name="add"),
    ]  # fmt: skip
    stored = [
        models.tensor("w_shape", np.array([4, 3, 1, 1])), models.tensor("c_shape", np.array([4])),
        models.tensor("s_shape", np.array([4, 1, 1])), *(models.weight(n, (4,)) for n in ("gain", "bias", "mean")),
    ]  # fmt: skip
    graph = models.read(models.model(nodes, [models.info("x", [1, 3, 5, 5])], ["y"], stored))
    assert ops(graph) == ["conv", "batch_norm", "add"]
    kinds = {name: p.kind for name, p in graph.parameters.items() if p.spec.dtype == "float32"}
    learned = dict.fromkeys(("gain", "bias", "w", "shift"), "parameter")
    assert kinds == learned | {"mean": "buffer", "var": "buffer"}


def test_zeros_that_something_begins_with_are_no_weights(models: Any) -> None:
    """Shapes that a Constant node holds, and states: the layers that fill them are part of the network."""
    shape = numpy_helper.from_array(np.array([5]))
    nodes = [
        node("Constant", [], ["five"], value=shape), node("ConstantOfShape", ["five"], ["zeros"], name="zeros"),
        node("Add", ["x", "zeros"], ["a"], name="add"),
        node("ConstantOfShape", ["h_shape"], ["h"], name="start"),
        node("RNN", ["a", "W", "R", "", "", "h"], ["y"], name="rnn", hidden_size=4),
    ]  # fmt: skip
    stored = [
        models.tensor("h_shape", np.array([1, 2, 4])),
        models.weight("W", (1, 4, 5)),
        models.weight("R", (1, 4, 4)),
    ]
    graph = models.read(models.model(nodes, [models.info("x", [3, 2, 5])], ["y"], stored))
    assert ops(graph)[:4] == ["fill", "add", "fill", "rnn"]
    assert sorted(name for name, p in graph.parameters.items() if p.kind == "parameter") == ["R", "W"]


def test_constant_nodes_are_declared_like_initializers(models: Any) -> None:
    weight = numpy_helper.from_array(np.zeros((8, 4), np.float32))
    nodes = [
        node("Constant", [], ["w"], value=weight), node("Constant", [], ["half"], value_float=0.5),
        node("Constant", [], ["to"], value_ints=[4, 2]), node("Constant", [], ["unused"], value_floats=[1.0, 2.0]),
        node("MatMul", ["x", "w"], ["p"], name="fc"), node("Mul", ["p", "half"], ["q"], name="scale"),
        node("Reshape", ["q", "to"], ["y"], name="view"),
    ]  # fmt: skip
    graph = models.read(models.model(nodes, [models.info("x", [2, 8])], ["y"]))
    assert ops(graph) == ["linear", "mul", "reshape"]
    assert {name: (p.kind, p.spec.shape) for name, p in graph.parameters.items()}["w"] == ("parameter", (8, 4))
    assert graph.outputs[0].shape == (4, 2)


def test_sparse_initializers_have_their_dense_shape(models: Any) -> None:
    values = numpy_helper.from_array(np.ones(3, np.float32), "w")
    sparse = helper.make_sparse_tensor(values, numpy_helper.from_array(np.array([0, 5, 9]), "i"), [8, 4])
    model = models.model([node("MatMul", ["x", "w"], ["y"], name="fc")], [models.info("x", [2, 8])], ["y"])
    model.graph.sparse_initializer.append(sparse)
    graph = models.read(model)
    assert graph.parameters["w"].spec.shape == (8, 4)
    assert multiprof.analyze(models.save(model)).macs == 2 * 8 * 4


def test_every_initializer_is_declared_used_or_not(models: Any) -> None:
    stored = [models.weight("w", (8, 4)), models.weight("spare", (7,)), models.tensor("table", np.arange(3))]
    graph = models.read(
        models.model([node("MatMul", ["x", "w"], ["y"])], [models.info("x", [2, 8])], ["y"], stored)
    )  # fmt: skip
    assert {name: p.kind for name, p in graph.parameters.items()} == {
        "w": "parameter", "spare": "parameter", "table": "constant",
    }  # fmt: skip


def test_operators_nobody_knows_are_foreign_layers(models: Any) -> None:
    nodes = [
        node("Detect", ["x", "w"], ["boxes", "scores"], name="head", domain="com.acme", classes=3, names=["a", "b"]),
        node("Relu", ["scores"], ["y"], name="act"),
    ]  # fmt: skip
    model = models.model(
        nodes, [models.info("x", [2, 8])], ["y"], [models.weight("w", (4,))], domains=["com.acme"]
    )  # fmt: skip
    report = multiprof.analyze(models.save(model))
    head = report.layers[0].layer
    assert (head.op, head.source) == ("onnx.com.acme.Detect", "com.acme.Detect")
    assert list(head.inputs) == ["x0", "x1"] and list(head.outputs) == ["y0", "y1"]
    assert head.attrs == {"classes": 3, "names": ("a", "b")}
    assert set(report.unsupported()) == {"onnx.com.acme.Detect", "relu"}  # and what follows has no known size


def test_declared_types_help_where_inference_ends(models: Any) -> None:
    nodes = [node("Grow", ["x"], ["g"], name="grow", domain="com.acme"), node("Relu", ["g"], ["y"], name="act")]
    graph = models.graph(nodes, [models.info("x", ["n", 8])], ["y"])
    graph.value_info.append(models.info("g", ["n", 32]))
    read = models.read(models.model(graph, domains=["com.acme"]), dims={"n": 3})
    assert read.outputs[0].shape == (3, 32)


@pytest.mark.parametrize("turn", [1, 2, 5])
def test_nodes_in_any_order(models: Any, turn: int) -> None:
    model = flatten(models, dynamic=False)
    nodes = list(model.graph.node)
    del model.graph.node[:]
    model.graph.node.extend(nodes[turn:] + nodes[:turn])
    assert ops(models.read(model)) == ["reshape", "linear"]


def test_a_cycle_names_a_node(models: Any) -> None:
    nodes = [node("Add", ["x", "b"], ["a"], name="first"), node("Relu", ["a"], ["b"], name="second")]
    with pytest.raises(ModelError, match="'first' waits for its own result: a cycle"):
        models.read(models.model(nodes, [models.info("x", [1])], ["b"]))


@pytest.mark.parametrize(
    ("nodes", "what"),
    [
        ([node("Relu", ["nowhere"], ["y"], name="act")], "'act'.*'nowhere'.*no node makes it"),
        ([node("Relu", ["x"], ["y"]), node("Tanh", ["x"], ["y"], name="again")], "'again'"),
        ([node("Relu", ["x"], ["z"])], "the output reads the tensor 'y'"),
        ([node("MatMul", ["x", "w"], ["y"], name="fc")], "'fc'.*Incompatible dimensions"),
        ([node("Concat", ["x", "w"], ["y"], axis=9, name="join")], "'join'"),
        ([node("Relu", ["x"], [""], name="idle"), node("Relu", ["x"], ["y"])], "'idle'.*makes nothing"),
        ([node("Reshape", ["x", "to"], ["y"], name="view")], "'view'"),
    ],
)
def test_what_is_wrong_with_a_node(models: Any, nodes: Any, what: str) -> None:
    stored = [models.weight("w", (5, 4)), models.tensor("to", np.array([-5, 3]))]
    with pytest.raises(ModelError, match=rf"model\.onnx: .*{what}"):
        models.read(models.model(nodes, [models.info("x", [2, 8])], ["y"], stored))


def test_chains_are_no_recursion(models: Any) -> None:
    nodes = [node("Relu", [f"t{i}"], [f"t{i + 1}"]) for i in range(10_000)]
    graph = models.read(models.model(nodes, [models.info("t0", [1])], ["t10000"]))
    assert len(graph.layers) == 10_000


@pytest.mark.parametrize(
    ("op_type", "inputs", "shape"),
    [
        ("Expand", ["one", "huge"], (10**9, 10**9)),
        ("Tile", ["one", "huge"], (10**9, 10**9)),
        ("ConstantOfShape", ["huge"], (10**9, 10**9)),
        ("Range", ["nought", "many", "step"], (10**18,)),
    ],
)
def test_contents_too_large_to_be_looked_at(models: Any, op_type: str, inputs: Any, shape: Any) -> None:
    stored = [
        models.tensor("one", np.ones((1, 1), np.int64)), models.tensor("huge", np.array([10**9, 10**9])),
        models.tensor("nought", np.int64(0)), models.tensor("many", np.int64(10**18)),
        models.tensor("step", np.int64(1)),
    ]  # fmt: skip
    graph = models.read(models.model([node(op_type, inputs, ["y"])], [], ["y"], stored))
    assert graph.outputs[0].shape == shape


def test_names_for_nodes_without(models: Any) -> None:
    graph = models.read(models.model([node("Relu", ["x"], ["blob/act"])], [models.info("x", [1])], ["blob/act"]))
    assert [(layer.name, layer.scope) for layer in graph.layers] == [("Relu:blob/act", "blob")]


@pytest.mark.parametrize(
    ("name", "scope"),
    [
        ("/layer1/layer1.0/conv1/Conv", "layer1.0.conv1"),
        ("/encoder/layer.0/attention/self/query/MatMul", "encoder.layer.0.attention.self.query"),
        ("model/block/conv/Conv2D", "model.block.conv"),
        ("/Relu", ""),
        ("Relu_1", ""),
    ],
)
def test_scopes_from_names(models: Any, name: str, scope: str) -> None:
    graph = models.read(models.model([node("Relu", ["x"], ["y"], name=name)], [models.info("x", [1])], ["y"]))
    assert [(layer.name, layer.scope) for layer in graph.layers] == [(name, scope)]


def test_scopes_from_metadata(models: Any) -> None:
    """As PyTorch's newer exporter writes them."""
    made = node("Relu", ["x"], ["y"], name="node_relu_1")
    made.metadata_props.add(key="pkg.torch.onnx.name_scopes", value="['', 'layer1', 'layer1.0', 'relu_1']")
    graph = models.read(models.model([made], [models.info("x", [1])], ["y"]))
    assert graph.layers[0].scope == "layer1.0"
