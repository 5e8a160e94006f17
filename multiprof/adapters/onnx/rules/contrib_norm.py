"""ONNX Runtime's own norms: with a residual sum before, with an activation behind, and the embeddings of BERT."""

from __future__ import annotations

from multiprof.adapters._common.shapes import broadcast
from multiprof.adapters.onnx.node import Infer, Node, Rule, Tensor
from multiprof.adapters.onnx.rules._common import Found, Operand, float_attr, int_attr, like_first, ranked
from multiprof.adapters.onnx.rules.activation import Fused
from multiprof.adapters.onnx.rules.index import emit_rows
from multiprof.adapters.onnx.rules.norm import emit_last, infer_simplified, rms_norm
from multiprof.errors import ModelError
from multiprof.ir import TensorSpec


def _residual(node: Node, terms: list[Tensor | None], result: TensorSpec | None) -> Operand:
    """The sum of the terms that are there, which is a result of the node where one asks for it."""
    found = [term for term in terms if term is not None]
    total: Operand = found[0]
    for i, term in enumerate(found[1:], 1):
        shape = broadcast(total.shape, term.shape, where=node.where)
        made = result if result is not None and i == len(found) - 1 else node.between(shape, node.y.dtype)
        node.layer("add", {"x0": total, "x1": term}, made, suffix="skip" if i == 1 else "bias")
        total = made
    return total


def _skip_norm(op: str, bias: int) -> Rule:
    """Norm of input + skip (+ bias, operand number ``bias``); the fourth result is that sum."""

    def rule(node: Node) -> None:
        total = _residual(node, [node.need(0), node.need(1), node.input(bias)], node.output(3))
        weights = {"weight": node.need(2)}
        statistics = {"rstd": node.output(2)}
        if op == "layer_norm":
            weights |= {"bias": node.input(3)}  # type: ignore[dict-item]  # absent operands are left out
            statistics |= {"mean": node.output(1)}
        elif node.output(1) is not None:
            statistics |= {"mean": node.output(1)}
        emit_last(node, op, total, node.y, weights, -1, float_attr(node, "epsilon", 1e-12), statistics)

    return rule


def infer_skip(node: Node) -> Found:
    x = node.need(0)
    statistics = ((*x.shape[:-1], 1), "float32")
    return [(x.shape, x.dtype), statistics, statistics, (x.shape, x.dtype)]


def _grouped(node: Node, x: Operand, weight: Tensor, bias: Tensor) -> None:
    last = bool(int_attr(node, "channels_last", 1))
    shape = x.shape
    if len(shape) < 2:
        raise ModelError(f"{node.where}: an input {shape} has no channels")
    fused = Fused(node, "Silu" if int_attr(node, "activation", 0) == 1 else "")
    attrs = {
        "eps": float_attr(node, "epsilon", 1e-5),
        "groups": int_attr(node, "groups", 1),
        "channels": shape[-1] if last else shape[1],
        "batch": shape[0],
    }
    node.layer("group_norm", {"x": x, "weight": weight, "bias": bias}, fused.target, attrs)
    fused.finish()


def group_norm(node: Node) -> None:
    _grouped(node, node.need(0), node.need(1), node.need(2))


def skip_group_norm(node: Node) -> None:
    total = _residual(node, [node.need(0), node.need(3), node.input(4)], node.output(1))
    _grouped(node, total, node.need(1), node.need(2))


def infer_skip_group(node: Node) -> Found:
    x = node.need(0)
    return [(x.shape, x.dtype), (x.shape, x.dtype)]


def embed_layer_norm(node: Node) -> None:
    """Rows of up to three tables by word, position and segment, their sum, and its norm; the mask is counted."""
    words, segments = node.need(0), node.input(1)
    position_ids = node.input(8)
    shape = node.y.shape
    parts: list[Tensor] = []
    for name, table, indices in (
        ("word", node.need(2), words),
        ("position", node.need(3), position_ids),
        ("segment", node.input(4), segments),
    ):
        if table is None:
            continue
        if indices is None:
            if name == "segment":
                continue
            rows = node.between((words.shape[1], table.shape[1]), node.y.dtype, name)
            node.layer("slice", {"x": table}, rows, {"index": f"0[0:{words.shape[1]}:1]"}, suffix=name)
        else:
            rows = node.between((*indices.shape, table.shape[1]), node.y.dtype, name)
            emit_rows(node, table, indices, rows, 0, name)
        parts.append(Tensor(rows))
    total = _sum(node, parts, node.output(2), shape)
    weights = {"weight": node.need(5), "bias": node.need(6)}
    emit_last(node, "layer_norm", total, node.y, weights, -1, float_attr(node, "epsilon", 1e-12), {}, "norm")
    counted, mask = node.output(1), node.input(7)
    if counted is not None:
        if mask is None:
            node.layer("fill", {}, counted, {"value": 0}, suffix="mask_index")
        else:
            node.layer("sum", {"x": mask}, counted, {"axis": (1,), "keepdim": False}, suffix="mask_index")


def _sum(node: Node, parts: list[Tensor], result: TensorSpec | None, shape: tuple[int | None, ...]) -> Operand:
    total: Operand = parts[0]
    for i, part in enumerate(parts[1:], 1):
        made = result if result is not None and i == len(parts) - 1 else node.between(shape, node.y.dtype)
        node.layer("add", {"x0": total, "x1": part}, made, suffix=f"add_{i}")
        total = made
    return total


def infer_embed(node: Node) -> Found:
    words, table = node.need(0), node.need(2)
    if words.rank != 2 or table.rank != 2:
        raise ModelError(f"{node.where}: word ids {words.shape} and embeddings {table.shape}")
    hidden = ((*words.shape, table.shape[1]), table.dtype)
    return [hidden, (words.shape[:1], "int32"), hidden]


CONTRIB: dict[str, Rule] = {
    "EmbedLayerNormalization": embed_layer_norm,
    "GroupNorm": group_norm,
    "SimplifiedLayerNormalization": rms_norm,
    "SkipGroupNorm": skip_group_norm,
    "SkipLayerNormalization": _skip_norm("layer_norm", 4),
    "SkipSimplifiedLayerNormalization": _skip_norm("rms_norm", 3),
}
_MS = "com.microsoft"
INFER: dict[tuple[str, str], Infer] = ranked(
    {
        (_MS, "EmbedLayerNormalization"): infer_embed,
        (_MS, "GroupNorm"): like_first,
        (_MS, "SimplifiedLayerNormalization"): infer_simplified,
        (_MS, "SkipGroupNorm"): infer_skip_group,
        (_MS, "SkipLayerNormalization"): infer_skip,
        (_MS, "SkipSimplifiedLayerNormalization"): infer_skip,
    }
)
