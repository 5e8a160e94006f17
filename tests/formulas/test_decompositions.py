"""Decompositions: exact ones against loops, iterations against the algorithm run once, whose result is checked."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from multiprof.cost import Cost, Counts, Formula
from multiprof.errors import UnknownDimensionError, UnsupportedOpError
from multiprof.formulas.decompositions import FORMULAS
from multiprof.ir import Layer
from multiprof.testing import Counted, Tally
from multiprof.testing.counting import log, sqrt, total
from multiprof.testing.matrices import Matrix, matrix, numbers, product

Make = Callable[..., Layer]
Agree = Callable[[Formula, Layer, Tally], None]

TABLE = {op: rule for rule in FORMULAS for op in rule.ops}
SIZES = st.integers(1, 5)


def close(a: list[list[float]], b: list[list[float]]) -> bool:
    return all(row == pytest.approx(other, abs=1e-6) for row, other in zip(a, b, strict=True))


# -- exact ones -------------------------------------------------------------------------------------------------------


@given(SIZES)
def test_log_det(make: Make, agree: Agree, n: int) -> None:
    tally = Tally()
    a = matrix(tally, n, n)
    sign = 1.0
    for k in range(n):
        with tally.term("pivot"):
            sizes = [abs(a[i][k]) for i in range(k, n)] if k < n - 1 else []
            best = k
            for i in range(1, len(sizes)):
                if sizes[i] > sizes[best - k]:
                    best = k + i
        if best != k:
            a[k], a[best], sign = a[best], a[k], -sign
        with tally.term("factor"):
            for i in range(k + 1, n):
                a[i][k] = a[i][k] / a[k][k]
                for j in range(k + 1, n):
                    a[i][j] = a[i][j] - a[i][k] * a[k][j]
    with tally.term("diagonal"):
        logarithm = total([log(abs(a[k][k])) for k in range(n)])
        turned = tally.scalar(sign)
        for k in range(n):
            turned = turned * (-1.0 if a[k][k] < 0.0 else 1.0)
    found = math.prod(a[k][k].value for k in range(n)) * sign
    assert turned.value * math.exp(logarithm.value) == pytest.approx(found)
    agree(TABLE["log_det"], make("log_det", {"x": (1, n, n)}, {"y": (1,)}), tally)


def reflect(column: list[Counted], tau: Counted, vector: list[Counted]) -> list[Counted]:
    """column − τ·(1, v)·((1, v)ᵀ·column)"""
    dot = column[0]
    for v, item in zip(vector, column[1:], strict=True):
        dot = dot + v * item
    dot = tau * dot
    return [column[0] - dot, *[item - v * dot for v, item in zip(vector, column[1:], strict=True)]]


def reflection(below: list[Counted]) -> tuple[Counted, Counted, list[Counted]]:
    """What is left on the diagonal, τ and v of the reflection that clears a column below its first element."""
    square = below[0] * below[0]
    for item in below[1:]:
        square = square + item * item
    norm = sqrt(square)
    diagonal = -norm
    if below[0] < 0.0:
        diagonal = norm
    tau = (diagonal - below[0]) / diagonal
    divisor = below[0] - diagonal
    return diagonal, tau, [item / divisor for item in below[1:]]


@given(SIZES, st.integers(0, 3), st.integers(1, 3))
def test_lstsq(make: Make, agree: Agree, n: int, more: int, sides: int) -> None:
    """Householder's QR, the right-hand sides through the same reflections, and substitution."""
    m = n + more
    tally = Tally()
    a, b = matrix(tally, m, n), matrix(tally, m, sides)
    before, wanted = numbers(a), numbers(b)
    columns, right = ([list(c) for c in zip(*x, strict=True)] for x in (a, b))
    for k in range(min(m - 1, n)):
        with tally.term("reflect"):
            diagonal, tau, vector = reflection(columns[k][k:])
        columns[k][k] = diagonal
        with tally.term("apply"):
            for column in columns[k + 1 :]:
                column[k:] = reflect(column[k:], tau, vector)
        with tally.term("sides"):
            for column in right:
                column[k:] = reflect(column[k:], tau, vector)
    with tally.term("backward"):
        for column in right:
            for i in reversed(range(n)):
                for j in range(i + 1, n):
                    column[i] = column[i] - columns[j][i] * column[j]
                column[i] = column[i] / columns[i][i]
    x = [[column[i].value for column in right] for i in range(n)]
    # Aᵀ·(A·x − b) = 0
    turned = [list(row) for row in zip(*before, strict=True)]
    assert close(product(turned, product(before, x)), product(turned, wanted))
    layer = make("lstsq", {"a": (1, m, n), "b": (1, m, sides)}, {"y": (1, n, sides)})
    agree(TABLE["lstsq"], layer, tally)


@given(SIZES, SIZES)
def test_householder(make: Make, agree: Agree, m: int, q: int) -> None:
    """The columns of the identity through every reflection, the last one first."""
    p = min(m, q)
    tally = Tally()
    vectors = [[tally.scalar(0.1 * (i + k)) for i in range(m - k - 1)] for k in range(p)]
    # τ = 2/|(1, v)|² makes each of them a reflection
    taus = [tally.scalar(2 / (1 + math.fsum(v.value**2 for v in vector))) for vector in vectors]
    columns = [[tally.scalar(float(i == j)) for i in range(m)] for j in range(q)]
    with tally.term("form"):
        for k in reversed(range(p)):
            for column in columns[k:]:
                column[k:] = reflect(column[k:], taus[k], vectors[k])
    if q <= m:
        found = [[item.value for item in column] for column in columns]
        unit = [[float(i == j) for i in range(q)] for j in range(q)]
        assert close(product(found, [list(c) for c in zip(*found, strict=True)]), unit)
    layer = make("householder", {"x": (1, m, q), "tau": (1, p)}, {"y": (1, m, q)})
    agree(TABLE["householder"], layer, tally)


@pytest.mark.parametrize("n", [1, 2, 3])
def test_matrix_exp(make: Make, agree: Agree, n: int) -> None:
    """Five products of matrices, five sums of five, three sums of two."""
    tally = Tally()
    a = [[tally.scalar(0.1) for _ in range(n)] for _ in range(n)]

    def multiply(x: Matrix, y: Matrix) -> Matrix:
        with tally.term("products"):
            return [[total([x[i][k] * y[k][j] for k in range(n)]) for j in range(n)] for i in range(n)]

    def add(x: Matrix, y: Matrix) -> Matrix:
        with tally.term("sums"):
            return [[p + q for p, q in zip(r, s, strict=True)] for r, s in zip(x, y, strict=True)]

    one = [[tally.scalar(float(i == j)) for j in range(n)] for i in range(n)]
    a2 = multiply(a, a)
    a3 = multiply(a2, a)
    parts = (one, a, a2, a3, multiply(a3, a3))

    def combine(factor: float) -> Matrix:
        with tally.term("sums"):
            return [[total([factor * part[i][j] for part in parts]) for j in range(n)] for i in range(n)]

    b1, b2, b3, b4, b5 = (combine(0.1 * k) for k in range(1, 6))
    a9 = add(multiply(b1, b5), b4)
    add(b2, multiply(add(b3, a9), a9))
    agree(TABLE["matrix_exp"], make("matrix_exp", {"x": (1, n, n)}, {"y": (1, n, n)}), tally)


# -- iterations -------------------------------------------------------------------------------------------------------


def tridiagonal(tally: Tally, a: Matrix) -> list[tuple[Counted, list[Counted]]]:
    """Golub and Van Loan's algorithm 8.3.1: reflections from both sides, on one triangle; a is left tridiagonal."""
    n = len(a)
    made = []
    for k in range(n - 2):
        diagonal, tau, v = reflection([a[i][k] for i in range(k + 1, n)])
        u = [tally.scalar(1.0), *v]
        size = len(u)
        p = [tau * total([a[k + 1 + i][k + 1 + j] * u[j] for j in range(size)]) for i in range(size)]
        half = tau * total([p[i] * u[i] for i in range(size)]) * 0.5
        w = [p[i] - half * u[i] for i in range(size)]
        for i in range(size):
            for j in range(i + 1):
                value = a[k + 1 + i][k + 1 + j] - u[i] * w[j] - w[i] * u[j]
                a[k + 1 + i][k + 1 + j] = a[k + 1 + j][k + 1 + i] = value
        for i in range(k + 1, n):
            a[i][k] = a[k][i] = diagonal if i == k + 1 else tally.scalar(0.0)
        made.append((tau, v))
    return made


def implicit_steps(d: list[Counted], e: list[Counted], rows: Matrix) -> None:
    """Implicit QL steps with Wilkinson's shift until e vanishes; rows are the vectors, turned.

    Source: tql2 of Wilkinson and Reinsch, Handbook for Automatic Computation, volume 2, contribution II/3.
    """
    n = len(d)
    e.append(d[0].tally.scalar(0.0))
    for low in range(n):
        for _ in range(30):
            top = low
            while top < n - 1 and abs(e[top].value) > 1e-14 * (abs(d[top].value) + abs(d[top + 1].value)):
                top += 1
            if top == low:
                break
            g = (d[low + 1] - d[low]) / (2.0 * e[low])
            r = sqrt(g * g + 1.0)
            g = d[top] - d[low] + e[low] / (g + (r if g.value >= 0 else -r))
            s, c, p = g.tally.scalar(1.0), g.tally.scalar(1.0), g.tally.scalar(0.0)
            for i in reversed(range(low, top)):
                f, b = s * e[i], c * e[i]
                r = sqrt(f * f + g * g)
                e[i + 1] = r
                s, c = f / r, g / r
                g = d[i + 1] - p
                r = (d[i] - g) * s + 2.0 * (c * b)
                p = s * r
                d[i + 1] = g + p
                g = c * r - b
                for k in range(len(rows[i]) if rows else 0):
                    x, y = rows[i][k], rows[i + 1][k]
                    rows[i + 1][k], rows[i][k] = s * x + c * y, c * x - s * y
            d[low], e[low], e[top] = d[low] - p, g, g.tally.scalar(0.0)
        else:
            pytest.fail("no convergence")


def test_symmetric_eigenvalues_take_about_what_the_textbook_says(make: Make) -> None:
    """Of n = 24: what costs n³ of the eigenvalues alone is the reduction, 4·n³/3; with the vectors all is 9·n³."""
    n = 24
    tally = Tally()
    values = tally.array((n, n))
    a = [[values[max(i, j), min(i, j)] for j in range(n)] for i in range(n)]
    before = numbers(a)
    with tally.term("reduce"):
        made = tridiagonal(tally, a)
    alone = TABLE["eigh"].price(make("eigh", {"x": (n, n)}, {"y": (n,)}))
    assert alone.flops == 4 * n**3 // 3
    assert alone.flops / tally.cost.flops == pytest.approx(1, abs=0.15)

    rows = [[tally.scalar(float(i == j)) for i in range(n)] for j in range(n)]
    d, e = [a[k][k] for k in range(n)], [a[k + 1][k] for k in range(n - 1)]
    with tally.term("iterate"):
        for k, (tau, v) in reversed(list(enumerate(made))):
            for row in rows[k + 1 :]:
                row[k + 1 :] = reflect(row[k + 1 :], tau, v)
        # so far the rows are the columns of Q; the steps turn them into the vectors
        implicit_steps(d, e, rows)
    for k in range(n):
        vector = [[item.value] for item in rows[k]]
        assert close(product(before, vector), [[d[k].value * item[0]] for item in vector])
    whole = TABLE["eigh"].price(make("eigh", {"x": (n, n)}, {"y": (n,), "vectors": (n, n)}))
    assert whole.flops == 9 * n**3
    assert 0.75 < whole.flops / tally.cost.flops < 1.1


def test_singular_values_begin_with_two_diagonals(make: Make) -> None:
    """Reflections from the left and from the right in turn (algorithm 5.4.2): 4·m·n² − 4·n³/3 but for lower orders."""
    m, n = 40, 24
    tally = Tally()
    a = matrix(tally, m, n)
    with tally.term("iterate"):
        for k in range(n):
            _, tau, v = reflection([a[i][k] for i in range(k, m)])
            for j in range(k + 1, n):
                column = reflect([a[i][j] for i in range(k, m)], tau, v)
                for i in range(k, m):
                    a[i][j] = column[i - k]
            if k < n - 2:
                _, tau, v = reflection(a[k][k + 1 :])
                for i in range(k + 1, m):
                    a[i][k + 1 :] = reflect(a[i][k + 1 :], tau, v)
    priced = TABLE["svd"].price(make("svd", {"x": (m, n)}, {"y": (n,)}))
    assert priced.flops / tally.cost.flops == pytest.approx(1, abs=0.06)


@pytest.mark.parametrize(
    ("op", "shape", "more", "operations"),
    [
        # the rows of the textbook's tables, of two matrices of 6 × 3, or of 3 × 3
        ("svd", (2, 6, 3), {}, 4 * 6 * 9 - 36),
        ("svd", (2, 3, 6), {}, 4 * 6 * 9 - 36),
        ("svd", (2, 6, 3), {"u": (2, 6, 3), "v": (2, 3, 3)}, 14 * 6 * 9 + 8 * 27),
        ("svd", (2, 6, 3), {"u": (2, 6, 6), "v": (2, 3, 3)}, 4 * 36 * 3 + 8 * 6 * 9 + 9 * 27 + 1),
        ("eigh", (2, 3, 3), {}, 36),
        ("eigh", (2, 3, 3), {"vectors": (2, 3, 3)}, 9 * 27 + 1),
        ("eig", (2, 3, 3), {}, 10 * 27),
        ("eig", (2, 3, 3), {"vectors": (2, 3, 3)}, 25 * 27 + 1),
    ],
)
def test_the_tables_of_the_textbook(
    make: Make, op: str, shape: tuple[int, ...], more: dict[str, Any], operations: int
) -> None:
    """An odd number is rounded up, so that half of it are multiplications and half additions."""
    layer = make(op, {"x": shape}, {"y": (2, 3)} | more)
    assert TABLE[op].price(layer).counts == Counts(muls=operations, adds=operations)  # twice a half
    assert TABLE[op].bound is not None
    assert "textbook" in TABLE[op].bound(layer)


def test_empty_wide_and_unknown(make: Make) -> None:
    for op in ("svd", "eigh", "eig", "log_det", "matrix_exp"):
        assert TABLE[op].price(make(op, {"x": (0, 4, 4)}, {"y": (0, 4)})).counts == Cost().counts
        with pytest.raises(UnknownDimensionError):
            TABLE[op].price(make(op, {"x": (None, 4, 4)}, {"y": (None, 4)}))
    with pytest.raises(UnsupportedOpError, match=r"fewer rows \(2\) than columns \(3\)"):
        TABLE["lstsq"].price(make("lstsq", {"a": (2, 3), "b": (2, 1)}, {"y": (3, 1)}))
