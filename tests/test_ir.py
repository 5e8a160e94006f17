"""Sizes of tensors, and the errors when a size cannot be known."""

from __future__ import annotations

import re
from fractions import Fraction
from math import ceil

import pytest
from hypothesis import given
from hypothesis import strategies as st

from multiprof.errors import UnknownDimensionError, UsageError
from multiprof.ir import BITS, Layer, Quant, TensorSpec


def test_widths_are_those_in_the_names() -> None:
    """int4 has 4 bits, float8_e4m3fn 8, complex64 64; only bool has no number in its name, and takes a byte."""
    for name, bits in BITS.items():
        digits = re.match(r"[a-z]+(\d+)", name)
        assert bits == (int(digits[1]) if digits else 8), name
        assert digits or name == "bool"


@given(st.lists(st.integers(0, 7), max_size=4), st.sampled_from(sorted(BITS)))
def test_bytes_round_up_once_per_tensor(shape: list[int], dtype: str) -> None:
    elements = 1
    for extent in shape:
        elements *= extent
    spec = TensorSpec(tuple(shape), dtype)
    assert spec.rank == len(shape)
    assert spec.numel == elements
    assert spec.nbytes == ceil(Fraction(elements * BITS[dtype], 8))


def test_int4_by_hand() -> None:
    assert TensorSpec((3,), "int4").nbytes == 2  # 12 bits
    assert TensorSpec((4,), "int4").nbytes == 2
    assert TensorSpec((5,), "int2").nbytes == 2  # 10 bits
    assert TensorSpec((), "float32").nbytes == 4  # a scalar


@pytest.mark.parametrize("size", ["numel", "nbytes"])
def test_a_data_dependent_dimension_has_no_size(size: str) -> None:
    with pytest.raises(UnknownDimensionError, match=r"tensor found has the data-dependent shape \(None, 4\)"):
        getattr(TensorSpec((None, 4), "float32", "found"), size)


def test_an_unknown_dtype_has_no_size() -> None:
    with pytest.raises(UsageError, match="tensor x has the unknown dtype 'float31'"):
        _ = TensorSpec((2,), "float31", "x").nbytes


def test_quantised_tensors_stand_for_real_numbers() -> None:
    assert TensorSpec((2,), "int8").is_integer
    assert TensorSpec((2,), "bool").is_integer
    assert not TensorSpec((2,), "float16").is_integer
    assert not TensorSpec((2,), "int8", quant=Quant((0.5,), (0,))).is_integer


def test_main_tensors_of_variadic_layers() -> None:
    a, b = TensorSpec((1,), name="a"), TensorSpec((2,), name="b")
    assert Layer("n", "relu", {"x": a}, {"y": b}).x is a
    assert Layer("n", "add", {"x0": a, "x1": b}, {"y": b}).x is a
    assert Layer("n", "relu", {"x": a}, {"y": b}).y is b
    assert Layer("n", "split", {"x": a}, {"y0": b, "y1": a}).y is b
