"""Backward pass of normalisation and softmax.

Where statistics come from x itself, n elements share them, M groups in all, the gradient of y is g, and x̂ the
normalised x: dx = rstd·(gγ − mean(gγ) − x̂·mean(gγ·x̂)). Sources: Ioffe and Szegedy 2015, section 3, and the kernels of
ATen, whose order of operations is counted.
"""

from __future__ import annotations

from collections.abc import Iterable

from multiprof.backward.rule import Extra, Needs, Rule
from multiprof.cost import Cost, Counts
from multiprof.formulas.norm import layer_norm
from multiprof.formulas.softmax import softmax
from multiprof.ir import Layer


def _groups(layer: Layer) -> int:
    """M: groups of elements that share statistics, or are normalised together."""
    symbols = (softmax if layer.op.endswith("softmax") else layer_norm).symbols
    assert symbols is not None  # both formulas have them
    return symbols(layer)["M"]


def _given(layer: Layer, needs: Needs, channels: int) -> Cost:
    """Statistics that stand in the model: y = x·factor + summand."""
    y = layer.y.numel
    terms = {}
    if "x" in needs:
        terms["input_grad"] = Counts(muls=y)
    if "weight" in needs:  # Σ g·(x − mean)·rstd
        terms["weight_grad"] = Counts(adds=2 * y - channels, muls=y + channels)
    if "bias" in needs:
        terms["bias_grad"] = Counts(adds=y - channels)
    return Cost(terms)


def _per_channel(layer: Layer, needs: Needs) -> Cost:
    """sums: 3·|y| − 2·M adds, |y| muls; input_grad: 3·|y| adds, 2·|y| muls, 2·M divs, 3·M muls; weight_grad: M muls

    For each of M groups with a weight of its own: Σg and Σg·(x − mean), which are the bias's gradient and, times rstd,
    the weight's; then (g − Σg/n − (x − mean)·k)·(rstd·γ).
    """
    y, groups = layer.y.numel, _groups(layer)
    terms = {"sums": Counts(adds=3 * y - 2 * groups, muls=y)}
    if "weight" in needs:
        terms["weight_grad"] = Counts(muls=groups)
    if "x" in needs:
        terms["input_grad"] = Counts(adds=3 * y, muls=2 * y + 3 * groups, divs=2 * groups)
    samples = groups // max(layer.attrs.get("channels") or 1, 1)  # instance norm: each sample has its own
    if samples > 1:
        more = Counts(adds=groups - groups // samples)
        for role in needs & {"weight", "bias"}:
            terms[f"{role}_grad"] = terms.get(f"{role}_grad", Counts()) + more
    return Cost(terms)


def _batch_norm(layer: Layer, needs: Needs) -> Cost:
    if layer.attrs.get("batch_stats"):
        return _per_channel(layer, needs)
    return _given(layer, needs, layer.attrs["channels"])


def _instance_norm(layer: Layer, needs: Needs) -> Cost:
    if layer.attrs.get("running_stats"):
        return _given(layer, needs, layer.attrs["channels"])
    return _per_channel(layer, needs)


def _affine(layer: Layer, needs: Needs, terms: dict[str, Counts], centred: bool) -> Cost:
    """Gradients of a weight and a bias that all groups share: Σ g·(x − mean)·rstd and Σ g."""
    y = layer.y.numel
    if "weight" in needs:
        w = layer.inputs["weight"].numel
        terms["weight_grad"] = Counts(adds=y * centred + y - w, muls=2 * y)
    if "bias" in needs:
        terms["bias_grad"] = Counts(adds=y - layer.inputs["bias"].numel)
    return Cost(terms)


def _layer_norm(layer: Layer, needs: Needs) -> Cost:
    """input_grad: 4·|y| − 2·M adds, 3·|y| muls and |y| more with a weight; 8·M muls, 3·M adds a group

    gγ (|y| muls), Σgγ and Σgγ·x, then rstd·gγ + b·x + c, with b and c of each group.
    """
    y, groups = layer.y.numel, _groups(layer)
    terms = {}
    if "x" in needs:
        weighted = y if "weight" in layer.inputs else 0
        terms["input_grad"] = Counts(adds=4 * y - 2 * groups + 3 * groups, muls=3 * y + weighted + 8 * groups)
    return _affine(layer, needs, terms, True)


def _rms_norm(layer: Layer, needs: Needs) -> Cost:
    """input_grad: 2·|y| − M adds, 3·|y| muls and |y| more with a weight, 3·M muls, M divs

    gγ, Σgγ·x, then rstd·gγ − x·k with k = rstd³/n·Σgγ·x.
    """
    y, groups = layer.y.numel, _groups(layer)
    terms = {}
    if "x" in needs:
        weighted = y if "weight" in layer.inputs else 0
        terms["input_grad"] = Counts(adds=2 * y - groups, muls=3 * y + weighted + 3 * groups, divs=groups)
    return _affine(layer, needs, terms, False)


def _group_norm(layer: Layer, needs: Needs) -> Cost:
    """sums: 2·|y| − 2·N·C adds, |y| muls; input_grad: 2·|y| adds, 2·|y| muls, 3·N·C muls, 2·(N·C − M) adds, 8·M muls,
    3·M adds; weight_grad: 2·N·C muls, N·C adds, N·C − C adds; bias_grad: N·C − C adds

    Σg and Σg·x of every channel, times γ and summed over a group; then a·g + b·x + c.
    """
    y, groups = layer.y.numel, _groups(layer)
    channels = layer.attrs["channels"]
    lines = layer.attrs["batch"] * channels
    terms = {"sums": Counts(adds=2 * (y - lines), muls=y)}
    if "x" in needs:
        terms["input_grad"] = Counts(
            adds=2 * y + 2 * (lines - groups) + 3 * groups, muls=2 * y + 3 * lines + 8 * groups
        )
    if "weight" in needs:
        terms["weight_grad"] = Counts(adds=2 * lines - channels, muls=2 * lines)
    if "bias" in needs:
        terms["bias_grad"] = Counts(adds=lines - channels)
    return Cost(terms)


def _local_response(layer: Layer, needs: Needs) -> Cost:
    """input_grad: n·|y| adds, 4·|y| muls, |y| divs

    g·s^−β − 2αβ/n·x·Σ(g·y/s) over the n neighbouring channels, s the sum that the forward pass raised.
    """
    y = layer.y.numel
    return Cost({"input_grad": Counts(adds=layer.attrs["size"] * y, muls=4 * y, divs=y)})


def _softmax(layer: Layer, needs: Needs) -> Cost:
    """input_grad: 2·|y| muls, 2·|y| − M adds

    y·(g − Σg·y).
    """
    y = layer.y.numel
    return Cost({"input_grad": Counts(muls=2 * y, adds=2 * y - _groups(layer))})


def _log_softmax(layer: Layer, needs: Needs) -> Cost:
    """input_grad: |y| exps, |y| muls, 2·|y| − M adds

    g − eʸ·Σg.
    """
    y = layer.y.numel
    return Cost({"input_grad": Counts(exps=y, muls=y, adds=2 * y - _groups(layer))})


def _x(layer: Layer, needs: Needs) -> Iterable[str]:
    return ("x",)


def _y(layer: Layer, needs: Needs) -> Iterable[str]:
    return ("y",)


def _from_batch(layer: Layer, needs: Needs) -> Extra:
    """Mean and rstd of each group, in 32 bits or more."""
    if layer.op == "batch_norm" and not layer.attrs.get("batch_stats"):
        return ()
    if layer.attrs.get("running_stats"):
        return ()
    width = 8 if layer.y.dtype == "float64" else 4
    return (("statistics", 2 * _groups(layer) * width),)


def _root_keeps(layer: Layer, needs: Needs) -> Iterable[str]:
    return ("x",) if "x" in needs else ()


def _root_extra(layer: Layer, needs: Needs) -> Extra:
    """rstd of each group, in 32 bits or more, for x, and the normalised x for the weight: it is several operations."""
    if "x" in needs:
        yield "statistics", _groups(layer) * (8 if layer.y.dtype == "float64" else 4)
    if "weight" in needs:
        yield "normalised", layer.x.nbytes


def _sums_and_powers(layer: Layer, needs: Needs) -> Extra:
    return (("sums", layer.x.nbytes), ("powers", layer.x.nbytes))


_KERNEL = "the CPU kernel of ATen"
RULES = {
    "batch_norm": Rule(_batch_norm, _x, _from_batch, source=_KERNEL),
    "instance_norm": Rule(_instance_norm, _x, _from_batch, source=_KERNEL),
    "layer_norm": Rule(_layer_norm, _x, _from_batch, source=_KERNEL),
    "group_norm": Rule(_group_norm, _x, _from_batch, source=_KERNEL),
    "rms_norm": Rule(_rms_norm, _root_keeps, _root_extra, source="Zhang and Sennrich 2019"),
    "local_response_norm": Rule(_local_response, _x, _sums_and_powers, source="Krizhevsky et al. 2012"),
    "softmax": Rule(_softmax, _y, source="softmax_backward_data of PyTorch"),
    "log_softmax": Rule(_log_softmax, _y, source="log_softmax_backward_data of PyTorch"),
}
