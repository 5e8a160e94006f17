"""Linear algebra: the textbook's algorithms on counting scalars, whose results are checked."""

from __future__ import annotations

import math
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from multiprof.cost import Cost, Formula
from multiprof.errors import UnknownDimensionError
from multiprof.formulas.linalg import FORMULAS
from multiprof.ir import Layer
from multiprof.testing import Counted, Tally
from multiprof.testing.counting import sqrt
from multiprof.testing.matrices import Matrix, matrix, numbers, product

Make = Callable[..., Layer]
Agree = Callable[[Formula, Layer, Tally], None]

TABLE = {op: rule for rule in FORMULAS for op in rule.ops}
SIZES = st.integers(1, 6)


def close(a: list[list[float]], b: list[list[float]]) -> bool:
    return all(row == pytest.approx(other, abs=1e-6) for row, other in zip(a, b, strict=True))


@given(SIZES, st.integers(1, 2))
def test_cholesky(make: Make, agree: Agree, n: int, count: int) -> None:
    tally = Tally()
    for _ in range(count):
        root = [[item.value for item in row] for row in matrix(tally, n, n)]
        values = product(root, [list(column) for column in zip(*root, strict=True)])
        a = [[tally.scalar(values[i][j] + (i == j)) for j in range(n)] for i in range(n)]
        lower = [[tally.scalar() for _ in range(n)] for _ in range(n)]
        with tally.term("factor"):
            for i in range(n):
                for j in range(i + 1):
                    rest = a[i][j]
                    for k in range(j):
                        rest = rest - lower[i][k] * lower[j][k]
                    lower[i][j] = sqrt(rest) if i == j else rest / lower[j][j]
        assert close(product(numbers(lower), [list(c) for c in zip(*numbers(lower), strict=True)]), numbers(a))
    agree(TABLE["cholesky"], make("cholesky", {"x": (count, n, n)}, {"y": (count, n, n)}), tally)


def swap_largest(tally: Tally, a: Matrix, k: int) -> bool:
    """Bring the row with the largest absolute value in column k, from row k on, to row k; moving is no operation."""
    with tally.term("pivot"):
        best, at = None, k
        # the last step has nothing to choose from
        for i in range(k, len(a)) if k < len(a) - 1 else ():
            size = abs(a[i][k])
            if best is None or size > best:
                best, at = size, i
    a[k], a[at] = a[at], a[k]
    return at != k


def eliminate(tally: Tally, a: Matrix) -> int:
    """LU in place; the sign of the permutation."""
    n, sign = len(a[0]), 1
    for k in range(min(len(a), n)):
        sign *= -1 if swap_largest(tally, a, k) else 1
        with tally.term("factor"):
            for i in range(k + 1, len(a)):
                a[i][k] = a[i][k] / a[k][k]
                for j in range(k + 1, n):
                    a[i][j] = a[i][j] - a[i][k] * a[k][j]
    return sign


def determinant(a: list[list[float]]) -> float:
    """By the first row."""
    if not a:
        return 1.0
    return math.fsum(
        (-1) ** j * a[0][j] * determinant([row[:j] + row[j + 1 :] for row in a[1:]]) for j in range(len(a))
    )


@given(SIZES, SIZES, st.integers(1, 2))
def test_lu(make: Make, agree: Agree, m: int, n: int, count: int) -> None:
    tally = Tally()
    for _ in range(count):
        a = matrix(tally, m, n)
        rows, before = list(a), numbers(a)
        eliminate(tally, a)
        order = [next(i for i, row in enumerate(rows) if row is moved) for moved in a]
        lower = [[1.0 if i == k else a[i][k].value if k < i else 0.0 for k in range(min(m, n))] for i in range(m)]
        upper = [[a[k][j].value if j >= k else 0.0 for j in range(n)] for k in range(min(m, n))]
        assert close(product(lower, upper), [before[i] for i in order])
    agree(TABLE["lu"], make("lu", {"x": (count, m, n)}, {"y": (count, m, n)}), tally)


def reflect(column: list[Counted], tau: Counted, vector: list[Counted]) -> None:
    """column −= τ·(1, v)·((1, v)ᵀ·column) in place."""
    dot = column[0]
    for v, item in zip(vector, column[1:], strict=True):
        dot = dot + v * item
    dot = tau * dot
    column[0] = column[0] - dot
    for i, v in enumerate(vector, 1):
        column[i] = column[i] - v * dot


@given(SIZES, SIZES, st.integers(1, 2), st.sampled_from(["none", "reduced", "complete"]))
def test_qr(make: Make, agree: Agree, m: int, n: int, count: int, mode: str) -> None:
    tally = Tally()
    width = {"none": 0, "reduced": min(m, n), "complete": m}[mode]
    for _ in range(count):
        a = matrix(tally, m, n)
        before = numbers(a)
        columns = [list(column) for column in zip(*a, strict=True)]
        reflections = []
        for k in range(min(m - 1, n)):
            with tally.term("reflect"):
                below = columns[k][k:]
                square = below[0] * below[0]
                for item in below[1:]:
                    square = square + item * item
                norm = sqrt(square)
                diagonal = -norm
                if below[0] < 0.0:
                    diagonal = norm
                tau = (diagonal - below[0]) / diagonal
                divisor = below[0] - diagonal
                vector = [item / divisor for item in below[1:]]
            reflections.append((tau, vector))
            columns[k][k:] = [diagonal, *[tally.scalar() for _ in vector]]
            with tally.term("apply"):
                for column in columns[k + 1 :]:
                    rest = column[k:]
                    reflect(rest, tau, vector)
                    column[k:] = rest
        r = [list(row) for row in zip(*[[item.value for item in column] for column in columns], strict=True)]
        assert all(r[i][j] == 0.0 for i in range(m) for j in range(min(i, n)))
        q = [[tally.scalar(float(i == j)) for i in range(m)] for j in range(width)]
        with tally.term("form"):
            for k, (tau, vector) in reversed(list(enumerate(reflections))) if width else ():
                for column in q[k:]:
                    rest = column[k:]
                    reflect(rest, tau, vector)
                    column[k:] = rest
        if width:
            whole = [[q[j][i].value for j in range(width)] for i in range(m)]
            assert close(product(whole, r[:width]), before)
            assert close(
                product([[x.value for x in c] for c in q], whole),
                [[float(i == j) for j in range(width)] for i in range(width)],
            )
    made = make("qr", {"x": (count, m, n)}, {"y": (count, m, n)} | ({"q": (count, m, width)} if width else {}))
    agree(TABLE["qr"], made, tally)


@given(SIZES)
def test_det(make: Make, agree: Agree, n: int) -> None:
    tally = Tally()
    a = matrix(tally, n, n)
    expected = determinant(numbers(a))
    sign = eliminate(tally, a)
    with tally.term("diagonal"):
        result = tally.scalar(sign) * a[0][0]
        for k in range(1, n):
            result = result * a[k][k]
    assert result.value == pytest.approx(expected, abs=1e-9)
    agree(TABLE["det"], make("det", {"x": (1, n, n)}, {"y": (1,)}), tally)


@given(SIZES)
def test_inverse(make: Make, agree: Agree, n: int) -> None:
    tally = Tally()
    a = matrix(tally, n, n)
    before = numbers(a)
    order = list(range(n))
    for k in range(n):
        rows = [id(row) for row in a]
        swap_largest(tally, a, k)
        order = [order[rows.index(id(row))] for row in a]
        with tally.term("eliminate"):
            pivot = 1.0 / a[k][k]
            for j in range(n):
                if j != k:
                    a[k][j] = a[k][j] * pivot
            for i in range(n):
                if i != k:
                    factor = a[i][k]
                    for j in range(n):
                        if j != k:
                            a[i][j] = a[i][j] - factor * a[k][j]
            for i in range(n):
                if i != k:
                    a[i][k] = a[i][k] * tally.scalar(-pivot.value)
            a[k][k] = pivot
    # columns go back to where the rows came from
    found = [[row[order.index(j)].value for j in range(n)] for row in a]
    assert close(product(before, found), [[float(i == j) for j in range(n)] for i in range(n)])
    agree(TABLE["inverse"], make("inverse", {"x": (1, n, n)}, {"y": (1, n, n)}), tally)


@given(SIZES, st.integers(1, 3), st.booleans(), st.booleans())
def test_solve(make: Make, agree: Agree, n: int, columns: int, triangular: bool, unit: bool) -> None:
    unit = unit and triangular
    tally = Tally()
    a, b = matrix(tally, n, n), matrix(tally, n, columns)
    for i in range(n):
        a[i][i] = tally.scalar(1.0 if unit else a[i][i].value + 2.0)
        for j in range(i) if triangular else ():
            a[i][j] = tally.scalar()
    before, wanted = numbers(a), numbers(b)
    if not triangular:
        rows = list(a)
        eliminate(tally, a)
        # eliminate() moves whole rows, so that b follows them by identity
        b = [b[next(i for i, row in enumerate(rows) if row is moved)] for moved in a]
        with tally.term("forward"):
            for i in range(n):
                for k in range(i):
                    b[i] = [x - a[i][k] * y for x, y in zip(b[i], b[k], strict=True)]
    with tally.term("backward"):
        for i in reversed(range(n)):
            for k in range(i + 1, n):
                b[i] = [x - a[i][k] * y for x, y in zip(b[i], b[k], strict=True)]
            b[i] = b[i] if unit else [x / a[i][i] for x in b[i]]
    assert close(product(before, numbers(b)), wanted)
    shapes = {"a": (1, n, n), "b": (1, n, columns)}
    agree(TABLE["solve"], make("solve", shapes, {"y": (1, n, columns)}, triangular=triangular, unit=unit), tally)


def test_leading_order(make: Make) -> None:
    """A third, two thirds, two and two thirds plus two times n³, as textbooks say."""
    n = 3000
    shapes = {"x": (n, n), "a": (n, n), "b": (n, n)}
    expected = {"cholesky": 1 / 3, "det": 2 / 3, "lu": 2 / 3, "qr": 4 / 3, "inverse": 2, "solve": 2 / 3 + 2}
    for op, factor in expected.items():
        layer = make(op, shapes, {"y": (n, n)})
        assert TABLE[op].price(layer).flops == pytest.approx(factor * n**3, rel=0.01)


def test_empty_and_unknown(make: Make) -> None:
    for op in ("cholesky", "det", "inverse", "lu", "qr"):
        assert not TABLE[op].price(make(op, {"x": (0, 4, 4)}, {"y": (0, 4, 4)})).counts
        assert TABLE[op].price(make(op, {"x": (0, 0)}, {"y": (0, 0)})).counts == Cost().counts
        with pytest.raises(UnknownDimensionError):
            TABLE[op].price(make(op, {"x": (None, 4, 4)}, {"y": (None, 4, 4)}))
