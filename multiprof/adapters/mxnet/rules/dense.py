"""Contractions: fully connected layers, products of matrices, embeddings."""

from __future__ import annotations

from typing import Any

from multiprof.adapters._common.shapes import matmul_output, numel
from multiprof.adapters.mxnet.call import Call
from multiprof.adapters.mxnet.rules.convolution import expect_bias
from multiprof.adapters.mxnet.table import Args, Rule, Rules
from multiprof.adapters.mxnet.writing import OVER_FIRST, SAME_MEMORY, Writing
from multiprof.ir import Shape, TensorSpec

ROLES = {"data": "x", "weight": "weight", "bias": "bias"}
LETTERS = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"


# -- fully connected --------------------------------------------------------------------------------------------------


def _dense_args(call: Call) -> Args:
    return ("data", "weight") if call.attrs.flag("no_bias") else ("data", "weight", "bias")


def infer_fully_connected(call: Call) -> None:
    """weight is (num_hidden, features); with flatten the features are all that lies behind the batch."""
    hidden = call.attrs.integer("num_hidden", least=1)
    flatten = call.attrs.flag("flatten", True)
    weight = call.rank(1, 2)
    shape = call.shape(0)
    features: int | None = None
    if shape is not None:
        if not shape:
            raise call.error("the data is a scalar")
        if shape[-1] is None and weight is not None and (not flatten or len(shape) == 2):
            call.expect(0, (*shape[:-1], weight[1]))
            shape = call.shape(0) or shape
        features = numel(shape[1:]) if flatten else shape[-1]
        call.give((shape[0], hidden) if flatten else (*shape[:-1], hidden))
        result = call.result()
        if result is not None:
            call.expect(0, (result[0], *shape[1:]) if flatten else (*result[:-1], shape[-1]))
    elif flatten:
        call.give((None, hidden))
    call.expect(1, (hidden, features))
    expect_bias(call, hidden)


def write_fully_connected(call: Call, to: Writing) -> None:
    weight = call.shape(1) or (None, None)
    inputs = to.named(call, ROLES)
    shape = inputs["x"].shape
    if call.attrs.flag("flatten", True) and len(shape) != 2:
        flat = to.between(call, (shape[0] if shape else None, weight[1]), inputs["x"].dtype)
        to.layer(call, "reshape", {"x": inputs["x"]}, {"y": flat}, {"shape": flat.shape}, "flatten", SAME_MEMORY)
        inputs["x"] = flat
    attrs = {"in_features": weight[1], "out_features": call.attrs.integer("num_hidden")}
    to.layer(call, "linear", inputs, None, attrs)


# -- products of two tensors ------------------------------------------------------------------------------------------


def transposed(call: Call, to: Writing, spec: TensorSpec, name: str, perm: tuple[int, ...]) -> TensorSpec:
    """``spec`` with its dimensions in another order: a layer of its own, which is free."""
    made = to.between(call, tuple(spec.shape[axis] for axis in perm), spec.dtype)
    to.layer(call, "transpose", {"x": spec}, {"y": made}, {"perm": perm}, name)
    return made


def write_product(
    call: Call, to: Writing, a: TensorSpec, b: TensorSpec, y: TensorSpec, contracted: int | None, piece: str = ""
) -> None:
    """``a @ b`` as numpy has it: ``linear`` where one of the two is a weight, else ``matmul``."""
    if to.is_weight(a) == to.is_weight(b) or len(a.shape) < 2 or len(b.shape) < 2:
        op = "matmul"
        to.layer(call, op, {"x0": a, "x1": b}, {"y": y}, {"contracted": contracted}, piece)
        return
    leading = LETTERS[: max(len(a.shape), len(b.shape)) - 2]
    ta = leading[len(leading) - len(a.shape) + 2 :] + "XY"
    tb = leading[len(leading) - len(b.shape) + 2 :] + "YZ"
    if to.is_weight(b):
        equation, x, weight, features = f"{ta},{tb}->{leading}XZ", a, b, b.shape[-1]
    else:
        equation, x, weight, features = f"{tb},{ta}->{leading}XZ", b, a, a.shape[-2]
    attrs = {"in_features": contracted, "out_features": features, "equation": equation}
    to.layer(call, "linear", {"x": x, "weight": weight}, {"y": y}, attrs, piece)


def _flags(call: Call) -> tuple[bool, bool]:
    return call.attrs.flag("transpose_a"), call.attrs.flag("transpose_b")


def infer_dot(call: Call) -> None:
    """The last dimension of the left operand meets the first of the right one; a transposed operand gives the other.

    Two vectors make a tensor of one element (src/operator/tensor/dot-inl.h, DotShape).
    """
    a, b = call.shape(0), call.shape(1)
    if a is None or b is None:
        return
    if not a or not b:
        raise call.error("a product takes no scalars")
    ta, tb = _flags(call)
    inner_a, inner_b = (0 if ta else -1), (-1 if tb else 0)
    if len(a) == 1 and len(b) == 1:
        if ta or tb:
            raise call.error("vectors are not transposed")
        inner_a = inner_b = 0
    call.expect(0, _with(a, inner_a, b[inner_b]))
    call.expect(1, _with(b, inner_b, a[inner_a]))
    if len(a) == 1 and len(b) == 1:
        call.give((1,))
        return
    call.give((*(a[1:] if ta else a[:-1]), *(b[:-1] if tb else b[1:])))


def _with(shape: Shape, place: int, dim: int | None) -> Shape:
    dims = list(shape)
    dims[place] = dim
    return tuple(dims) if dim is not None else shape


def write_dot(call: Call, to: Writing) -> None:
    a, b = to.x(call, 0), to.x(call, 1)
    ta, tb = _flags(call)
    inner = a.shape[0 if ta else -1]
    x0, x1 = LETTERS[: len(a.shape) - 1], LETTERS[len(a.shape) - 1 : len(a.shape) + len(b.shape) - 2]
    if len(a.shape) == 2 and len(b.shape) == 2:
        _write_batched(call, to, a, b, to.y(call), ta, tb)
        return
    # of other ranks it is a tensor product, which only an equation says
    left = f"Z{x0}" if ta and len(a.shape) > 1 else f"{x0}Z"
    right = f"{x1}Z" if tb and len(b.shape) > 1 else f"Z{x1}"
    y = to.y(call)
    out = f"{x0}{x1}"
    made = y if out else to.between(call, ())
    if to.is_weight(b) and not to.is_weight(a):
        attrs = {"in_features": inner, "out_features": numel(tuple(b.shape[1:])), "equation": f"{left},{right}->{out}"}
        to.layer(call, "linear", {"x": a, "weight": b}, {"y": made}, attrs)
    else:
        to.layer(call, "einsum", {"x0": a, "x1": b}, {"y": made}, {"equation": f"{left},{right}->{out}"})
    if not out:
        to.layer(call, "reshape", {"x": made}, {"y": y}, {"shape": y.shape}, "reshape", SAME_MEMORY)


def _write_batched(
    call: Call, to: Writing, a: TensorSpec, b: TensorSpec, y: TensorSpec, ta: bool, tb: bool, piece: str = ""
) -> None:
    """Matrix product over the last two dimensions, the operands transposed where asked for."""
    contracted = a.shape[-2 if ta else -1] if a.rank > 1 else None
    if ta and a.rank > 1:
        a = _matrices_transposed(call, to, a, "transpose_a")
    if tb and b.rank > 1:
        b = _matrices_transposed(call, to, b, "transpose_b")
    write_product(call, to, a, b, y, contracted, piece)


def _matrices_transposed(call: Call, to: Writing, spec: TensorSpec, name: str) -> TensorSpec:
    rank = spec.rank
    made = transposed(call, to, spec, name, (*range(rank - 2), rank - 1, rank - 2))
    if to.is_weight(spec):
        to.weights.add(made.name)
    return made


def infer_batch_dot(call: Call) -> None:
    """(…, M, K)·(…, K, N); the leading dimensions are the same."""
    _infer_batched(call, *_flags(call))


def _infer_batched(call: Call, ta: bool, tb: bool) -> None:
    a, b = call.shape(0), call.shape(1)
    if a is None or b is None:
        return
    if len(a) != len(b) or len(a) < 2:
        raise call.error(f"operands of the shapes {a} and {b}; two of one rank, at least 2, are needed")
    m, k = (a[-1], a[-2]) if ta else (a[-2], a[-1])
    k2, n = (b[-1], b[-2]) if tb else (b[-2], b[-1])
    k = k if k is not None else k2
    batch = tuple(x if x is not None else y for x, y in zip(a[:-2], b[:-2], strict=True))
    call.expect(0, (*batch, k, m) if ta else (*batch, m, k))
    call.expect(1, (*batch, n, k) if tb else (*batch, k, n))
    call.give((*batch, m, n))


def write_batch_dot(call: Call, to: Writing) -> None:
    _write_batched(call, to, to.x(call, 0), to.x(call, 1), to.y(call), *_flags(call))


def infer_matmul(call: Call) -> None:
    a, b = call.shape(0), call.shape(1)
    if a is not None and b is not None:
        call.give(matmul_output(a, b, where=call.where)[0])


def write_matmul(call: Call, to: Writing) -> None:
    a = to.x(call, 0)
    write_product(call, to, a, to.x(call, 1), to.y(call), a.shape[-1] if a.shape else None)


# -- linear algebra ---------------------------------------------------------------------------------------------------


def infer_gemm(call: Call) -> None:
    """alpha·op(A)·op(B) (+ beta·C) over the last two dimensions; rows may stand at another axis."""
    axis = call.attrs.integer("axis", -2)
    if axis == -2:
        _infer_batched(call, *_flags(call))
    else:
        a, b = call.shape(0), call.shape(1)
        if a is None or b is None:
            return
        at = call.axis(axis, len(a))
        if len(a) != len(b) or at == len(a) - 1:
            raise call.error(f"operands of the shapes {a} and {b} with their rows at axis {axis}")
        made = _joined(_moved(a, at), _moved(b, at), *_flags(call))
        call.give((*made[:at], made[-2], *made[at:-2], made[-1]))
    if len(call.args) == 3:
        call.expect(2, call.result())
        call.give(call.shape(2))


def _moved(shape: Shape, at: int) -> Shape:
    """The dimension at ``at`` becomes the last but one."""
    rest = shape[:at] + shape[at + 1 :]
    return (*rest[:-1], shape[at], rest[-1])


def _joined(a: Shape, b: Shape, ta: bool, tb: bool) -> Shape:
    return (*a[:-2], a[-1 if ta else -2], b[-2 if tb else -1])


def write_gemm(call: Call, to: Writing) -> None:
    a, b, y = to.x(call, 0), to.x(call, 1), to.y(call)
    ta, tb = _flags(call)
    rank, axis = a.rank, call.attrs.integer("axis", -2)
    alpha, beta = call.attrs.number("alpha", 1.0), call.attrs.number("beta", 1.0)
    with_c = len(call.args) == 3
    moved = axis not in (-2, rank - 2) and rank == b.rank
    shape: Shape = y.shape
    if moved:
        at = axis % rank
        perm = (*(i for i in range(rank - 1) if i != at), at, rank - 1)
        a, b = transposed(call, to, a, "rows_a", perm), transposed(call, to, b, "rows_b", perm)
        shape = _joined(a.shape, b.shape, ta, tb)
    steps: list[tuple[str, dict[str, TensorSpec], dict[str, Any]]] = []
    if alpha != 1:
        steps.append(("mul", {}, {"scalar": alpha}))
    if moved:
        at = axis % rank
        steps.append(("transpose", {}, {"perm": (*range(at), rank - 2, *range(at, rank - 2), rank - 1)}))
    if with_c:
        c = to.x(call, 2)
        if beta != 1:
            scaled = to.between(call, c.shape)
            to.layer(call, "mul", {"x0": c}, {"y": scaled}, {"scalar": beta}, "mul_c")
            c = scaled
        steps.append(("add", {"x1": c}, {}))
    made = to.between(call, shape) if steps else y
    _write_batched(call, to, a, b, made, ta, tb, "matmul" if steps else "")
    for i, (op, more, attrs) in enumerate(steps):
        last = i == len(steps) - 1
        then = y if last else to.between(call, y.shape if op == "transpose" else made.shape)
        role = "x" if op == "transpose" else "x0"
        to.layer(call, op, {role: made, **more}, {"y": then}, attrs, op, () if op == "transpose" else OVER_FIRST)
        made = then


# -- embedding --------------------------------------------------------------------------------------------------------


def infer_embedding(call: Call) -> None:
    rows, width = call.attrs.integer("input_dim", least=1), call.attrs.integer("output_dim", least=1)
    call.expect(1, (rows, width))
    shape = call.shape(0)
    if shape is not None:
        call.give((*shape, width))
    result = call.result()
    if result is not None:
        call.expect(0, result[:-1])


def write_embedding(call: Call, to: Writing) -> None:
    attrs = {"num_embeddings": call.attrs.integer("input_dim"), "embedding_dim": call.attrs.integer("output_dim")}
    to.layer(call, "embedding", to.named(call, ROLES), None, attrs)


_PAIR = ("lhs", "rhs")
_EMBEDDING = Rule(infer_embedding, write_embedding, ("data", "weight"), like=(1,))
RULES: Rules = {
    "FullyConnected": Rule(infer_fully_connected, write_fully_connected, _dense_args),
    "dot": Rule(infer_dot, write_dot, _PAIR),
    "batch_dot": Rule(infer_batch_dot, write_batch_dot, _PAIR),
    "_linalg_gemm": Rule(infer_gemm, write_gemm, ("A", "B", "C")),
    "_linalg_gemm2": Rule(infer_gemm, write_gemm, ("A", "B")),
    "_npi_matmul": Rule(infer_matmul, write_matmul, ("a", "b")),
    "Embedding": _EMBEDDING,
    "_contrib_SparseEmbedding": _EMBEDDING,
}
