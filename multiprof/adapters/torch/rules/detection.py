"""Operators of torchvision, by the names of their schemas: what it registers beside torch gives the results."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from multiprof.adapters.torch.rules._common import Tensor
from multiprof.adapters.torch.table import ATEN, Rule
from multiprof.adapters.torch.tracer import Tracer


def _operator(name: str) -> Callable[[Rule], Rule]:
    def register(function: Rule) -> Rule:
        ATEN[f"torchvision.{name}"] = function
        return function

    return register


@_operator("nms")
def nms(t: Tracer, dets: Tensor, scores: Tensor, iou_threshold: float) -> Any:
    """Of one image and one class; how many boxes stay depends on the values."""
    y = t.new((), dets.dtype)
    attrs = {"boxes": dets.shape[0], "classes": 1, "batch": 1, "iou_threshold": float(iou_threshold)}
    t.emit("nms", {"boxes": dets, "scores": scores}, {"y": y}, attrs)
    return y


@_operator("roi_align")
def roi_align(
    t: Tracer,
    input: Tensor,
    rois: Tensor,
    spatial_scale: float,
    pooled_height: int,
    pooled_width: int,
    sampling_ratio: int,
    aligned: bool = False,
) -> Any:
    """A ratio of 0 or less adapts to the region."""
    y = t.new((), input.dtype)
    attrs = {
        "output_size": (int(pooled_height), int(pooled_width)),
        "sampling_ratio": max(int(sampling_ratio), 0),
        "spatial_scale": float(spatial_scale),
        "aligned": bool(aligned),
        "data_format": "NCHW",
    }
    t.emit("roi_align", {"x": input, "rois": rois}, {"y": y}, attrs)
    return y


@_operator("ps_roi_align")
def position_sensitive_roi_align(
    t: Tracer,
    input: Tensor,
    rois: Tensor,
    spatial_scale: float,
    pooled_height: int,
    pooled_width: int,
    sampling_ratio: int,
) -> Any:
    """Every cell reads channels of its own: a sample costs the same."""
    y, places = t.new((), input.dtype), t.new((), rois.dtype)
    t.emit("fill", {}, {"y": places}, None, "channels")
    attrs = {
        "output_size": (int(pooled_height), int(pooled_width)),
        "sampling_ratio": max(int(sampling_ratio), 0),
        "spatial_scale": float(spatial_scale),
        "aligned": True,
        "data_format": "NCHW",
    }
    t.emit("roi_align", {"x": input, "rois": rois}, {"y": y}, attrs)
    return y, places


@_operator("roi_pool")
def roi_pool(
    t: Tracer, input: Tensor, rois: Tensor, spatial_scale: float, pooled_height: int, pooled_width: int
) -> Any:
    y, places = t.new((), input.dtype), t.new((), rois.dtype)
    t.emit("fill", {}, {"y": places}, None, "positions")
    attrs = {
        "output_size": (int(pooled_height), int(pooled_width)),
        "spatial_scale": float(spatial_scale),
        "data_format": "NCHW",
    }
    t.emit("roi_pool", {"x": input, "rois": rois}, {"y": y}, attrs)
    return y, places


@_operator("deform_conv2d")
def deform_conv2d(
    t: Tracer,
    input: Tensor,
    weight: Tensor,
    offset: Tensor,
    mask: Tensor,
    bias: Tensor,
    stride_h: int,
    stride_w: int,
    pad_h: int,
    pad_w: int,
    dilation_h: int,
    dilation_w: int,
    groups: int,
    offset_groups: int,
    use_mask: bool,
) -> Any:
    """torchvision passes a mask of no elements where there is none, and a bias of zeros where the layer has none."""
    y = t.new((), input.dtype)
    inputs = {"x": input, "offset": offset, "weight": weight}
    if use_mask:
        inputs["mask"] = mask
    if bias.numel():
        inputs["bias"] = bias
    attrs = {
        "kernel_size": tuple(weight.shape[2:]),
        "stride": (int(stride_h), int(stride_w)),
        "padding": ((int(pad_h),) * 2, (int(pad_w),) * 2),
        "dilation": (int(dilation_h), int(dilation_w)),
        "groups": int(groups),
        "in_channels": input.shape[1],
        "out_channels": weight.shape[0],
        "data_format": "NCHW",
        "offset_groups": int(offset_groups),
    }
    t.emit("deform_conv", inputs, {"y": y}, attrs)
    return y
