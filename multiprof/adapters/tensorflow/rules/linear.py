"""Contractions of matrices and Einstein sums: with a weight ``linear``, of two activations ``matmul``."""

from __future__ import annotations

from collections.abc import Mapping
from math import prod
from typing import Any

from multiprof.adapters._common.einsum import of_one_operand, plan, sizes_of, steps
from multiprof.adapters.tensorflow.node import Node
from multiprof.adapters.tensorflow.rules._fused import Fused
from multiprof.adapters.tensorflow.table import rule
from multiprof.ir import Shape, TensorSpec

_LEADING = "abcdefghlmnopqrstuvwxyz"  # leading dimensions; i, j and k are the matrices'


def contract(
    node: Node,
    a: TensorSpec,
    b: TensorSpec,
    y: TensorSpec,
    terms: tuple[str, str, str],
    *,
    bias: TensorSpec | None = None,
    piece: str = "",
    extra: Mapping[str, Any] | None = None,
) -> None:
    """Write a·b, with the letters of both operands and of the result: ``linear`` where one of them is a weight."""
    ta, tb, out = terms
    weights = node.walker.weights
    contracted = _contracted(terms, a.shape, b.shape)
    if b.name in weights:
        x, weight, tx, tw = a, b, ta, tb
    elif a.name in weights:
        x, weight, tx, tw = b, a, tb, ta
    else:
        node.layer("matmul", {"x0": a, "x1": b}, y, {"contracted": contracted, **(extra or {})}, piece=piece)
        return
    features = [n for letter, n in zip(tw, weight.shape, strict=True) if letter not in tx]
    attrs: dict[str, Any] = {
        "in_features": contracted,
        "out_features": None if None in features else prod(n for n in features if n is not None),
    }
    if not (len(tw) == 2 and tx[-1] == tw[1] and tw[0] not in tx and out == tx[:-1] + tw[0]):
        attrs["equation"] = f"{tx},{tw}->{out}"
    node.layer("linear", {"x": x, "weight": weight, "bias": bias}, y, attrs | dict(extra or {}), piece=piece)


def _contracted(terms: tuple[str, str, str], a: Shape, b: Shape) -> int | None:
    """The product of the summed sizes; what one operand does not know the other may."""
    ta, tb, out = terms
    of_b = dict(zip(tb, b, strict=True))
    total = 1
    for letter, n in zip(ta, a, strict=True):
        if letter in out:
            continue
        size = of_b.get(letter, n) if n is None or n == 1 else n
        if size is None:
            return None
        total *= size
    return total


def matrix_terms(node: Node, a: TensorSpec, b: TensorSpec, turn_a: bool, turn_b: bool) -> tuple[str, str, str]:
    """The letters of a product over the last two dimensions, either operand seen transposed."""
    if a.rank < 2 or b.rank < 2:
        raise node.fail(f"it multiplies matrices, not {a.shape} and {b.shape}")
    letters = _LEADING[: max(a.rank, b.rank) - 2]
    ta = letters[len(letters) - a.rank + 2 :] + ("ji" if turn_a else "ij")
    tb = letters[len(letters) - b.rank + 2 :] + ("kj" if turn_b else "jk")
    return ta, tb, f"{letters}ik"


_TURNS = (("transpose_a", "transpose_b"), ("adj_x", "adj_y"))


def turned(node: Node) -> tuple[bool, bool]:
    a, b = (any(bool(node.attr(pair[i], False)) for pair in _TURNS) for i in (0, 1))
    return a, b


@rule("MatMul", "BatchMatMul", "BatchMatMulV2", "BatchMatMulV3", "SparseMatMul")
def matmul(node: Node) -> None:
    a, b = node.x(0), node.x(1)
    contract(node, a, b, node.y(), matrix_terms(node, a, b, *turned(node)))


@rule("_FusedMatMul")
def fused_matmul(node: Node) -> Any:
    chain = Fused(node, 2)
    a, b = node.x(0), node.x(1)
    weighted = node.is_weight(0) or node.is_weight(1)
    if not chain.understood or (chain.bias is not None and not weighted):
        return NotImplemented
    contract(node, a, b, chain.target, matrix_terms(node, a, b, *turned(node)), bias=chain.bias)
    chain.finish()
    return None


@rule("SparseTensorDenseMatMul")
def sparse_dense(node: Node) -> Any:
    """Only what is stored is multiplied, and how much that is nobody knows."""
    return NotImplemented


@rule("Einsum")
def einsum(node: Node) -> None:
    """At most two operands: tf.einsum splits a larger sum itself, along the path that opt_einsum finds."""
    operands = [node.x(i) for i in range(len(node.inputs))]
    found = plan(str(node.attr("equation", "")), tuple(x.rank for x in operands), node.where)
    sizes = sizes_of(found.terms, [x.shape for x in operands], node.where)
    todo = steps(found)
    if not todo:
        node.same()
        return
    products = sum(step.kind == "product" for step in todo)
    tensors = list(operands)
    for number, step in enumerate(todo):
        y = node.y() if number == len(todo) - 1 else node.between([sizes[letter] for letter in step.out])
        piece = "" if len(todo) == 1 else f"{step.kind}_{number}"
        given = [tensors[i] for i in step.operands]
        if step.kind == "product":
            _product(node, given[0], given[1], (*step.terms, step.out), y, piece)
        else:
            op, role, attrs = of_one_operand(step.kind, step.terms[0], step.out, before_product=products > 0)
            node.layer(op, {role: given[0]}, y, attrs, piece=piece)
        tensors.append(y)


def _product(node: Node, a: TensorSpec, b: TensorSpec, terms: Any, y: TensorSpec, piece: str) -> None:
    ta, tb, out = terms
    weights = node.walker.weights
    if not set(ta) <= set(out) and (a.name in weights or b.name in weights):
        contract(node, a, b, y, (ta, tb, out), piece=piece)
        return
    node.layer("einsum", {"x0": a, "x1": b}, y, {"equation": f"{ta},{tb}->{out}"}, piece=piece)


@rule("BiasAdd", "BiasAddV1")
def bias_add(node: Node) -> None:
    """A bias of the layer before it where nobody else reads that; else an addition."""
    layer = node.layer("add", {"x0": node.x(0), "x1": node.x(1)})
    node.walker.biases.append(layer)


@rule("XlaDot", "XlaDotV2")
def xla_dot(node: Node) -> Any:
    """Dimension numbers are a message of XLA's own, written as bytes."""
    return NotImplemented
