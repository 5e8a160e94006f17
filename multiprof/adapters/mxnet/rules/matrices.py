"""Linear algebra, and the products of attention that GluonNLP's BERT fuses."""

from __future__ import annotations

from math import sqrt

from multiprof.adapters.mxnet.call import Call
from multiprof.adapters.mxnet.rules._same import infer_same
from multiprof.adapters.mxnet.rules.dense import transposed, write_product
from multiprof.adapters.mxnet.table import Rule, Rules
from multiprof.adapters.mxnet.writing import OVER_FIRST, Writing
from multiprof.ir import TensorSpec

# -- attention over interleaved heads ---------------------------------------------------------------------------------


def _heads(call: Call) -> int:
    return call.attrs.integer("heads", least=1)


def _cut(call: Call, width: int | None, parts: int) -> int | None:
    """The width of one of ``parts`` for each head."""
    pieces = parts * _heads(call)
    if width is None:
        return None
    if width % pieces:
        raise call.error(f"{width} do not divide into {parts} × {_heads(call)} heads")
    return width // pieces


def infer_self_scores(call: Call) -> None:
    """(L, N, heads·3·D), query, key and value side by side for each head → (N·heads, L, L)."""
    shape = call.rank(0, 3)
    if shape is not None:
        _cut(call, shape[2], 3)
        call.give((None if shape[1] is None else shape[1] * _heads(call), shape[0], shape[0]))


def infer_self_values(call: Call) -> None:
    """(L, N, heads·3·D) and (N·heads, L, L) → (L, N, heads·D)."""
    shape = call.rank(0, 3)
    if shape is not None:
        rows = None if shape[1] is None else shape[1] * _heads(call)
        call.expect(1, (rows, shape[0], shape[0]))
        width = _cut(call, shape[2], 3)
        call.give((*shape[:2], None if width is None else width * _heads(call)))


def infer_cross_scores(call: Call) -> None:
    """(L_q, N, heads·D) and (L_k, N, heads·2·D) → (N·heads, L_q, L_k)."""
    q, kv = call.rank(0, 3), call.rank(1, 3)
    if q is not None and kv is not None:
        call.expect(1, (kv[0], q[1], None if q[2] is None else 2 * q[2]))
        call.give((None if q[1] is None else q[1] * _heads(call), q[0], kv[0]))


def infer_cross_values(call: Call) -> None:
    """(L_k, N, heads·2·D) and (N·heads, L_q, L_k) → (L_q, N, heads·D)."""
    kv, scores = call.rank(0, 3), call.rank(1, 3)
    if kv is not None and scores is not None:
        call.expect(1, (None if kv[1] is None else kv[1] * _heads(call), scores[1], kv[0]))
        width = _cut(call, kv[2], 2)
        call.give((scores[1], kv[1], None if width is None else width * _heads(call)))


def _part(call: Call, to: Writing, x: TensorSpec, parts: int, number: int, name: str) -> TensorSpec:
    """Query, key or value of all heads, as (N·heads, L, D): a part of the interleaved tensor."""
    length, batch, width = x.shape
    heads = _heads(call)
    made = to.between(call, (None if batch is None else batch * heads, length, _cut(call, width, parts)), x.dtype)
    to.layer(call, "slice", {"x": x}, {"y": made}, {"index": f"part {number} of {parts} of each head"}, name)
    return made


def write_scores(call: Call, to: Writing) -> None:
    """q·kᵀ, scaled by 1/√D."""
    joint = call.op.endswith("selfatt_qk")
    first, second = to.x(call, 0), to.x(call, 0 if joint else 1)
    q = _part(call, to, first, 3 if joint else 1, 0, "q")
    k = _part(call, to, second, 3 if joint else 2, 1 if joint else 0, "k")
    width = q.shape[-1]
    flipped = transposed(call, to, k, "transpose", (0, 2, 1))
    raw = to.between(call, to.y(call).shape)
    to.layer(call, "matmul", {"x0": q, "x1": flipped}, {"y": raw}, {"contracted": width}, "matmul")
    to.layer(
        call, "mul", {"x0": raw}, None, {"scalar": None if width is None else 1 / sqrt(width)}, "scale", OVER_FIRST
    )


def write_values(call: Call, to: Writing) -> None:
    """The scores times v, the heads side by side again."""
    joint = call.op.endswith("selfatt_valatt")
    v = _part(call, to, to.x(call, 0), 3 if joint else 2, 2 if joint else 1, "v")
    scores = to.x(call, 1)
    made = to.between(call, (*scores.shape[:2], v.shape[-1]))
    attrs = {"contracted": scores.shape[-1]}
    to.layer(call, "matmul", {"x0": scores, "x1": v}, {"y": made}, attrs, "matmul")
    to.layer(call, "reshape", {"x": made}, None, {"shape": to.y(call).shape}, "reshape")


# -- linear algebra ---------------------------------------------------------------------------------------------------


def _square(call: Call, i: int = 0) -> None:
    shape = call.shape(i)
    if shape is not None:
        if len(shape) < 2:
            raise call.error(f"input {i} has the shape {shape}; matrices are needed")
        side = shape[-1] if shape[-1] is not None else shape[-2]
        call.expect(i, (*shape[:-2], side, side))


def infer_square(call: Call) -> None:
    infer_same(call)
    _square(call)


def infer_determinant(call: Call) -> None:
    """One number for each matrix; a single matrix gives a tensor of one element."""
    _square(call)
    shape = call.shape(0)
    if shape is not None:
        for i in range(len(call.outs)):
            call.give(shape[:-2] or (1,), i)


def infer_syrk(call: Call) -> None:
    """A·Aᵀ, or Aᵀ·A with transpose."""
    shape = call.shape(0)
    if shape is not None:
        if len(shape) < 2:
            raise call.error(f"the data has the shape {shape}; matrices are needed")
        side = shape[-1] if call.attrs.flag("transpose") else shape[-2]
        call.give((*shape[:-2], side, side))


def infer_triangular(call: Call) -> None:
    """A is square, on the left of B or on its right."""
    _square(call)
    call.give(call.shape(1))
    call.expect(1, call.result())


def write_cholesky(call: Call, to: Writing) -> None:
    to.unary(call, "cholesky")


def write_inverse(call: Call, to: Writing) -> None:
    to.unary(call, "inverse")


def write_det(call: Call, to: Writing) -> None:
    to.unary(call, "det")


def write_solve(call: Call, to: Writing) -> None:
    to.layer(call, "solve", {"a": to.x(call, 0), "b": to.x(call, 1)}, None, {"triangular": True})


def _scaled(call: Call, to: Writing, made: TensorSpec) -> None:
    alpha = call.attrs.number("alpha", 1.0)
    if alpha != 1:
        to.layer(call, "mul", {"x0": made}, None, {"scalar": alpha}, "mul", OVER_FIRST)


def write_triangular_product(call: Call, to: Writing) -> None:
    a, b = to.x(call, 0), to.x(call, 1)
    if call.attrs.flag("transpose"):
        a = transposed(call, to, a, "transpose", (*range(a.rank - 2), a.rank - 1, a.rank - 2))
    if call.attrs.flag("rightside"):
        a, b = b, a
    made = to.y(call) if call.attrs.number("alpha", 1.0) == 1 else to.between(call, to.y(call).shape)
    write_product(call, to, a, b, made, a.shape[-1], "" if made is to.y(call) else "matmul")
    _scaled(call, to, made)


def write_syrk(call: Call, to: Writing) -> None:
    a = to.x(call)
    other = transposed(call, to, a, "transpose", (*range(a.rank - 2), a.rank - 1, a.rank - 2))
    left, right = (other, a) if call.attrs.flag("transpose") else (a, other)
    made = to.y(call) if call.attrs.number("alpha", 1.0) == 1 else to.between(call, to.y(call).shape)
    to.layer(call, "matmul", {"x0": left, "x1": right}, {"y": made}, {"contracted": left.shape[-1]}, "matmul")
    _scaled(call, to, made)


def infer_factors(call: Call) -> None:
    """LQ: A = L·Q, Q shaped as A, L square; eigenvectors and eigenvalues: square, and one for each row."""
    shape = call.shape(0)
    if shape is None:
        return
    if len(shape) < 2:
        raise call.error(f"the data has the shape {shape}; matrices are needed")
    call.give(shape)
    call.give((*shape[:-2], shape[-2], shape[-2]) if call.op == "_linalg_gelqf" else shape[:-1], 1)


def infer_khatri_rao(call: Call) -> None:
    """Column by column: the rows multiply, the columns are the same."""
    rows: int | None = 1
    columns: int | None = None
    for i in range(len(call.ins)):
        shape = call.rank(i, 2)
        if shape is None or shape[0] is None or rows is None:
            rows = None
        else:
            rows *= shape[0]
        if shape is not None and columns is None:
            columns = shape[1]
    for i in range(len(call.ins)):
        call.expect(i, (None, columns))
    call.give((rows, columns))


def write_foreign(call: Call, to: Writing) -> None:
    to.foreign(call)


_PAIR = ("A", "B")
RULES: Rules = {
    "_contrib_interleaved_matmul_selfatt_qk": Rule(infer_self_scores, write_scores, ("queries_keys_values",)),
    "_contrib_interleaved_matmul_selfatt_valatt": Rule(
        infer_self_values, write_values, ("queries_keys_values", "attention")
    ),
    "_contrib_interleaved_matmul_encdec_qk": Rule(infer_cross_scores, write_scores, ("queries", "keys_values")),
    "_contrib_interleaved_matmul_encdec_valatt": Rule(infer_cross_values, write_values, ("keys_values", "attention")),
    "_linalg_potrf": Rule(infer_square, write_cholesky, ("A",)),
    "_linalg_potri": Rule(infer_square, write_foreign, ("A",)),
    "_linalg_inverse": Rule(infer_square, write_inverse, ("A",)),
    "_linalg_det": Rule(infer_determinant, write_det, ("A",)),
    "_linalg_slogdet": Rule(infer_determinant, write_foreign, ("A",), 2),
    "_linalg_sumlogdiag": Rule(infer_determinant, write_foreign, ("A",)),
    "_linalg_trmm": Rule(infer_triangular, write_triangular_product, _PAIR),
    "_linalg_trsm": Rule(infer_triangular, write_solve, _PAIR),
    "_linalg_syrk": Rule(infer_syrk, write_syrk, ("A",)),
    "_linalg_gelqf": Rule(infer_factors, write_foreign, ("A",), 2),
    "_linalg_syevd": Rule(infer_factors, write_foreign, ("A",), 2),
    "khatri_rao": Rule(infer_khatri_rao, write_foreign, ()),
}
