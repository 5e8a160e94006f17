"""Times of single layers in every framework's own runtime: each layer is in one row at most, and those that multiply
are all there."""

from __future__ import annotations

import warnings
from pathlib import Path

import keras
import numpy as np
import pytest
import tensorflow as tf
from keras import layers
from multiprof_benchmark.bench import benchmark
from multiprof_benchmark.runners.base import Part
from multiprof_benchmark.sessions.keras_scopes import Scopes
from multiprof_benchmark.sessions.mxnet_trace import _spent
from multiprof_benchmark.sessions.named import ITSELF, by_merged_scopes, by_path, by_scope
from multiprof_benchmark.sessions.tensorflow_trace import plain
from multiprof_benchmark.sessions.xla_trace import Program

import multiprof
from multiprof.adapters.mxnet.compat import import_mxnet


def network() -> keras.Model:
    x = keras.Input((16, 16, 3))
    y = layers.Conv2D(8, 3, name="first", activation="relu")(x)
    y = layers.BatchNormalization(name="norm")(y)
    y = layers.Conv2D(8, 3, name="second")(y)
    y = layers.Reshape((12 * 12, 8), name="steps")(y)
    y = layers.Bidirectional(layers.LSTM(4, name="lstm"), name="both")(y)
    return keras.Model(x, layers.Dense(5, name="last", activation="softmax")(y))


@pytest.fixture(scope="module")
def saved(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("models")
    model = network()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # numpy's, of how TensorFlow saves
        model.save(folder / "net.keras")
        model.export(folder / "saved", verbose=False)
    return folder


def rows(report: multiprof.Report) -> list[tuple[str, ...]]:
    """The groups of layers, after what holds for every runtime."""
    (whole,) = [m for m in report.measurements if m.kind == "whole"]
    assert (whole.runner, whole.route, whole.isolated) == ("cpu", "native", True)
    assert not any("no times of single layers" in note for note in whole.environment.get("notes", ()))
    groups = [m.subject for m in report.measurements if m.kind == "group"]
    named = [name for group in groups for name in group]
    assert len(named) == len(set(named))
    assert {row.name for row in report.layers if row.macs} <= set(named)
    assert all(m.median > 0 for m in report.measurements if m.kind == "group" and _multiplies(report, m.subject))
    return groups


def _multiplies(report: multiprof.Report, subject: tuple[str, ...]) -> bool:
    return any(row.macs for row in report.layers if row.name in subject)


@pytest.mark.parametrize("backend", ["tensorflow", "jax", "torch"])
def test_keras_on_every_backend(saved, monkeypatch, backend):
    monkeypatch.setenv("KERAS_BACKEND", backend)  # that of the worker
    report = benchmark(saved / "net.keras", (1, 16, 16, 3), quick=True)
    assert report.measurements[0].environment["backend"] == backend
    groups = rows(report)
    homes = {name.partition("/")[0]: group for group in groups for name in group}
    both = {"both.forward_lstm", "both.backward_lstm"}
    assert homes.keys() >= {"first", "second", "last"} | both
    if backend != "jax":  # XLA merges what it likes
        assert homes["first"] != homes["second"]
        assert homes["both.forward_lstm"] != homes["both.backward_lstm"]


def test_a_keras_layer_whose_name_has_a_dot():
    """As mobilenetv2_1.00_224 of keras.applications has: its path is written as in the model's graph."""
    x = keras.Input((3,))
    inner = keras.Sequential([layers.Dense(2, name="last")], name="net_1.00")
    model = keras.Model(x, inner(x))
    (dense,) = (row for row in multiprof.analyze(model, (1, 3)).layers if row.macs)
    scopes = Scopes(model, clock=True)
    with scopes.active():
        model(np.zeros((1, 3), np.float32))
    assert dense.name.startswith("net_1_00.last/")
    assert scopes.taken.keys() == {"", "net_1_00", "net_1_00.last"}


def test_a_saved_model_of_tensorflow(saved):
    report = benchmark(saved / "saved", (1, 16, 16, 3), quick=True)
    groups = rows(report)
    convolutions = {row.name for row in report.layers if row.op == "conv"}
    assert len(convolutions) == 2
    assert all(len(convolutions & set(group)) <= 1 for group in groups)
    # the body of a loop is timed as the layers in it
    assert any("while/lstm_cell" in name and "MatMul" in name for group in groups for name in group)


def test_a_function_of_tensorflow_that_stays_here():
    weight = tf.Variable(tf.ones((4, 4)))
    report = benchmark(lambda x: tf.nn.relu(x @ weight), tf.ones((2, 4)), framework="tensorflow", quick=True)
    (whole,) = [m for m in report.measurements if m.kind == "whole"]
    assert (whole.route, whole.isolated) == ("native", False)
    assert {row.op for row in report.layers if row.name in {n for m in report.measurements for n in m.subject}} >= {
        "linear", "relu",
    }  # fmt: skip


def test_a_symbol_of_mxnet(tmp_path):
    mx = import_mxnet()
    x = mx.sym.var("data")
    y = mx.sym.Convolution(x, kernel=(3, 3), num_filter=8, name="conv")
    y = mx.sym.Activation(mx.sym.BatchNorm(y, name="norm"), act_type="relu", name="act")
    y = mx.sym.FullyConnected(mx.sym.Flatten(y, name="flat"), num_hidden=5, name="last")
    y.save(str(tmp_path / "net-symbol.json"))
    groups = rows(benchmark(tmp_path / "net-symbol.json", {"data": (1, 3, 16, 16)}, quick=True))
    assert ("conv", "norm", "act") in groups  # one operation of its engine
    assert any("last" in group for group in groups)


def test_a_node_is_named_as_in_the_function_that_holds_it():
    assert plain("StatefulPartitionedCall/StatefulPartitionedCall_1/net/conv/Conv2D") == "net/conv/Conv2D"
    assert plain("net/lstm/while/body/_12/net/lstm/while/cell/MatMul") == "net/lstm/while/cell/MatMul"
    assert plain("net/conv/Conv2D") == "net/conv/Conv2D"


def test_operations_of_the_engine_in_the_order_they_began():
    def event(name: str, phase: str, at: float) -> dict[str, object]:
        return {"name": name, "cat": "operator", "ph": phase, "ts": at, "pid": 0, "tid": 1}

    events = [event("b", "B", 30), event("b", "E", 34), event("a", "B", 10), event("a", "E", 15), {"ph": "M"}]
    assert _spent(events) == [("a", pytest.approx(5e-6)), ("b", pytest.approx(4e-6))]


PROGRAM = """\
HloModule jit_f
%fused (p: f32[4]) -> f32[4] {
  %p = f32[4]{0} parameter(0)
  %m = f32[4]{0} multiply(%p, %p), metadata={op_name="jit(f)/multiprof_1/mul"}
  ROOT %e = f32[4]{0} exponential(%m), metadata={op_name="jit(f)/multiprof_2/exp"}
}

ENTRY %main.3 (x: f32[4], y: f32[4]) -> f32[4] {
  %x = f32[4]{0} parameter(0), metadata={op_name="x"}
  %dot.2 = f32[4]{0} dot(%x, %x)
  ROOT %fusion.1 = f32[4]{0} fusion(%dot.2), kind=kLoop, calls=%fused, metadata={op_name="jit(f)/multiprof_2/exp"}
}
"""


def test_what_an_instruction_of_xla_was_made_of():
    program = Program(PROGRAM)
    assert program.steps == ["x", "dot.2", "fusion.1"]
    assert list(dict.fromkeys(program.made_of("fusion.1"))) == ["jit(f)/multiprof_2/exp", "jit(f)/multiprof_1/mul"]
    assert list(program.made_of("dot.2")) == ["jit(f)/multiprof_2/exp"]  # it has no name; what reads it has


def test_steps_and_the_layers_they_stand_near():
    report = multiprof.analyze(network(), (1, 16, 16, 3))
    runs = [{"first": 1.0, "second": 2.0, "both.forward_lstm.cell": 3.0, "both": 0.5, "": 0.25, "last": 0.125}]
    parts = {part.label or part.subject[0].partition("/")[0]: part for part in by_scope(report, runs)}
    assert {name: part.times for name, part in parts.items()} == {
        "first": (1.0,), "second": (2.0,), "both.forward_lstm": (3.0,), "both.backward_lstm": (0.5,),
        "last": (0.125,), ITSELF: (0.25,),
    }  # fmt: skip
    merged = by_merged_scopes(
        report, [{"a": 1.0, "b": 2.0, "c": 4.0}], {"a": ("first", "norm"), "b": ("last",), "c": ()}
    )
    assert [part.times for part in merged] == [(1.0,), (2.0,), (4.0,)]
    assert {name.partition("/")[0] for name in merged[0].subject} == {"first", "norm"}
    assert merged[2] == Part((), (4.0,), "c")
    names = [row.name for row in report.layers]
    runs = [{names[0]: 1.0, f"{names[0].partition('/')[0]}/Cast/ReadVariableOp": 0.5, "elsewhere": 2.0}]
    found = by_path(report, runs)
    assert (found[0].times, names[0] in found[0].subject) == ((1.5,), True)
    assert found[1:] == [Part((), (2.0,), "elsewhere")]
    assert np.isclose(sum(part.times[0] for part in found), 3.5)
