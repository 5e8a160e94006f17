"""Loops and branches, as functions (TensorFlow 2) and as Switch and Merge (TensorFlow 1)."""

from __future__ import annotations

import pytest
import tensorflow as tf
from tensorflow.python.framework.convert_to_constants import convert_variables_to_constants_v2

SQUARE = tf.Variable(tf.zeros((8, 8)), name="square")
PRODUCT = 2 * 8 * 8  # of (2, 8) with it


def test_a_loop_that_counts(graph_of, cost):
    @tf.function
    def function(x):
        for _ in tf.range(3, 20, 4):  # 3, 7, 11, 15, 19
            x = x @ SQUARE
        return x

    report = cost(function, (2, 8))
    (region,) = report.graph.regions.values()
    assert (region.kind, region.trips, region.stateful) == ("loop", 5, True)
    assert report.macs == 5 * PRODUCT


@pytest.mark.parametrize(
    ("start", "condition", "step", "trips"),
    [
        (0, lambda i: i < 10, lambda i: i + 3, 4),
        (0, lambda i: i <= 9, lambda i: i + 3, 4),
        (10, lambda i: i > 0, lambda i: i - 4, 3),
        (10, lambda i: i >= 0, lambda i: i - 5, 3),
        (5, lambda i: i < 5, lambda i: i + 1, 0),
    ],
)
def test_trips_by_python(cost, start, condition, step, trips):
    def function(x):
        return tf.while_loop(lambda i, a: condition(i), lambda i, a: (step(i), a @ SQUARE), [start, x])[1]

    found, i = 0, start  # what Python counts
    while condition(i):
        i = step(i)
        found += 1
    assert found == trips
    assert cost(function, (2, 8), framework="tensorflow").macs == trips * PRODUCT


def test_an_end_that_is_a_size_of_the_input(cost):
    def function(x):
        return tf.while_loop(lambda i, a: i < tf.shape(x)[0], lambda i, a: (i + 1, a @ SQUARE), [0, x])[1]

    assert cost(function, (7, 8), framework="tensorflow").macs == 7 * 7 * 64


def test_trips_nobody_knows_are_asked_for(cost):
    @tf.function
    def function(x):
        while tf.reduce_sum(x) > 0.0:
            x = x @ SQUARE
        return x

    report = cost(function, (2, 8))
    (name,) = [id for id, region in report.graph.regions.items() if region.kind == "loop"]
    row = next(row for row in report.layers if row.layer.op == "linear")
    assert row.macs is None
    assert f"--trips {name}=n" in row.reason
    assert cost(function, (2, 8), trips={name: 6}).macs == 6 * PRODUCT


def test_a_maximum_of_trips_bounds_a_count(cost):
    def function(x):
        return tf.while_loop(lambda i, a: i < 10, lambda i, a: (i + 1, a @ SQUARE), [0, x], maximum_iterations=4)[1]

    assert cost(function, (2, 8), framework="tensorflow").macs == 4 * PRODUCT


def test_loops_inside_loops(cost):
    @tf.function
    def function(x):
        for _ in tf.range(3):
            for _ in tf.range(4):
                x = x @ SQUARE
            x = x @ SQUARE
        return x

    report = cost(function, (2, 8))
    assert report.macs == 3 * (4 + 1) * PRODUCT
    inner = next(r for r in report.graph.regions.values() if r.trips == 4)
    assert report.graph.regions[inner.parent].trips == 3


def test_a_state_that_grows_has_no_size(graph_of):
    def function(x):
        shapes = [tf.TensorShape(()), tf.TensorShape((None, 8))]
        return tf.while_loop(lambda i, a: i < 3, lambda i, a: (i + 1, tf.concat([a, x], 0)), [0, x], shapes)[1]

    graph = graph_of(function, (2, 8))
    assert graph.outputs[0].shape == (None, 8)
    assert [layer.op for layer in graph.layers].count("concat") == 1, "the body is written once"


def test_map_and_scan_read_and_write_lists(graph_of, cost):
    def mapped(x):
        return tf.map_fn(lambda row: tf.linalg.matvec(SQUARE, row), x)

    def scanned(x):
        return tf.scan(lambda a, row: tf.tanh(tf.linalg.matvec(SQUARE, a) + row), x, tf.zeros(8))

    report = cost(mapped, (5, 8), framework="tensorflow")
    assert report.macs == 5 * 64
    assert [r.stateful for r in report.graph.regions.values()] == [False], "no number is handed on"
    assert graph_of(mapped, (5, 8)).outputs[0].shape == (5, 8)
    report = cost(scanned, (5, 8), framework="tensorflow")
    assert report.macs == 5 * 64
    assert [r.stateful for r in report.graph.regions.values()] == [True]


def test_the_dearer_branch_counts(cost):
    @tf.function
    def function(x):
        if tf.reduce_sum(x) > 0:
            return x @ SQUARE
        return x * 2.0

    report = cost(function, (2, 8))
    assert report.macs == PRODUCT
    assert {r.kind for r in report.graph.regions.values()} == {"branch"}
    assert any("only the dearest is counted" in text for text in report.warnings)


def test_a_branch_known_beforehand_is_taken(cost):
    @tf.function
    def function(x):
        return tf.cond(tf.shape(x)[0] > 1, lambda: x @ SQUARE, lambda: x * 2.0)

    assert cost(function, (2, 8)).macs == PRODUCT
    assert cost(function, (1, 8)).macs == 0
    assert not cost(function, (2, 8)).graph.regions


def test_a_choice_between_many(cost):
    def function(x, i):
        return tf.switch_case(i, [lambda: x, lambda: x @ SQUARE, lambda: x @ SQUARE @ SQUARE])

    from multiprof import TensorSpec

    report = cost(function, [(2, 8), TensorSpec((), "int32")], framework="tensorflow")
    assert report.macs == 2 * PRODUCT
    assert len(report.graph.regions) == 3


@pytest.fixture(scope="module")
def old_graph():
    """A graph of TensorFlow 1: variables of both kinds, a loop, a choice, a loop over a TensorArray."""
    graph = tf.Graph()
    v1 = tf.compat.v1
    with graph.as_default():
        v1.disable_control_flow_v2()
        try:
            x = v1.placeholder(tf.float32, (None, 10, 8), name="x")
            old = v1.get_variable("old", (8, 8), use_resource=False)
            frozen = v1.get_variable("frozen", (8, 8), use_resource=True, trainable=False)
            first = x[:, 0]
            _, state = v1.while_loop(
                lambda i, s: i < 10, lambda i, s: (i + 1, tf.tanh(s @ old + first)), [0, tf.zeros_like(first)]
            )
            y = v1.cond(tf.reduce_sum(state) > 0, lambda: state @ frozen, lambda: state + 1)
            steps = tf.TensorArray(tf.float32, 10).unstack(tf.transpose(x, (1, 0, 2)))
            _, _, made = v1.while_loop(
                lambda i, s, o: i < 10,
                lambda i, s, o: (i + 1, steps.read(i) @ old + s, o.write(i, s)),
                [0, tf.zeros_like(y), tf.TensorArray(tf.float32, 10)],
            )
            tf.identity(made.stack() + y, name="out")
        finally:
            v1.enable_control_flow_v2()
    return graph


def test_frames_are_loops_and_switches_branches(old_graph, cost):
    ops = {node.op for node in old_graph.as_graph_def().node}
    assert {"Enter", "Switch", "Merge", "TensorArrayV3"} <= ops
    models = old_graph, old_graph.as_graph_def(), tf.compat.v1.Session(graph=old_graph)
    for model in models:
        report = cost(model, (2, 10, 8))
        assert report.macs == 10 * PRODUCT + PRODUCT + 10 * PRODUCT
        regions = list(report.graph.regions.values())
        assert [(r.trips, r.stateful) for r in regions if r.kind == "loop"] == [(10, True), (10, True)]
        assert sum(r.kind == "branch" for r in regions) == 2
        assert report.coverage == 1
        assert report.graph.outputs[0].shape == (10, 2, 8)
    report = cost(old_graph, (2, 10, 8))
    trainable = {name: p.trainable for name, p in report.graph.parameters.items() if p.kind == "parameter"}
    assert trainable == {"old": True, "frozen": False}


def test_a_file_of_an_old_graph(old_graph, tmp_path, cost):
    path = tmp_path / "old.pb"
    path.write_bytes(old_graph.as_graph_def().SerializeToString())
    assert cost(path, (2, 10, 8)).macs == 21 * PRODUCT
    assert cost(path, {"x": (2, 10, 8)}, signature="out").macs == 21 * PRODUCT


def test_a_frozen_loop_that_fills_a_list(graph_of, cost, tmp_path):
    """Freezing makes frames of loops, in any order of nodes: what reads the list may stand before the loop's body."""
    steps, n = 6, 2

    @tf.function(autograph=False, input_signature=[tf.TensorSpec((n, steps, 8))])
    def function(x):
        sequence = tf.TensorArray(tf.float32, steps).unstack(tf.transpose(x, [1, 0, 2]))
        results = tf.TensorArray(tf.float32, steps, element_shape=(n, 8))

        def step(t, h, results):
            h = tf.tanh(sequence.read(t) + h @ SQUARE)
            return t + 1, h, results.write(t, h)

        return tf.while_loop(lambda t, *_: t < steps, step, (0, tf.zeros((n, 8)), results))[2].stack()

    graph = convert_variables_to_constants_v2(function.get_concrete_function()).graph.as_graph_def()
    backwards = tf.compat.v1.GraphDef()
    backwards.CopyFrom(graph)
    del backwards.node[:]
    backwards.node.extend(reversed(graph.node))
    assert {"Exit", "TensorListStack"} <= {node.op for node in graph.node}
    for definition in (graph, backwards):
        (tmp_path / "frozen.pb").write_bytes(definition.SerializeToString())
        report = cost(tmp_path / "frozen.pb")
        (region,) = report.graph.regions.values()
        assert (region.trips, region.stateful) == (steps, True)
        assert report.macs == cost(function).macs == steps * PRODUCT
        assert [spec.shape for spec in report.graph.outputs] == [(steps, n, 8)]
