"""One layer's figures, and sums over layers."""

from __future__ import annotations

import pytest

from multiprof.cost import Cost, Counts
from multiprof.ir import Layer, TensorSpec
from multiprof.layer_report import COUNTED, STATES, LayerReport, Total

LAYER = Layer("block/conv", "conv", {}, {"y": TensorSpec((1,))}, scope="block")


def row(state: str, cost: Cost | None = None, **fields: int | None) -> LayerReport:
    return LayerReport(LAYER, state, "", cost, None, fields.get("read"), fields.get("written"))


def test_a_row_speaks_for_its_layer() -> None:
    priced = row("priced", Cost({"dot": Counts(macs=3), "bias": Counts(adds=2)}), read=5, written=7)
    assert (priced.name, priced.op, priced.scope, priced.family) == ("block/conv", "conv", "block", "convolution")
    assert (priced.macs, priced.flops, priced.bytes) == (3, 8, 12)


def test_what_is_unknown_is_none() -> None:
    unknown = row("unsupported", read=5)
    assert (unknown.macs, unknown.flops, unknown.bytes) == (None, None, None)


def test_which_states_stand_in_the_totals() -> None:
    assert set(STATES) == {"priced", "folded", "prepared", "free", "unsupported"}
    assert set(COUNTED) == {"priced", "folded", "free"}


@pytest.mark.parametrize("state", STATES)
def test_totals_add_what_counts(state: str) -> None:
    cost = None if state == "unsupported" else Cost({"dot": Counts(macs=3), "bias": Counts(adds=2)})
    total = Total()
    for _ in range(2):
        total.add(row(state, cost, read=5, written=7), params=11)
    if state in ("priced", "folded", "free"):
        assert total == Total(layers=2, params=22, macs=6, flops=16, bytes_read=10, bytes_written=14)
        assert total.bytes == 24
    else:
        assert total == Total(layers=2, unsupported=2 * (state == "unsupported"), params=22)


def test_scaling_leaves_the_cost_it_was_given_alone() -> None:
    cost = Cost({"dot": Counts(macs=3)})
    priced = row("priced", cost, read=5, written=7)
    priced.unfolded = cost
    priced.scale(4)
    assert (priced.macs, priced.bytes_read, priced.bytes_written) == (12, 20, 28)
    assert priced.unfolded.macs == 12
    assert cost.macs == 3
    unknown = row("unsupported")
    unknown.scale(4)
    assert (unknown.cost, unknown.bytes) == (None, None)
