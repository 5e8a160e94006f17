"""Decompositions by reflections and by iterations, and functions of a matrix.

How often an iteration turns depends on the values. What stands here for singular values and eigenvalues is the
textbook's operation count, half of it multiplications and half additions, and is marked as what it is.
"""

from __future__ import annotations

from collections.abc import Mapping

from multiprof.cost import ESTIMATE, Cost, Counts, formula
from multiprof.errors import UnsupportedOpError
from multiprof.formulas.linalg import SOURCE, elimination, order, qr, rectangle, reflected
from multiprof.ir import Layer

_BOOK = "Golub and Van Loan, Matrix Computations"


def _textbook(layer: Layer) -> str:
    return f"{ESTIMATE}: how often the iteration turns depends on the values"


def _svd_symbols(layer: Layer) -> Mapping[str, int]:
    """M: matrices; m: the larger side of one; n: the smaller side; F: operations of one, by what is asked for"""
    count, rows, columns = rectangle(layer)
    m, n = max(rows, columns), min(rows, columns)
    if "u" not in layer.outputs and "v" not in layer.outputs:
        operations = -(-(4 * m * n * n * 3 - 4 * n**3) // 3)
    else:
        full = max(layer.outputs[role].shape[-1] or 0 for role in ("u", "v") if role in layer.outputs) > n
        operations = 4 * m * m * n + 8 * m * n * n + 9 * n**3 if full else 14 * m * n * n + 8 * n**3
    return {"M": count, "m": m, "n": n, "F": operations + operations % 2}


@formula("svd", symbols=_svd_symbols, bound=_textbook, source=f"{_BOOK}, 4th edition, figure 8.6.1")
def svd(layer: Layer) -> Cost:
    """iterate: M·F/2 muls, M·F/2 adds

    Golub and Reinsch: reduction to two diagonals by reflections, then implicit QR steps. F = 4·m·n² − 4·n³/3 for the
    singular values alone, 14·m·n² + 8·n³ with n singular vectors on both sides, 4·m²·n + 8·m·n² + 9·n³ with all m of
    them on the longer one.
    """
    s = _svd_symbols(layer)
    work = s["M"] * s["F"] // 2
    return Cost({"iterate": Counts(muls=work, adds=work)})


def _eigen_symbols(layer: Layer) -> Mapping[str, int]:
    """M: matrices; n: rows and columns of one; F: operations of one, by what is asked for"""
    count, n = order(layer, layer.x)
    vectors = "vectors" in layer.outputs
    if layer.op == "eigh":
        operations = 9 * n**3 if vectors else -(-(4 * n**3) // 3)
    else:
        operations = (25 if vectors else 10) * n**3
    return {"M": count, "n": n, "F": operations + operations % 2}


@formula("eigh", "eig", symbols=_eigen_symbols, bound=_textbook, source=f"{_BOOK}, sections 7.5.6 and 8.3.5")
def eigen(layer: Layer) -> Cost:
    """iterate: M·F/2 muls, M·F/2 adds

    A symmetric matrix (eigh): reduction to three diagonals by reflections, then implicit QR steps; F = 4·n³/3 for the
    eigenvalues alone, 9·n³ with the eigenvectors. Any matrix (eig): reduction to a Hessenberg matrix, then double
    implicit QR steps; F = 10·n³ for the eigenvalues alone, 25·n³ with the vectors.
    """
    s = _eigen_symbols(layer)
    work = s["M"] * s["F"] // 2
    return Cost({"iterate": Counts(muls=work, adds=work)})


def _square(layer: Layer) -> Mapping[str, int]:
    """M: matrices; n: rows and columns of one"""
    count, n = order(layer, layer.x)
    return {"M": count, "n": n}


@formula("log_det", symbols=_square, source=SOURCE)
def log_det(layer: Layer) -> Cost:
    """pivot: M·(n·n − 1) cmps; factor: M·n·(n − 1)·(2·n − 1)/6 muls, M·n·(n − 1)·(2·n − 1)/6 adds, M·n·(n − 1)/2 divs; diagonal: 2·M·n cmps, M·n exps, M·(n − 1) adds, M·n muls

    Elimination with partial pivoting; the sum of the logarithms of the absolute values on the diagonal, and the product
    of their signs and of that of the permutation.
    """  # noqa: E501  # the mathematics is one line
    count, n = order(layer, layer.x)
    diagonal = Counts(cmps=2 * count * n, exps=count * n, adds=count * max(n - 1, 0), muls=count * n)
    return Cost(elimination(count, n) | {"diagonal": diagonal})


def _householder_symbols(layer: Layer) -> Mapping[str, int]:
    """M: matrices; m: rows of one; q: columns of one; p: reflections"""
    count, m, columns = rectangle(layer)
    return {"M": count, "m": m, "q": columns, "p": layer.inputs["tau"].shape[-1] or 0}


@formula("householder", symbols=_householder_symbols, source=f"{_BOOK}, algorithm 5.1.5")
def householder(layer: Layer) -> Cost:
    """form: M·(p·(2·m − 1)·q − (2·m + 2·q − 1)·p·(p − 1)/2 + p·(p − 1)·(2·p − 1)/3) muls, M·(p·(2·m − 1)·q − (2·m + 2·q − 1)·p·(p − 1)/2 + p·(p − 1)·(2·p − 1)/3) adds

    As the last step of qr: the identity by the reflections, the last one first, of which reflection k meets the columns
    from k on; 2·r − 1 products and sums a column of r elements.
    """  # noqa: E501  # the mathematics is one line
    s = _householder_symbols(layer)
    return Cost({"form": s["M"] * reflected(s["p"], s["m"], s["q"])})


def _lstsq_symbols(layer: Layer) -> Mapping[str, int]:
    """M: matrices; m: rows of one; n: columns of one; p: reflections; V: elements of their vectors; R: right-hand sides
    of one
    """
    a, b = layer.inputs["a"], layer.inputs["b"]
    count, m, n = rectangle(layer, a)
    if m < n:
        raise UnsupportedOpError(f"layer {layer.name}: lstsq has no formula for fewer rows ({m}) than columns ({n})")
    p = min(m - 1, n) if m else 0
    sides = b.numel // (count * m) if count * m else 0
    return {"M": count, "m": m, "n": n, "p": p, "V": p * m - p * (p - 1) // 2, "R": sides}


@formula("lstsq", symbols=_lstsq_symbols, source=f"{_BOOK}, algorithm 5.3.2")
def lstsq(layer: Layer) -> Cost:
    """reflect: M·V muls, M·(V + 2·p) adds, M·p cmps, M·p exps, M·V divs; apply: M·(p·(2·m − 1)·(n − 1) − (2·m + 2·n − 3)·p·(p − 1)/2 + p·(p − 1)·(2·p − 1)/3) muls, M·(p·(2·m − 1)·(n − 1) − (2·m + 2·n − 3)·p·(p − 1)/2 + p·(p − 1)·(2·p − 1)/3) adds; sides: M·R·(2·V − p) muls, M·R·(2·V − p) adds; backward: M·R·n·(n − 1)/2 muls, M·R·n·(n − 1)/2 adds, M·R·n divs

    Householder's QR without forming Q, of a of full rank: every right-hand side goes through the reflections as a
    column to the right does, 2·r − 1 products and sums each, and is then substituted backwards.
    """  # noqa: E501  # the mathematics is one line
    s = _lstsq_symbols(layer)
    a = layer.inputs["a"]
    terms = qr.price(Layer(layer.name, "qr", {"x": a}, {"y": a})).terms
    sides = s["M"] * s["R"] * (2 * s["V"] - s["p"])
    products = s["M"] * s["R"] * s["n"] * (s["n"] - 1) // 2
    return Cost(
        {
            **terms,
            "sides": Counts(muls=sides, adds=sides),
            "backward": Counts(muls=products, adds=products, divs=s["M"] * s["R"] * s["n"]),
        }
    )


def _unscaled(layer: Layer) -> str:
    return f"{ESTIMATE}, without the squarings of a matrix of 1-norm above 1.09, which the values choose"


@formula(
    "matrix_exp",
    symbols=_square,
    bound=_unscaled,
    source="Bader, Blanes and Casas 2019, Computing the matrix exponential with an optimized Taylor polynomial "
    "approximation: degree 18, as in ATen",
)
def matrix_exp(layer: Layer) -> Cost:
    """products: 5·M·n·n·n muls, 5·M·n·n·(n − 1) adds; sums: 25·M·n·n muls, 23·M·n·n adds

    The Taylor polynomial of degree 18 by 5 products of matrices: A², A³ = A²·A, A⁶ = A³·A³, then B₁·B₅ and
    (B₃ + A₉)·A₉, where B₁ … B₅ are sums of the five matrices I, A, A², A³, A⁶ with factors; three sums of two matrices.
    """
    count, n = order(layer, layer.x)
    square = count * n * n
    return Cost(
        {
            "products": Counts(muls=5 * square * n, adds=5 * square * max(n - 1, 0)),
            "sums": Counts(muls=25 * square, adds=23 * square),
        }
    )


FORMULAS = (svd, eigen, log_det, householder, lstsq, matrix_exp)
