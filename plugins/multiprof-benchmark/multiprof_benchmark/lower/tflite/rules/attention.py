"""Scaled dot-product attention: two products of stacks of matrices, and a softmax between them."""

from __future__ import annotations

from math import sqrt
from typing import TYPE_CHECKING

import numpy as np

from multiprof import Layer
from multiprof_benchmark.lower.reading import NotLoweredError, shape_of
from multiprof_benchmark.lower.tflite.rules.activation import simple
from multiprof_benchmark.lower.tflite.rules.contraction import batched
from multiprof_benchmark.lower.tflite.rules.elementwise import arithmetic, broadcast
from multiprof_benchmark.lower.tflite.table import rule
from multiprof_benchmark.lower.tflite.values import Value, straight

if TYPE_CHECKING:
    from multiprof_benchmark.lower.tflite.build import Builder


@rule("attention")
def attention(b: Builder, layer: Layer) -> None:
    a, name = layer.attrs, b.name(layer)
    heads, shared = int(a["heads"]), int(a["kv_heads"])
    n, rows, columns = int(a["batch"]), int(a["q_len"]), int(a["kv_len"])
    width, out = int(a["qk_dim"]), int(a["v_dim"])
    if heads % shared or "softcap" in a or "left_window_size" in a:
        raise NotLoweredError("attention over windows, or with a soft cap")
    q = _heads(b, layer, "q", (n, heads, rows, width))
    k = _heads(b, layer, "k", (n, shared, columns, width))
    v = _heads(b, layer, "v", (n, shared, columns, out))
    each = heads // shared
    if each > 1:  # the query heads of one key head stand one below the other
        q = b.reshaped(q, (n, shared, each * rows, width))
    scores = batched(b, q, k, False, True, (*q.shape[:3], columns), f"{name}_scores")
    scale = a.get("scale")
    factor = 1 / sqrt(width) if scale is None else float(scale)
    if factor != 1.0:
        scores = arithmetic(b, "MUL", scores, b.constant(np.array(factor, np.float32)), scores.perm, f"{name}_scaled")
    if each > 1:
        scores = b.reshaped(scores, (n, heads, rows, columns))
    scores = _masked(b, layer, scores, rows, columns)
    weights = simple(b, "SOFTMAX", scores, f"{name}_weights", "SoftmaxOptions", beta=1.0)
    if "weights" in layer.outputs:
        raise NotLoweredError("the weights beside the result")
    if each > 1:
        weights = b.reshaped(weights, (n, shared, each * rows, columns))
    y = batched(b, weights, v, False, False, (*weights.shape[:3], out), f"{name}_heads")
    y = b.reshaped(y, (n, heads, rows, out))
    b.result(layer, _back(b, layer, y, (n, heads, rows, out)))


def _heads(b: Builder, layer: Layer, role: str, wanted: tuple[int, ...]) -> Value:
    """An operand as (batch, heads, length, size per head)."""
    x = b.plain(b.value(layer.inputs[role]))
    n, heads, length, size = wanted
    if x.shape == wanted and x.rank == 4:
        return x
    if x.shape == (n, length, heads, size):
        return b.plain(Value(x.number, x.shape, x.dtype, (0, 2, 1, 3)), b.name(layer))
    if x.shape == (n, length, heads * size):
        wide = b.reshaped(x, (n, length, heads, size))
        return b.plain(Value(wide.number, wide.shape, wide.dtype, (0, 2, 1, 3)), b.name(layer))
    if int(np.prod(x.shape)) == n * heads * length * size and x.shape[-2:] == (length, size):
        return b.reshaped(x, wanted)
    raise NotLoweredError(f"{role} of the shape {x.shape}")


def _masked(b: Builder, layer: Layer, scores: Value, rows: int, columns: int) -> Value:
    name = b.name(layer)
    if layer.attrs.get("causal"):
        offset = columns - rows if layer.attrs.get("causal_alignment") == "bottom_right" else 0
        hidden = np.triu(np.full((rows, columns), -1e9, np.float32), 1 + offset)
        mask = b.constant(hidden.reshape(1, 1, rows, columns))
        scores = arithmetic(b, "ADD", scores, mask, scores.perm, f"{name}_causal")
    spec = layer.inputs.get("mask")
    if spec is None:
        return scores
    mask = broadcast(b, b.value(spec), straight(4))
    if mask.dtype == "bool":
        y = b.temporary(scores.shape, scores.dtype, f"{name}_masked")
        return b.emit("SELECT_V2", [mask, scores, b.constant(np.array(-1e9, np.float32))], y, "SelectV2Options")
    return arithmetic(b, "ADD", scores, mask, scores.perm, f"{name}_masked")


def _back(b: Builder, layer: Layer, y: Value, made: tuple[int, ...]) -> Value:
    n, heads, rows, out = made
    shape = shape_of(layer.y)
    if shape == made:
        return y
    if shape in ((n, rows, heads, out), (n, rows, heads * out)):
        turned = b.plain(Value(y.number, y.shape, y.dtype, (0, 2, 1, 3)), b.name(layer))
        return b.reshaped(turned, shape, None, b.name(layer))
    if int(np.prod(shape)) == int(np.prod(made)) and shape[-2:] == (rows, out):
        return b.reshaped(y, shape, None, b.name(layer))
    raise NotLoweredError(f"a result of the shape {shape}")
