"""Tensors out of nothing: free, with a reason; they are written and nothing is read."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from multiprof.cost import Cost
from multiprof.formulas.creation import FORMULAS
from multiprof.ir import Layer
from multiprof.ops import OPS

Make = Callable[..., Layer]

TABLE = {op: rule for rule in FORMULAS for op in rule.ops}


def test_every_creation_op_has_a_row_and_a_reason() -> None:
    assert set(TABLE) == {op.name for op in OPS.values() if op.family == "creation"}
    assert all(rule.free and rule.mathematics == f"free: {rule.free}" for rule in FORMULAS)


@pytest.mark.parametrize(
    ("op", "written"), [("fill", 48), ("arange", 48), ("random", 48), ("eye", 48), ("constant", 0)]
)
def test_they_are_written_and_nothing_is_read(make: Make, op: str, written: int) -> None:
    layer = make(op, {}, {"y": (3, 4)})
    assert TABLE[op].price(layer) == Cost()
    assert TABLE[op].traffic(layer) == (0, written)


def test_memory_taken_as_it_is_is_not_written(make: Make) -> None:
    assert TABLE["fill"].traffic(make("fill", {}, {"y": (3, 4)}, value=None)) == (0, 0)
    assert TABLE["fill"].traffic(make("fill", {}, {"y": (3, 4)}, value=0)) == (0, 48)


def test_anchors_follow_from_shapes(make: Make) -> None:
    assert TABLE["prior_box"].traffic(make("prior_box", {"x0": (1, 64, 9, 9), "x1": (3, 4)}, {"y": (3, 4)})) == (0, 48)


def test_filling_in_place_does_not_read_what_was_there(make: Make) -> None:
    assert TABLE["fill"].traffic(make("fill", {"x": (3, 4)}, {"y": (3, 4)})) == (0, 48)
