"""Convolution and deconvolution in one, two and three dimensions, with groups; deformable convolution."""

from __future__ import annotations

from typing import Any

from multiprof.adapters._common.shapes import transposed_output, window_output
from multiprof.adapters.mxnet.call import Call
from multiprof.adapters.mxnet.rules._windows import Window, over, split, times
from multiprof.adapters.mxnet.table import Args, Rule, Rules
from multiprof.adapters.mxnet.writing import Writing

ROLES = {"data": "x", "weight": "weight", "bias": "bias"}


def _window(call: Call) -> Window:
    if call.memo is None:
        call.memo = Window(call, call.attrs.ints("kernel"))
    found: Window = call.memo
    return found


def _args(no_bias: bool, *before: str) -> Any:
    def args(call: Call) -> Args:
        names = (*before, "weight")
        return names if call.attrs.flag("no_bias", no_bias) else (*names, "bias")

    return args


# -- convolution ------------------------------------------------------------------------------------------------------


def expect_bias(call: Call, size: int) -> None:
    """The bias, where there is one, has one value for each filter or unit."""
    at = call.index("bias")
    if at is not None:
        call.expect(at, (size,))


def infer_convolution(call: Call) -> None:
    """weight is (C_o, C_i/G, k …), or (C_o, k …, C_i/G) where the channels come last.

    The data's batch follows from the result's, its channels from the weight's, and a spatial size where the stride
    is 1: MXNet deduces as much.
    """
    w = _window(call)
    filters = call.attrs.integer("num_filter", least=1)
    groups = call.attrs.integer("num_group", 1, least=1)
    over(call, filters, groups, "filters")
    at = call.args.index("weight")
    call.rank(0, w.rank + 2)
    weight = call.rank(at, w.rank + 2)
    if weight is not None and split(w, call.shape(0))[1] is None:
        call.expect(0, w.join(None, times(weight[-1] if w.last else weight[1], groups), (None,) * w.rank))
    batch, channels, spatial = split(w, call.shape(0))
    call.expect(at, w.join(filters, over(call, channels, groups, "channels"), w.kernel))
    expect_bias(call, filters)
    made = tuple(
        window_output(n, k, s, (p, p), d, where=call.where)
        for n, k, s, p, d in zip(spatial, w.kernel, w.stride, w.pad, w.dilate, strict=True)
    )
    call.give(w.join(batch, filters, made))
    first, _, after = split(w, call.result())
    if call.shape(0) is not None or first is not None:
        before = [
            None if n is None or s != 1 else n - 2 * p + d * (k - 1)
            for n, k, s, p, d in zip(after, w.kernel, w.stride, w.pad, w.dilate, strict=True)
        ]
        call.expect(0, w.join(first, channels, tuple(before)))


def _attrs(call: Call, w: Window, channels: int | None) -> dict[str, Any]:
    return {
        "kernel_size": w.kernel,
        "stride": w.stride,
        "padding": w.pairs,
        "dilation": w.dilate,
        "groups": call.attrs.integer("num_group", 1),
        "in_channels": channels,
        "out_channels": call.attrs.integer("num_filter"),
        "data_format": w.data_format,
    }


def write_convolution(call: Call, to: Writing) -> None:
    w = _window(call)
    _, channels, _ = split(w, call.shape(0))
    to.layer(call, "conv", to.named(call, ROLES), None, _attrs(call, w, channels))


# -- deconvolution ----------------------------------------------------------------------------------------------------


def _target(call: Call, w: Window) -> tuple[int, ...] | None:
    target = call.attrs.ints("target_shape", ())
    if not any(target):
        return None
    if len(target) != w.rank or min(target) < 0:
        raise call.attrs.wrong("target_shape", f"{w.rank} sizes")
    return target


def _borders(call: Call, w: Window, spatial: tuple[int | None, ...]) -> tuple[tuple[int, int], ...] | None:
    """(padding, adjustment) of each dimension; with a target size they follow from the data's, which may be unknown.

    DeconvolutionParam::InferPad (src/operator/nn/deconvolution-inl.h).
    """
    target = _target(call, w)
    if target is None:
        adj = call.attrs.ints("adj", (0,) * w.rank)
        if len(adj) != w.rank or any(not 0 <= a < stride for a, stride in zip(adj, w.stride, strict=True)):
            raise call.attrs.wrong("adj", f"{w.rank} numbers from 0 to below the stride")
        return tuple(zip(w.pad, adj, strict=True))
    found = []
    for n, k, s, d, wanted in zip(spatial, w.kernel, w.stride, w.dilate, target, strict=True):
        if n is None:
            return None
        excess = s * (n - 1) + d * (k - 1) + 1 - wanted
        if excess < 0:
            raise call.error(f"the target size {wanted} is larger than the {excess + wanted} there are")
        if excess % 2 >= s:
            raise call.error(f"the target size {wanted} takes an adjustment of 1, which a stride of {s} has not")
        found.append(((excess + 1) // 2, excess % 2))
    return tuple(found)


def infer_deconvolution(call: Call) -> None:
    """weight is (C_i, C_o/G, k …), or (C_i, k …, C_o/G) where the channels come last."""
    w = _window(call)
    filters = call.attrs.integer("num_filter", least=1)
    groups = call.attrs.integer("num_group", 1, least=1)
    call.rank(0, w.rank + 2)
    weight = call.rank(1, w.rank + 2)
    if weight is not None and split(w, call.shape(0))[1] is None:
        call.expect(0, w.join(None, weight[0], (None,) * w.rank))
    batch, channels, spatial = split(w, call.shape(0))
    over(call, channels, groups, "channels")
    call.expect(1, w.join(channels, over(call, filters, groups, "filters"), w.kernel))
    expect_bias(call, filters)
    made = _target(call, w)
    if made is None:
        borders = _borders(call, w, spatial) or ()
        sizes = [
            transposed_output(n, k, s, (p, p), d, a)
            for n, k, s, d, (p, a) in zip(spatial, w.kernel, w.stride, w.dilate, borders, strict=True)
        ]
        if any(n is not None and n < 1 for n in sizes):
            raise call.error(f"the result would have the sizes {sizes}")
    else:
        _borders(call, w, spatial)
        sizes = list(made)
    call.give(w.join(batch, filters, tuple(sizes)))
    first = split(w, call.result())[0]
    if first is not None:
        call.expect(0, w.join(first, channels, (None,) * w.rank))


def write_deconvolution(call: Call, to: Writing) -> None:
    w = _window(call)
    _, channels, spatial = split(w, call.shape(0))
    borders = _borders(call, w, spatial)
    attrs = _attrs(call, w, channels)
    attrs["padding"] = tuple((p, p) for p, _ in borders) if borders is not None else None
    attrs["output_padding"] = tuple(a for _, a in borders) if borders is not None else None
    to.layer(call, "conv_transpose", to.named(call, ROLES), None, attrs)


# -- deformable convolution -------------------------------------------------------------------------------------------


def infer_deformable(call: Call) -> None:
    """offset is (N, 2·G_o·K, H_o, W_o), and the mask of the modulated form (N, G_o·K, H_o, W_o)."""
    infer_convolution(call)
    result = call.result()
    if result is None:
        return
    w = _window(call)
    points = call.attrs.integer("num_deformable_group", 1, least=1)
    for k in w.kernel:
        points *= k
    call.expect(1, (result[0], 2 * points, *result[2:]))
    if call.args[2] == "mask":
        call.expect(2, (result[0], points, *result[2:]))


def write_deformable(call: Call, to: Writing) -> None:
    w = _window(call)
    _, channels, _ = split(w, call.shape(0))
    attrs = _attrs(call, w, channels) | {"offset_groups": call.attrs.integer("num_deformable_group", 1)}
    to.layer(call, "deform_conv", to.named(call, {**ROLES, "offset": "offset", "mask": "mask"}), None, attrs)


_CONVOLUTION = Rule(infer_convolution, write_convolution, _args(False, "data"))
RULES: Rules = {
    "Convolution": _CONVOLUTION,
    "Convolution_v1": _CONVOLUTION,
    "Deconvolution": Rule(infer_deconvolution, write_deconvolution, _args(True, "data")),
    "_contrib_DeformableConvolution": Rule(infer_deformable, write_deformable, _args(False, "data", "offset")),
    "_contrib_ModulatedDeformableConvolution": Rule(
        infer_deformable, write_deformable, _args(False, "data", "offset", "mask")
    ),
}
