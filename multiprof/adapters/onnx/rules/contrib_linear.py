"""ONNX Runtime's own matrix products: transposed, scaled, with an activation, with weights of a few bits."""

from __future__ import annotations

from dataclasses import replace

from multiprof.adapters._common.einsum import matmul_terms
from multiprof.adapters._common.shapes import matmul_output
from multiprof.adapters.onnx.node import Infer, Node, Rule, Tensor
from multiprof.adapters.onnx.rules._common import (
    Found,
    Operand,
    float_attr,
    int_attr,
    ints,
    ranked,
    set_aside,
    str_attr,
)
from multiprof.adapters.onnx.rules.activation import Fused
from multiprof.adapters.onnx.rules.linear import contract, emit_gemm, transposed
from multiprof.errors import ModelError
from multiprof.ir import Shape, TensorSpec


def _perm(rank: int, last: bool, batch: bool) -> tuple[int, ...]:
    """The order of a FusedMatMul operand's dimensions, as ONNX Runtime defines its flags.

    ``batch``: (M, …, K) is multiplied as (…, M, K), the first dimension behind those of the batch; ``last``: the last
    two dimensions are exchanged.
    """
    order = list(range(rank))
    if batch and rank > 2:
        order = [*range(1, rank - 1), 0, rank - 1]
    if last and rank > 1:
        order[-1], order[-2] = order[-2], order[-1]
    return tuple(order)


def _operands(node: Node) -> tuple[Shape, Shape, tuple[int, ...], tuple[int, ...]]:
    """Shapes as they are multiplied, and the order of dimensions in which the operands are stored for that."""
    a, b = node.need(0), node.need(1)
    perm_a = _perm(a.rank, bool(int_attr(node, "transA", 0)), bool(int_attr(node, "transBatchA", 0)))
    perm_b = _perm(b.rank, bool(int_attr(node, "transB", 0)), bool(int_attr(node, "transBatchB", 0)))
    return tuple(a.shape[p] for p in perm_a), tuple(b.shape[p] for p in perm_b), perm_a, perm_b


def emit_fused(node: Node, y: TensorSpec) -> None:
    """alpha·A·B: a transposed weight is told by the equation, a transposed activation is a layer before it."""
    a, b = node.need(0), node.need(1)
    _, _, perm_a, perm_b = _operands(node)
    alpha = float_attr(node, "alpha", 1.0)
    made = y if alpha == 1 else node.between(y.shape, y.dtype)
    suffix = "" if made is y else "product"
    if a.weight or b.weight:
        ta, tb, out = matmul_terms(a.rank, b.rank, node.where)
        stored_a = "".join(ta[perm_a.index(i)] for i in range(a.rank))
        stored_b = "".join(tb[perm_b.index(i)] for i in range(b.rank))
        contract(node, a, b, made, (stored_a, stored_b, out), suffix=suffix)
    else:
        if perm_a != tuple(range(a.rank)):
            a = transposed(node, a, perm_a, "transpose_a")
        if perm_b != tuple(range(b.rank)):
            b = transposed(node, b, perm_b, "transpose_b")
        contract(node, a, b, made, suffix=suffix)
    if made is not y:
        node.layer("mul", {"x0": made}, y, {"scalar": alpha}, suffix="alpha")


def fused_matmul(node: Node) -> None:
    emit_fused(node, node.y)


def fused_matmul_activation(node: Node) -> None:
    fused = _activation(node)
    emit_fused(node, fused.target)
    fused.finish()


def fused_gemm(node: Node) -> None:
    fused = _activation(node)
    emit_gemm(node, fused.target)
    fused.finish()


def _activation(node: Node) -> Fused:
    name = str_attr(node, "activation", "")
    given = tuple(
        float_attr(node, key, 0.0)
        for key in ("activation_alpha", "activation_beta", "activation_gamma")
        if key in node.attrs
    )
    return Fused(node, name, given)


def gemm_fast_gelu(node: Node) -> None:
    """gelu(x·W + bias), by tanh."""
    fused = Fused(node, "FastGelu")
    x, weight, bias = node.need(0), node.need(1), node.input(2)
    if bias is None or weight.weight:
        contract(node, x, weight, fused.target, bias=bias)
    else:
        product = node.between(node.y.shape)
        contract(node, x, weight, product)
        node.layer("add", {"x0": product, "x1": bias}, fused.target, suffix="bias")
    fused.finish()


def infer_matmul(node: Node) -> Found:
    a, b, _, _ = _operands(node)
    return [(matmul_output(a, b, where=node.where)[0], node.need(0).dtype)]


def infer_gemm(node: Node) -> Found:
    a, b = node.need(0), node.need(1)
    if a.rank != 2 or b.rank != 2:
        raise ModelError(f"{node.where} multiplies matrices, got {a.shape} and {b.shape}")
    rows, columns = a.shape[int_attr(node, "transA", 0) != 0], b.shape[int_attr(node, "transB", 0) == 0]
    return [((rows, columns), a.dtype)]


# -- weights of a few bits ---------------------------------------------------------------------------------------------

_PACKED = {2: "uint2", 4: "uint4", 8: "uint8"}


def packed_weight(node: Node, weight: Tensor, features: tuple[int, int], bits: int) -> TensorSpec:
    """The weight (N, K) that a tensor of bytes stands for; so it is declared, in elements and not in bytes."""
    dtype = _PACKED.get(bits)
    if dtype is None:
        return weight.spec
    spec = replace(weight.spec, shape=features, dtype=dtype)
    declared = node.writer.parameters.get(weight.spec.name)
    if declared is not None:
        declared.spec = spec
    return spec


def _sizes(node: Node) -> tuple[int, int]:
    n, k = int_attr(node, "N", 0), int_attr(node, "K", 0)
    if n < 1 or k < 1:
        raise ModelError(f"{node.where} needs the attributes N and K, which are {n} and {k}")
    return n, k


def matmul_n_bits(node: Node) -> None:
    """A·Bᵀ with B (N, K) in blocks of 2, 4 or 8 bits; scales and zero points are a table each."""
    n, k = _sizes(node)
    set_aside(node, node.input(2), node.input(3), node.input(4))
    weight = packed_weight(node, node.need(1), (n, k), int_attr(node, "bits", 4))
    operands: dict[str, Operand | None] = {"x": node.need(0), "weight": weight, "bias": node.input(5)}
    node.layer("linear", operands, None, {"in_features": k, "out_features": n})


def matmul_bnb4(node: Node) -> None:
    """A·B with B in blocks of 4 bits, FP4 or NF4."""
    n, k = _sizes(node)
    set_aside(node, node.input(2))
    rows = (n, k) if int_attr(node, "transB", 1) else (k, n)
    weight = packed_weight(node, node.need(1), rows, 4)
    attrs = {"in_features": rows[1], "out_features": rows[0]}
    node.layer("linear", {"x": node.need(0), "weight": weight}, None, attrs)


def matmul_fp_q4(node: Node) -> None:
    """A·B with B (K, N) as a blob of 4 bits and scales."""
    shape = ints(node.need(2))
    if shape is None or len(shape) != 2:
        raise ModelError(f"{node.where}: nobody knows the shape of the weight")
    node.layer(
        "linear", {"x": node.need(0), "weight": node.need(1)}, None, {"in_features": shape[0], "out_features": shape[1]}
    )  # fmt: skip


def infer_n_bits(node: Node) -> Found:
    n, k = _sizes(node)
    x = node.need(0)
    wide = n if int_attr(node, "transB", 1) else k
    return [((*x.shape[:-1], wide), x.dtype)]


def infer_fp_q4(node: Node) -> Found:
    x, shape = node.need(0), ints(node.need(2))
    return [((*x.shape[:-1], shape[1] if shape and len(shape) == 2 else None), x.dtype)]


CONTRIB: dict[str, Rule] = {
    "FusedGemm": fused_gemm,
    "FusedMatMul": fused_matmul,
    "FusedMatMulActivation": fused_matmul_activation,
    "GemmFastGelu": gemm_fast_gelu,
    "MatMulBnb4": matmul_bnb4,
    "MatMulFpQ4": matmul_fp_q4,
    "MatMulNBits": matmul_n_bits,
    "TransposeMatMul": fused_matmul,
}
_MS = "com.microsoft"
INFER: dict[tuple[str, str], Infer] = ranked(
    {
        (_MS, "FusedGemm"): infer_gemm,
        (_MS, "FusedMatMul"): infer_matmul,
        (_MS, "FusedMatMulActivation"): infer_matmul,
        (_MS, "GemmFastGelu"): infer_matmul,
        (_MS, "MatMulBnb4"): infer_n_bits,
        (_MS, "MatMulFpQ4"): infer_fp_q4,
        (_MS, "MatMulNBits"): infer_n_bits,
        (_MS, "TransposeMatMul"): infer_matmul,
    }
)
