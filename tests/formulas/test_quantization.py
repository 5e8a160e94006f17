"""Quantisation against loops over elements; the values are checked as well."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from multiprof.cost import Cost, Counts, Formula
from multiprof.formulas.quantization import FORMULAS
from multiprof.ir import Layer, Quant, TensorSpec
from multiprof.testing import Array, Counted, Tally
from multiprof.testing.counting import Index, maximum, minimum

Make = Callable[..., Layer]
Agree = Callable[[Formula, Layer, Tally], None]

TABLE = {op: rule for rule in FORMULAS for op in rule.ops}
SHAPES = st.lists(st.integers(0, 4), max_size=3).map(tuple)
SCALE, ZERO = 0.01, 7.0


def limited(x: Counted) -> Counted:
    return maximum(minimum(x, 127.0), -128.0)


def quantized(x: Counted, scale: Counted | float = SCALE, zero: Counted | float = ZERO) -> Counted:
    return limited((x / scale).cast(round) + zero)


def dequantized(q: Counted) -> Counted:
    return (q - ZERO) * SCALE


def layer_of(make: Make, op: str, shape: Index, before: str, after: str) -> Layer:
    layer = make(op, {"x": shape}, {"y": shape})
    layer.inputs["x"].dtype, layer.outputs["y"].dtype = before, after
    return layer


def each(tally: Tally, shape: Index, term: str, work: Callable[[Counted], Counted]) -> Array:
    x, y = tally.array(shape), Array(shape)
    with tally.term(term):
        for index in x.indices():
            y[index] = work(x[index])
    return y


@given(SHAPES)
def test_quantize_and_back(make: Make, agree: Agree, shape: Index) -> None:
    tally = Tally()
    each(tally, shape, "quantize", quantized)
    agree(TABLE["quantize"], layer_of(make, "quantize", shape, "float32", "int8"), tally)
    tally = Tally()
    each(tally, shape, "dequantize", dequantized)
    agree(TABLE["dequantize"], layer_of(make, "dequantize", shape, "int8", "float32"), tally)


@given(SHAPES)
def test_fake_quantize(make: Make, agree: Agree, shape: Index) -> None:
    tally = Tally()
    x = each(tally, shape, "quantize", quantized)
    with tally.term("dequantize"):
        for index in x.indices():
            dequantized(x[index])
    agree(TABLE["fake_quantize"], layer_of(make, "fake_quantize", shape, "float32", "float32"), tally)


def test_what_is_quantised_comes_back_within_half_a_step() -> None:
    tally = Tally()
    with tally.term("both"):
        for value in (-1.3, -0.004, 0.0, 0.5, 1.2):
            back = dequantized(quantized(tally.scalar(value)))
            assert back.value == pytest.approx(max(min(value, 1.2), -1.35), abs=SCALE / 2 + 1e-12)


@pytest.mark.parametrize("quant", [None, Quant((0.1,), (3,))])
@given(shape=SHAPES)
def test_requantize(make: Make, agree: Agree, quant: Quant | None, shape: Index) -> None:
    """Integers to integers, which stand for real numbers whether their scale is known or not."""
    tally = Tally()
    each(tally, shape, "requantize", lambda q: limited(((q - ZERO) * 0.3).cast(round) + 1.0))
    layer = layer_of(make, "requantize", shape, "uint8", "int8")
    layer.inputs["x"].quant = layer.outputs["y"].quant = quant
    agree(TABLE["requantize"], layer, tally)


@given(SHAPES)
def test_dynamic_quantize(make: Make, agree: Agree, shape: Index) -> None:
    tally = Tally()
    x = tally.array(shape)
    low, high = tally.scalar(), tally.scalar()
    with tally.term("range"):
        for index in x.indices():
            low, high = minimum(low, x[index]), maximum(high, x[index])
    if list(x.indices()):
        with tally.term("scale"):
            scale = (high - low) / 255.0
            zero = limited((-128.0 - low / scale).cast(round))
        with tally.term("quantize"):
            for index in x.indices():
                quantized(x[index], scale, zero)
    layer = layer_of(make, "dynamic_quantize", shape, "float32", "int8")
    agree(TABLE["dynamic_quantize"], layer, tally)
    layer.outputs["scale"] = TensorSpec((), "float32", "scale")
    agree(TABLE["dynamic_quantize"], layer, tally)


def test_a_scale_for_every_row(make: Make) -> None:
    layer = layer_of(make, "dynamic_quantize", (3, 5), "float32", "int8")
    layer.outputs["scale"] = TensorSpec((3,), "float32", "scale")
    assert TABLE["dynamic_quantize"].price(layer).terms["scale"] == Counts(adds=6, divs=6, cmps=6, casts=3)


def test_an_element_of_each(make: Make) -> None:
    # the table of primitives: 1 div, 1 add, 2 cmps, 1 cast; 1 add, 1 mul
    flops = {op: TABLE[op].price(make(op, {"x": (1,)}, {"y": (1,)})).flops for op in TABLE}
    assert flops == {"quantize": 4, "dequantize": 2, "requantize": 5, "fake_quantize": 6, "dynamic_quantize": 2 + 6 + 4}
    assert TABLE["quantize"].price(make("quantize", {"x": (0,)}, {"y": (0,)})).counts == Cost().counts


def test_traffic_is_that_of_the_stored_types(make: Make) -> None:
    layer = layer_of(make, "quantize", (4, 8), "float32", "int4")
    assert TABLE["quantize"].traffic(layer) == (4 * 8 * 4, 4 * 8 // 2)
