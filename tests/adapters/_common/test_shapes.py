"""The arithmetic of shapes, against numbers worked by hand and against loops that lay the windows out one by one."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from multiprof.adapters._common.shapes import (
    broadcast,
    matmul_output,
    normal_axis,
    numel,
    reduced,
    same_padding,
    transposed_output,
    window_output,
)
from multiprof.errors import ModelError


@pytest.mark.parametrize(
    ("shapes", "expected"),
    [
        ([(2, 3), (3,)], (2, 3)),
        ([(2, 1, 4), (3, 1)], (2, 3, 4)),
        ([(), (5,)], (5,)),
        ([(0,), (1,)], (0,)),
        ([(None, 3), (1, 1)], (None, 3)),
        ([(None,), (7,)], (7,)),  # whatever it is, 1 or 7, the result is 7
        ([], ()),
    ],
)
def test_broadcasting_follows_numpy(shapes, expected):
    assert broadcast(*shapes) == expected


def test_shapes_that_do_not_broadcast_are_named():
    with pytest.raises(ModelError, match=r"node a: the shapes \(2,\), \(3,\) do not broadcast"):
        broadcast((2,), (3,), where="node a")


def windows_that_fit(size: int, kernel: int, stride: int, padding: tuple[int, int], dilation: int) -> int:
    """Slide a window over a line of cells and count the positions at which all of it lies on the line."""
    line = size + sum(padding)
    return sum(start + (kernel - 1) * dilation < line for start in range(0, line, stride))


SIZES = st.integers(1, 30), st.integers(1, 5), st.integers(1, 4), st.tuples(*[st.integers(0, 3)] * 2), st.integers(1, 3)


@given(*SIZES)
def test_a_window_stands_wherever_it_fits(size, kernel, stride, padding, dilation):
    expected = windows_that_fit(size, kernel, stride, padding, dilation)
    if expected:
        assert window_output(size, kernel, stride, padding, dilation) == expected
    else:
        with pytest.raises(ModelError, match=rf"a kernel of {kernel} .* does not fit {size}"):
            window_output(size, kernel, stride, padding, dilation)


@given(*SIZES)
def test_in_ceil_mode_one_more_window_may_begin_on_the_input(size, kernel, stride, padding, dilation):
    fitting = windows_that_fit(size, kernel, stride, padding, dilation)
    if not fitting:
        return
    last_end = (fitting - 1) * stride + (kernel - 1) * dilation
    left_over = last_end < size + sum(padding) - 1
    begins_on_input = fitting * stride < size + padding[0]
    # a last window that would begin in the padding behind the input is dropped even when it fits
    dropped = (fitting - 1) * stride >= size + padding[0] and not left_over
    expected = fitting + (left_over and begins_on_input) - dropped
    assert window_output(size, kernel, stride, padding, dilation, ceil_mode=True) == expected


@given(st.integers(1, 60), st.integers(1, 7), st.integers(1, 5), st.integers(1, 3), st.booleans())
def test_same_padding_leaves_one_output_per_stride(size, kernel, stride, dilation, lower):
    before, after = same_padding(size, kernel, stride, dilation, lower=lower)
    assert windows_that_fit(size, kernel, stride, (before, after), dilation) == -(-size // stride) or (
        (before, after) == (0, 0)  # a stride beyond the window skips the end, and nothing is padded
        and windows_that_fit(size, kernel, stride, (0, 0), dilation) >= -(-size // stride)
    )
    assert before - after in ((0, 1) if lower else (0, -1))


@given(st.integers(1, 12), st.integers(1, 5), st.integers(1, 4), st.integers(1, 3))
def test_a_deconvolution_reaches_as_far_as_its_last_window(size, kernel, stride, dilation):
    touched = {i * stride + k * dilation for i in range(size) for k in range(kernel)}
    assert transposed_output(size, kernel, stride, (0, 0), dilation, 0) == max(touched) + 1
    assert transposed_output(size, kernel, stride, (1, 2), dilation, 1) == max(touched) + 1 - 3 + 1
    assert transposed_output(None, kernel, stride, (0, 0), dilation, 0) is None


@pytest.mark.parametrize(
    ("a", "b", "expected"),
    [
        ((2, 3), (3, 4), ((2, 4), 3)),
        ((3,), (3, 4), ((4,), 3)),
        ((2, 3), (3,), ((2,), 3)),
        ((3,), (3,), ((), 3)),
        ((5, 1, 2, 3), (7, 3, 4), ((5, 7, 2, 4), 3)),
        ((2, None), (3, 4), ((2, 4), 3)),
    ],
)
def test_products_of_stacked_matrices(a, b, expected):
    assert matmul_output(a, b) == expected


def test_products_that_do_not_match_are_named():
    with pytest.raises(ModelError, match=r"node m: .* do not match: 3 against 4"):
        matmul_output((2, 3), (4, 5), where="node m")
    with pytest.raises(ModelError, match="a product takes no scalars"):
        matmul_output((), (4, 5))


def test_axes_counted_from_the_end():
    assert [normal_axis(a, 3) for a in (-3, -1, 0, 2)] == [0, 2, 0, 2]
    assert normal_axis(0, 0) == 0
    for axis, rank in ((3, 3), (-4, 3), (1, 0)):
        with pytest.raises(ModelError, match=f"axis {axis} of a tensor of rank {rank}"):
            normal_axis(axis, rank)


def test_reductions_and_sizes():
    assert reduced((2, 3, 4), (1,), True) == (2, 1, 4)
    assert reduced((2, None, 4), (0, 2), False) == (None,)
    assert numel((2, 3)) == 6
    assert numel(()) == 1
    assert numel((2, None)) is None
