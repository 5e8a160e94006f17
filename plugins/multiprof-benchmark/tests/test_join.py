"""Steps of a runtime and layers of a graph, joined by hand: nothing is lost, and no group is split."""

from __future__ import annotations

import pytest
from multiprof_benchmark.join import Join
from multiprof_benchmark.runners.base import Part

from multiprof import Graph, Layer, TensorSpec
from multiprof.testing.graphs import GraphBuilder


class Rows:
    """As much of a report as the join looks at."""

    class Row:
        trips, state = 1, "priced"

        def __init__(self, layer: Layer) -> None:
            self.layer, self.name = layer, layer.name

    def __init__(self, graph: Graph) -> None:
        self.layers = [self.Row(layer) for layer in graph.layers]


@pytest.fixture
def join() -> Join:
    """a → a_act → b → sum(+ skip) → act, with outputs named a:y and so on."""
    net = GraphBuilder()
    x = net.input((2, 2))

    def layer(op: str, name: str, *operands: TensorSpec) -> TensorSpec:
        return net.layer(op, {f"x{n}": spec for n, spec in enumerate(operands)}, name=name)

    a = layer("exp", "a", x)
    act = layer("relu", "a_act", a)
    skip = layer("exp", "skip", act)
    b = layer("exp", "b", act)
    total = layer("add", "sum", b, skip)
    layer("relu", "act", total)
    return Join(Rows(net.graph()))  # type: ignore[arg-type]  # the join reads nothing else of it


def test_steps_that_go_by_their_layers_take_what_follows(join):
    steps = [("a", 1.0), ("skip_nchwc", 2.0), ("b", 4.0)]
    assert join.parts([steps, steps]) == [
        Part(("a", "a_act"), (1.0, 1.0)),
        Part(("skip",), (2.0, 2.0)),
        Part(("b", "sum", "act"), (4.0, 4.0)),
    ]


def test_steps_that_go_by_their_outputs_take_what_leads_to_them(join):
    steps = [("a_act:y_nchwc", 1.0), ("skip:y", 2.0), ("act:y", 4.0)]
    assert join.parts([steps]) == [
        Part(("a", "a_act"), (1.0,)),
        Part(("skip",), (2.0,)),
        Part(("b", "sum", "act"), (4.0,)),
    ]


def test_what_fits_nothing_goes_to_the_step_before(join):
    steps = [("reorder", 8.0), ("a", 1.0), ("reorder_out", 2.0), ("b", 4.0), ("b", 0.5)]
    found = {part.subject: part.times for part in join.parts([steps])}
    assert found[()] == (8.0,)  # before any layer: beside them all
    assert found[("a", "a_act", "skip")] == (3.0,)
    assert found[("b", "sum", "act")] == (4.5,)


def test_runs_of_other_steps_are_left_out(join):
    warm = [("a", 9.0), ("compile", 9.0), ("b", 9.0)]
    steps = [("a", 1.0), ("b", 2.0)]
    assert [part.times for part in join.parts([warm, steps, steps])] == [(1.0, 1.0), (2.0, 2.0)]
    assert join.parts([]) == []


def test_what_ran_in_another_step_is_in_its_group_with_what_leads_to_it(join):
    """skip ran inside a's step, and sum inside b's: act is behind sum, a_act was on the way from a to skip."""
    assert join.parts([[("a", 1.0), ("b", 4.0)]], {"skip:y": "a", "sum:y": "b:y"}) == [
        Part(("a", "a_act", "skip"), (1.0,)),
        Part(("b", "sum", "act"), (4.0,)),
    ]


def test_layers_of_a_step_that_was_not_timed_are_in_no_group(join):
    assert join.parts([[("a_act:y", 1.0), ("act:y", 4.0)]], {"skip:y": "", "b:y": ""}) == [
        Part(("a", "a_act"), (1.0,)),
        Part(("sum", "act"), (4.0,)),
    ]


def test_what_is_merged_into_nothing_known_or_has_a_step_of_its_own_stays(join):
    steps = [("a", 1.0), ("b", 4.0)]
    assert join.parts([steps], {"b": "a", "skip:y": "elsewhere", "nothing": "a"}) == join.parts([steps])


def test_a_step_without_a_name_is_beside_all_layers(join):
    assert join.parts([[("a", 1.0), ("", 2.0), ("reorder", 8.0), ("b", 4.0)]]) == [
        Part(("a", "a_act", "skip"), (9.0,)),
        Part((), (2.0,)),
        Part(("b", "sum", "act"), (4.0,)),
    ]
