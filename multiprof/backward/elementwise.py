"""Backward pass of elementwise ops and activations: one row each, what an element of the gradient takes.

A row holds what is done for each element of y and which tensors the forward pass keeps for it. Both are those of the
formula in PyTorch's tools/autograd/derivatives.yaml, its products written out by COUNTING.md's table of primitives; g
is the gradient of y. The gradient of an operand that was broadcast is then summed: |y| − |operand| adds.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import NamedTuple

from multiprof.backward.rule import Extra, Needs, Rule, counts, moved, spread_back, stops, term
from multiprof.cost import Cost, Counts
from multiprof.ir import Layer


class Row(NamedTuple):
    """The gradient of one operand: primitives an element, the roles it is made from, and the formula."""

    primitives: Mapping[str, int]
    kept: str
    text: str


def _price(rows: Mapping[str, Row], layer: Layer, needs: Needs) -> Cost:
    y = layer.y.numel
    terms = {}
    for role in layer.inputs:
        if role in needs and role in rows:
            summed = Counts(adds=spread_back(layer, role))
            terms[term(role)] = counts(dict(rows[role].primitives), y) + summed
    return Cost(terms)


def _kept(rows: Mapping[str, Row], layer: Layer, needs: Needs) -> Iterable[str]:
    for role in needs:
        if role in rows:
            for wanted in rows[role].kept.split():
                if wanted in layer.inputs or wanted in layer.outputs:
                    yield wanted


def rule(rows: Mapping[str, Row], extra: str = "") -> Rule:
    """The rule of an op from the rows of its operands; ``extra`` names what is kept beside, as large as x."""

    def price(layer: Layer, needs: Needs) -> Cost:
        return _price(rows, layer, needs)

    def keeps(layer: Layer, needs: Needs) -> Iterable[str]:
        return _kept(rows, layer, needs)

    def made(layer: Layer, needs: Needs) -> Extra:
        return ((extra, layer.x.nbytes),) if extra else ()

    passes = frozenset(role for role, row in rows.items() if not row.primitives)
    source = "; ".join(f"{role}: {row.text}" for role, row in rows.items())
    return Rule(price, keeps, made, passes, source=f"{source}; derivatives.yaml of PyTorch")


def _one(text: str, kept: str = "", extra: str = "", **primitives: int) -> Rule:
    return rule({"x": Row(primitives, kept, text)}, extra)


def _two(x0: Row, x1: Row) -> Rule:
    return rule({"x0": x0, "x1": x1})


def _row(text: str, kept: str = "", **primitives: int) -> Row:
    return Row(primitives, kept, text)


_SIGMOID = {"adds": 2, "exps": 1, "divs": 1}

ACTIVATIONS = {
    "relu": _one("g where y > 0", "y", cmps=1),
    "relu6": _one("g where 0 < x < 6", "x", cmps=2),
    "hard_tanh": _one("g between the bounds", "x", cmps=2),
    "leaky_relu": _one("g or slope·g by the sign of x", "x", cmps=1, muls=1),
    "rrelu": _one("g or slope·g by the sign of x", "x", "slopes", cmps=1, muls=1),
    "elu": _one("g or g·α·eˣ by the sign of x", "x", cmps=1, exps=1, muls=2),
    "selu": _one("λ·g or g·λα·eˣ by the sign of x", "x", cmps=1, exps=1, muls=3),
    "celu": _one("g or g·e^(x/α) by the sign of x", "x", cmps=1, exps=1, muls=2),
    "sigmoid": _one("g·(1 − y)·y", "y", adds=1, muls=2),
    "log_sigmoid": _one(
        "g·(m − s·z/(1 + z)), z = e^−|x| kept, m and s by the sign", "x", "exponential", cmps=2, adds=2, divs=1, muls=2
    ),
    "silu": _one("g·s·(1 + x·(1 − s)), s = sigmoid(x)", "x", adds=4, exps=1, divs=1, muls=3),
    "hard_sigmoid": _one("g/6 where −3 < x < 3", "x", cmps=2, muls=1),
    "hard_swish": _one("0, g·(x/3 + ½) or g by x", "x", cmps=2, muls=2, adds=1),
    "tanh": _one("g·(1 − y²)", "y", muls=2, adds=1),
    "tanh_shrink": _one("g − g·(1 − tanh² x)", "", "tanh", muls=2, adds=2),
    "softplus": _one("g·z/(z + 1), z = e^(βx), or g where it is linear", "x", cmps=1, exps=1, muls=2, adds=1, divs=1),
    "mish": _one("g·(t + x·s·(1 − t²)), t = tanh softplus x, s = sigmoid x", "x", exps=4, adds=5, divs=1, muls=4),
    "softsign": _one("g/(1 + |x|)²", "x", "denominator", cmps=1, adds=1, muls=1, divs=1),
    "soft_shrink": _one("g where |x| > λ", "x", cmps=2),
    "hard_shrink": _one("g where |x| > λ", "x", cmps=2),
    "threshold": _one("g where x > threshold", "x", cmps=1),
    "glu": _one("g·s and g·a·s·(1 − s), s = sigmoid(b)", "x", adds=3, exps=1, divs=1, muls=4),
    "prelu": rule(
        {
            "x": _row("g or weight·g by the sign of x", "x weight", cmps=1, muls=1),
            "weight": _row("Σ g·x where x < 0", "x weight", cmps=1, muls=1),
        }
    ),
}

_GELU = {
    "none": {"muls": 7, "adds": 2, "exps": 2},  # ½(1 + erf(x/√2)) + x·e^(−x²/2)/√(2π), times g
    # ½(1 + t) + ½x·(1 − t²)·β·(1 + 3κx²), times g; t = tanh(β·(x + κ·x³))
    "tanh": {"muls": 12, "adds": 5, "exps": 1},
}


def _gelu(layer: Layer, needs: Needs) -> Cost:
    kind = "tanh" if layer.attrs.get("approximate") == "tanh" else "none"
    return Cost({"input_grad": counts(_GELU[kind], layer.y.numel)}) if needs else Cost()


def _only_x(layer: Layer, needs: Needs) -> Iterable[str]:
    return ("x",)


def _pow(layer: Layer, needs: Needs) -> Cost:
    """g·(e·x^(e − 1)): for 2 two muls, for 3 three, −1 a division and a square, else a power; the exponent's own
    gradient g·y·ln x.
    """
    y = layer.y.numel
    exponent = layer.attrs.get("exponent")
    terms = {}
    if "x0" in needs:
        known = {0: Counts(), 1: Counts(), 2: Counts(muls=2 * y), 3: Counts(muls=3 * y)}
        found = known.get(exponent) if exponent is not None else None
        summed = Counts(adds=spread_back(layer, "x0"))
        terms["x0_grad"] = (Counts(muls=2 * y, exps=y) if found is None else found) + summed
    if "x1" in needs:
        terms["x1_grad"] = Counts(muls=2 * y, exps=y, cmps=y, adds=spread_back(layer, "x1"))
    return Cost(terms)


def _pow_keeps(layer: Layer, needs: Needs) -> Iterable[str]:
    if layer.attrs.get("exponent") in (0, 1):
        return ()
    kept = ["x0"] if "x0" in layer.inputs else []
    if "x1" in layer.inputs:
        kept += ["x1", "y"] if "x1" in needs else ["x1"]
    return kept


def _scaled(layer: Layer, factor: str) -> bool:
    return bool(layer.attrs.get(factor, 1) != 1)


def _sum(sign: int) -> Rule:
    def price(layer: Layer, needs: Needs) -> Cost:
        y = layer.y.numel
        terms = {}
        for role in ("x0", "x1"):
            if role in needs:
                scale = y if role == "x1" and _scaled(layer, "alpha") else 0
                negate = y if role == "x1" and sign < 0 and not scale else 0
                if role == "x0" and layer.attrs.get("reverse") and sign < 0:
                    negate = y
                terms[term(role)] = Counts(muls=scale, adds=negate + spread_back(layer, role))
        return Cost(terms)

    passes = frozenset(("x0", "x1")) if sign > 0 else frozenset(("x0",))
    return Rule(price, passes=passes, source="g, and ±alpha·g; derivatives.yaml of PyTorch")


def _div(layer: Layer, needs: Needs) -> Cost:
    y = layer.y.numel
    terms = {}
    if "x0" in needs:
        if layer.attrs.get("reverse"):  # −g·(c/x)/x
            terms["x0_grad"] = Counts(adds=y, divs=2 * y, muls=y)
        else:
            terms["x0_grad"] = Counts(divs=y, adds=spread_back(layer, "x0"))
    if "x1" in needs:  # −g·(x0/x1)/x1
        terms["x1_grad"] = Counts(divs=2 * y, muls=y, adds=y + spread_back(layer, "x1"))
    return Cost(terms)


def _div_keeps(layer: Layer, needs: Needs) -> Iterable[str]:
    if layer.attrs.get("reverse"):
        return ("x0",)
    if "x1" not in layer.inputs:
        return ()
    return ("x0", "x1") if "x1" in needs else ("x1",)


def _clip(layer: Layer, needs: Needs) -> Cost:
    attrs = layer.attrs
    given = [name for name in ("min", "max") if attrs.get(name) is not None]
    bounds = len(given) if "min" in attrs or "max" in attrs else 2
    return Cost({"input_grad": Counts(cmps=(bounds + 1) * layer.y.numel)})


def _lerp(layer: Layer, needs: Needs) -> Cost:
    y = layer.y.numel
    terms = {}
    weighted = int("t" in layer.inputs)
    if "x0" in needs:
        terms["x0_grad"] = Counts(muls=y, adds=weighted * y + spread_back(layer, "x0"))
    if "x1" in needs:
        terms["x1_grad"] = Counts(muls=y, adds=spread_back(layer, "x1"))
    if "t" in needs:
        terms["t_grad"] = Counts(muls=y, adds=y + spread_back(layer, "t"))
    return Cost(terms)


def _lerp_keeps(layer: Layer, needs: Needs) -> Iterable[str]:
    if "t" in layer.inputs and needs & {"x0", "x1"}:
        yield "t"
    if "t" in needs:
        yield from ("x0", "x1")


_EXTREME = _row("g, ½g where equal, 0 where it is not the one", "x0 x1", cmps=4, divs=1)
_WHOLE = "its gradient is 0 almost everywhere"

RULES: dict[str, Rule] = {
    **ACTIVATIONS,
    "gelu": Rule(_gelu, _only_x, source="ATen's GeluBackwardKernel"),
    "add": _sum(1),
    "sub": _sum(-1),
    "mul": _two(_row("g·x1", "x1", muls=1), _row("g·x0", "x0", muls=1)),
    "div": Rule(_div, _div_keeps, source="g/x1, −g·(x0/x1)/x1; derivatives.yaml of PyTorch"),
    "pow": Rule(_pow, _pow_keeps, source="g·e·x^(e − 1); pow_backward of PyTorch"),
    "maximum": _two(_EXTREME, _EXTREME),
    "minimum": _two(_EXTREME, _EXTREME),
    "remainder": _two(_row("g"), _row("−g·⌊x0/x1⌋", "x0 x1", adds=1, muls=1, divs=1, casts=1)),
    "atan2": _two(
        _row("g·x1/(x0² + x1²)", "x0 x1", muls=3, adds=1, divs=1),
        _row("−g·x0/(x0² + x1²)", "x0 x1", muls=3, adds=2, divs=1),
    ),
    "hypot": _two(_row("g·x0/y", "x0 y", muls=1, divs=1), _row("g·x1/y", "x1 y", muls=1, divs=1)),
    "logaddexp": _two(
        _row("g/(1 + e^(x1 − x0))", "x0 x1", adds=2, exps=1, divs=1),
        _row("g/(1 + e^(x0 − x1))", "x0 x1", adds=2, exps=1, divs=1),
    ),
    "cross": _two(_row("x1 × g", "x1", muls=2, adds=1), _row("g × x0", "x0", muls=2, adds=1)),
    "where": _two(_row("g where the condition holds", "cond", cmps=1), _row("g elsewhere", "cond", cmps=1)),
    "masked_fill": _one("0 where the mask is set", "mask", cmps=1),
    "clip": Rule(_clip, _only_x, source="g between the bounds: a comparison each, and a selection"),
    "lerp": Rule(_lerp, _lerp_keeps, source="g·(1 − t), g·t, g·(x1 − x0); derivatives.yaml of PyTorch"),
    "addcmul": rule({"x0": _row("g"), "x1": _row("g·value·x2", "x2", muls=2), "x2": _row("g·value·x1", "x1", muls=2)}),
    "addcdiv": rule(
        {
            "x0": _row("g"),
            "x1": _row("g·value/x2", "x2", muls=1, divs=1),
            "x2": _row("−g·value·x1/x2²", "x1 x2", muls=3, divs=1, adds=1),
        }
    ),
    "cast": _one("g in x's type", casts=1),
    "neg": _one("−g", adds=1),
    "abs": _one("g·sign(x)", "x", cmps=2, muls=1),
    "reciprocal": _one("−g·y²", "y", muls=2, adds=1),
    "square": _one("g·2x", "x", muls=2),
    "sqrt": _one("g/(2y)", "y", muls=1, divs=1),
    "rsqrt": _one("−½·g·y³", "y", muls=4),
    "exp": _one("g·y", "y", muls=1),
    "exp2": _one("g·y·ln 2", "y", muls=2),
    "expm1": _one("g·(y + 1)", "y", muls=1, adds=1),
    "log": _one("g/x", "x", divs=1),
    "log2": _one("g/(x·ln 2)", "x", muls=1, divs=1),
    "log10": _one("g/(x·ln 10)", "x", muls=1, divs=1),
    "log1p": _one("g/(x + 1)", "x", adds=1, divs=1),
    "sin": _one("g·cos x", "x", exps=1, muls=1),
    "cos": _one("−g·sin x", "x", exps=1, muls=1, adds=1),
    "tan": _one("g·(1 + y²)", "y", muls=2, adds=1),
    "asin": _one("g/√(1 − x²)", "x", muls=2, adds=1, exps=1),
    "acos": _one("−g/√(1 − x²)", "x", muls=2, adds=2, exps=1),
    "atan": _one("g/(x² + 1)", "x", muls=1, adds=1, divs=1),
    "sinh": _one("g·cosh x", "x", exps=1, muls=1),
    "cosh": _one("g·sinh x", "x", exps=1, muls=1),
    "asinh": _one("g/√(x² + 1)", "x", muls=2, adds=1, exps=1),
    "acosh": _one("g/√(x² − 1)", "x", muls=2, adds=1, exps=1),
    "atanh": _one("g/(1 − x²)", "x", muls=1, adds=1, divs=1),
    "erf": _one("g·2/√π·e^(−x²)", "x", muls=3, adds=1, exps=1),
    "erfc": _one("−g·2/√π·e^(−x²)", "x", muls=3, adds=1, exps=1),
    "erfinv": _one("g·½√π·e^(y²)", "y", muls=3, exps=1),
    "logit": _one("g/(x·(1 − x))", "x", muls=1, adds=1, divs=1),
    "frac": moved("the gradient of x − trunc x is g", passes=("x",)),
    "conj": moved("the conjugate of g is a view", passes=("x",)),
    **{op: moved(_WHOLE) for op in ("floor", "ceil", "round", "trunc", "sign", "floor_div")},
    **{
        op: stops("true or false: nothing to follow back")
        for op in (
            *("equal", "not_equal", "less", "less_equal", "greater", "greater_equal"),
            *("logical_not", "logical_and", "logical_or", "logical_xor", "is_nan", "is_inf", "is_finite"),
        )
    },
    **{
        op: stops("integers: nothing to follow back")
        for op in ("bitwise_not", "bitwise_and", "bitwise_or", "bitwise_xor", "shift_left", "shift_right")
    },
}
