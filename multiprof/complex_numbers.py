"""in_real(layer, cost) -> Cost: what a layer on complex numbers costs in operations on real ones.

Formulas count operations on numbers; a number of a complex dtype is two real ones. Sums, products and quotients are
those of the definition (Knuth, TAOCP vol. 2, 4.6.4): with both factors complex a multiply-add is four of real numbers,
two dot products of twice the length; a product 4 multiplications and 2 additions; a quotient, by |b|², 6
multiplications, 3 additions and 2 divisions. With one real factor a multiply-add is two, a product 2 multiplications.
"""

from __future__ import annotations

from multiprof.cost import Cost, Counts
from multiprof.ir import ALIAS_ROLE, Layer

NO_COMPLEX = "no count of this op on complex numbers"
COMPLEX = frozenset({"complex32", "complex64", "complex128"})
# Ops whose formulas count real operations themselves.
COUNTED = frozenset({"fft", "stft", "conj", "polar", "angle"})
# Ops made of sums, products and quotients alone; of the others nobody says here what they do to complex numbers.
ARITHMETIC = frozenset(
    {
        *("conv", "conv_transpose", "linear", "matmul", "sparse_matmul", "einsum"),
        *("add", "sub", "mul", "div", "neg", "square", "cross", "cast"),
        *("sum", "mean", "prod", "cumsum", "cumprod"),
    }
)
# Ops that multiply what they read with itself.
POWERS = frozenset({"square", "prod", "cumprod"})
# For an element: |x| = √(a² + b²); 1/x = x̄/|x|²; eˣ = eᵃ·(cos b + i·sin b); a choice, or a test of both parts.
ELEMENT = {
    "abs": Counts(muls=2, adds=1, exps=1),
    "reciprocal": Counts(muls=2, adds=2, divs=2),
    "exp": Counts(exps=3, muls=2),
    "where": Counts(cmps=2),
    "masked_fill": Counts(cmps=2),
    "equal": Counts(cmps=2),
    "not_equal": Counts(cmps=2),
}


def is_complex(layer: Layer) -> bool:
    """Whether a layer reads or writes complex numbers."""
    for specs in (layer.inputs, layer.outputs):
        for spec in specs.values():
            if spec.dtype in COMPLEX:
                return True
    return False


def in_real(layer: Layer, cost: Cost) -> Cost | None:
    """The cost in operations on real numbers; ``None`` where there is no count of the op on complex ones."""
    op = layer.op
    if op in COUNTED or not any(cost.terms.values()):
        return cost
    if op in ELEMENT:
        return Cost({name: ELEMENT[op] * layer.y.numel if counts else counts for name, counts in cost.terms.items()})
    if op not in ARITHMETIC:  # what makes complex numbers of real ones, such as eigenvalues, counts for itself
        return None if any(spec.dtype in COMPLEX for spec in layer.inputs.values()) else cost
    operands = {r: s.dtype in COMPLEX for r, s in layer.inputs.items() if r != "bias" and not r.startswith(ALIAS_ROLE)}
    if isinstance(layer.attrs.get("scalar"), complex):  # a number in place of the second tensor
        operands["x1"] = True
    both = sum(operands.values()) > 1 or op in POWERS
    parts = 1 if not both and (op == "add" or (op == "sub" and not operands.get("x1"))) else 2  # which a sum changes
    by_real = op == "mean" or not operands.get("x1")
    terms = {name: _real(counts, both, parts, by_real) for name, counts in cost.terms.items()}
    return Cost(terms, cost.dot_dtypes)


def _real(c: Counts, both: bool, parts: int, by_real: bool) -> Counts:
    products = Counts(muls=4, adds=2) if both else Counts(muls=2)
    quotients = Counts(divs=2) if by_real else Counts(muls=6, adds=3, divs=2)
    dots = Counts(macs=(4 if both else 2) * c.macs, dots=2 * c.dots)
    kept = Counts(adds=parts * c.adds, cmps=c.cmps, exps=c.exps, ints=c.ints, casts=c.casts)
    return dots + kept + products * c.muls + quotients * c.divs
