"""Sums on their way to something else: means, average pooling, softmax."""

from __future__ import annotations

from math import inf, prod

from multiprof.adapters._common.patterns.net import Net, scalar_of
from multiprof.adapters.jax.rules.window import WINDOW_SUM
from multiprof.ir import Layer, TensorSpec


def merge_mean(net: Net, i: int) -> bool:
    """sum, then a division by how many there are."""
    last = net.layers[i]
    assert last is not None
    divisor = scalar_of(last)
    if divisor is None or "x0" not in last.inputs:
        return False
    spec, views = net.behind(last.x, last)
    total = net.made(spec, last, "sum")
    if total is None or None in total.x.shape or not total.y.numel:
        return False
    if divisor != total.x.numel / total.y.numel or last.y.numel != total.y.numel:
        return False
    keepdim = bool(views) and last.y.shape == _kept(total)
    if views and not keepdim:
        return False
    net.replace(last, [*views, total], "mean", {"x": total.x}, {**total.attrs, "keepdim": keepdim})
    return True


def _kept(layer: Layer) -> tuple[int | None, ...]:
    """The shape of a reduction's result where the reduced axes stay, of size 1."""
    axes = layer.attrs["axis"]
    return tuple(1 if axis in axes else n for axis, n in enumerate(layer.x.shape))


def merge_pool(net: Net, i: int) -> bool:
    """A sum over windows, divided by their size: by a number, or by how many of each lie inside the input."""
    last = net.layers[i]
    assert last is not None
    windows = net.made(last.inputs.get("x0"), last, WINDOW_SUM)
    if windows is None or "value" in windows.attrs or last.attrs.get("reverse"):
        return False
    attrs = dict(windows.attrs)
    size = prod(attrs["kernel_size"])
    divisor = scalar_of(last)
    gone = [windows]
    if divisor is not None:
        attrs |= {"count_include_pad": True, "divisor": None if divisor == size else divisor}
    else:
        spec, views = net.behind(last.inputs["x1"], last)
        counts = net.made(spec, last, WINDOW_SUM)
        if counts is None or counts.attrs.get("value") != 1:
            return False
        attrs |= {"count_include_pad": False, "divisor": None}
        gone += [*views, counts]
    net.replace(last, gone, "avg_pool", {"x": windows.x}, attrs)
    return True


def merge_softmax(net: Net, i: int) -> bool:
    """max, [max with −∞], subtraction, exp, sum, division."""
    last = net.layers[i]
    assert last is not None
    if "x1" not in last.inputs:
        return False
    powers = net.made(last.inputs["x0"], last, "exp", uses=2)
    # sums of narrow floats are made in float32
    spec, views = net.behind(last.inputs["x1"], last, "cast")
    total = net.made(spec, last, "sum")
    if powers is None or total is None:
        return False
    summed, casts = net.behind(total.x, last, "cast") if total.x.name != powers.y.name else (total.x, [])
    if summed.name != powers.y.name or any(layer.op != "cast" for layer in casts):
        return False
    axes = total.attrs["axis"]
    found = _shifted(net, powers.x, powers, axes)
    if found is None:
        return False
    x, gone = found
    if None in x.shape or total.y.numel * prod(x.shape[a] or 0 for a in axes) != x.numel:
        return False
    attrs = {"axis": axes, "n": prod(x.shape[a] or 0 for a in axes)}
    net.replace(last, [powers, total, *views, *casts, *gone], "softmax", {"x": x}, attrs)
    return True


def _shifted(net: Net, spec: TensorSpec, by: Layer, axes: tuple[int, ...]) -> tuple[TensorSpec, list[Layer]] | None:
    """``x − max(x)`` along ``axes``: x and the layers; the maximum may have been taken before x was transposed."""
    difference = net.made(spec, by, "sub")
    if difference is None or "x1" not in difference.inputs:
        return None
    x = difference.inputs["x0"]
    inner, views = net.behind(difference.inputs["x1"], by, "transpose")
    floor = net.made(inner, by, "maximum")
    gone = [difference, *views]
    if floor is not None and scalar_of(floor) == -inf:
        gone.append(floor)
        inner = floor.x
    largest = net.made(inner, by, "max")
    if largest is None:
        return None
    origin, order = x.name, tuple(range(x.rank))
    turned = net.made(x, by, "transpose")
    if largest.x.name != origin and turned is not None:
        origin, order = turned.x.name, turned.attrs["perm"]
    if largest.x.name != origin or sorted(order[a] for a in axes) != sorted(largest.attrs["axis"]):
        return None
    return x, [*gone, largest]


__all__ = ["merge_mean", "merge_pool", "merge_softmax"]
