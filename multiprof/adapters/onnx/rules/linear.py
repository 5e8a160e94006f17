"""Contractions: matrix products, with a weight or without, and what is added to them."""

from __future__ import annotations

from collections.abc import Mapping
from math import prod
from typing import Any

from multiprof.adapters._common.einsum import matmul_terms
from multiprof.adapters.onnx.node import Node, Rule, Tensor
from multiprof.adapters.onnx.rules._common import Operand, float_attr, int_attr
from multiprof.errors import ModelError
from multiprof.ir import Shape, TensorSpec

# What a product may look like: the letters of both operands and of the result.
Terms = tuple[str, str, str]


def contract(
    node: Node,
    a: Tensor,
    b: Tensor,
    y: TensorSpec,
    terms: Terms | None = None,
    *,
    bias: Tensor | None = None,
    suffix: str = "",
    extra: Mapping[str, Any] | None = None,
    specs: tuple[TensorSpec, TensorSpec] | None = None,
) -> None:
    """Write a·b: ``linear`` where one of them is a weight, whichever side it stands on, else ``matmul``.

    Without ``terms`` it is numpy's product. An index that is transposed in a ``linear`` layer is told by its equation;
    for two activations, transpose before. ``bias`` goes with a weight only. ``specs`` replace the operands' own, where
    these are quantised.
    """
    if not a.rank or not b.rank:
        raise ModelError(f"{node.where}: a product takes no scalars, got {a.shape} and {b.shape}")
    ta, tb, out = terms or matmul_terms(a.rank, b.rank, node.where)
    spec_a, spec_b = specs or (a.spec, b.spec)
    contracted = _contracted(ta, tb, out, a.shape, b.shape)
    if b.weight:
        x, weight, tx, tw, shape = spec_a, spec_b, ta, tb, b.shape
    elif a.weight:
        x, weight, tx, tw, shape = spec_b, spec_a, tb, ta, a.shape
    else:
        node.layer(
            "matmul", {"x0": spec_a, "x1": spec_b}, y, {"contracted": contracted, **(extra or {})}, suffix=suffix
        )
        return
    if terms is None:  # of a stack of matrices, what one of them makes
        features = 1 if len(shape) == 1 else shape[-1] if weight is spec_b else shape[-2]
    else:
        features = _sizes(tw, shape, [letter for letter in tw if letter not in tx])
    attrs: dict[str, Any] = {"in_features": contracted, "out_features": features}
    if not _plain(tx, tw, out):
        attrs["equation"] = f"{tx},{tw}->{out}"
    attrs.update(extra or {})
    node.layer("linear", {"x": x, "weight": weight, "bias": bias}, y, attrs, suffix=suffix)


def _plain(tx: str, tw: str, out: str) -> bool:
    """Whether it is x·Wᵀ: the last index of both is summed, and W's first is the last of the result."""
    return len(tw) == 2 and tx[-1] == tw[1] and tw[0] not in tx and out == tx[:-1] + tw[0]


def _contracted(ta: str, tb: str, out: str, a: Shape, b: Shape) -> int | None:
    """The product of the summed sizes; what one operand does not know the other may, and 1 broadcasts."""
    total = 1
    of_b = dict(zip(tb, b, strict=True))
    for letter, n in zip(ta, a, strict=True):
        if letter in out:
            continue
        other = of_b.get(letter, n)
        n = other if n is None or n == 1 else n
        if n is None:
            return None
        total *= n
    return total


def _sizes(term: str, shape: Shape, letters: list[str]) -> int | None:
    found = [n for letter, n in zip(term, shape, strict=True) if letter in letters]
    return None if None in found else prod(n for n in found if n is not None)


def transposed(node: Node, x: Tensor, perm: tuple[int, ...], suffix: str) -> Tensor:
    """``x`` with its dimensions in another order, as a layer."""
    made = node.between([x.shape[p] for p in perm], x.dtype)
    node.layer("transpose", {"x": x}, made, {"perm": perm}, suffix=suffix)
    return Tensor(made, weight=x.weight)


def scaled(node: Node, x: Operand, factor: float, y: TensorSpec | None, suffix: str) -> Operand:
    """factor·x; ``x`` itself where there is nothing to multiply and no result to make."""
    if factor == 1 and y is None:
        return x
    made = y or node.between(x.shape, x.dtype)
    node.layer("mul", {"x0": x}, made, {"scalar": factor}, suffix=suffix)
    return Tensor(made, weight=x.weight) if isinstance(x, Tensor) else made


def matmul(node: Node) -> None:
    contract(node, node.need(0), node.need(1), node.y)


def gemm(node: Node) -> None:
    emit_gemm(node, node.y)


def emit_gemm(node: Node, y: TensorSpec) -> None:
    """alpha·A·B + beta·C, A and B transposed or not.

    One ``linear`` layer with its bias where B or A is a weight, C as well, and alpha is 1; factors other than 1 are
    layers of their own, and so is the addition of an activation.
    """
    a, b, c = node.need(0), node.need(1), node.input(2)
    alpha, beta = float_attr(node, "alpha", 1.0), float_attr(node, "beta", 1.0)
    ta = "ji" if int_attr(node, "transA", 0) else "ij"
    tb = "kj" if int_attr(node, "transB", 0) else "jk"
    if a.rank != 2 or b.rank != 2:
        raise ModelError(f"{node.where} multiplies matrices, got {a.shape} and {b.shape}")
    if beta == 0:
        c = None
    weighted = a.weight or b.weight
    base = scaled(node, c, beta, None, "beta") if c is not None else None
    if weighted and alpha == 1 and isinstance(base, Tensor) and base.weight:
        contract(node, a, b, y, (ta, tb, "ik"), bias=base)
        return
    if not weighted:
        if ta == "ji":
            a = transposed(node, a, (1, 0), "transpose_a")
        if tb == "kj":
            b = transposed(node, b, (1, 0), "transpose_b")
        ta, tb = "ij", "jk"
    made = y if base is None and alpha == 1 else node.between(y.shape, y.dtype)
    contract(node, a, b, made, (ta, tb, "ik"), suffix="" if made is y else "product")
    if alpha != 1:
        made = _spec(scaled(node, made, alpha, y if base is None else None, "alpha"))
    if base is not None:
        node.layer("add", {"x0": made, "x1": base}, y, suffix="add")


def _spec(operand: Operand) -> TensorSpec:
    return operand.spec if isinstance(operand, Tensor) else operand


RULES: dict[str, Rule] = {
    "Gemm": gemm,
    "MatMul": matmul,
    "MatMulInteger": matmul,
}
