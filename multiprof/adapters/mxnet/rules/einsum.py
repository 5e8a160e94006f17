"""Einstein sums of MXNet's numpy interface, and the products that are some: ``dot`` and ``tensordot``.

MXNet contracts the operands of an ``einsum`` two at a time from left to right unless it is told to look for a cheaper
order (``optimize``); they are counted from left to right.
"""

from __future__ import annotations

from typing import Any

from multiprof.adapters._common.einsum import Plan, of_one_operand, plan, sizes_of, steps
from multiprof.adapters._common.shapes import numel
from multiprof.adapters.mxnet.call import Call
from multiprof.adapters.mxnet.rules.dense import LETTERS
from multiprof.adapters.mxnet.table import Rule, Rules
from multiprof.adapters.mxnet.writing import SAME_MEMORY, Writing
from multiprof.ir import Shape, TensorSpec


def _equation(call: Call, ranks: list[int]) -> str:
    if call.op == "_npi_einsum":
        return call.attrs.text("subscripts") or ""
    if len(ranks) != 2:
        raise call.error(f"{len(ranks)} operands; two are needed")
    a, b = ranks
    left = LETTERS[:a]
    summed_a, summed_b = _summed(call, a, b)
    if len(summed_a) != len(summed_b):
        raise call.error(f"axes {summed_a} of one operand and {summed_b} of the other are to be summed")
    fresh = iter(LETTERS[a:])
    pairs = dict(zip(summed_b, summed_a, strict=True))
    right = "".join(left[pairs[axis]] if axis in pairs else next(fresh) for axis in range(b))
    kept = "".join(letter for axis, letter in enumerate(left) if axis not in summed_a)
    return f"{left},{right}->{kept}" + "".join(letter for axis, letter in enumerate(right) if axis not in pairs)


def _summed(call: Call, a: int, b: int) -> tuple[list[int], list[int]]:
    """The axes of either operand that are summed."""
    if call.op == "_npi_tensordot":
        pairs = ((call.attrs.ints("a_axes_summed"), a), (call.attrs.ints("b_axes_summed"), b))
        found = [[call.axis(axis, rank) for axis in axes] for axes, rank in pairs]
        return found[0], found[1]
    if call.op == "_npi_tensordot_int_axes":
        count = call.attrs.integer("axes", 2, least=0)
        if count > min(a, b):
            raise call.error(f"{count} axes of tensors of the ranks {a} and {b}")
        return list(range(a - count, a)), list(range(count))
    if not a or not b:  # a number times a tensor
        return [], []
    return [a - 1], [max(b - 2, 0)]


def _read(call: Call, shapes: list[Shape]) -> tuple[Plan, dict[str, int | None]]:
    """The equation, and the size of every index."""
    found = plan(_equation(call, [len(shape) for shape in shapes]), tuple(map(len, shapes)), call.where)
    return found, sizes_of(found.terms, shapes, call.where)


def infer(call: Call) -> None:
    shapes = [call.shape(i) for i in range(len(call.ins))]
    known = [shape for shape in shapes if shape is not None]
    if len(known) == len(shapes):
        found, sizes = _read(call, known)
        call.give(tuple(sizes[letter] for letter in found.out))


def write(call: Call, to: Writing) -> None:
    operands = [to.x(call, i) for i in range(len(call.ins))]
    found, sizes = _read(call, [x.shape for x in operands])
    todo = steps(found)
    if not todo:
        to.unary(call, "identity", aliases=SAME_MEMORY)
        return
    products = sum(step.kind == "product" for step in todo)
    extra: dict[str, Any] = {"path": ((0, 1),) * products} if products > 1 else {}
    for number, step in enumerate(todo):
        y = to.y(call) if number == len(todo) - 1 else to.between(call, [sizes[letter] for letter in step.out])
        piece = "" if len(todo) == 1 else f"{step.kind}_{number}"
        given = [operands[i] for i in step.operands]
        if step.kind == "product":
            _write_product(call, to, given, (*step.terms, step.out), y, piece, extra)
        else:
            op, role, attrs = of_one_operand(step.kind, step.terms[0], step.out, before_product=products > 0)
            to.layer(call, op, {role: given[0]}, {"y": y}, attrs, piece)
        operands.append(y)


def _write_product(
    call: Call,
    to: Writing,
    operands: list[TensorSpec],
    terms: tuple[str, ...],
    y: TensorSpec,
    piece: str,
    extra: dict[str, Any],
) -> None:
    """``linear`` where an index is summed and one of the two is a weight, else ``einsum``."""
    (a, b), (ta, tb, out) = operands, terms
    if to.is_weight(a) and not to.is_weight(b):
        a, b, ta, tb = b, a, tb, ta
    summed = [i for i, letter in enumerate(tb) if letter not in out]
    attrs: dict[str, Any] = {"equation": f"{ta},{tb}->{out}", **extra}
    if not summed or not to.is_weight(b) or to.is_weight(a):
        to.layer(call, "einsum", {"x0": a, "x1": b}, {"y": y}, attrs, piece)
        return
    attrs["in_features"] = numel(tuple(b.shape[i] for i in summed))
    attrs["out_features"] = numel(tuple(n for n, letter in zip(b.shape, tb, strict=True) if letter not in ta))
    to.layer(call, "linear", {"x": a, "weight": b}, {"y": y}, attrs, piece)


_PRODUCT = Rule(infer, write, ("a", "b"))
RULES: Rules = {
    "_npi_einsum": Rule(infer, write, ()),
    "_np_dot": _PRODUCT,
    "_npi_tensordot": _PRODUCT,
    "_npi_tensordot_int_axes": _PRODUCT,
}
