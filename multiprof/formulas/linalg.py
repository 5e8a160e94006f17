"""Dense linear algebra, from the algorithms of the textbook (Golub and Van Loan, Matrix
Computations, 4th edition 2013): elimination with partial pivoting, Cholesky, substitution.

The products of an elimination are no dot products of a network's own: they count as multiplications and additions.
"""

from __future__ import annotations

from collections.abc import Mapping

from multiprof.cost import Cost, Counts, formula
from multiprof.errors import UnknownDimensionError
from multiprof.ir import Layer, TensorSpec

SOURCE = "Golub and Van Loan, Matrix Computations, chapters 3 and 4"


def order(layer: Layer, spec: TensorSpec) -> tuple[int, int]:
    """M matrices of n × n; none where the tensor is empty."""
    elements = spec.numel
    n = spec.shape[-1]
    if n is None:
        raise UnknownDimensionError(f"layer {layer.name}: the shape {spec.shape} is data-dependent")
    return elements // (n * n) if n else 0, n


def _symbols(layer: Layer) -> Mapping[str, int]:
    """M: matrices; n: rows and columns of one"""
    count, n = order(layer, layer.x)
    return {"M": count, "n": n}


@formula("cholesky", symbols=_symbols, source=SOURCE)
def cholesky(layer: Layer) -> Cost:
    """factor: M·n·(n·n − 1)/6 muls, M·n·(n·n − 1)/6 adds, M·n·(n − 1)/2 divs, M·n exps

    Element (i, j) of the triangle takes j products and differences, then a division, or a root on the diagonal.
    """
    count, n = order(layer, layer.x)
    products = count * n * (n * n - 1) // 6
    return Cost({"factor": Counts(muls=products, adds=products, divs=count * n * (n - 1) // 2, exps=count * n)})


def elimination(count: int, n: int) -> dict[str, Counts]:
    """Terms of LU with partial pivoting: step k looks for the largest of n − k absolute values, makes n − k − 1
    quotients and takes (n − k − 1)² products off.
    """
    products = count * n * (n - 1) * (2 * n - 1) // 6
    return {
        "pivot": Counts(cmps=count * (n * n - 1)),
        "factor": Counts(muls=products, adds=products, divs=count * n * (n - 1) // 2),
    }


@formula("det", symbols=_symbols, source=SOURCE)
def det(layer: Layer) -> Cost:
    """pivot: M·(n·n − 1) cmps; factor: M·n·(n − 1)·(2·n − 1)/6 muls, M·n·(n − 1)·(2·n − 1)/6 adds, M·n·(n − 1)/2 divs; diagonal: M·n muls

    Elimination with partial pivoting, then the product of the diagonal and of the sign of the permutation.
    """  # noqa: E501  # the mathematics is one line
    count, n = order(layer, layer.x)
    return Cost(elimination(count, n) | {"diagonal": Counts(muls=count * n)})


@formula("inverse", symbols=_symbols, source=SOURCE)
def inverse(layer: Layer) -> Cost:
    """pivot: M·(n·n − 1) cmps; eliminate: M·n·(n·n − 1) muls, M·n·(n − 1)·(n − 1) adds, M·n divs

    Gauss–Jordan in place with partial pivoting. Each of n steps: one reciprocal, the rest of its row times it (n − 1
    muls), that row taken off every other ((n − 1)² products and differences), and the pivot's column (n − 1 muls).
    """
    count, n = order(layer, layer.x)
    return Cost(
        {
            "pivot": Counts(cmps=count * (n * n - 1)),
            "eliminate": Counts(muls=count * n * (n * n - 1), adds=count * n * (n - 1) ** 2, divs=count * n),
        }
    )


def rectangle(layer: Layer, spec: TensorSpec | None = None) -> tuple[int, int, int]:
    """M matrices of m × n, of x unless another tensor is given."""
    spec = spec or layer.x
    m, n = spec.shape[-2:]
    elements = spec.numel
    if m is None or n is None:
        raise UnknownDimensionError(f"layer {layer.name}: the shape {spec.shape} is data-dependent")
    return elements // (m * n) if elements else 0, m, n


def _lu_symbols(layer: Layer) -> Mapping[str, int]:
    """M: matrices; m: rows of one; n: columns of one; p: the smaller of them; s: one where p is m, else 0"""
    count, m, n = rectangle(layer)
    return {"M": count, "m": m, "n": n, "p": min(m, n), "s": int(m <= n)}


@formula("lu", symbols=_lu_symbols, source=SOURCE)
def lu(layer: Layer) -> Cost:
    """pivot: M·(p·(2·m − p) − s) cmps; factor: M·(p·(m − 1)·(n − 1) − (m + n − 2)·p·(p − 1)/2 + p·(p − 1)·(2·p − 1)/6) muls, M·(p·(m − 1)·(n − 1) − (m + n − 2)·p·(p − 1)/2 + p·(p − 1)·(2·p − 1)/6) adds, M·(p·m − p·(p + 1)/2) divs

    Elimination with partial pivoting. Step k of p looks for the largest of m − k absolute values (a single row needs no
    look), makes m − k − 1 quotients and takes (m − k − 1)·(n − k − 1) products off.
    """  # noqa: E501  # the mathematics is one line
    count, m, n, p, single = _lu_symbols(layer).values()
    products = p * (m - 1) * (n - 1) - (m + n - 2) * p * (p - 1) // 2 + p * (p - 1) * (2 * p - 1) // 6
    products *= count
    return Cost(
        {
            "pivot": Counts(cmps=count * (p * (2 * m - p) - single)),
            "factor": Counts(muls=products, adds=products, divs=count * (p * m - p * (p + 1) // 2)),
        }
    )


def _qr_symbols(layer: Layer) -> Mapping[str, int]:
    """M: matrices; m: rows of one; n: columns of one; p: reflections; V: elements of their vectors; q: columns of Q"""
    count, m, n = rectangle(layer)
    p = min(m - 1, n) if m else 0
    columns = layer.outputs["q"].shape[-1] if "q" in layer.outputs else 0
    return {"M": count, "m": m, "n": n, "p": p, "V": p * m - p * (p - 1) // 2, "q": columns or 0}


@formula("qr", symbols=_qr_symbols, source="Golub and Van Loan, Matrix Computations, algorithms 5.2.1 and 5.1.5")
def qr(layer: Layer) -> Cost:
    """reflect: M·V muls, M·(V + 2·p) adds, M·p cmps, M·p exps, M·V divs; apply: M·(p·(2·m − 1)·(n − 1) − (2·m + 2·n − 3)·p·(p − 1)/2 + p·(p − 1)·(2·p − 1)/3) muls, M·(p·(2·m − 1)·(n − 1) − (2·m + 2·n − 3)·p·(p − 1)/2 + p·(p − 1)·(2·p − 1)/3) adds; form: M·(p·(2·m − 1)·q − (2·m + 2·q − 1)·p·(p − 1)/2 + p·(p − 1)·(2·p − 1)/3) muls, M·(p·(2·m − 1)·q − (2·m + 2·q − 1)·p·(p − 1)/2 + p·(p − 1)·(2·p − 1)/3) adds

    Householder's reflections, one for each column that has something below the diagonal. With r elements from the
    diagonal down: the norm (r muls, r − 1 adds, a root), r_kk = ∓norm against the sign of x_k (1 cmp, 1 add), x_k − r_kk
    (1 add) by which the r − 1 others are divided, τ (1 add, 1 div). Each column to the right takes r − 1 products and
    sums, times τ, and as many products taken off again with one difference: 2·r − 1 muls and adds. Q is made of the
    identity by the same reflections, the last one first, of which reflection k meets the columns from k on.
    """  # noqa: E501  # the mathematics is one line
    count, m, n, p, vectors, columns = _qr_symbols(layer).values()
    terms = {
        "reflect": count * Counts(muls=vectors, adds=vectors + 2 * p, cmps=p, exps=p, divs=vectors),
        "apply": count * reflected(p, m, n - 1),
    }
    return Cost(terms | ({"form": count * reflected(p, m, columns)} if "q" in layer.outputs else {}))


def reflected(p: int, m: int, columns: int) -> Counts:
    """Σ over k below p of (2·(m − k) − 1)·(columns − k)."""
    products = p * (2 * m - 1) * columns - (2 * m + 2 * columns - 1) * p * (p - 1) // 2
    products += p * (p - 1) * (2 * p - 1) // 3
    return Counts(muls=products, adds=products)


def _solve_symbols(layer: Layer) -> Mapping[str, int]:
    """M: matrices; n: rows and columns of one; R: right-hand sides of all of them together; d: rows that are divided by
    the diagonal, n, or 0 where it is all ones"""
    count, n = order(layer, layer.inputs["a"])
    divided = 0 if layer.attrs.get("unit") else n
    return {"M": count, "n": n, "R": layer.inputs["b"].numel // n if n else 0, "d": divided}


@formula("solve", symbols=_solve_symbols, source=SOURCE)
def solve(layer: Layer) -> Cost:
    """pivot: M·(n·n − 1) cmps; factor: M·n·(n − 1)·(2·n − 1)/6 muls, M·n·(n − 1)·(2·n − 1)/6 adds, M·n·(n − 1)/2 divs; forward: R·n·(n − 1)/2 muls, R·n·(n − 1)/2 adds; backward: R·n·(n − 1)/2 muls, R·n·(n − 1)/2 adds, R·d divs

    Elimination with partial pivoting, then two substitutions for each right-hand side. A triangular matrix takes the
    second alone, without divisions where its diagonal is all ones.
    """  # noqa: E501  # the mathematics is one line
    s = _solve_symbols(layer)
    n, products = s["n"], s["R"] * s["n"] * (s["n"] - 1) // 2
    terms = {}
    if not layer.attrs.get("triangular"):
        terms = elimination(s["M"], n) | {"forward": Counts(muls=products, adds=products)}
    return Cost(terms | {"backward": Counts(muls=products, adds=products, divs=s["R"] * s["d"])})


FORMULAS = (cholesky, det, inverse, lu, qr, solve)
