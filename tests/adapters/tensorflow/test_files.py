"""SavedModel folders and frozen graphs: what is told apart, and what goes wrong in one line."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
import tensorflow as tf
from tensorflow.core.framework import graph_pb2, node_def_pb2

from multiprof.errors import InputsError, ModelError, MultiprofError, UsageError


def _frozen(function, *specs: tf.TensorSpec) -> graph_pb2.GraphDef:
    return tf.function(function).get_concrete_function(*specs).graph.as_graph_def()


def _dense(x):
    return tf.nn.relu(tf.matmul(x, tf.constant([[1.0] * 3] * 4)))


@pytest.fixture
def frozen(tmp_path: Path) -> Path:
    path = tmp_path / "dense.pb"
    path.write_bytes(_frozen(_dense, tf.TensorSpec((None, 4), name="x")).SerializeToString())
    return path


def test_a_frozen_graph(frozen, cost):
    report = cost(frozen, (2, 4))
    assert (report.macs, report.params, report.trainable_params) == (2 * 12, 12, None)
    assert report.model["format"] == "GraphDef"
    assert cost(frozen, dims={"x[0]": 5}).macs == 5 * 12
    assert cost(frozen, {"x": (3, 4)}).macs == 3 * 12
    with pytest.raises(InputsError, match=r"free axes: input 'x' \?×4"):
        cost(frozen)


def test_a_fresh_process_is_quiet(frozen):
    """TensorFlow is loaded, its notes on the processor are not shown, and its log level is as it was."""
    environment = {key: value for key, value in os.environ.items() if not key.startswith("TF_")}
    program = "import multiprof, os; print(multiprof.analyze({!r}, (2, 4)).macs, 'TF_CPP_MIN_LOG_LEVEL' in os.environ)"
    done = subprocess.run(
        [sys.executable, "-c", program.format(str(frozen))],
        env=environment | {"PYTHONPATH": os.pathsep.join(sys.path)}, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert (done.stdout, done.stderr) == ("24 False\n", "")


def test_results_may_be_named(tmp_path, cost):
    graph = _frozen(lambda x: _dense(_dense(x)[:, :1] * x), tf.TensorSpec((2, 4), name="x"))
    first, second = [node.name for node in graph.node if node.op == "MatMul"]
    path = tmp_path / "two.pb"
    path.write_bytes(graph.SerializeToString())
    assert cost(path).macs == 2 * 2 * 12
    assert cost(path, signature=first).macs == 2 * 12
    assert cost(path, signature=f"{second}:0").macs == 2 * 2 * 12
    with pytest.raises(UsageError, match="no node 'nothing'"):
        cost(path, signature="nothing")


def test_a_saved_model_is_known_by_its_folder_or_its_file(files, cost, tmp_path):
    _, saved, _ = files("MobileNetV2")
    inner = saved / "saved_model.pb"
    renamed = tmp_path / "renamed.pb"
    renamed.write_bytes(inner.read_bytes())
    for path in (saved, inner, renamed):
        assert cost(path, (1, 224, 224, 3)).macs == 300_774_272


def test_a_saved_model_without_signatures(tmp_path, cost):
    module = tf.Module()
    module.weight = tf.Variable(tf.zeros(3))
    tf.saved_model.save(module, str(tmp_path))
    with pytest.raises(ModelError, match="no signature, so that nothing says what goes in") as error:
        cost(tmp_path)
    assert "\n" not in str(error.value)


def test_folders_that_are_none(tmp_path, cost):
    with pytest.raises(MultiprofError, match="nothing here reads"):
        cost(tmp_path)
    with pytest.raises(ModelError, match=r"no saved_model\.pb"):
        cost(tmp_path, framework="tensorflow")


def test_old_signatures_and_variables(tmp_path, cost):
    """A SavedModel of TensorFlow 1: no objects, variables named in collections."""
    v1 = tf.compat.v1
    with tf.Graph().as_default(), v1.Session() as session:
        x = v1.placeholder(tf.float32, (None, 4), name="x")
        weight = v1.get_variable("weight", (4, 3), use_resource=False)
        steps = v1.get_variable("frozen", (3,), trainable=False, use_resource=True)
        y = x @ weight + steps
        session.run(v1.global_variables_initializer())
        info = v1.saved_model.utils.build_tensor_info
        signature = v1.saved_model.signature_def_utils.build_signature_def({"x": info(x)}, {"y": info(y)}, "predict")
        builder = v1.saved_model.Builder(str(tmp_path / "old"))
        builder.add_meta_graph_and_variables(session, ["serve"], {"predict": signature})
        builder.save()
    report = cost(tmp_path / "old", (2, 4))
    assert report.macs == 2 * 12
    found = {name: (p.kind, p.trainable, p.spec.shape) for name, p in report.graph.parameters.items()}
    assert found == {"weight": ("parameter", True, (4, 3)), "frozen": ("buffer", False, (3,))}


def test_an_operation_tensorflow_does_not_know(frozen, cost, graph_of):
    graph = graph_pb2.GraphDef.FromString(frozen.read_bytes())
    for node in graph.node:
        if node.op == "Relu":
            node.op = "AcmeRelu"
    frozen.write_bytes(graph.SerializeToString())
    report = cost(frozen, (2, 4))
    assert report.unsupported() == {"tensorflow.AcmeRelu": ["Relu"]}
    assert report.macs == 2 * 12, "what stands before it is counted"
    assert any("AcmeRelu is no operation of TensorFlow" in text for text in report.warnings)
    layer = next(layer for layer in graph_of(frozen, (2, 4)).layers if layer.op == "tensorflow.AcmeRelu")
    assert (list(layer.inputs), list(layer.outputs)) == (["x0"], ["y0"])


def test_operands_that_do_not_fit_name_the_node(frozen, cost):
    graph = graph_pb2.GraphDef.FromString(frozen.read_bytes())
    for node in graph.node:
        if node.op == "MatMul":
            node.attr["transpose_b"].b = True
    frozen.write_bytes(graph.SerializeToString())
    with pytest.raises(ModelError, match=r"dense\.pb: node MatMul \(MatMul\): Dimensions must be equal") as error:
        cost(frozen, (2, 4))
    assert "\n" not in str(error.value)


def _node(name: str, op: str, *inputs: str) -> node_def_pb2.NodeDef:
    node = node_def_pb2.NodeDef(name=name, op=op, input=inputs)
    node.attr["T"].type = 1
    return node


def test_graphs_that_cannot_be(tmp_path, cost):
    placeholder = node_def_pb2.NodeDef(name="x", op="Placeholder")
    placeholder.attr["dtype"].type = 1
    placeholder.attr["shape"].shape.dim.add().size = 3
    cases = {
        "cycle": (
            [placeholder, _node("a", "Add", "x", "b"), _node("b", "Relu", "a"), _node("c", "Relu", "b")],
            "cycle",
        ),
        "missing": ([placeholder, _node("a", "Relu", "nothing"), _node("b", "Add", "a", "x")], "which there is not"),
        "twice": ([placeholder, _node("a", "Relu", "x"), _node("a", "Relu", "x")], "same name"),
        "no result": ([placeholder, _node("a", "Relu", "x:3")], "no result number 3"),
        "too few": ([placeholder, _node("a", "Add", "x")], "node a"),
        "empty": ([], "no nodes"),
    }
    for name, (nodes, message) in cases.items():
        path = tmp_path / f"{name}.pb"
        graph = graph_pb2.GraphDef(node=nodes)
        graph.versions.producer = 1000
        path.write_bytes(graph.SerializeToString())
        with pytest.raises(ModelError, match=message) as error:
            cost(path, framework="tensorflow")
        assert path.name in str(error.value)
        assert "\n" not in str(error.value)


def test_functions_that_call_themselves(tmp_path, cost):
    graph = graph_pb2.GraphDef()
    placeholder = graph.node.add(name="x", op="Placeholder")
    placeholder.attr["dtype"].type = 1
    placeholder.attr["shape"].shape.dim.add().size = 3
    graph.node.append(_node("call", "again", "x"))
    function = graph.library.function.add()
    function.signature.name = "again"
    function.signature.input_arg.add(name="x", type=1)
    function.signature.output_arg.add(name="y", type=1)
    function.node_def.append(_node("inner", "again", "x"))
    function.ret["y"] = "inner:y:0"
    path = tmp_path / "again.pb"
    path.write_bytes(graph.SerializeToString())
    with pytest.raises(ModelError, match="nested more than"):
        cost(path)


def test_functions_that_double(tmp_path, cost):
    """Forty functions, each calling the next twice, would be a million million calls."""
    graph = graph_pb2.GraphDef()
    placeholder = graph.node.add(name="x", op="Placeholder")
    placeholder.attr["dtype"].type = 1
    placeholder.attr["shape"].shape.dim.add().size = 3
    graph.node.append(_node("call", "f0", "x"))
    for i in range(40):
        function = graph.library.function.add()
        function.signature.name = f"f{i}"
        function.signature.input_arg.add(name="x", type=1)
        function.signature.output_arg.add(name="y", type=1)
        function.node_def.append(_node("a", f"f{i + 1}" if i < 39 else "Relu", "x"))
        function.node_def.append(
            _node("b", f"f{i + 1}" if i < 39 else "Relu", "a:y:0" if i < 39 else "a:activations:0")
        )
        function.ret["y"] = "b:y:0" if i < 39 else "b:activations:0"
    path = tmp_path / "double.pb"
    path.write_bytes(graph.SerializeToString())
    with pytest.raises(ModelError, match="calls functions more than"):
        cost(path)


def test_a_function_called_by_its_own_name(tmp_path, cost):
    """As graphs of TensorFlow 1 do: the operation is the function."""
    graph = _frozen(lambda x: tf.nn.relu(x), tf.TensorSpec((2, 4), name="x"))
    function = graph.library.function.add()
    function.signature.name = "twice"
    function.signature.input_arg.add(name="a", type=1)
    function.signature.output_arg.add(name="b", type=1)
    function.node_def.append(_node("sum", "AddV2", "a", "a"))
    function.ret["b"] = "sum:z:0"
    graph.node.append(_node("call", "twice", "x"))
    path = tmp_path / "named.pb"
    path.write_bytes(graph.SerializeToString())
    report = cost(path, signature="call")
    assert [(row.layer.name, row.layer.op, row.flops) for row in report.layers] == [("call/sum", "add", 8)]


def test_broken_files(frozen, cost):
    """Cut anywhere, or with bytes changed: a report, or one of multiprof's errors."""
    data = frozen.read_bytes()
    for cut in range(0, len(data), max(1, len(data) // 60)):
        frozen.write_bytes(data[:cut])
        try:
            cost(frozen, (2, 4))
        except MultiprofError as error:
            assert "\n" not in str(error)
    for place in range(0, len(data), max(1, len(data) // 200)):
        changed = bytearray(data)
        changed[place] ^= 0x2A
        frozen.write_bytes(bytes(changed))
        try:
            cost(frozen, (2, 4))
        except MultiprofError as error:
            assert "\n" not in str(error)
