"""Rotary embedding against loops over pairs of channels."""

from __future__ import annotations

import math
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from multiprof.cost import Counts, Formula
from multiprof.errors import UnknownDimensionError
from multiprof.formulas.rotary import rotary_embedding
from multiprof.ir import Layer
from multiprof.testing import Tally

Make = Callable[..., Layer]
Agree = Callable[[Formula, Layer, Tally], None]


@given(st.integers(1, 3), st.integers(1, 4), st.integers(1, 3), st.integers(1, 3), st.booleans())
def test_pairs_are_turned(
    make: Make, agree: Agree, heads: int, length: int, pairs: int, kept: int, interleaved: bool
) -> None:
    """Heads of 2·pairs rotated channels and 2·kept others."""
    head = 2 * (pairs + kept)
    tally = Tally()
    x = tally.array((length, heads, head))
    with tally.term("rotate"):
        for position in range(length):
            for h in range(heads):
                for pair in range(pairs):
                    first, second = (2 * pair, 2 * pair + 1) if interleaved else (pair, pair + pairs)
                    a, b = x[position, h, first], x[position, h, second]
                    angle = position / 10000 ** (pair / pairs)
                    cos, sin = math.cos(angle), math.sin(angle)
                    turned = a * cos - b * sin, b * cos + a * sin
                    assert math.hypot(*(item.value for item in turned)) == pytest.approx(math.hypot(a.value, b.value))
    attrs = {"rotary_dim": 2 * pairs, "interleaved": interleaved}
    apart = (1, heads, length, head)
    agree(rotary_embedding, make("rotary_embedding", {"x": apart}, {"y": apart}, **attrs), tally)
    together = (1, length, heads * head)
    agree(rotary_embedding, make("rotary_embedding", {"x": together}, {"y": together}, heads=heads, **attrs), tally)


def test_all_channels_unless_said(make: Make) -> None:
    for attrs in ({}, {"rotary_dim": 0}, {"rotary_dim": 64}, {"heads": 2}):
        layer = make("rotary_embedding", {"x": (1, 2, 5, 64)}, {"y": (1, 2, 5, 64)}, **attrs)
        assert rotary_embedding.price(layer).counts == Counts(muls=2 * 640, adds=640)


def test_a_head_of_unknown_width(make: Make) -> None:
    with pytest.raises(UnknownDimensionError, match="data-dependent"):
        rotary_embedding.price(make("rotary_embedding", {"x": (2, None)}, {"y": (2, None)}))
