"""Products of matrices: with a weight, and of activations."""

from __future__ import annotations

from math import prod
from typing import TYPE_CHECKING, Any

import numpy as np

from multiprof import Layer
from multiprof_benchmark.lower.reading import NotLoweredError, shape_of
from multiprof_benchmark.lower.tflite.rules.conv import weights
from multiprof_benchmark.lower.tflite.table import rule
from multiprof_benchmark.lower.tflite.values import Value

if TYPE_CHECKING:
    from multiprof_benchmark.lower.tflite.build import Builder


@rule("linear")
def linear(b: Builder, layer: Layer) -> None:
    """FULLY_CONNECTED on rows; an Einstein sum is turned until it is one."""
    if int(layer.attrs.get("groups") or 1) > 1:
        raise NotLoweredError("a stack of matrices, chosen by value")
    if not b.is_weight(layer.inputs["weight"]):
        raise NotLoweredError("a linear layer whose weight is computed")
    equation = layer.attrs.get("equation")
    weight = b.array(layer.inputs["weight"])
    if equation is not None and weight.ndim < layer.inputs["weight"].rank:  # a stack of one and the same matrix
        operands, _, out = equation.partition("->")
        left, right = operands.split(",")
        equation = f"{left},{right[-weight.ndim :]}->{out}"
    if equation is None:
        _rows(b, layer, weight)
    else:
        _einsum(b, layer, weight, equation)


def _rows(b: Builder, layer: Layer, weight: Any) -> None:
    n = int(layer.attrs["in_features"])
    x = b.plain(b.value(layer.x))
    if x.shape[-1:] != (n,):
        if prod(x.shape) % n:
            raise NotLoweredError(f"{x.shape} are no rows of {n}")
        x = b.reshaped(x, (prod(x.shape) // n, n))
    shape = shape_of(layer.y)
    outputs = weight.size // n
    if weight.ndim > 2 or weight.size % n:
        raise NotLoweredError(f"a weight of the shape {weight.shape}")
    if weight.ndim == 2 and weight.shape != (outputs, n):
        weight = weight.T
    weight, bias = weights(b, layer, np.ascontiguousarray(weight.reshape(outputs, n)), outputs)
    y = product(b, layer, x, weight, bias, (*x.shape[:-1], outputs), b.name(layer))
    b.result(layer, b.reshaped(y, shape, None, b.name(layer)))


def product(b: Builder, layer: Layer, x: Value, weight: Any, bias: Any, shape: tuple[int, ...], name: str) -> Value:
    """x times a weight (outputs, inputs), over the last dimension of x."""
    y = b.temporary(shape, x.dtype, name)
    operands = [x, b.constant(weight, f"{layer.name}/weight"), b.constant(bias)]
    return b.emit("FULLY_CONNECTED", operands, y, "FullyConnectedOptions", keepNumDims=x.rank != 2,
                  fusedActivationFunction=b.activation(layer))  # fmt: skip


def _einsum(b: Builder, layer: Layer, weight: Any, equation: str) -> None:
    operands, _, out = equation.partition("->")
    left, right = operands.split(",")
    summed = [i for i in left if i in right and i not in out]
    made = [i for i in right if i not in left and i in out]
    kept = [i for i in left if i not in right and i in out]
    if len(summed) + len(made) != len(right) or len(summed) + len(kept) != len(left) or not summed:
        if "bias" in layer.inputs or layer.name in b.norms or b.activation(layer):
            raise NotLoweredError(f"the Einstein sum {equation} is no product of rows")
        pair(b, layer, equation, b.plain(b.value(layer.x)), b.constant(weight.astype(np.float32)))
        return
    if layer.name in b.norms and (len(made) != 1 or not out.endswith(made[0])):
        raise NotLoweredError("a norm behind an Einstein sum")
    x = _turned(b, b.plain(b.value(layer.x)), [left.index(i) for i in (*kept, *summed)], b.name(layer))
    sizes = dict(zip(left, shape_of(layer.x), strict=True)) | dict(zip(right, weight.shape, strict=True))
    n, m = prod(sizes[i] for i in summed), prod(sizes[i] for i in made)
    matrix = weight.transpose([right.index(i) for i in (*made, *summed)]).reshape(m, n)
    order = [*kept, *made]
    bias = layer.inputs.get("bias")
    inside = None if bias is None else _bias(b.array(bias), [sizes[i] for i in out], out, made, m)
    if bias is not None and inside is None:
        raise NotLoweredError("a bias that is not one per output")
    flat = np.zeros(m, np.float32) if inside is None else inside.astype(np.float32)
    rows = tuple(sizes[i] for i in kept)
    y = product(
        b, layer, b.reshaped(x, (*rows, n)), matrix.astype(np.float32), flat, (*rows, m), f"{b.name(layer)}_rows"
    )
    y = b.reshaped(y, [sizes[i] for i in order])
    b.result(layer, _turned(b, y, [order.index(i) for i in out], b.name(layer)))


def _bias(bias: Any, shape: list[int], out: str, made: list[str], outputs: int) -> Any:
    """A bias that broadcasts against the result as one number for each output of the matrix, or ``None``."""
    whole = np.broadcast_to(bias, shape)
    positions = [out.index(i) for i in made]
    index = tuple(slice(None) if at in positions else 0 for at in range(len(shape)))
    picked = whole[index]
    if not np.array_equal(
        np.broadcast_to(picked.reshape([n if at in positions else 1 for at, n in enumerate(shape)]), shape), whole
    ):
        return None
    order = [sorted(positions).index(at) for at in positions]
    return np.transpose(picked, order).reshape(outputs)


def _turned(b: Builder, value: Value, moves: list[int], name: str) -> Value:
    """A value with its dimensions really in another order."""
    if moves == list(range(value.rank)):
        return value
    relabelled = Value(value.number, value.shape, value.dtype, tuple(moves.index(axis) for axis in range(value.rank)))
    return b.plain(relabelled, name)


@rule("matmul")
def matmul(b: Builder, layer: Layer) -> None:
    """BATCH_MATMUL; where the shapes say that one of the operands is transposed, that one."""
    x0, x1 = (b.plain(b.value(layer.inputs[role])) for role in ("x0", "x1"))
    shape, inner = shape_of(layer.y), int(layer.attrs["contracted"])
    if int(layer.attrs.get("groups") or 1) > 1:
        raise NotLoweredError("a stack of matrices, chosen by value")
    if x0.rank < 2 or x1.rank < 2 or len(shape) < 2:
        raise NotLoweredError("a product of vectors")
    for adj_x in (False, True):
        for adj_y in (False, True):
            rows, left = (x0.shape[-1], x0.shape[-2]) if adj_x else (x0.shape[-2], x0.shape[-1])
            right, columns = (x1.shape[-1], x1.shape[-2]) if adj_y else (x1.shape[-2], x1.shape[-1])
            if left == right == inner and (rows, columns) == shape[-2:]:
                b.result(layer, batched(b, x0, x1, adj_x, adj_y, shape, b.name(layer)))
                return
    raise NotLoweredError(f"no product of {x0.shape} and {x1.shape} gives {shape}")


@rule("einsum")
def einsum(b: Builder, layer: Layer) -> None:
    """Two activations as a product of stacks of matrices: shared indices, rows and columns, summed ones."""
    operands = [b.plain(b.value(spec)) for spec in layer.inputs.values()]
    if len(operands) != 2:
        raise NotLoweredError("an Einstein sum of one operand")
    pair(b, layer, str(layer.attrs["equation"]), *operands)


def pair(b: Builder, layer: Layer, equation: str, x0: Value, x1: Value) -> None:
    """An Einstein sum of two tensors."""
    operands, _, out = equation.partition("->")
    words = operands.split(",")
    if len(words) != 2 or any(len(set(word)) < len(word) for word in words):
        raise NotLoweredError(f"the Einstein sum {equation}")
    left, right = words
    both = [i for i in left if i in right and i in out]
    summed = [i for i in left if i in right and i not in out]
    rows = [i for i in left if i not in right and i in out]
    columns = [i for i in right if i not in left and i in out]
    if len(both) + len(summed) + len(rows) != len(left) or len(both) + len(summed) + len(columns) != len(right):
        raise NotLoweredError(f"the Einstein sum {equation} sums what one operand alone has")
    sizes = dict(zip(left, x0.shape, strict=True)) | dict(zip(right, x1.shape, strict=True))

    def count(letters: list[str]) -> int:
        return prod(sizes[i] for i in letters)

    stack = [sizes[i] for i in both]
    x0 = _turned(b, x0, [left.index(i) for i in (*both, *rows, *summed)], b.name(layer))
    x1 = _turned(b, x1, [right.index(i) for i in (*both, *summed, *columns)], b.name(layer))
    x0 = b.reshaped(x0, (*stack, count(rows), count(summed)))
    x1 = b.reshaped(x1, (*stack, count(summed), count(columns)))
    order = [*both, *rows, *columns]
    y = batched(b, x0, x1, False, False, (*stack, count(rows), count(columns)), f"{b.name(layer)}_product")
    y = b.reshaped(y, [sizes[i] for i in order])
    b.result(layer, _turned(b, y, [order.index(i) for i in out], b.name(layer)))


def batched(b: Builder, x0: Value, x1: Value, adj_x: bool, adj_y: bool, shape: tuple[int, ...], name: str) -> Value:
    """The product of two stacks of matrices."""
    y = b.temporary(shape, x0.dtype, name)
    return b.emit("BATCH_MATMUL", [x0, x1], y, "BatchMatMulOptions", adjX=adj_x, adjY=adj_y)
