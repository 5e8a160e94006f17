"""What cannot be read, in one clear line: what is wrong, where, what to do; on the command line, exit code 2."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import tensorflow as tf
from tensorflow.core.framework import graph_pb2

import multiprof
from multiprof import InputsError, ModelError, TensorSpec, UsageError

Cli = Callable[..., tuple[int, str, str]]
Refusal = Callable[..., tuple[type, str]]
Told = Callable[..., str]


class Dense(tf.Module):
    def __init__(self) -> None:
        super().__init__()
        self.weight = tf.Variable(tf.ones((4, 3)))

    @tf.function
    def __call__(self, x: Any) -> Any:
        return x @ self.weight

    @tf.function
    def twice(self, x: Any) -> Any:
        return (x @ self.weight) * 2.0


def saved(folder: Path, *names: str) -> str:
    """A SavedModel with as many signatures as there are names, of shape (None, 4)."""
    module = Dense()
    shape = tf.TensorSpec((None, 4), name="x")
    entries = {name: module.__call__.get_concrete_function(shape) for name in names}
    if not names:  # of a single traced function TensorFlow makes a signature itself
        for function in (module.twice, module.__call__):
            function.get_concrete_function(shape)
    tf.saved_model.save(module, str(folder / "saved"), signatures=entries or None)
    return str(folder / "saved")


def test_nothing_says_what_goes_in(refusal: Refusal) -> None:
    for model in (Dense(), tf.function(lambda x: x), lambda x: tf.nn.relu(x)):
        kind, message = refusal(model)
        assert kind is InputsError
        assert "needs inputs: nothing says what goes in; give a shape such as 1x224x224x3" in message


def test_a_function_on_the_command_line(cli: Cli, told: Told, tmp_path: Path) -> None:
    script = tmp_path / "net_of_tensorflow.py"
    script.write_text("import tensorflow as tf\ndef net():\n    return tf.function(lambda x: x @ tf.ones((4, 3)))\n")
    assert told(f"{script}:net").startswith("<lambda> needs inputs: nothing says what goes in")
    code, out, _ = cli("analyze", f"{script}:net", "--input", "2x4")
    assert code == 0
    assert f"MACs              {2 * 4 * 3}\n" in out


def test_sizes_that_are_none(cli: Cli, refusal: Refusal, told: Told, tmp_path: Path) -> None:
    path = saved(tmp_path, "serving_default")
    expected = "saved has free axes: input 'x' ?×4: x[0] (axis 0); give --input x:1x4 or --dim x[0]=1"
    assert refusal(path) == (InputsError, expected)
    assert told(path) == expected
    for given in (("--input", "2x4"), ("--input", "x:2x4"), ("--dim", "x[0]=2")):
        code, out, _ = cli("analyze", path, *given)
        assert code == 0
        assert f"MACs              {2 * 4 * 3}\n" in out
    with tf.Graph().as_default() as graph:
        tf.nn.relu(tf.compat.v1.placeholder(tf.float32, None, name="x"))
    kind, message = refusal(graph)
    assert kind is InputsError
    assert message == (
        "graph has free axes: input 'x' (its rank is not declared either); give --input NAME:1x3x224x224"
    )
    assert refusal(path, TensorSpec((None, 4), "float32"))[0] is InputsError


def test_inputs_that_do_not_fit(refusal: Refusal) -> None:
    assert refusal(Dense(), [(2, 4), (2, 4)]) == (
        InputsError,
        "dense does not take the inputs given: too many positional arguments",
    )
    kind, message = refusal(Dense(), (2, 5))
    assert kind is ModelError
    assert "Dimensions must be equal, but are 5 and 4" in message


def test_an_input_of_several_tensors(refusal: Refusal) -> None:
    for value, kind in (
        (tf.sparse.from_dense([[1.0, 0.0]]), "SparseTensor"),
        (tf.ragged.constant([[1.0], []]), "RaggedTensor"),
    ):
        assert refusal(tf.identity, value, framework="tensorflow") == (
            InputsError,
            f"the input 'input 0' is a {kind}, of several tensors: only dense ones can be given; "
            "analyse a function that takes its parts and puts them together",
        )


def test_no_signature_and_several_and_a_wrong_one(refusal: Refusal, told: Told, tmp_path: Path) -> None:
    for folder, names in (("none", ()), ("one", ("only",)), ("two", ("first", "second"))):
        (tmp_path / folder).mkdir()
        path = saved(tmp_path / folder, *names)
        if not names:
            assert told(path) == (
                "saved has no signature, so that nothing says what goes in: save it with signatures=, "
                "or load it with tf.saved_model.load and give a function of it"
            )
            assert refusal(path)[0] is ModelError
            assert told(path, "--signature", "first") == "saved has no signature 'first'; it has none"
            continue
        message = f"saved has no signature 'third'; it has {', '.join(names)}"
        assert told(path, "--signature", "third") == message
        assert refusal(path, signature="third") == (UsageError, message)
        assert multiprof.analyze(path, (2, 4), signature=names[0]).macs == 2 * 4 * 3
        if len(names) > 1:
            message = "saved has the signatures first, second: say which, with --signature NAME"
            assert refusal(path) == (UsageError, message)
            assert told(path) == message


def test_what_was_loaded_from_a_saved_model(refusal: Refusal, tmp_path: Path) -> None:
    loaded = tf.saved_model.load(saved(tmp_path, "first", "second"))
    kind, message = refusal(loaded)
    assert kind is InputsError
    assert message.endswith("or choose a signature of first, second with signature='first'")
    assert refusal(loaded, signature="third")[1].endswith("has no signature 'third'; it has first, second")
    assert multiprof.analyze(loaded, (2, 4), signature="first").macs == 2 * 4 * 3


def test_custom_operations_are_named_and_the_rest_is_counted(cli: Cli, refusal: Refusal, tmp_path: Path) -> None:
    function = tf.function(lambda x: tf.nn.relu(tf.matmul(x, tf.ones((4, 3)))))
    graph = function.get_concrete_function(tf.TensorSpec((2, 4), name="x")).graph.as_graph_def()
    for node in graph.node:
        if node.op == "Relu":
            node.op = "AcmeRelu"
    path = tmp_path / "acme.pb"
    path.write_bytes(graph_pb2.GraphDef(node=graph.node, versions=graph.versions).SerializeToString())
    report = multiprof.analyze(path)
    assert report.unsupported() == {"tensorflow.AcmeRelu": ["Relu"]}
    assert report.macs == 2 * 4 * 3
    code, out, err = cli("analyze", str(path))
    assert code == 0
    assert "tensorflow.AcmeRelu" in out
    assert "AcmeRelu is no operation of TensorFlow" in out + err
    assert refusal(path, strict=True)[0] is multiprof.UnsupportedOpError
    code, _, err = cli("analyze", str(path), "--strict")
    assert (code, err.splitlines()[-1]) == (
        1,
        "multiprof: error: --strict: layers without a cost: tensorflow.AcmeRelu (1)",
    )


def test_what_is_no_model(refusal: Refusal, told: Told, tmp_path: Path) -> None:
    (tmp_path / "net.pb").write_bytes(b"hello world")
    assert told(str(tmp_path / "net.pb")).startswith("net.pb: cannot be parsed as a GraphDef of TensorFlow: ")
    (tmp_path / "saved").mkdir()
    (tmp_path / "saved" / "saved_model.pb").write_bytes(b"")
    assert told(str(tmp_path / "saved")) == "saved: the SavedModel holds no graph"
    assert refusal(tf.Graph())[1].startswith("graph: nothing in the graph follows from an input; name its results with")
