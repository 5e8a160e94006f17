"""Dense linear algebra, from the algorithms of the textbook (Golub and Van Loan, Matrix
Computations, 4th edition 2013): elimination with partial pivoting, Cholesky, substitution.

The products of an elimination are no dot products of a network's own: they count as multiplications and additions.
"""

from __future__ import annotations

from collections.abc import Mapping

from multiprof.cost import Cost, Counts, formula
from multiprof.errors import UnknownDimensionError
from multiprof.ir import Layer, TensorSpec

_SOURCE = "Golub and Van Loan, Matrix Computations, chapters 3 and 4"


def _order(layer: Layer, spec: TensorSpec) -> tuple[int, int]:
    """M matrices of n × n; none where the tensor is empty."""
    elements = spec.numel
    n = spec.shape[-1]
    if n is None:
        raise UnknownDimensionError(f"layer {layer.name}: the shape {spec.shape} is data-dependent")
    return elements // (n * n) if n else 0, n


def _symbols(layer: Layer) -> Mapping[str, int]:
    """M: matrices; n: rows and columns of one"""
    count, n = _order(layer, layer.x)
    return {"M": count, "n": n}


@formula("cholesky", symbols=_symbols, source=_SOURCE)
def cholesky(layer: Layer) -> Cost:
    """factor: M·n·(n·n − 1)/6 muls, M·n·(n·n − 1)/6 adds, M·n·(n − 1)/2 divs, M·n exps

    Element (i, j) of the triangle takes j products and differences, then a division, or a root on the diagonal.
    """
    count, n = _order(layer, layer.x)
    products = count * n * (n * n - 1) // 6
    return Cost({"factor": Counts(muls=products, adds=products, divs=count * n * (n - 1) // 2, exps=count * n)})


def _elimination(count: int, n: int) -> dict[str, Counts]:
    """Terms of LU with partial pivoting: step k looks for the largest of n − k absolute values, makes n − k − 1
    quotients and takes (n − k − 1)² products off.
    """
    products = count * n * (n - 1) * (2 * n - 1) // 6
    return {
        "pivot": Counts(cmps=count * (n * n - 1)),
        "factor": Counts(muls=products, adds=products, divs=count * n * (n - 1) // 2),
    }


@formula("det", symbols=_symbols, source=_SOURCE)
def det(layer: Layer) -> Cost:
    """pivot: M·(n·n − 1) cmps; factor: M·n·(n − 1)·(2·n − 1)/6 muls, M·n·(n − 1)·(2·n − 1)/6 adds, M·n·(n − 1)/2 divs; diagonal: M·n muls

    Elimination with partial pivoting, then the product of the diagonal and of the sign of the permutation.
    """  # noqa: E501  # the mathematics is one line
    count, n = _order(layer, layer.x)
    return Cost(_elimination(count, n) | {"diagonal": Counts(muls=count * n)})


@formula("inverse", symbols=_symbols, source=_SOURCE)
def inverse(layer: Layer) -> Cost:
    """pivot: M·(n·n − 1) cmps; eliminate: M·n·(n·n − 1) muls, M·n·(n − 1)·(n − 1) adds, M·n divs

    Gauss–Jordan in place with partial pivoting. Each of n steps: one reciprocal, the rest of its row times it (n − 1
    muls), that row taken off every other ((n − 1)² products and differences), and the pivot's column (n − 1 muls).
    """
    count, n = _order(layer, layer.x)
    return Cost(
        {
            "pivot": Counts(cmps=count * (n * n - 1)),
            "eliminate": Counts(muls=count * n * (n * n - 1), adds=count * n * (n - 1) ** 2, divs=count * n),
        }
    )


def _lu_symbols(layer: Layer) -> Mapping[str, int]:
    """M: matrices; m: rows of one; n: columns of one; p: the smaller of them; s: 1 where p is m, else 0"""
    m, n = layer.x.shape[-2:]
    elements = layer.x.numel
    if m is None or n is None:
        raise UnknownDimensionError(f"layer {layer.name}: the shape {layer.x.shape} is data-dependent")
    return {"M": elements // (m * n) if elements else 0, "m": m, "n": n, "p": min(m, n), "s": int(m <= n)}


@formula("lu", symbols=_lu_symbols, source=_SOURCE)
def lu(layer: Layer) -> Cost:
    """pivot: M·(p·(2·m − p) − s) cmps; factor: M·(p·(m − 1)·(n − 1) − (m + n − 2)·p·(p − 1)/2 + p·(p − 1)·(2·p − 1)/6) muls, M·(p·(m − 1)·(n − 1) − (m + n − 2)·p·(p − 1)/2 + p·(p − 1)·(2·p − 1)/6) adds, M·(p·m − p·(p + 1)/2) divs

    Elimination with partial pivoting. Step k of p looks for the largest of m − k absolute values (a single row needs no
    look), makes m − k − 1 quotients and takes (m − k − 1)·(n − k − 1) products off.
    """  # noqa: E501  # the mathematics is one line
    matrices, m, n, p, single = _lu_symbols(layer).values()
    products = p * (m - 1) * (n - 1) - (m + n - 2) * p * (p - 1) // 2 + p * (p - 1) * (2 * p - 1) // 6
    products *= matrices
    return Cost(
        {
            "pivot": Counts(cmps=matrices * (p * (2 * m - p) - single)),
            "factor": Counts(muls=products, adds=products, divs=matrices * (p * m - p * (p + 1) // 2)),
        }
    )


def _solve_symbols(layer: Layer) -> Mapping[str, int]:
    """M: matrices; n: rows and columns of one; R: right-hand sides of all of them together; d: rows that are divided by
    the diagonal, n, or 0 where it is all ones"""
    count, n = _order(layer, layer.inputs["a"])
    divided = 0 if layer.attrs.get("unit") else n
    return {"M": count, "n": n, "R": layer.inputs["b"].numel // n if n else 0, "d": divided}


@formula("solve", symbols=_solve_symbols, source=_SOURCE)
def solve(layer: Layer) -> Cost:
    """pivot: M·(n·n − 1) cmps; factor: M·n·(n − 1)·(2·n − 1)/6 muls, M·n·(n − 1)·(2·n − 1)/6 adds, M·n·(n − 1)/2 divs; forward: R·n·(n − 1)/2 muls, R·n·(n − 1)/2 adds; backward: R·n·(n − 1)/2 muls, R·n·(n − 1)/2 adds, R·d divs

    Elimination with partial pivoting, then two substitutions for each right-hand side. A triangular matrix takes the
    second alone, without divisions where its diagonal is all ones.
    """  # noqa: E501  # the mathematics is one line
    s = _solve_symbols(layer)
    n, products = s["n"], s["R"] * s["n"] * (s["n"] - 1) // 2
    terms = {}
    if not layer.attrs.get("triangular"):
        terms = _elimination(s["M"], n) | {"forward": Counts(muls=products, adds=products)}
    return Cost(terms | {"backward": Counts(muls=products, adds=products, divs=s["R"] * s["d"])})


FORMULAS = (cholesky, det, inverse, lu, solve)
