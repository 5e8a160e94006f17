"""Operators that take functions: loops and choices are regions, flex attention is one layer."""

from __future__ import annotations

import sys
from typing import Any

import pytest
import torch
import torch.nn.attention.flex_attention as flex
from torch._higher_order_ops import associative_scan, scan, while_loop
from torch._higher_order_ops import map as map_over

import multiprof
from multiprof import Inputs


def report_of(call: Any, *given: Any) -> multiprof.Report:
    report = multiprof.analyze(call, Inputs(*given))
    assert not report.unsupported()
    return report


def test_a_scan_runs_its_body_for_every_step() -> None:
    """7 steps, in each a product of (1, 4) and (4, 4) and an addition."""
    weight = torch.ones(4, 4)

    def call(x: torch.Tensor) -> torch.Tensor:
        last, all_ = scan(lambda state, step: (state @ weight + step, state * 2), x[0], x)
        return all_ + last

    report = report_of(call, (7, 1, 4))
    assert report.macs == 7 * 4 * 4
    assert report.graph.outputs[0].shape == (7, 1, 4)
    assert [(r.kind, r.trips, r.stateful) for r in report.graph.regions.values()] == [("loop", 7, True)]
    assert report.flops == 2 * report.macs + 7 * 4 + 7 * 4 + 7 * 4  # the additions, the products, and what follows


def test_a_map_is_a_loop() -> None:
    report = report_of(lambda x: map_over(lambda row: row.exp() + 1, x), (5, 3))
    assert report.flops == 5 * 3 * 2
    assert report.graph.outputs[0].shape == (5, 3)


def test_a_while_loop_asks_how_often_it_runs() -> None:
    def call(x: torch.Tensor) -> torch.Tensor:
        return while_loop(lambda i, x: i < 3, lambda i, x: (i + 1, x @ x), (torch.tensor(0), x))[1]

    report = multiprof.analyze(call, (4, 4))
    (loop,) = report.graph.regions
    assert "matmul" in report.unsupported()
    told = multiprof.analyze(call, (4, 4), trips={loop: 3})
    assert not told.unsupported()
    assert told.macs == 3 * 4**3


@pytest.mark.parametrize("size", [2, 8])
def test_of_two_branches_the_dearer_one_counts(size: int) -> None:
    def call(x: torch.Tensor) -> torch.Tensor:
        return torch.cond(x.sum() > 0, lambda x: x @ x, lambda x: x.sin(), (x,))[0]

    report = report_of(call, (size, size))
    assert report.macs == size**3
    assert {region.kind for region in report.graph.regions.values()} == {"branch"}


def test_an_associative_scan_is_what_torch_makes_of_it() -> None:
    """Halves are joined, and then their halves: 4 + 2 + 1 pairs on the way up, 1 + 3 on the way down."""
    report = report_of(lambda x: associative_scan(torch.add, x, 0, combine_mode="generic"), (8, 1))
    assert report.counts.adds == 4 + 2 + 1 + 1 + 3


MASK = flex.create_block_mask(lambda b, h, i, j: i >= j, None, None, 128, 128, device="cpu")


@pytest.mark.parametrize(
    "more",
    [{}, {"block_mask": MASK}, {"score_mod": lambda score, b, h, i, j: score + i - j}, {"scale": 0.5}],
    ids=["plain", "mask", "function", "scale"],
)
def test_flex_attention_counts_every_pair(more: dict[str, Any]) -> None:
    """2 heads of 128 queries and 128 keys, 16 wide: as scaled dot-product attention, and said so."""
    maker = flex.create_block_mask
    report = report_of(lambda q, k, v: flex.flex_attention(q, k, v, **more), *((1, 2, 128, 16),) * 3)
    assert report.macs == 2 * 128 * 128 * (16 + 16)
    (layer,) = (layer for layer in report.layers if layer.op == "attention")
    assert layer.layer.attrs["scale"] == more.get("scale", 0.25)
    assert any("flex_attention" in warning for warning in report.warnings)
    assert flex.create_block_mask is maker  # torch is as it was


def test_grouped_heads_and_a_mask_made_in_the_forward() -> None:
    def call(q: torch.Tensor, k: torch.Tensor, v: torch.Tensor) -> torch.Tensor:
        mask = flex.create_block_mask(lambda b, h, i, j: i >= j, None, None, 128, 256, device="cpu")
        return flex.flex_attention(q, k, v, block_mask=mask, enable_gqa=True)

    report = report_of(call, (1, 4, 128, 16), (1, 2, 256, 16), (1, 2, 256, 8))
    assert report.macs == 4 * 128 * 256 * (16 + 8)
    assert report.graph.outputs[0].shape == (1, 4, 128, 8)


def test_torch_is_put_back() -> None:
    utils = sys.modules["torch._higher_order_ops.utils"]
    before = vars(utils).get("_hop_compile_and_call")
    report_of(lambda x: map_over(lambda row: row + 1, x), (2, 3))
    assert vars(utils).get("_hop_compile_and_call") is before
