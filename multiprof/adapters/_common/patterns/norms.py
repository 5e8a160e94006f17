"""Normalisations spelled out: (x − mean)·r·weight + bias, r = 1/√(var + ε), as Flax writes them, and
x·(r·weight) + (bias − mean·(r·weight)), as Keras and TensorFlow do. By hand r is often a division by the root."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from math import prod
from typing import Any

from multiprof.adapters._common.patterns.net import Net, scalar_of
from multiprof.ir import Layer, TensorSpec


@dataclass(slots=True)
class _Parts:
    """What a normalisation is made of, and what spells it out; ``shared`` is x − mean where it is read twice."""

    x: TensorSpec
    mean: TensorSpec | None
    variance: TensorSpec
    eps: Any
    weight: TensorSpec | None = None
    bias: TensorSpec | None = None
    gone: list[Layer] = field(default_factory=list)
    shared: Layer | None = None


def merge_norm(net: Net, i: int) -> bool:
    """Try it with a bias at an addition; at a product only where no addition of a bias follows."""
    last = net.layers[i]
    assert last is not None
    if "x1" not in last.inputs:
        return False
    if last.op != "add" and _bias_follows(net, i, last):
        return False
    return any(_batch_norm(net, last, parts) or _own_norm(net, last, parts) for parts in _parts(net, last))


def _bias_follows(net: Net, i: int, last: Layer) -> bool:
    """Whether the next reader is an addition of a declared tensor: the norm is merged there."""
    if net.uses.get(last.y.name) != 1:
        return False
    for layer in net.layers[i + 1 :]:
        if layer is not None and any(spec.name == last.y.name for spec in layer.inputs.values()):
            if layer.op == "mul" and "x1" in layer.inputs:  # a weight that is multiplied last
                return any(net.declared(net.behind(spec, layer)[0]) for spec in layer.inputs.values())
            if layer.op != "add" or "x1" not in layer.inputs:
                return False
            return any(net.declared(net.behind(spec, layer)[0]) for spec in layer.inputs.values())
    return False


def _pairs(layer: Layer) -> Iterator[tuple[TensorSpec, TensorSpec]]:
    yield layer.inputs["x0"], layer.inputs["x1"]
    yield layer.inputs["x1"], layer.inputs["x0"]


def _parts(net: Net, last: Layer) -> Iterator[_Parts]:
    """Every way to read the layers before ``last`` as a normalisation."""
    if last.op != "add":
        yield from _products(net, last, [])
        return
    for product, offset in _pairs(last):
        bias, views = net.behind(offset, last)
        core = net.made(product, last, "mul", "div")
        if core is not None and net.declared(bias) and "x1" in core.inputs:
            for parts in _products(net, core, [core, *views]):
                parts.bias = bias
                yield parts
    for product, rest in _pairs(last):
        core = net.made(product, last, "mul")
        if core is not None and "x1" in core.inputs:
            yield from _shifts(net, core, rest)


def _shifts(net: Net, core: Layer, rest: TensorSpec) -> Iterator[_Parts]:
    """x·s + (bias − mean·s), s = r·weight or r: ``core`` is x·s, ``rest`` what is added to it.

    bias − mean·s may be a difference, or a sum with (−mean)·s.
    """
    rest, views = net.behind(rest, core)
    gone = [core, *views]
    bias: TensorSpec | None = None
    moved = net.made(rest, core, "add", "sub")
    turned = moved is not None and moved.op == "sub"
    if moved is not None and "x1" in moved.inputs:
        first, second = moved.inputs["x0"], moved.inputs["x1"]
        offset, more = net.behind(first if turned else second, core)
        if not net.declared(offset):
            return
        bias = offset
        gone += [moved, *more]
        rest = second if turned else first
    taken = net.made(rest, core, "mul")
    if taken is None or "x1" not in taken.inputs:
        return
    for taken_off, scale in _pairs(taken):
        opposite = None if turned else net.made(taken_off, core, "neg")
        for x, factor in _pairs(core):
            common = net.origin(scale, "reshape", "expand")
            if (opposite is None) != turned or net.origin(factor, "reshape", "expand").name != common.name:
                continue
            mean, between = net.behind(taken_off if opposite is None else opposite.x, core)
            layers = [*gone, taken, *between, *([] if opposite is None else [opposite])]
            product = net.made(common, core, "mul", uses=2)
            if product is not None and "x1" in product.inputs:
                root = _root(net, product.inputs["x0"], core)
                weight, before = net.behind(product.inputs["x1"], core)
                if root is not None and net.declared(weight):
                    steps = [*layers, product, *before, *root[2]]
                    yield _Parts(x, mean, root[0], root[1], weight, bias, steps)
            root = _root(net, common, core, uses=2)
            if root is not None:
                yield _Parts(x, mean, root[0], root[1], None, bias, [*layers, *root[2]])


def _products(net: Net, core: Layer, gone: list[Layer]) -> Iterator[_Parts]:
    """(x − mean)·r, (x − mean)·r·weight, (x − mean)·(r·weight) and (x·r)·weight, r = 1/√(var + ε)."""
    for numerator, root in _quotients(net, core, core):
        yield _over(net, core, numerator, root, None, gone)
    if core.op == "div":
        return
    for left, right in _pairs(core):
        weight, views = net.behind(right, core)
        inner = net.made(left, core, "mul", "div")
        if net.declared(weight) and inner is not None and "x1" in inner.inputs:
            for numerator, root in _quotients(net, inner, core):
                yield _over(net, core, numerator, root, weight, [*gone, inner, *views])
        scale, between = net.behind(right, core)
        product = net.made(scale, core, "mul")
        if product is not None and "x1" in product.inputs:
            for factor, root in _quotients(net, product, core):
                weight, views = net.behind(factor, core)
                if net.declared(weight):
                    yield _over(net, core, left, root, weight, [*gone, product, *between, *views])


_Root = tuple[TensorSpec, Any, list[Layer]]


def _over(
    net: Net, by: Layer, numerator: TensorSpec, root: _Root, weight: TensorSpec | None, gone: list[Layer]
) -> _Parts:
    """``numerator·r``, of which the mean may have been taken off: x − mean: no mean where nothing, or 0, is."""
    variance, eps, between = root
    parts = _Parts(numerator, None, variance, eps, weight, None, [*gone, *between])
    shared = net.made(numerator, by, "sub", uses=2)
    difference = net.made(numerator, by, "sub") or shared
    if difference is None or difference.attrs.get("reverse"):
        return parts
    if "x1" in difference.inputs:
        parts.mean, views = net.behind(difference.inputs["x1"], by)
        parts.shared = shared
    elif shared is None and scalar_of(difference) == 0:
        views = []
    else:
        return parts
    parts.x = difference.inputs["x0"]
    parts.gone += [difference, *views]
    return parts


def _quotients(net: Net, layer: Layer, by: Layer) -> Iterator[tuple[TensorSpec, _Root]]:
    """What a layer multiplies by r, or divides by its reciprocal, and r."""
    if layer.op == "div":
        root = _root(net, layer.inputs["x1"], by, op="sqrt")
        if root is not None:
            yield layer.inputs["x0"], root
        return
    for numerator, factor in _pairs(layer):
        root = _root(net, factor, by)
        if root is not None:
            yield numerator, root


def _root(net: Net, spec: TensorSpec, by: Layer, uses: int = 1, op: str = "rsqrt") -> _Root | None:
    """1/√(variance + ε), or that root: the variance, ε and the layers between."""
    spec, views = net.behind(spec, by)
    root = net.made(spec, by, op, uses=uses)
    if root is None:
        return None
    inner, more = net.behind(root.x, by)
    raised = net.made(inner, by, "add")
    if raised is None or scalar_of(raised) is None:
        return None
    variance, last = net.behind(raised.x, by)
    return variance, scalar_of(raised), [*views, root, *more, raised, *last]


def _inputs(parts: _Parts) -> dict[str, TensorSpec]:
    named = {"x": parts.x, "weight": parts.weight, "bias": parts.bias}
    return {role: spec for role, spec in named.items() if spec is not None}


def _batch_norm(net: Net, last: Layer, parts: _Parts) -> bool:
    """With given statistics, one of each for every channel."""
    mean, variance = parts.mean, parts.variance
    if (
        parts.shared is not None
        or mean is None
        or not net.declared(mean)
        or not net.declared(variance)
        or mean.rank != 1
    ):
        return False
    if any(spec is not None and spec.shape != mean.shape for spec in (variance, parts.weight, parts.bias)):
        return False
    inputs = {**_inputs(parts), "mean": mean, "var": variance}
    attrs = {"eps": parts.eps, "channels": mean.shape[0], "batch_stats": False}
    net.replace(last, parts.gone, "batch_norm", inputs, attrs)
    return True


def _own_norm(net: Net, last: Layer, parts: _Parts) -> bool:
    """With statistics of x itself: over its last axes, over its groups of channels, or over its positions."""
    found = _statistics(net, last, parts)
    if found is None:
        return False
    mean, gone = found
    x = parts.x
    if parts.shared is not None and not any(layer is parts.shared for layer in gone):
        return False
    if None in x.shape or not x.numel or not mean.y.numel:
        return False
    axes, rank = sorted(mean.attrs["axis"]), mean.x.rank
    size = x.numel // mean.y.numel
    affine = [spec.numel for spec in (parts.weight, parts.bias) if spec is not None]
    batch = x.shape[0]
    within = axes == [*range(1, rank - 2), rank - 1]  # groups of channels stand in an axis of their own
    channels = prod(mean.x.shape[-2:]) if within and mean.x.rank > 2 else x.shape[-1]  # type: ignore[arg-type]  # known
    attrs: dict[str, Any] = {"eps": parts.eps}
    if mean.x.shape == x.shape and axes == list(range(rank - len(axes), rank)) and set(affine) <= {size}:
        op = "layer_norm" if parts.mean is not None else "rms_norm"
        attrs["normalized_size"] = size
        if op == "rms_norm" and parts.bias is not None:
            return False
    elif parts.mean is None or set(affine) - {channels}:
        return False
    elif mean.x.shape == x.shape and rank > 2 and axes == list(range(1, rank - 1)):
        op = "instance_norm"
        attrs |= {"channels": channels, "batch": batch}
    elif within and rank > 2 and mean.x.shape in (x.shape, (*x.shape[:-1], *mean.x.shape[-2:])):
        op = "group_norm"
        attrs |= {"groups": mean.x.shape[-2], "channels": channels, "batch": batch}
    else:
        return False
    net.replace(last, [*parts.gone, *gone], op, _inputs(parts), attrs)
    return True


def _statistics(net: Net, last: Layer, parts: _Parts) -> tuple[Layer, list[Layer]] | None:
    """The mean layer that gives the axes, and the layers of the statistics: E(x²) − E(x)², E((x − E(x))²) or E(x²)."""
    if parts.mean is None:
        squares = net.made(parts.variance, last, "mean")
        square = None if squares is None else net.made(squares.x, last, "square")
        if squares is None or square is None or not _same(net, square.x, parts.x):
            return None
        return squares, [squares, square]
    mean = net.made(parts.mean, last, "mean", uses=2) or net.made(parts.mean, last, "mean")
    if mean is None or not _same(net, mean.x, parts.x):
        return None
    gone: list[Layer] = [mean]
    variance = parts.variance
    clamped = net.made(variance, last, "relu")
    if clamped is not None:
        gone.append(clamped)
        variance = clamped.x
    squares = net.made(variance, last, "mean")
    if squares is None:
        steps = _one_pass(net, last, variance, mean)
    else:
        steps = _two_passes(net, last, squares, mean, parts.shared)
    return None if steps is None else (mean, [*gone, *steps])


def _one_pass(net: Net, last: Layer, variance: TensorSpec, mean: Layer) -> list[Layer] | None:
    """E(x²) − E(x)²"""
    difference = net.made(variance, last, "sub")
    if difference is None or "x1" not in difference.inputs:
        return None
    squares = net.made(difference.inputs["x0"], last, "mean")
    product = net.made(difference.inputs["x1"], last, "square")
    square = None if squares is None else net.made(squares.x, last, "square")
    if squares is None or product is None or square is None or product.x.name != mean.y.name:
        return None
    if not _same(net, square.x, mean.x) or squares.attrs["axis"] != mean.attrs["axis"]:
        return None
    return [difference, squares, product, square]


def _two_passes(net: Net, last: Layer, squares: Layer, mean: Layer, shared: Layer | None) -> list[Layer] | None:
    """E((x − E(x))²), where x − E(x) may be the ``shared`` one that is normalised."""
    square = net.made(squares.x, last, "square")
    difference = None if square is None else net.made(square.x, last, "sub")
    if square is not None and shared is not None and square.x.name == shared.y.name:
        difference = shared
    if square is None or difference is None or "x1" not in difference.inputs:
        return None
    centre, views = net.behind(difference.inputs["x1"], last)
    if not _same(net, difference.inputs["x0"], mean.x) or squares.attrs["axis"] != mean.attrs["axis"]:
        return None
    steps = [squares, square, difference, *views]
    if centre.name == mean.y.name:
        return steps
    again = net.made(centre, last, "mean")  # the variance may take a mean of its own
    if again is None or not _same(net, again.x, mean.x) or again.attrs["axis"] != mean.attrs["axis"]:
        return None
    return [*steps, again]


def _same(net: Net, a: TensorSpec, b: TensorSpec) -> bool:
    """Whether two tensors hold the same elements, in another shape or type at most."""
    return net.origin(a, "reshape", "cast").name == net.origin(b, "reshape", "cast").name


__all__ = ["merge_norm"]
