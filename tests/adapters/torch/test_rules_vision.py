"""torchvision's operators, known by their schemas: here under the same names, without torchvision.

Each is what torch.library makes of torchvision's own schema, with a meta kernel that gives the shapes alone.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest
import torch

import multiprof
from multiprof import Inputs

SCHEMAS = {
    "nms": "nms(Tensor dets, Tensor scores, float iou_threshold) -> Tensor",
    "roi_align": (
        "roi_align(Tensor input, Tensor rois, float spatial_scale, int pooled_height, int pooled_width, "
        "int sampling_ratio, bool aligned) -> Tensor"
    ),
    "roi_pool": (
        "roi_pool(Tensor input, Tensor rois, float spatial_scale, int pooled_height, int pooled_width) "
        "-> (Tensor, Tensor)"
    ),
    "ps_roi_align": (
        "ps_roi_align(Tensor input, Tensor rois, float spatial_scale, int pooled_height, int pooled_width, "
        "int sampling_ratio) -> (Tensor, Tensor)"
    ),
    "deform_conv2d": (
        "deform_conv2d(Tensor input, Tensor weight, Tensor offset, Tensor mask, Tensor bias, int stride_h, "
        "int stride_w, int pad_h, int pad_w, int dilation_h, int dilation_w, int groups, int offset_groups, "
        "bool use_mask) -> Tensor"
    ),
}


def regions(x: torch.Tensor, rois: torch.Tensor, scale: float, height: int, width: int, *more: Any) -> torch.Tensor:
    return x.new_empty(rois.shape[0], x.shape[1], height, width)


SHAPES: dict[str, Callable[..., Any]] = {
    "nms": lambda dets, scores, threshold: dets.new_empty(dets.shape[0], dtype=torch.int64),
    "roi_align": regions,
    "roi_pool": lambda *args: (regions(*args), regions(*args).int()),
    "ps_roi_align": lambda x, rois, scale, h, w, ratio: (
        x.new_empty(rois.shape[0], x.shape[1] // (h * w), h, w),
        x.new_empty(rois.shape[0], x.shape[1] // (h * w), h, w, dtype=torch.int32),
    ),
    "deform_conv2d": lambda x, weight, offset, *more: x.new_empty(x.shape[0], weight.shape[0], *offset.shape[2:]),
}


@pytest.fixture(scope="module", autouse=True)
def vision() -> Iterator[Any]:
    library = torch.library.Library("torchvision", "DEF")
    for name, schema in SCHEMAS.items():
        library.define(schema)
        library.impl(name, SHAPES[name], "Meta")
    yield torch.ops.torchvision
    library._destroy()


def analyse(call: Callable[..., Any], *shapes: tuple[int, ...]) -> multiprof.Report:
    report = multiprof.analyze(call, Inputs(*shapes))
    assert not report.unsupported()
    return report


def deformable(mask: bool, bias: bool) -> Callable[..., Any]:
    def call(x: Any, weight: Any, offset: Any, mask_: Any, bias_: Any) -> Any:
        numbers = (2, 2, 1, 1, 1, 1, 2, 1)  # strides, paddings, dilations, groups, groups of offsets
        return torch.ops.torchvision.deform_conv2d(x, weight, offset, mask_, bias_, *numbers, mask)

    return call


@pytest.mark.parametrize("bias", [False, True])
@pytest.mark.parametrize("mask", [False, True])
def test_deformable_convolution(mask: bool, bias: bool) -> None:
    """3×3, 4 → 6 channels in 2 groups, 9×9 → 5×5: the macs of a convolution, and its 4·25·9 values sampled before."""
    shapes = (1, 4, 9, 9), (6, 2, 3, 3), (1, 18, 5, 5), (1, 9, 5, 5) if mask else (0,), (6,) if bias else (0,)
    report = analyse(deformable(mask, bias), *shapes)
    (layer,) = report.layers
    assert layer.op == "deform_conv"
    assert layer.layer.attrs == {
        "kernel_size": (3, 3), "stride": (2, 2), "padding": ((1, 1), (1, 1)), "dilation": (1, 1), "groups": 2,
        "in_channels": 4, "out_channels": 6, "data_format": "NCHW", "offset_groups": 1,
    }  # fmt: skip
    assert set(layer.layer.inputs) == {"x", "offset", "weight", *(["mask"] * mask), *(["bias"] * bias)}
    assert report.macs == 6 * 25 * 9 * 4 // 2
    offsets, values = 18 * 25, 4 * 9 * 25
    rest = 2 * offsets + 3 * 3 * values + mask * values + bias * 6 * 25
    assert report.flops == 2 * report.macs + rest


@pytest.mark.parametrize("aligned", [False, True])
def test_roi_align(aligned: bool) -> None:
    """7 regions of 2×3 cells with 2×2 samples of 8 channels; a sample is three interpolations of 3 operations."""
    call = lambda x, rois: torch.ops.torchvision.roi_align(x, rois, 0.25, 2, 3, 2, aligned)  # noqa: E731
    report = analyse(call, (1, 8, 16, 16), (7, 5))
    assert report.layers[0].layer.attrs == {
        "output_size": (2, 3), "sampling_ratio": 2, "spatial_scale": 0.25, "aligned": aligned, "data_format": "NCHW",
    }  # fmt: skip
    y = 7 * 8 * 2 * 3
    region = 7 * (4 + 2 + 2) + aligned * 7 * 4
    place = 3 * 7 * (2 * 2 + 3 * 2)
    assert report.flops == region + place + 4 * y * 9 + (4 - 1) * y + y


def test_roi_align_that_adapts_is_an_upper_bound() -> None:
    call = lambda x, rois: torch.ops.torchvision.roi_align(x, rois, 1.0, 4, 4, -1, False)  # noqa: E731
    report = analyse(call, (1, 8, 16, 16), (7, 5))
    assert report.layers[0].layer.attrs["sampling_ratio"] == 0
    assert "upper bound" in report.layers[0].reason


def test_position_sensitive_regions_sample_as_often() -> None:
    call = lambda x, rois: torch.ops.torchvision.ps_roi_align(x, rois, 1.0, 2, 2, 2)[0]  # noqa: E731
    report = analyse(call, (1, 8, 16, 16), (7, 5))
    assert [layer.op for layer in report.layers] == ["fill", "roi_align"]
    assert report.graph.outputs[0].shape == (7, 2, 2, 2)


def test_roi_pool() -> None:
    call = lambda x, rois: torch.ops.torchvision.roi_pool(x, rois, 1.0, 2, 2)[0]  # noqa: E731
    report = analyse(call, (1, 8, 16, 16), (7, 5))
    assert report.layers[-1].op == "roi_pool"
    # cells of at most 8×8 elements each: 63 comparisons; the edges of 4 cell sides a region: 2 additions … each
    y, edges = 7 * 8 * 2 * 2, 2 * 7 * 4
    assert report.flops == y * 63 + 7 * (4 + 2 + 2) + edges * (1 + 1 + 2)


def test_nms() -> None:
    """20 boxes: every score meets the sort, and in the worst case every box every earlier one: 190 overlaps."""
    call = lambda boxes, scores: torch.ops.torchvision.nms(boxes, scores, 0.5)  # noqa: E731
    report = analyse(call, (20, 4), (20,))
    assert report.layers[0].layer.attrs == {"boxes": 20, "classes": 1, "batch": 1, "iou_threshold": 0.5}
    merge_sort = 20 * 5 - 32 + 1
    assert report.flops == 20 + merge_sort + 20 * 3 + 190 * (7 + 4 + 1 + 1)
