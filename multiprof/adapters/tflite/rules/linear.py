"""Contractions of matrices: FULLY_CONNECTED and BATCH_MATMUL."""

from __future__ import annotations

from multiprof.adapters._common.shapes import broadcast
from multiprof.adapters.tflite.node import Node
from multiprof.adapters.tflite.rules._table import rule
from multiprof.adapters.tflite.rules.conv import known
from multiprof.ir import Shape, TensorSpec

_LEADING = "abcdefghlmnopqrstuvwxyz"  # leading dimensions; i, j and k are the matrices'


@rule("FULLY_CONNECTED")
def fully_connected(node: Node) -> None:
    """x of any shape, seen as rows of C_i; weight (C_o, C_i); bias."""
    x, weight = node.x(), node.x(1)
    units, features = known(node, node.shape(1, 2), "weight")
    if not features:
        raise node.fail("its weight is empty")
    shape: Shape
    if node.options["keep_num_dims"] and x.shape and x.shape[-1] == features:
        shape = (*x.shape[:-1], units)
    elif None in x.shape:
        shape = (x.shape[0] if x.rank == 2 else None, units)
    else:
        elements = x.numel
        if elements % features:
            raise node.fail(f"{x.shape} does not fall into rows of {features}")
        shape = (elements // features, units)
    fused = node.options["fused_activation_function"]
    bias = node.maybe(2)
    if node.is_weight(1):
        attrs = {"in_features": features, "out_features": units}
        node.emit("linear", {"x": x, "weight": weight, "bias": bias}, shape, attrs, fused=fused)
        return
    product(node, x, weight, shape, features, bias, fused)


def product(
    node: Node, x: TensorSpec, other: TensorSpec, shape: Shape, contracted: int, bias: TensorSpec | None, fused: int
) -> None:
    """Emit the product of two activations, and the addition of a bias as a layer of its own."""
    if bias is None:
        node.emit("matmul", {"x0": x, "x1": other}, shape, {"contracted": contracted}, fused=fused)
        return
    y = node.result(shape)
    made = node.between(y.shape, y, True)
    node.layer("matmul", {"x0": x, "x1": other}, {"y": made}, {"contracted": contracted})
    summed = node.between(y.shape, y, True) if fused else y
    node.layer("add", {"x0": made, "x1": bias}, {"y": summed}, piece="bias")
    if fused:
        node.activation(fused, summed, y)
    node.bind(0, y)


@rule("BATCH_MATMUL")
def batch_matmul(node: Node) -> None:
    """a·b over the last two dimensions, either seen transposed."""
    a, b = node.x(0), node.x(1)
    if a.rank < 2 or b.rank < 2:
        raise node.fail(f"it multiplies matrices, not {a.shape} and {b.shape}")
    adjoint_a, adjoint_b = node.options["adj_x"], node.options["adj_y"]
    rows, inner = (a.shape[-1], a.shape[-2]) if adjoint_a else a.shape[-2:]
    depth, columns = (b.shape[-1], b.shape[-2]) if adjoint_b else b.shape[-2:]
    if None not in (inner, depth) and inner != depth:
        raise node.fail(f"{a.shape} and {b.shape} do not match: {inner} against {depth}")
    leading = broadcast(a.shape[:-2], b.shape[:-2], where=f"{node.walker.writer.name}: {node.operator.where}")
    shape = (*leading, rows, columns)
    contracted = inner if inner is not None else depth
    if not node.is_weight(0) and not node.is_weight(1):
        node.emit("matmul", {"x0": a, "x1": b}, shape, {"contracted": contracted})
        return
    letters = _LEADING[: max(a.rank, b.rank) - 2]
    ta = letters[len(letters) - a.rank + 2 :] + ("ji" if adjoint_a else "ij")
    tb = letters[len(letters) - b.rank + 2 :] + ("kj" if adjoint_b else "jk")
    x, weight, features, terms = (a, b, columns, f"{ta},{tb}") if node.is_weight(1) else (b, a, rows, f"{tb},{ta}")
    attrs = {"in_features": contracted, "out_features": features, "equation": f"{terms}->{letters}ik"}
    node.emit("linear", {"x": x, "weight": weight}, shape, attrs)


__all__ = ["product"]
