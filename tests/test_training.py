"""The training part of a report: totals, loops, saving and loading, and what is wrong with broken files."""

from __future__ import annotations

import json

import pytest

from multiprof.backward.step import train
from multiprof.cost import Counts
from multiprof.engine import price
from multiprof.errors import ReportError, UnsupportedOpError
from multiprof.ir import LOOP, Graph
from multiprof.passes import training_form
from multiprof.registry import build
from multiprof.report import Report
from multiprof.testing.graphs import GraphBuilder

FORMULAS = build().formulas()


def stepped(graph: Graph, optimizer: str | None = None, **options: bool) -> Report:
    return train(price(training_form(graph), FORMULAS), FORMULAS, optimizer, **options)


def net(trainable: bool | None = True, **metadata: object) -> Graph:
    """Two linear layers 3 → 4 → 2 on 5 samples, with a tanh between."""
    made = GraphBuilder()
    x = made.input((5, 3))
    first, second = made.parameter("w0", (4, 3), trainable=trainable), made.parameter("w1", (2, 4))
    x = made.layer("linear", {"x": x, "weight": first}, (5, 4), name="first", in_features=3)
    x = made.layer("tanh", {"x": x}, name="tanh")
    x = made.layer("linear", {"x": x, "weight": second}, (5, 2), name="second", in_features=4)
    return made.graph(x, **metadata)


def test_totals_of_a_step() -> None:
    """Forward 60 + 40 macs; backward the first weight's 60 and twice 40; tanh 5·4 elements of 2 muls and 1 add."""
    report = stepped(net(), "sgd")
    training = report.training
    assert training is not None
    assert training.backward == Counts(macs=140, dots=12 + 20 + 8, muls=40, adds=20)
    assert training.update.counts == Counts(muls=20, adds=20)
    assert report.step == report.counts + training.backward + training.update.counts
    assert report.step.macs == 240
    assert [name for part in training.layers.values() for name, _ in part.saved or ()] == ["x", "tanh:y"]
    assert training.saved_bytes == (15 + 20) * 4
    assert training.peak is not None
    assert training.peak.weights == (12 + 8) * 4


@pytest.mark.parametrize(("trainable", "backward"), [(True, 140), (None, 140), (False, 40)])
def test_frozen_weights_cost_less_and_unknown_ones_count_as_trained(trainable: bool | None, backward: int) -> None:
    report = stepped(net(trainable))
    assert report.training is not None
    assert report.training.backward.macs == backward
    assert any("count as trained" in warning for warning in report.warnings) == (trainable is None)


def test_a_loop_keeps_what_every_trip_makes() -> None:
    made = GraphBuilder()
    loop = made.region("loop", LOOP, trips=7)
    x, w = made.input((2, 4)), made.parameter("w", (4, 4))
    y = made.layer("linear", {"x": x, "weight": w}, (2, 4), name="fc", region=loop, in_features=4)
    y = made.layer("tanh", {"x": y}, name="tanh", region=loop)
    report = stepped(made.graph(y))
    assert report.training is not None
    assert report.training.layer("fc").cost.macs == 7 * 2 * 4 * 4  # the weight's gradient, once a trip
    assert report.training.layer("tanh").saved == (("tanh:y", 7 * 2 * 4 * 4),)


def test_a_loop_of_unknown_length_is_unsupported() -> None:
    made = GraphBuilder()
    loop = made.region("loop", LOOP, trips=None)
    x, w = made.input((2, 4)), made.parameter("w", (4, 4))
    y = made.layer("linear", {"x": x, "weight": w}, (2, 4), name="fc", region=loop, in_features=4)
    report = stepped(made.graph(y))
    assert report.training is not None
    assert "unknown number of times" in report.training.unsupported()["fc"]
    with pytest.raises(UnsupportedOpError, match="backward pass has no cost: fc"):
        stepped(made.graph(y), strict=True)


def test_inference_graphs_are_turned_to_training() -> None:
    """Statistics come from the batch and move the running ones; dropout draws a mask; a frozen norm stays as it is."""
    made = GraphBuilder()
    x = made.input((6, 4))
    for name, trainable in (("free", True), ("frozen", False)):
        weights = {role: made.parameter(f"{name}.{role}", (4,), trainable=trainable) for role in ("weight", "bias")}
        weights |= {role: made.parameter(f"{name}.{role}", (4,), "buffer") for role in ("mean", "var")}
        x = made.layer("batch_norm", {"x": x, **weights}, name=name, channels=4)
    x = made.layer("dropout", {"x": x}, name="drop", alias="view", p=0.25)
    graph = training_form(made.graph(x))
    layers = {layer.name: layer for layer in graph.layers}
    assert layers["free"].attrs["batch_stats"] and not layers["frozen"].attrs.get("batch_stats")
    assert [layer.op for layer in graph.layers] == [
        *("batch_norm", "lerp", "lerp", "batch_norm", "random", "div", "mul"),
    ]
    assert layers["drop/div"].attrs == {"scalar": 0.75}
    assert price(graph, FORMULAS).coverage == 1.0


def test_a_saved_report_is_the_same_and_older_ones_load() -> None:
    report = stepped(net(checkpoints=[["first", "tanh"]], train=True), "adafactor")
    data = json.loads(json.dumps(report.to_dict()))
    assert Report.from_dict(data) == report
    assert data["training"]["totals"]["step_flops"] == report.step.flops
    del data["training"]
    assert Report.from_dict(data).training is None


@pytest.mark.parametrize(
    ("path", "value", "said"),
    [
        (("optimizer",), 3, "'optimizer' is 3"),
        (("gradient_bytes",), -1, "'gradient_bytes' is -1"),
        (("layers",), {}, "its layers are not those of the graph"),
        (("layers", "tanh", "state"), "odd", "'state' is 'odd'"),
        (("layers", "tanh", "terms"), None, "what a backward pass that is priced has"),
        (("layers", "tanh", "saved"), [{"name": "x"}], "has no 'bytes'"),
        (("states",), {"exp_avg": 1.5}, "'exp_avg' is 1.5"),
        (("peak", "phase"), "later", "'phase' is 'later'"),
    ],
)
def test_a_broken_part_is_refused(path: tuple[str, ...], value: object, said: str) -> None:
    data = json.loads(json.dumps(stepped(net(), "adam").to_dict()))
    part = data["training"]
    for key in path[:-1]:
        part = part[key]
    part[path[-1]] = value
    with pytest.raises(ReportError, match=said.replace("(", r"\(")):
        Report.from_dict(data)
