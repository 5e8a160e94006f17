"""Einstein sums, two operands at a time from left to right, as ONNX Runtime contracts them.

ONNX Runtime's CPU kernel (core/providers/cpu/math/einsum) takes diagonals, then contracts the first two operands, their
product with the third and so on, and sums an index as soon as no later operand and no output needs it.
"""

from __future__ import annotations

from multiprof.adapters._common.einsum import Plan, of_one_operand, plan, sizes_of, steps
from multiprof.adapters.onnx.node import Infer, Node, Rule, Tensor
from multiprof.adapters.onnx.rules._common import present, ranked, str_attr
from multiprof.adapters.onnx.rules.linear import contract
from multiprof.ir import Shape, TensorSpec


def _read(node: Node) -> tuple[list[Tensor], Plan, dict[str, int | None]]:
    """The operands, the equation, and the size of every index."""
    operands = present(node)
    found = plan(str_attr(node, "equation", ""), tuple(x.rank for x in operands), node.where)
    return operands, found, sizes_of(found.terms, [x.shape for x in operands], node.where)


def infer(node: Node) -> list[tuple[Shape, str] | None]:
    """The result's shape; onnx's own inference never returns from an equation with two ellipses in a term."""
    operands, found, sizes = _read(node)
    return [(tuple(sizes[letter] for letter in found.out), operands[0].dtype)]


def einsum(node: Node) -> None:
    operands, found, sizes = _read(node)
    todo = steps(found)
    if not todo:
        node.layer("identity", {"x": operands[0]}, aliases=(("y", "x", "view"),))
        return
    products = sum(step.kind == "product" for step in todo)
    path = ((0, 1),) * products
    tensors = list(operands)
    for number, step in enumerate(todo):
        last = number == len(todo) - 1
        y = node.y if last else node.between([sizes[letter] for letter in step.out])
        suffix = "" if len(todo) == 1 else f"{step.kind}_{number}"
        given = [tensors[i] for i in step.operands]
        if step.kind == "product":
            _product(node, given[0], given[1], (*step.terms, step.out), y, suffix, path if products > 1 else ())
        else:
            op, role, attrs = of_one_operand(step.kind, step.terms[0], step.out, before_product=products > 0)
            node.layer(op, {role: given[0]}, y, attrs, suffix=suffix)
        tensors.append(Tensor(y, weight=all(x.weight for x in given)))


def _product(
    node: Node,
    a: Tensor,
    b: Tensor,
    terms: tuple[str, ...],
    y: TensorSpec,
    suffix: str,
    path: tuple[tuple[int, int], ...],
) -> None:
    """A contraction of two operands: ``linear`` with a weight, else ``einsum``; without a summed index ``einsum``."""
    ta, tb, out = terms
    extra = {"path": path} if path else {}
    summed = not set(ta) <= set(out)
    if summed and (a.weight or b.weight):
        contract(node, a, b, y, (ta, tb, out), suffix=suffix, extra=extra)
        return
    attrs = {"equation": f"{ta},{tb}->{out}", **extra}
    node.layer("einsum", {"x0": a, "x1": b}, y, attrs, suffix=suffix)


RULES: dict[str, Rule] = {"Einsum": einsum}
INFER: dict[tuple[str, str], Infer] = ranked({("", "Einsum"): infer})
