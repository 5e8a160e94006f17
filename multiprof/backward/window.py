"""Backward pass of pooling, resizing and reductions: what a sum or a choice over elements gives back to them."""

from __future__ import annotations

from collections.abc import Iterable
from math import prod

from multiprof.backward.rule import Extra, Needs, Rule, lacks, moved, stops
from multiprof.cost import Cost, Counts
from multiprof.formulas.pool import adaptive_avg_pool
from multiprof.formulas.reduction import logcumsumexp
from multiprof.formulas.resize import resize
from multiprof.ir import Layer


def _scattered(layer: Layer, needs: Needs) -> Cost:
    """input_grad: |y| adds

    Each element of the gradient is added where the one it belongs to came from; all others are 0.
    """
    return Cost({"input_grad": Counts(adds=layer.y.numel)})


def positions(layer: Layer, needs: Needs) -> Extra:
    """Positions of the maxima, 64 bits each, where they are no output of the layer."""
    if "indices" in layer.outputs:
        return ()
    return (("indices", layer.y.numel * 8),)


def _x(layer: Layer, needs: Needs) -> Iterable[str]:
    return ("x", "indices") if "indices" in layer.outputs else ("x",)


def _avg_pool(layer: Layer, needs: Needs) -> Cost:
    """input_grad: |y| divs, |y|·K adds"""
    y = layer.y.numel
    return Cost({"input_grad": Counts(divs=y, adds=y * prod(layer.attrs["kernel_size"]))})


def _adaptive(layer: Layer, needs: Needs) -> Cost:
    """input_grad: |y| divs, W adds; where one window is the whole input: |x| divs, its mean's"""
    if _whole(layer):
        return Cost({"input_grad": Counts(divs=layer.x.numel)})
    symbols = adaptive_avg_pool.symbols
    assert symbols is not None  # the formula has them
    return Cost({"input_grad": Counts(divs=layer.y.numel, adds=symbols(layer)["W"])})


def _whole(layer: Layer) -> bool:
    return all(n == 1 for n in layer.attrs["output_size"])


def _adaptive_keeps(layer: Layer, needs: Needs) -> Iterable[str]:
    return () if _whole(layer) else ("x",)


def _lp_pool(layer: Layer, needs: Needs) -> Cost:
    """input_grad: g·sign(x)·|x|^(p − 1)·y^(1 − p), over each window"""
    y, x = layer.y.numel, layer.x.numel
    inside = y * prod(layer.attrs["kernel_size"])
    return Cost({"input_grad": Counts(muls=y + 2 * x, adds=inside, exps=x + y, cmps=2 * x)})


def _resize(layer: Layer, needs: Needs) -> Cost:
    """input_grad: what an element was made of takes its part back: T muls and T adds for T values in all

    nearest: |y| adds. 2^D values an element, 16 for bicubic; of areas |y| divs and W adds.
    """
    mode = layer.attrs["mode"]
    y = layer.y.numel
    if mode.startswith("nearest"):
        return Cost({"input_grad": Counts(adds=y)})
    symbols = resize.symbols
    assert symbols is not None  # the formula has them
    found = symbols(layer)
    if mode == "area":
        return Cost({"input_grad": Counts(adds=found["W"], divs=y)})
    values = found["T"] if "T" in found else y * (16 if mode == "bicubic" else found["I"] + 1)
    return Cost({"input_grad": Counts(muls=values, adds=values)})


def _mean(layer: Layer, needs: Needs) -> Cost:
    """input_grad: |x| divs

    g/n, spread.
    """
    return Cost({"input_grad": Counts(divs=layer.x.numel)})


def _selects(layer: Layer) -> bool:
    return "indices" in layer.outputs


def _extreme(layer: Layer, needs: Needs) -> Cost:
    """input_grad: nothing but a write where positions are known; else |x| cmps, |x| − |y| ints, |x| muls, |y| divs

    Without positions the gradient is shared by all that equal the extreme.
    """
    if _selects(layer):
        return Cost()
    x, y = layer.x.numel, layer.y.numel
    return Cost({"input_grad": Counts(cmps=x, ints=x - y, muls=x, divs=y)})


def _extreme_keeps(layer: Layer, needs: Needs) -> Iterable[str]:
    return ("indices",) if _selects(layer) else ("x", "y")


def _prod(layer: Layer, needs: Needs) -> Cost:
    """input_grad: |y| muls, |x| divs

    g·y/x, where no element is 0.
    """
    return Cost({"input_grad": Counts(muls=layer.y.numel, divs=layer.x.numel)})


def _variance(layer: Layer, needs: Needs) -> Cost:
    """input_grad: 2·|x| − |y| adds, |x| + |y| muls, |y| divs; of a root |y| muls, |y| divs more

    2·g/(n − c)·(x − mean), the mean once more.
    """
    x, y = layer.x.numel, layer.y.numel
    root = y if layer.op == "std" else 0
    return Cost({"input_grad": Counts(adds=2 * x - y, muls=x + y + root, divs=y + root)})


def _variance_keeps(layer: Layer, needs: Needs) -> Iterable[str]:
    return ("x", "y") if layer.op == "std" else ("x",)


def _norm(layer: Layer, needs: Needs) -> Cost:
    """input_grad: |x| divs, |x| muls, |x| cmps

    g·x/y, and 0 where y is, for p = 2; for p = 1 g·sign(x), 2·|x| cmps and |x| muls; for another p two powers.
    """
    order = layer.attrs.get("ord")
    x = layer.x.numel
    if order in (None, 2):
        return Cost({"input_grad": Counts(divs=x, muls=x, cmps=x)})
    if order == 1:
        return Cost({"input_grad": Counts(cmps=2 * x, muls=x)})
    return Cost({"input_grad": Counts(cmps=3 * x, exps=x + layer.y.numel, muls=3 * x)})


def _x_and_y(layer: Layer, needs: Needs) -> Iterable[str]:
    return ("x", "y")


def _logsumexp(layer: Layer, needs: Needs) -> Cost:
    """input_grad: |x| adds, |x| exps, |x| muls

    g·e^(x − y).
    """
    x = layer.x.numel
    return Cost({"input_grad": Counts(adds=x, exps=x, muls=x)})


def _cumsum(layer: Layer, needs: Needs) -> Cost:
    """input_grad: |x| − M adds

    The running sum from the other end.
    """
    symbols = logcumsumexp.symbols
    assert symbols is not None  # the formula has them
    return Cost({"input_grad": Counts(adds=layer.x.numel - symbols(layer)["M"])})


_NOT_YET = "its backward pass has no formula yet"
_SOURCE = "derivatives.yaml and the kernels of PyTorch"
RULES = {
    "max_pool": Rule(_scattered, _x, positions, source=_SOURCE),
    "adaptive_max_pool": Rule(_scattered, _x, positions, source=_SOURCE),
    "avg_pool": Rule(_avg_pool, _x, source=_SOURCE),
    "adaptive_avg_pool": Rule(_adaptive, _adaptive_keeps, source=_SOURCE),
    "lp_pool": Rule(_lp_pool, _x_and_y, source=_SOURCE),
    "resize": Rule(_resize, source=_SOURCE),
    "sum": moved("the gradient of a sum is spread over its summands, a view"),
    "mean": Rule(_mean, source=_SOURCE),
    "max": Rule(_extreme, _extreme_keeps, source=_SOURCE),
    "min": Rule(_extreme, _extreme_keeps, source=_SOURCE),
    "prod": Rule(_prod, _x_and_y, source=_SOURCE),
    "variance": Rule(_variance, _variance_keeps, source=_SOURCE),
    "std": Rule(_variance, _variance_keeps, source=_SOURCE),
    "norm": Rule(_norm, _x_and_y, source=_SOURCE),
    "logsumexp": Rule(_logsumexp, _x_and_y, source=_SOURCE),
    "cumsum": Rule(_cumsum, source=_SOURCE),
    "cummax": Rule(_scattered, lambda layer, needs: (), positions, source=_SOURCE),
    "cummin": Rule(_scattered, lambda layer, needs: (), positions, source=_SOURCE),
    "cumprod": lacks(_NOT_YET),
    "logcumsumexp": lacks(_NOT_YET),
    "fold": moved("each element of the columns has the gradient of its place in the image"),
    **{op: stops("positions and counts are integers") for op in ("argmax", "argmin", "count_nonzero")},
    **{op: stops("true or false") for op in ("any", "all")},
}
