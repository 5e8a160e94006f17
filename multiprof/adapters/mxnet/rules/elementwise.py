"""Elementwise arithmetic: of one tensor, with a number, of two of one shape, and broadcast."""

from __future__ import annotations

from collections.abc import Callable
from math import pi, sqrt
from typing import Any

from multiprof.adapters._common.shapes import broadcast
from multiprof.adapters.mxnet.call import Call
from multiprof.adapters.mxnet.rules._same import infer_all_same, infer_same
from multiprof.adapters.mxnet.table import Rule, Rules
from multiprof.adapters.mxnet.writing import OVER_FIRST, SAME_MEMORY, Writing
from multiprof.ir import TensorSpec

Write = Callable[[Call, Writing], None]

# MXNet's name (without the prefix of numpy-style ones) -> the canonical op of one operand
UNARY = {
    "abs": "abs", "absolute": "abs", "arccos": "acos", "arccosh": "acosh", "arcsin": "asin", "arcsinh": "asinh",
    "arctan": "atan", "arctanh": "atanh", "ceil": "ceil", "cos": "cos", "cosh": "cosh", "erf": "erf",
    "erfinv": "erfinv", "exp": "exp", "expm1": "expm1", "fix": "trunc", "floor": "floor", "log": "log",
    "log10": "log10", "log1p": "log1p", "log2": "log2", "logical_not": "logical_not", "negative": "neg",
    "reciprocal": "reciprocal", "relu": "relu", "rint": "round", "round": "round", "rsqrt": "rsqrt",
    "sigmoid": "sigmoid", "sign": "sign", "sin": "sin", "sinh": "sinh", "softsign": "softsign", "sqrt": "sqrt",
    "square": "square", "tan": "tan", "tanh": "tanh", "trunc": "trunc", "isnan": "is_nan", "isinf": "is_inf",
    "isfinite": "is_finite", "bitwise_not": "bitwise_not",
}  # fmt: skip
# what passes through at inference
IDENTITY = (
    "_copy", "BlockGrad", "MakeLoss", "make_loss", "IdentityAttachKLSparseReg", "_contrib_gradientmultiplier",
    "cast_storage", "_np_copy", "_copyto",
)  # fmt: skip
BINARY = {
    "add": "add", "sub": "sub", "subtract": "sub", "mul": "mul", "multiply": "mul", "div": "div",
    "true_divide": "div", "mod": "remainder", "power": "pow", "maximum": "maximum", "minimum": "minimum",
    "equal": "equal", "not_equal": "not_equal", "greater": "greater", "greater_equal": "greater_equal",
    "lesser": "less", "less": "less", "lesser_equal": "less_equal", "less_equal": "less_equal",
    "logical_and": "logical_and", "logical_or": "logical_or", "logical_xor": "logical_xor",
    "bitwise_and": "bitwise_and", "bitwise_or": "bitwise_or", "bitwise_xor": "bitwise_xor", "arctan2": "atan2",
    "hypot": "hypot",
}  # fmt: skip
# with a number: name -> op, and whether the number is the first operand
SCALAR = {
    "plus": ("add", False), "minus": ("sub", False), "rminus": ("sub", True), "rsubtract": ("sub", True),
    "rdiv": ("div", True), "rtrue_divide": ("div", True), "rmod": ("remainder", True), "rpower": ("pow", True),
    **{name: (op, False) for name, op in BINARY.items()},
}  # fmt: skip
COMPARISONS = frozenset(
    ("equal", "not_equal", "greater", "greater_equal", "less", "less_equal", "logical_and", "logical_or", "logical_xor")
)


def _unary(op: str) -> Write:
    aliases = SAME_MEMORY if op == "identity" else ()

    def write(call: Call, to: Writing) -> None:
        to.unary(call, op, None, aliases)

    return write


def _foreign(call: Call, to: Writing) -> None:
    to.foreign(call)


def infer_first(call: Call) -> None:
    """The result is shaped as the first argument; the others stand for themselves."""
    infer_same(call)


# -- two operands -----------------------------------------------------------------------------------------------------


def infer_broadcast(call: Call) -> None:
    """The result is broadcast from the operands; nothing follows for an operand of unknown rank.

    A dimension of the result that is 1 is 1 in both.
    """
    a, b = call.shape(0), call.shape(1)
    if a is None or b is None:
        return
    call.give(broadcast_known(call, a, b))


def broadcast_known(call: Call, *shapes: tuple[int | None, ...]) -> tuple[int | None, ...]:
    """As broadcast, but a dimension that is unknown in one operand stays unknown unless another says more than 1."""
    return broadcast(*shapes, where=call.where)


def _binary(op: str) -> Write:
    def write(call: Call, to: Writing) -> None:
        a, b = to.x(call, 0), to.x(call, 1)
        if op == "hypot":
            write_hypot(call, to, a, b)
        else:
            to.layer(call, op, {"x0": a, "x1": b})

    return write


def write_hypot(call: Call, to: Writing, a: TensorSpec, b: TensorSpec | None) -> None:
    """√(a² + b²), where ``b`` may be the number of the attribute scalar."""
    y = to.y(call)
    squared = to.between(call, a.shape)
    total = to.between(call, y.shape)
    to.layer(call, "square", {"x": a}, {"y": squared}, None, "square")
    if b is None:
        number = call.attrs.number("scalar", 0.0)
        to.layer(call, "add", {"x0": squared}, {"y": total}, {"scalar": number * number}, "add")
    else:
        other = to.between(call, b.shape)
        to.layer(call, "square", {"x": b}, {"y": other}, None, "square1")
        to.layer(call, "add", {"x0": squared, "x1": other}, {"y": total}, None, "add")
    to.layer(call, "sqrt", {"x": total}, None, None, "sqrt")


def _scalar(op: str, reverse: bool) -> Write:
    def write(call: Call, to: Writing) -> None:
        x = to.x(call)
        number = call.attrs.number("scalar", 0.0)
        attrs: dict[str, Any]
        if op == "hypot":
            write_hypot(call, to, x, None)
            return
        if op == "pow":
            attrs = {"base" if reverse else "exponent": number}
        else:
            attrs = {"scalar": number}
            if reverse:
                attrs["reverse"] = True
        to.layer(call, op, {"x0": x}, None, attrs)

    return write


def write_sum_of_all(call: Call, to: Writing) -> None:
    """x0 + x1, then x2 and so on, each an addition."""
    specs = list(to.operands(call).values())
    if len(specs) == 1:
        to.unary(call, "identity", None, SAME_MEMORY)
        return
    total = specs[0]
    for i, other in enumerate(specs[1:], 1):
        last = i == len(specs) - 1
        made = to.y(call) if last else to.between(call, to.y(call).shape)
        piece = "" if len(specs) == 2 else f"add{i}"
        to.layer(call, "add", {"x0": total, "x1": other}, {"y": made}, None, piece, OVER_FIRST if i > 1 else ())
        total = made


# -- with attributes --------------------------------------------------------------------------------------------------


def _scaled(factor: Callable[[Call], float | None], op: str = "mul") -> Write:
    def write(call: Call, to: Writing) -> None:
        to.layer(call, op, {"x0": to.x(call)}, None, {"scalar": factor(call)})

    return write


def _root_of_width(call: Call) -> float | None:
    shape = call.shape(0)
    width = shape[-1] if shape else None
    return None if width is None else sqrt(width)


def _power(exponent: float) -> Write:
    def write(call: Call, to: Writing) -> None:
        to.layer(call, "pow", {"x0": to.x(call)}, None, {"exponent": exponent})

    return write


def write_clip(call: Call, to: Writing) -> None:
    bounds = [call.attrs.number(name, 0.0) if name in call.attrs else None for name in ("a_min", "a_max")]
    to.unary(call, "clip", {"min": bounds[0], "max": bounds[1]})


def cast_dtype(call: Call) -> str:
    return call.attrs.dtype("dtype", "float32")


def write_cast(call: Call, to: Writing) -> None:
    to.unary(call, "cast", {"dtype": cast_dtype(call)})


def infer_each(call: Call) -> None:
    """Each result is shaped as the argument in its place."""
    for i in range(len(call.outs)):
        call.give(call.shape(i), i)
        call.expect(i, call.result(i))


def _count(call: Call) -> int:
    return len(call.ins)


def _widest(call: Call) -> str:
    """The widest float type among the operands (amp_multicast), or the narrowest on request."""
    order = ("float16", "float32", "float64")
    found = {call.inference.dtypes[entry] or "float32" for entry in call.ins}
    known = [dtype for dtype in order if dtype in found]
    if not known:
        return ""
    return known[0] if call.attrs.flag("cast_narrow") else known[-1]


def write_multicast(call: Call, to: Writing) -> None:
    for i, entry in enumerate(call.outs):
        made = to.specs[entry]
        to.layer(call, "cast", {"x": to.x(call, i)}, {"y": made}, {"dtype": made.dtype}, f"cast{i}")


def write_smooth_l1(call: Call, to: Writing) -> None:
    """With s² = scalar²: 0.5·s²·x² where |x| < 1/s², else |x| − 0.5/s²."""
    x, shape = to.x(call), to.y(call).shape
    factor = call.attrs.number("scalar", 1.0) ** 2
    size, near, square, inner, outer = (to.between(call, shape) for _ in range(5))
    inverse = 1 / factor if factor else 0.0
    to.layer(call, "abs", {"x": x}, {"y": size}, None, "abs")
    to.layer(call, "less", {"x0": size}, {"y": near}, {"scalar": inverse}, "less")
    to.layer(call, "square", {"x": x}, {"y": square}, None, "square")
    to.layer(call, "mul", {"x0": square}, {"y": inner}, {"scalar": factor / 2}, "mul")
    to.layer(call, "sub", {"x0": size}, {"y": outer}, {"scalar": inverse / 2}, "sub")
    to.layer(call, "where", {"cond": near, "x0": inner, "x1": outer}, None, None, "where")


def infer_where(call: Call) -> None:
    """The condition has the operands' shape, or one value for each of their first dimension."""
    for i in (1, 2):
        call.give(call.shape(i))
    shape = call.result()
    for i in (1, 2):
        call.expect(i, shape)
    condition = call.shape(0)
    if shape is None or condition is None:
        return
    if len(condition) == len(shape):
        call.expect(0, shape)
    else:
        call.rank(0, 1)
        call.expect(0, shape[:1])


def infer_where_broadcast(call: Call) -> None:
    shapes = [call.shape(i) for i in range(len(call.ins))]
    if None not in shapes:
        call.give(broadcast(*[shape for shape in shapes if shape is not None], where=call.where))


def write_where(call: Call, to: Writing) -> None:
    roles = {"condition": "cond", "x": "x0", "y": "x1"}
    attrs: dict[str, Any] = {}
    if "x" not in call.args:
        attrs["scalar0"] = call.attrs.number("scalar", call.attrs.number("x", 0.0))
    if "y" not in call.args:
        attrs["scalar1"] = call.attrs.number("scalar", call.attrs.number("y", 0.0))
    to.layer(call, "where", to.named(call, roles), None, attrs)


_FIRST = Rule(infer_same, _unary("identity"))
_PAIR = ("lhs", "rhs")


def _table() -> dict[str, Rule]:
    found: dict[str, Rule] = {}
    for name, op in UNARY.items():
        logical = op.startswith("is_") or op == "logical_not"
        found[name] = Rule(infer_same, _unary(op))
        found[f"_npi_{name}"] = Rule(infer_same, _unary(op), dtype=(lambda _: "bool") if logical else None)
        found[f"_npx_{name}"] = found[name]
    for name in IDENTITY:
        found[name] = _FIRST
    for name, op in BINARY.items():
        same, wide = Rule(infer_all_same, _binary(op), _PAIR), Rule(infer_broadcast, _binary(op), _PAIR)
        found[f"elemwise_{name}"] = found[f"_{name}"] = same
        found[f"broadcast_{name}"] = wide
        bools = (lambda _: "bool") if op in COMPARISONS else None
        found[f"_npi_{name}"] = Rule(infer_broadcast, _binary(op), _PAIR, dtype=bools)
    for name, (op, reverse) in SCALAR.items():
        found[f"_{name}_scalar"] = Rule(infer_same, _scalar(op, reverse))
        bools = (lambda _: "bool") if op in COMPARISONS else None
        found[f"_npi_{name}_scalar"] = Rule(infer_same, _scalar(op, reverse), dtype=bools)
    return found


_SUM = Rule(infer_all_same, write_sum_of_all, ())
_WHERE = ("condition", "x", "y")
RULES: Rules = {
    **_table(),
    "_grad_add": Rule(infer_all_same, _binary("add"), _PAIR),
    "_scatter_elemwise_div": Rule(infer_all_same, _binary("div"), _PAIR),
    "_scatter_plus_scalar": Rule(infer_same, _scalar("add", False)),
    "_scatter_minus_scalar": Rule(infer_same, _scalar("sub", False)),
    "_identity_with_attr_like_rhs": Rule(infer_all_same, _unary("identity"), _PAIR),
    "add_n": _SUM,
    "cbrt": Rule(infer_same, _power(1 / 3)),
    "_npi_cbrt": Rule(infer_same, _power(1 / 3)),
    "rcbrt": Rule(infer_same, _power(-1 / 3)),
    "degrees": Rule(infer_same, _scaled(lambda _: 180 / pi)),
    "_npi_degrees": Rule(infer_same, _scaled(lambda _: 180 / pi)),
    "radians": Rule(infer_same, _scaled(lambda _: pi / 180)),
    "_npi_radians": Rule(infer_same, _scaled(lambda _: pi / 180)),
    "_contrib_div_sqrt_dim": Rule(infer_same, _scaled(_root_of_width, "div")),
    "gamma": Rule(infer_same, _foreign),
    "gammaln": Rule(infer_same, _foreign),
    "_contrib_quadratic": Rule(infer_same, _foreign),
    "_contrib_round_ste": Rule(infer_same, _unary("round")),
    "_contrib_sign_ste": Rule(infer_same, _unary("sign")),
    "smooth_l1": Rule(infer_same, write_smooth_l1),
    "clip": Rule(infer_same, write_clip),
    "Cast": Rule(infer_same, write_cast, like=(), dtype=cast_dtype),
    "amp_cast": Rule(infer_same, write_cast, like=(), dtype=cast_dtype),
    "amp_multicast": Rule(infer_each, write_multicast, (), _count, like=(), dtype=_widest),
    "where": Rule(infer_where, write_where, _WHERE, like=(1, 2)),
    "_npi_where": Rule(infer_where_broadcast, write_where, _WHERE, like=(1, 2)),
    "_npi_where_lscalar": Rule(infer_where_broadcast, write_where, ("condition", "x"), like=(1,)),
    "_npi_where_rscalar": Rule(infer_where_broadcast, write_where, ("condition", "y"), like=(1,)),
    "_npi_where_scalar2": Rule(infer_where_broadcast, write_where, ("condition",), like=(), dtype=lambda _: "float32"),
}
