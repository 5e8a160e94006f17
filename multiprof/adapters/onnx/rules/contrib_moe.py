"""ONNX Runtime's mixtures of experts, and tables whose rows are quantised in blocks."""

from __future__ import annotations

from typing import Any

from multiprof.adapters.onnx.node import Infer, Node, Rule, Tensor
from multiprof.adapters.onnx.rules._common import (
    Found,
    Operand,
    axis_of,
    float_attr,
    int_attr,
    like_first,
    ranked,
    set_aside,
    str_attr,
)
from multiprof.adapters.onnx.rules.activation import emit_swish
from multiprof.adapters.onnx.rules.index import emit_rows
from multiprof.errors import ModelError
from multiprof.ir import TensorSpec


def _experts(
    node: Node, x: Operand, weight: Tensor, bias: Tensor | None, features: int | None, suffix: str
) -> TensorSpec:
    """Every row of x with the matrix of its expert: (rows, C) → (rows, features)."""
    rows, depth = x.shape
    made = node.between((rows, features), node.y.dtype, suffix)
    if weight.weight:
        attrs = {"in_features": depth, "out_features": features, "groups": weight.shape[0]}
        node.layer("linear", {"x": x, "weight": weight, "bias": bias}, made, attrs, suffix=suffix)
        return made
    attrs = {"contracted": depth, "groups": weight.shape[0]}
    node.layer("matmul", {"x0": x, "x1": weight}, made, attrs, suffix=suffix)
    if bias is None:
        return made
    total = node.between(made.shape, made.dtype)
    node.layer("add", {"x0": made, "x1": bias}, total, suffix=f"{suffix}/bias")
    return total


def mixture(node: Node) -> None:
    """k of E experts for each token: softmax of the router, the largest k, two or three products, their weighted sum.

    fc1 is (E, F, C), F twice the inner size where SwiGLU's two halves lie in it; fc2 (E, C, inner), fc3 (E, inner, C).
    """
    quantised = node.op_type == "QMoE"
    x, router = node.need(0), node.need(1)
    if quantised:
        fc1, fc2, fc3 = node.need(2), node.need(5), node.input(8)
        b1, b2, b3 = node.input(4), node.input(7), node.input(10)
        set_aside(node, *(node.input(place) for place in (3, 6, 9, *range(11, len(node.inputs)))))
    else:
        fc1, fc2, fc3 = node.need(2), node.need(4), node.input(6)
        b1, b2, b3 = node.input(3), node.input(5), node.input(7)
    if fc1.rank != 3 or fc2.rank != 3 or router.rank != 2 or x.rank not in (2, 3):
        raise ModelError(f"{node.where}: x {x.shape}, router {router.shape}, weights {fc1.shape} and {fc2.shape}")
    k, (tokens, experts), width = int_attr(node, "k", 1), router.shape, x.shape[-1]
    rows = None if tokens is None else tokens * k
    chosen, factors = _routed(node, router, k, tokens, experts)
    flat: Operand = x
    if x.rank == 3:
        flat = node.between((tokens, width), x.dtype)
        node.layer(
            "reshape", {"x": x}, flat, {"shape": (tokens, width)}, suffix="tokens", aliases=(("y", "x", "view"),)
        )
    given = node.between((rows, width), x.dtype)
    node.layer("gather", {"x": flat, "indices": chosen}, given, {"axis": 0}, suffix="dispatch")
    hidden = _experts(node, given, fc1, b1, fc1.shape[1], "fc1")
    hidden = _activated(node, hidden, fc3, b3, given)
    out = _experts(node, hidden, fc2, b2, width, "fc2")
    weighted = node.between((rows, width), x.dtype)
    node.layer("mul", {"x0": out, "x1": factors}, weighted, suffix="weight")
    apart = node.between((tokens, k, width), x.dtype)
    node.layer("reshape", {"x": weighted}, apart, {"shape": apart.shape}, suffix="apart", aliases=(("y", "x", "view"),))
    total = node.y if x.rank == 2 else node.between((tokens, width), x.dtype)
    node.layer("sum", {"x": apart}, total, {"axis": (1,), "keepdim": False}, suffix="sum")
    if x.rank == 3:
        node.layer("reshape", {"x": total}, None, {"shape": node.y.shape}, suffix="y", aliases=(("y", "x", "view"),))


def _routed(
    node: Node, router: Tensor, k: int, tokens: int | None, experts: int | None
) -> tuple[TensorSpec, TensorSpec]:
    """Which experts a token goes to, and by what factors they count."""
    likely = node.between(router.shape, router.dtype)
    node.layer("softmax", {"x": router}, likely, {"axis": (1,), "n": experts}, suffix="softmax")
    factors, chosen = node.between((tokens, k), router.dtype), node.between((tokens, k), "int64")
    node.layer(
        "topk", {"x": likely}, {"y": factors, "indices": chosen}, {"axis": 1, "k": k, "n": experts}, suffix="topk"
    )
    if int_attr(node, "normalize_routing_weights", 0) and k > 1:
        total, scaled = node.between((tokens, 1), router.dtype), node.between((tokens, k), router.dtype)
        node.layer("sum", {"x": factors}, total, {"axis": (1,), "keepdim": True}, suffix="total")
        node.layer("div", {"x0": factors, "x1": total}, scaled, suffix="normalize")
        factors = scaled
    return chosen, factors


def _activated(
    node: Node, hidden: TensorSpec, fc3: Tensor | None, bias: Tensor | None, given: TensorSpec
) -> TensorSpec:
    kind = str_attr(node, "activation_type", "relu")
    rows, width = hidden.shape
    gate: Any = hidden
    value: TensorSpec | None = None
    if kind == "swiglu" and fc3 is None:
        half = None if width is None else width // 2
        gate, value = node.between((rows, half), hidden.dtype), node.between((rows, half), hidden.dtype)
        node.layer(
            "split", {"x": hidden}, {"y0": gate, "y1": value}, {"axis": 1, "sizes": (half, half)}, suffix="split"
        )
    elif fc3 is not None:
        value = _experts(node, given, fc3, bias, fc3.shape[1], "fc3")
    if kind == "identity":
        made = gate
    else:
        made = node.between(gate.shape, hidden.dtype)
        if kind in ("silu", "swiglu"):
            emit_swish(node, gate, made, float_attr(node, "activation_alpha", 1.0), "silu")
        else:
            node.layer(kind if kind in ("relu", "gelu") else f"onnx.activation.{kind}", {"x": gate}, made, suffix=kind)
    if value is None:
        return made  # type: ignore[no-any-return]  # a TensorSpec
    if kind == "swiglu" and float_attr(node, "activation_beta", 0.0):
        shifted = node.between(value.shape, hidden.dtype)
        node.layer("add", {"x0": value}, shifted, {"scalar": float_attr(node, "activation_beta", 0.0)}, suffix="beta")
        value = shifted
    product = node.between(value.shape, hidden.dtype)
    node.layer("mul", {"x0": made, "x1": value}, product, suffix="gate")
    return product


# -- rows quantised in blocks ------------------------------------------------------------------------------------------


def gather_block_quantized(node: Node) -> None:
    """Rows of a table of a few bits, then real numbers of them."""
    x, scale, zero = node.need(0), node.need(2), node.input(3)
    axis = axis_of(node, int_attr(node, "gather_axis", 0), x.rank)
    factor = 8 // int_attr(node, "bits", 4) if x.dtype == "uint8" else 1
    stored_shape = list(node.y.shape)
    if factor > 1 and stored_shape and stored_shape[-1] is not None:
        stored_shape[-1] = stored_shape[-1] // factor
    stored = node.between(stored_shape, x.dtype)
    emit_rows(node, x, node.need(1), stored, axis, "gather")
    attrs = {"dtype": node.y.dtype, "block_size": int_attr(node, "block_size", 128)}
    node.layer("dequantize", {"x": stored, "scale": scale, "zero_point": zero}, None, attrs, suffix="dequantize")


def infer_gather_block(node: Node) -> Found:
    x, indices, scale = node.need(0), node.need(1), node.need(2)
    axis = axis_of(node, int_attr(node, "gather_axis", 0), x.rank)
    bits = int_attr(node, "bits", 4)
    factor = 8 // bits if x.dtype == "uint8" and 0 < bits <= 8 else 1
    last = x.shape[-1]
    shape = (*x.shape[:-1], None if last is None else last * factor)
    return [((*shape[:axis], *indices.shape, *shape[axis + 1 :]), scale.dtype)]


CONTRIB: dict[str, Rule] = {"GatherBlockQuantized": gather_block_quantized, "MoE": mixture, "QMoE": mixture}
_MS = "com.microsoft"
INFER: dict[tuple[str, str], Infer] = ranked(
    {(_MS, "GatherBlockQuantized"): infer_gather_block, (_MS, "MoE"): like_first, (_MS, "QMoE"): like_first}
)
