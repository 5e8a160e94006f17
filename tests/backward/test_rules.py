"""Every op of the vocabulary in the backward pass: priced, moved, stopped, or said to be without a formula."""

from __future__ import annotations

import pytest

import multiprof
from multiprof.backward import RULES
from multiprof.backward.step import NO_FORMULA, train
from multiprof.engine import price
from multiprof.ops import OPS
from multiprof.passes import training_form
from multiprof.registry import build
from multiprof.testing.graphs import GraphBuilder

FORMULAS = build().formulas()


def stepped(graph, formulas=None, optimizer=None):
    table = formulas or FORMULAS
    return train(price(training_form(graph), table), table, optimizer)


def test_rules_are_of_the_vocabulary_and_say_where_they_come_from():
    assert set(RULES) <= set(OPS)
    for op, rule in RULES.items():
        assert rule.source or rule.free or rule.stops or rule.lacks, op


def test_an_op_without_a_rule_is_unsupported_in_the_backward_pass():
    net = GraphBuilder()
    weight = net.parameter("w", (3, 3))
    y = net.layer("toy.mystery", {"x": net.input((3, 3)), "weight": weight}, name="odd")
    free = {"toy.mystery": multiprof.free("toy.mystery", reason="a test")}
    report = stepped(net.graph(net.layer("relu", {"x": y}, name="relu")), FORMULAS | free)
    part = report.training.layer("odd")
    assert (part.state, part.reason, part.cost) == ("unsupported", NO_FORMULA, None)
    assert report.training.unsupported() == {"odd": NO_FORMULA}
    assert any("no cost for toy.mystery" in warning for warning in report.warnings)


def test_a_formula_of_ones_own_brings_its_backward_pass():
    def back(layer, needs):
        return multiprof.Cost({f"{role}_grad": multiprof.Counts(muls=layer.y.numel) for role in sorted(needs)})

    @multiprof.formula("toy.scale", backward=back)
    def scale(layer):
        """scale: |y| muls"""
        return multiprof.Cost({"scale": multiprof.Counts(muls=layer.y.numel)})

    net = GraphBuilder()
    y = net.layer("toy.scale", {"x": net.input((3, 4)), "weight": net.parameter("w", (4,))}, name="scale")
    report = stepped(net.graph(y), FORMULAS | {"toy.scale": scale})
    assert report.training.layer("scale").cost.terms == {"weight_grad": multiprof.Counts(muls=12)}


@pytest.mark.parametrize("op", ["argmax", "greater", "round"])
def test_no_gradient_goes_through_integers_and_steps(op):
    net = GraphBuilder()
    x = net.layer("linear", {"x": net.input((2, 4)), "weight": net.parameter("w", (4, 4))}, name="fc", in_features=4)
    if op == "argmax":
        y = net.layer(op, {"x": x}, (2,), dtype="int64", name="odd", axis=(1,))
    elif op == "greater":
        y = net.layer(op, {"x0": x}, dtype="bool", name="odd", scalar=0)
    else:
        y = net.layer(op, {"x": x}, name="odd")
    report = stepped(net.graph(y))
    fc, odd = report.training.layer("fc"), report.training.layer("odd")
    if op == "round":  # its gradient is 0, and autograd hands the zeros on
        assert (odd.state, fc.state) == ("free", "priced")
    else:
        assert (odd.state, fc.state) == ("none", "none")
        assert any("there is no backward pass" in warning for warning in report.warnings)
