"""Loops multiply, one branch counts, and nothing of it is silent."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from multiprof.cost import Cost, Counts, Formula, formula, free
from multiprof.engine import price
from multiprof.errors import UsageError
from multiprof.ir import PREPARED, Mark, TensorSpec
from multiprof.report import Report
from multiprof.testing.graphs import GraphBuilder


@formula("work")
def work(layer: Any) -> Cost:
    """work: n macs, n adds"""
    return Cost({"work": Counts(macs=layer.attrs["n"], adds=layer.attrs["n"])})


FORMULAS: dict[str, Formula] = {"work": work, "move": free("move", reason="moves nothing")}


class Net(GraphBuilder):
    """Layers of a given amount of work, each reading the input of 4 bytes and writing 4."""

    def __init__(self) -> None:
        super().__init__("net")
        self.x = self.input((1,))

    def work(self, n: int, region: str | None = None, name: str = "", op: str = "work") -> TensorSpec:
        return self.layer(op, {"x": self.x}, (1,), name=name or f"w{len(self.layers)}", region=region, n=n)

    def price(self, **options: Any) -> Report:
        return price(self.graph(), FORMULAS, **options)


def test_loops_multiply_and_nest() -> None:
    net = Net()
    net.region("outer", "loop", trips=5)
    net.region("call", "call", parent="outer")
    net.region("inner", "loop", trips=7, parent="call")
    net.work(1)
    net.work(10, "outer")
    net.work(100, "inner")
    report = net.price()
    assert [row.trips for row in report.layers] == [1, 5, 35]
    assert [row.macs for row in report.layers] == [1, 50, 3500]
    assert report.macs == 3551
    assert [row.bytes for row in report.layers] == [8, 40, 280]
    assert report.coverage == 1
    assert not report.warnings


def test_unknown_trips_have_no_cost_and_say_how_to_give_them() -> None:
    net = Net()
    net.region("decode", "loop", trips=None)
    net.region("beam", "loop", trips=4, parent="decode")
    net.work(1)
    net.work(10, "beam")
    net.work(0, "decode", op="move")
    report = net.price()
    once, many, moved = report.layers
    assert once.macs == 1
    assert (many.state, many.cost, many.trips, many.bytes) == ("unsupported", None, None, None)
    assert 'trips={"decode": n}' in many.reason
    assert "--trips decode=n" in many.reason
    assert (moved.state, moved.flops) == ("free", 0)  # nothing, however often
    assert report.macs == 1
    assert report.coverage == 1 - 1 / 3

    given = net.price(trips={"decode": 6})
    assert [row.trips for row in given.layers] == [1, 24, 6]
    assert given.macs == 241
    assert given.graph.regions["decode"].trips == 6
    assert net.regions["decode"].trips is None


@pytest.mark.parametrize("trips", [None, 9])
def test_what_is_prepared_runs_once_whatever_loop_it_stands_in(trips: int | None) -> None:
    net = Net()
    net.region("loop", "loop", trips=trips)
    net.work(10, "loop", "ahead")
    graph = replace(net.graph(), marks={"ahead": Mark(PREPARED, "weights alone")})
    report = price(graph, FORMULAS)
    assert (report.layers[0].state, report.layers[0].trips, report.layers[0].macs) == ("prepared", 1, 10)
    assert report.coverage == 1


def test_given_trips_replace_those_of_the_model() -> None:
    net = Net()
    net.region("loop", "loop", trips=5)
    net.work(10, "loop")
    assert net.price(trips={"loop": 3}).macs == 30
    assert net.price(trips={"loop": 0}).macs == 0


def test_a_loop_that_never_runs_hides_an_unknown_one() -> None:
    net = Net()
    net.region("never", "loop", trips=0)
    net.region("unknown", "loop", trips=None, parent="never")
    net.work(10, "unknown")
    report = net.price()
    assert (report.layers[0].trips, report.macs, report.coverage) == (0, 0, 1)


@pytest.mark.parametrize(
    ("trips", "message"),
    [
        ({"other": 2}, "no loop 'other'; its loops are loop"),
        ({"arm": 2}, "no loop 'arm'"),
        ({"loop": -1}, "-1 for the loop 'loop' is no whole number"),
        ({"loop": 1.5}, "1.5 for the loop"),
        ({"loop": True}, "True for the loop"),
    ],
)
def test_wrong_trips(trips: dict[str, Any], message: str) -> None:
    net = Net()
    net.region("loop", "loop", trips=2)
    net.region("arm", "branch", group="if")
    with pytest.raises(UsageError, match=message):
        net.price(trips=trips)


def test_trips_for_a_model_without_loops() -> None:
    with pytest.raises(UsageError, match="it has no loops"):
        Net().price(trips={"loop": 2})


def branches() -> Net:
    net = Net()
    net.region("then", "branch", group="if")
    net.region("else", "branch", group="if")
    net.work(1, name="always")
    net.work(10, "then", "cheap")
    net.work(20, "else", "dear")
    net.work(3, "else", "dear too")
    return net


def test_only_the_dearest_branch_counts_and_the_report_says_so() -> None:
    report = branches().price()
    assert report.macs == 1 + 20 + 3
    cheap = report.layer("cheap")
    assert (cheap.state, cheap.trips, cheap.macs, cheap.bytes) == ("priced", 0, 0, 0)
    assert cheap.reason == 'not counted: the branch "else" is taken instead of "then"'
    (note,) = report.warnings
    # a mac and an add are 3 FLOPs
    assert note == ('of the branches of if only the dearest is counted, "else" (69 FLOPs), not "then" (30 FLOPs)')
    assert report.coverage == 1
    assert report.traffic_bytes == 3 * 8
    assert report.activation_bytes == 3 * 4


def test_equally_dear_branches_count_the_first() -> None:
    net = branches()
    net.work(13, "then", "as much")
    assert net.price().layer("dear").trips == 0


def test_a_choice_inside_a_branch_decides_what_the_branch_costs() -> None:
    """else holds 23 or, with its inner choice of 100 or 200, 223; then holds 10 + a loop of 3 · 60 = 190."""
    net = branches()
    net.region("a", "branch", parent="else", group="inner")
    net.region("b", "branch", parent="else", group="inner")
    net.region("loop", "loop", parent="then", trips=3)
    net.work(100, "a", "a")
    net.work(200, "b", "b")
    net.work(60, "loop", "looped")
    report = net.price()
    assert report.macs == 1 + 20 + 3 + 200
    assert {row.name for row in report.layers if row.trips == 0} == {"cheap", "a", "looped"}
    assert len(report.warnings) == 2


def test_branches_in_a_loop_run_as_often_as_the_loop() -> None:
    net = Net()
    net.region("loop", "loop", trips=4)
    for id, n in (("then", 10), ("else", 20)):
        net.region(id, "branch", parent="loop", group="if")
        net.work(n, id)
    report = net.price()
    assert report.macs == 80
    assert [row.trips for row in report.layers] == [0, 4]


def test_branches_of_other_groups_and_without_a_group_all_count() -> None:
    net = Net()
    for id, group in (("a", "one"), ("b", "two"), ("c", ""), ("d", "")):
        net.region(id, "branch", group=group)
        net.work(10, id)
    report = net.price()
    assert report.macs == 40
    assert not report.warnings


def test_a_branch_with_an_unpriced_layer_may_be_the_dearer_one() -> None:
    net = branches()
    net.work(0, "then", "mystery", op="mystery")
    report = net.price()
    mystery = report.layer("mystery")
    assert (mystery.state, mystery.cost) == ("unsupported", None)
    assert mystery.reason.startswith("no formula; not counted")
    assert 'there are layers without a cost in "then", so another may be dearer' in report.warnings[0]
    # always, dear, dear too run; mystery weighs as one although it may not run
    assert report.coverage == 1 - 1 / 4
