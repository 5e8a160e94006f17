"""Layers on complex numbers against pairs of counted scalars, by the definitions of their arithmetic."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import pytest

from multiprof.cost import Cost, Counts, index_formulas
from multiprof.engine import price
from multiprof.formulas import multiprof_formulas
from multiprof.testing import Tally
from multiprof.testing.counting import exp, sqrt
from multiprof.testing.graphs import GraphBuilder

FORMULAS = index_formulas(multiprof_formulas())
REAL, COMPLEX = "float32", "complex64"


@dataclass
class Pair:
    """a + b·i, of scalars that count."""

    re: Any
    im: Any

    def __add__(self, other: Pair) -> Pair:
        return Pair(self.re + other.re, self.im + other.im)

    def __sub__(self, other: Pair) -> Pair:
        return Pair(self.re - other.re, self.im - other.im)

    def __mul__(self, other: Pair) -> Pair:
        return Pair(self.re * other.re - self.im * other.im, self.re * other.im + self.im * other.re)

    def __truediv__(self, other: Pair) -> Pair:
        square = other.re * other.re + other.im * other.im
        re, im = self.re * other.re + self.im * other.im, self.im * other.re - self.re * other.im
        return Pair(re / square, im / square)


def numbers(tally: Tally, count: int) -> list[Pair]:
    values = tally.array((2, count))
    return [Pair(values[0, i], values[1, i]) for i in range(count)]


def reals(tally: Tally, count: int) -> list[Any]:
    values = tally.array((count,))
    return [values[i,] for i in range(count)]


def counted(op: str, *shapes: tuple[tuple[int, ...], str], y: tuple[int, ...], dtype: str, **attrs: Any) -> Cost | None:
    """The engine's cost of one layer whose operands are x or x0, x1 …, or x, weight, bias."""
    net = GraphBuilder()
    roles = {"linear": ("x", "weight", "bias"), "matmul": ("x0", "x1")}.get(op) or (
        ("x",) if len(shapes) == 1 else ("x0", "x1")
    )
    specs = {role: net.input(shape, role, kind) for role, (shape, kind) in zip(roles, shapes, strict=False)}
    net.dtype = dtype
    net.layer(op, specs, y, name="l", **attrs)
    (row,) = price(net.graph(), FORMULAS).layers
    return row.cost


def both(tally: Tally, work: Callable[[Pair, Pair], Any]) -> Counts:
    with tally.term("elementwise"):
        for a, b in zip(numbers(tally, 6), numbers(tally, 6), strict=True):
            work(a, b)
    return tally.terms["elementwise"]


@pytest.mark.parametrize(
    ("op", "work"),
    [
        ("add", lambda a, b: a + b),
        ("sub", lambda a, b: a - b),
        ("mul", lambda a, b: a * b),
        ("div", lambda a, b: a / b),
    ],
)
def test_two_complex_operands(op: str, work: Callable[[Pair, Pair], Any]) -> None:
    cost = counted(op, ((2, 3), COMPLEX), ((2, 3), COMPLEX), y=(2, 3), dtype=COMPLEX)
    assert cost is not None and cost.counts == both(Tally(), work)


@pytest.mark.parametrize(
    ("op", "work"),
    [
        ("add", lambda a, r: Pair(a.re + r, a.im)),
        ("sub", lambda a, r: Pair(a.re - r, a.im)),
        ("mul", lambda a, r: Pair(a.re * r, a.im * r)),
        ("div", lambda a, r: Pair(a.re / r, a.im / r)),
    ],
)
def test_a_complex_operand_and_a_real_one(op: str, work: Callable[[Pair, Any], Any]) -> None:
    tally = Tally()
    with tally.term("elementwise"):
        for a, r in zip(numbers(tally, 6), reals(tally, 6), strict=True):
            work(a, r)
    cost = counted(op, ((2, 3), COMPLEX), ((2, 3), REAL), y=(2, 3), dtype=COMPLEX)
    assert cost is not None and cost.counts == tally.terms["elementwise"]


@pytest.mark.parametrize(
    ("op", "dtype", "work"),
    [
        ("abs", REAL, lambda a: sqrt(a.re * a.re + a.im * a.im)),
        ("neg", COMPLEX, lambda a: Pair(-a.re, -a.im)),
        ("square", COMPLEX, lambda a: a * a),
    ],
)
def test_one_operand(op: str, dtype: str, work: Callable[[Pair], Any]) -> None:
    tally = Tally()
    with tally.term("elementwise"):
        for a in numbers(tally, 6):
            work(a)
    cost = counted(op, ((2, 3), COMPLEX), y=(2, 3), dtype=dtype)
    assert cost is not None and cost.counts == tally.terms["elementwise"]


def test_a_reciprocal() -> None:
    tally = Tally()
    with tally.term("elementwise"):
        for a in numbers(tally, 6):
            square = a.re * a.re + a.im * a.im
            _ = a.re / square, -a.im / square
    cost = counted("reciprocal", ((6,), COMPLEX), y=(6,), dtype=COMPLEX)
    assert cost is not None and cost.counts == tally.terms["elementwise"]


def test_an_exponential() -> None:
    tally = Tally()
    with tally.term("elementwise"):
        for a in numbers(tally, 6):
            size, cosine, sine = exp(a.re), exp(a.im), exp(a.im)  # cosine and sine are one evaluation each
            _ = size * cosine, size * sine
    cost = counted("exp", ((6,), COMPLEX), y=(6,), dtype=COMPLEX)
    assert cost is not None and cost.counts == tally.terms["elementwise"]


def test_a_sum_and_a_mean() -> None:
    for op in ("sum", "mean"):
        tally = Tally()
        with tally.term("reduce"):
            total, *rest = numbers(tally, 6)
            for a in rest:
                total = total + a
            if op == "mean":
                _ = total.re / 6, total.im / 6
        cost = counted(op, ((6,), COMPLEX), y=(), dtype=COMPLEX, axes=(0,))
        assert cost is not None and cost.counts == tally.terms["reduce"]


@pytest.mark.parametrize("kind", [COMPLEX, REAL])
def test_a_linear_layer(kind: str) -> None:
    # every output is Σ a·c − Σ b·d and Σ a·d + Σ b·c: two dot products over both parts, of one part where w is real
    n, inputs, outputs = 2, 4, 5
    tally = Tally()
    for _ in range(n * outputs):
        x, w = numbers(tally, inputs), numbers(tally, inputs)
        pairs = list(zip(x, w, strict=True))
        with tally.term("dot"):
            if kind == COMPLEX:
                tally.dot([(a.re, c.re) for a, c in pairs] + [(a.im, c.im) for a, c in pairs])
                tally.dot([(a.re, c.im) for a, c in pairs] + [(a.im, c.re) for a, c in pairs])
            else:
                tally.dot((a.re, c.re) for a, c in pairs)
                tally.dot((a.im, c.re) for a, c in pairs)
        with tally.term("bias"):
            _ = x[0] + w[0]
    cost = counted(
        "linear", ((n, inputs), COMPLEX), ((outputs, inputs), kind), ((outputs,), COMPLEX), y=(n, outputs),
        dtype=COMPLEX, in_features=inputs,
    )  # fmt: skip
    assert cost is not None and cost.terms == tally.terms


def test_what_nobody_counts_is_unsupported() -> None:
    net = GraphBuilder()
    net.dtype = COMPLEX
    net.layer("tanh", {"x": net.input((3,), "x", COMPLEX)}, (3,), name="l")
    (row,) = price(net.graph(), FORMULAS).layers
    assert (row.state, row.reason, row.cost) == ("unsupported", "no count of this op on complex numbers", None)


def test_moving_complex_numbers_is_free() -> None:
    net = GraphBuilder()
    net.dtype = COMPLEX
    net.layer("reshape", {"x": net.input((3, 2), "x", COMPLEX)}, (6,), name="l")
    assert price(net.graph(), FORMULAS).layers[0].state == "free"


def test_a_complex_number_in_place_of_a_tensor() -> None:
    """Three elements times 2i, as many products of two complex numbers, and sums."""
    for op, dtype, expected in (
        ("mul", COMPLEX, Counts(muls=12, adds=6)),
        ("add", COMPLEX, Counts(adds=6)),
    ):
        cost = counted(op, ((3,), dtype), y=(3,), dtype=COMPLEX, scalar=2j)
        assert cost is not None and sum(cost.terms.values(), Counts()) == expected
