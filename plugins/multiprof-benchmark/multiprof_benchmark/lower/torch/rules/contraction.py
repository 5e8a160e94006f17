"""Products of matrices: with a weight, of activations, Einstein sums."""

from __future__ import annotations

from collections.abc import Sequence
from math import prod

import torch
import torch.nn.functional as F

from multiprof import Layer
from multiprof_benchmark.lower.reading import NotLoweredError, shape_of
from multiprof_benchmark.lower.torch.rules.conv import _rescale_first
from multiprof_benchmark.lower.torch.table import Context, Kernel, Tensor, broadcast, rule


@rule("linear")
def linear(layer: Layer, context: Context) -> Kernel:
    """Some formats write the result in another shape of as many elements, or read x as rows of in_features."""
    x, weight, y = (shape_of(spec) for spec in (layer.x, layer.inputs["weight"], layer.y))
    n = int(layer.attrs["in_features"])
    if layer.attrs.get("equation") is None and x[-1:] != (n,) and layer.x.numel % n == 0:
        x = (layer.x.numel // n, n)
    made = _linear(layer, x, weight, (*x[:-1], y[-1]) if y else y)
    if layer.attrs.get("equation") is None and (*x[:-1], *y[-1:]) != y and layer.y.numel == prod((*x[:-1], y[-1])):
        inner = made.run

        def run(x: Tensor, **operands: Tensor) -> Tensor:
            return inner(x=x.reshape(rows), **operands).reshape(y)  # type: ignore[union-attr]  # one result

        rows = x
        return Kernel(run, made.prepare, made.fixed, made.rescale, made.notes)
    return made


def _linear(layer: Layer, x: tuple[int, ...], weight: tuple[int, ...], y: tuple[int, ...]) -> Kernel:
    if int(layer.attrs.get("groups") or 1) > 1:
        return _grouped(layer, weight)
    equation = layer.attrs.get("equation")
    if equation is None:
        if len(weight) == 1 and x[-1:] == weight:  # one unit
            return Kernel(lambda x, weight, bias=None: _plus(x @ weight, bias))
        if len(weight) != 2 or x[-1:] != weight[1:]:
            return _by_shape(x, weight, y)
        return Kernel(lambda x, weight, bias=None: F.linear(x, weight, bias), rescale=_rescale_first)
    operands, _, out = equation.partition("->")
    left, right = operands.split(",")
    contracted = [i for i in right if i in left and i not in out]
    made = [i for i in right if i not in left and i in out]
    kept = [i for i in left if i not in right and i in out]
    simple = len(contracted) + len(made) == len(right) and len(contracted) + len(kept) == len(left)
    if not simple or not contracted or len(set(left)) < len(left):
        return Kernel(lambda x, weight, bias=None: _plus(torch.einsum(equation, x, weight), bias))
    if contracted != [i for i in left if i in contracted] and left.endswith(
        "".join(sorted(contracted, key=left.index))
    ):
        contracted.sort(key=left.index)
    sizes = dict(zip(left, x, strict=True)) | dict(zip(right, weight, strict=True))
    to_rows = tuple(left.index(i) for i in (*kept, *contracted))
    lay_perm = tuple(right.index(i) for i in (*made, *contracted))
    n, m = prod(sizes[i] for i in contracted), prod(sizes[i] for i in made)
    rows = (*(sizes[i] for i in kept), n)
    wide = (*(sizes[i] for i in kept), *(sizes[i] for i in made))
    order = [*kept, *made]
    back = tuple(order.index(i) for i in out)
    straight, same = to_rows == tuple(range(len(left))), back == tuple(range(len(out)))

    def run(x: Tensor, weight: Tensor, bias: Tensor | None = None) -> Tensor:
        if not straight:
            x = x.permute(to_rows)
        inside = bias if bias is not None and bias.dim() == 1 and bias.shape[0] == m and same else None
        product = F.linear(x.reshape(rows), weight, inside).reshape(wide)
        if not same:
            product = product.permute(back)
        return product if inside is not None else _plus(product, bias)

    def lay(w: Tensor) -> Tensor:
        return w.permute(lay_perm).reshape(m, n).contiguous()

    return Kernel(run, {"weight": lay}, rescale=_rescale_first if same and len(made) == 1 else None)


def _plus(y: Tensor, bias: Tensor | None) -> Tensor:
    return y if bias is None else y + bias


def _by_shape(x: Sequence[int], weight: Sequence[int], y: Sequence[int]) -> Kernel:
    """A weight that is not (outputs, inputs): the product that gives the result's shape."""
    if len(weight) == 2 and x[-1] == weight[0] and y[-1] == weight[1]:
        return Kernel(lambda x, weight, bias=None: F.linear(x, weight, bias), {"weight": lambda w: w.t().contiguous()},
                      rescale=_rescale_first)  # fmt: skip
    if prod(weight) == x[-1] * y[-1]:
        return Kernel(lambda x, weight, bias=None: F.linear(x, weight.reshape(y[-1], x[-1]), bias))
    if len(weight) > 2 and x[-1] == weight[-2]:
        return Kernel(lambda x, weight, bias=None: _plus(torch.matmul(x, weight), bias))
    if len(weight) > 2 and x[-1] == weight[-1]:
        return Kernel(lambda x, weight, bias=None: _plus(torch.matmul(x, weight.transpose(-1, -2)), bias))
    raise NotLoweredError(f"a weight {tuple(weight)} on {tuple(x)} does not give {tuple(y)}")


def _grouped(layer: Layer, weight: Sequence[int]) -> Kernel:
    """A stack of matrices, each for some of the rows: which ones depends on values, so each gets as many as another."""
    groups = int(layer.attrs["groups"])
    n, y = int(layer.attrs["in_features"]), shape_of(layer.y)
    if len(weight) != 3 or weight[0] != groups or layer.y.numel % y[-1]:
        raise NotLoweredError(f"{groups} groups of a weight {tuple(weight)}")
    rows = layer.y.numel // y[-1]
    each = -(-rows // groups)
    flip = weight[1] != n

    def run(x: Tensor, weight: Tensor, bias: Tensor | None = None) -> Tensor:
        flat = F.pad(x.reshape(-1, n)[:rows], (0, 0, 0, each * groups - rows)).reshape(groups, each, n)
        product = torch.bmm(flat, weight.transpose(1, 2) if flip else weight)
        return product.reshape(groups * each, -1)[:rows].reshape(y)

    return Kernel(run, notes=("rows are shared out evenly among the groups",))


@rule("matmul")
def matmul(layer: Layer, context: Context) -> Kernel:
    """x0·x1; where the shapes say that one of them is transposed, that one."""
    a, b, y = (shape_of(spec) for spec in (layer.inputs["x0"], layer.inputs["x1"], layer.y))
    if int(layer.attrs.get("groups") or 1) > 1:
        return _grouped_product(layer, a, b, y)
    for flip_a, flip_b in ((False, False), (False, True), (True, False), (True, True)):
        if _product(_flipped(a, flip_a), _flipped(b, flip_b)) == y and _inner(a, flip_a) == layer.attrs["contracted"]:
            return Kernel(_multiplier(flip_a, flip_b))
    raise NotLoweredError(f"no product of {a} and {b} gives {y}")


def _multiplier(flip_a: bool, flip_b: bool):  # type: ignore[no-untyped-def]  # three lambdas of one shape
    if not flip_a and not flip_b:
        return lambda x0, x1: torch.matmul(x0, x1)
    if not flip_a:
        return lambda x0, x1: torch.matmul(x0, x1.transpose(-1, -2))
    if not flip_b:
        return lambda x0, x1: torch.matmul(x0.transpose(-1, -2), x1)
    return lambda x0, x1: torch.matmul(x0.transpose(-1, -2), x1.transpose(-1, -2))


def _flipped(shape: tuple[int, ...], flip: bool) -> tuple[int, ...]:
    return (*shape[:-2], shape[-1], shape[-2]) if flip and len(shape) > 1 else shape


def _inner(shape: tuple[int, ...], flip: bool) -> int:
    return shape[-2] if flip and len(shape) > 1 else shape[-1]


def _product(a: tuple[int, ...], b: tuple[int, ...]) -> tuple[int, ...] | None:
    left, right = (1, *a) if len(a) == 1 else a, (*b, 1) if len(b) == 1 else b
    if left[-1] != right[-2]:
        return None
    leading = broadcast(left[:-2], right[:-2])
    if leading is None:
        return None
    return (*leading, *(left[-2:-1] if len(a) > 1 else ()), *(right[-1:] if len(b) > 1 else ()))


def _grouped_product(layer: Layer, a: tuple[int, ...], b: tuple[int, ...], y: tuple[int, ...]) -> Kernel:
    groups, n = int(layer.attrs["groups"]), int(layer.attrs["contracted"])
    if len(b) != 3 or b[0] != groups or a[-1] != n:
        raise NotLoweredError(f"{groups} groups of {b}")
    rows = layer.y.numel // y[-1]
    each = -(-rows // groups)
    flip = b[1] != n

    def run(x0: Tensor, x1: Tensor) -> Tensor:
        flat = F.pad(x0.reshape(-1, n)[:rows], (0, 0, 0, each * groups - rows)).reshape(groups, each, n)
        return torch.bmm(flat, x1.transpose(1, 2) if flip else x1).reshape(groups * each, -1)[:rows].reshape(y)

    return Kernel(run, notes=("rows are shared out evenly among the groups",))


@rule("einsum")
def einsum(layer: Layer, context: Context) -> Kernel:
    equation, count = layer.attrs["equation"], sum(role[0] == "x" for role in layer.inputs)
    roles = [f"x{i}" for i in range(count)]
    return Kernel(lambda **operands: torch.einsum(equation, *[operands[role] for role in roles]))
