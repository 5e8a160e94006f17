"""Operators whose results torch's own kernels give: order and selection, sampling, linear algebra, fake quantisation.

What they cost is worked out by hand from the formulas' definitions where a case is small, and shapes are torch's own.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
import torch.nn.functional as F

import multiprof

META = torch.device("meta")
X = (3, 5, 4)


def meta(*shape: int, dtype: torch.dtype = torch.float32) -> torch.Tensor:
    return torch.empty(shape, dtype=dtype, device=META)


ORDER: list[tuple[Callable[[Any], Any], str, dict[str, Any]]] = [
    (lambda x: x.sort(), "sort", {"axis": 2, "n": 4, "descending": False, "stable": False}),
    (lambda x: torch.sort(x, 1, True), "sort", {"axis": 1, "n": 5, "descending": True, "stable": False}),
    (lambda x: torch.sort(x, dim=0, stable=True), "sort", {"axis": 0, "n": 3, "descending": False, "stable": True}),
    (lambda x: x.argsort(-2), "sort", {"axis": 1, "n": 5, "descending": False, "stable": False}),
    (lambda x: torch.topk(x, 2), "topk", {"axis": 2, "k": 2, "n": 4, "largest": True, "sorted": True}),
    (
        lambda x: x.topk(3, dim=1, largest=False, sorted=False),
        "topk",
        {"axis": 1, "k": 3, "n": 5, "largest": False, "sorted": False},
    ),
    (lambda x: torch.cummax(x, 1), "cummax", {"axis": (1,)}),
    (lambda x: x.cummin(-1), "cummin", {"axis": (2,)}),
    (lambda x: torch.logcumsumexp(x, 0), "logcumsumexp", {"axis": (0,)}),
]


@pytest.mark.parametrize(("call", "op", "attrs"), ORDER)
def test_order_and_selection(call: Any, op: str, attrs: dict[str, Any], compare: Any) -> None:
    layer = compare(call, meta(*X)).layer
    assert (layer.op, layer.attrs) == (op, attrs)


@pytest.mark.parametrize("more", [{}, {"right": True}, {"out_int32": True}])
def test_search_among_boundaries(more: dict[str, Any], compare: Any) -> None:
    attrs = {"right": more.get("right", False)}
    for call in (torch.bucketize, lambda x, b, **more: torch.searchsorted(b, x, **more)):
        layer = compare(call, meta(*X), meta(7), **more).layer
        assert (layer.op, layer.attrs, layer.inputs["boundaries"].shape) == ("bucketize", attrs, (7,))


def test_the_side_of_a_boundary(compare: Any) -> None:
    tracer = compare(lambda b, x: torch.searchsorted(b, x, side="right"), meta(7), meta(*X))
    assert tracer.layer.attrs == {"right": True}


def test_a_number_is_a_line_of_one(compare: Any) -> None:
    assert compare(lambda x: x.sort(), meta()).layer.attrs["n"] == 1


def test_rows_with_boundaries_of_their_own(compare: Any) -> None:
    layer = compare(lambda b, x: torch.searchsorted(b, x), meta(3, 7), meta(3, 4)).layer
    assert (layer.op, layer.inputs["boundaries"].shape) == ("bucketize", (3, 7))
    in_no_order = lambda b, x, s: torch.searchsorted(b, x, sorter=s)  # noqa: E731
    tracer = compare(in_no_order, meta(7), meta(4), meta(7, dtype=torch.int64))
    assert tracer.ops == ["torch.aten.searchsorted"]


def test_the_smallest_and_the_largest_at_once(compare: Any) -> None:
    tracer = compare(lambda x: torch.aminmax(x, dim=1, keepdim=True), meta(*X))
    assert tracer.ops == ["min", "max"]
    assert all(layer.attrs == {"axis": (1,), "keepdim": True} for layer in tracer.layers)


@pytest.mark.parametrize(
    ("call", "flops"),
    [
        # Merge sort of 8: 8·3 − 8 + 1 comparisons, of 3 lines. The best of 8: 7 comparisons; the second, 2 more: it
        # is among the 3 that lost to the best
        (lambda x: x.sort(0)[0], 3 * (8 * 3 - 8 + 1)),
        (lambda x: x.topk(1, 0)[0], 3 * 7),
        (lambda x: x.topk(2, 0)[0], 3 * (7 + 2)),
        (lambda x: torch.cummax(x, 0)[0], 3 * 7),
        # a binary search among 7 boundaries has 3 steps
        (lambda x: torch.bucketize(x, torch.arange(7.0)), 24 * 3),
    ],
)
def test_comparisons_by_hand(call: Any, flops: int) -> None:
    report = multiprof.analyze(call, (8, 3))
    assert not report.unsupported()
    assert report.flops == flops


def test_positions_found_by_value() -> None:
    """How many there are is known only by running: the layer has the shape that torch found."""
    x = torch.tensor([[1.0, 0.0, 2.0], [0.0, 0.0, 3.0]])
    report = multiprof.analyze(lambda x: x.nonzero() + 1, x)
    assert [layer.op for layer in report.graph.layers] == ["nonzero", "add"]
    assert report.layer("nonzero").layer.y.shape == (3, 2)
    for both in (lambda x: torch.where(x), lambda x: x.nonzero(as_tuple=True)):
        report = multiprof.analyze(lambda x, both=both: both(x)[1] + 1, x)
        assert [layer.op for layer in report.graph.layers] == ["nonzero", "split", "add"]
        assert report.graph.outputs[0].shape == (3,)
        assert report.flops == 6  # a comparison with 0 an element


def test_how_often_each_number_is_there() -> None:
    report = multiprof.analyze(lambda x: torch.bincount(x) * 2, torch.tensor([0, 3, 3]))
    assert [layer.op for layer in report.graph.layers] == ["histogram", "mul"]
    assert report.graph.outputs[0].shape == (4,)


@pytest.mark.parametrize("mode", ["bilinear", "nearest", "bicubic"])
@pytest.mark.parametrize("padding", ["zeros", "border", "reflection"])
def test_sampling_at_computed_places(mode: str, padding: str, compare: Any) -> None:
    call = lambda x, g: F.grid_sample(x, g, mode, padding, align_corners=True)  # noqa: E731
    layer = compare(call, meta(2, 3, 6, 5), meta(2, 4, 7, 2)).layer
    assert layer.op == "grid_sample"
    assert layer.attrs == {"mode": mode, "padding_mode": padding, "align_corners": True}


def test_sampling_in_a_volume(compare: Any) -> None:
    call = lambda x, g: F.grid_sample(x, g, align_corners=False)  # noqa: E731
    layer = compare(call, meta(2, 3, 4, 6, 5), meta(2, 2, 4, 7, 3)).layer
    assert (layer.op, layer.attrs["mode"], layer.attrs["align_corners"]) == ("grid_sample", "bilinear", False)


def test_a_spatial_transformer_by_hand() -> None:
    """Two coordinates of 6·5 places, each 2 products and 2 sums; then 3 channels between 4 neighbours."""
    report = multiprof.analyze(
        lambda x, theta: F.grid_sample(x, F.affine_grid(theta, [1, 3, 6, 5], align_corners=True), align_corners=True),
        [(1, 3, 6, 5), (1, 2, 3)],
    )
    places = 6 * 5 * 2
    place = places * (1 + 1) + places  # (g + 1)·(size − 1)/2, and how far it is from the neighbour
    between = 3 * 6 * 5 * 3 * 3  # three interpolations a + t·(b − a)
    assert report.flops == places * (2 + 2) + place + between
    assert [layer.op for layer in report.graph.layers][-2:] == ["affine_grid", "grid_sample"]


def test_what_undoes_a_pooling(compare: Any) -> None:
    tracer = compare(lambda x: F.max_unpool2d(*F.max_pool2d(x, 2, return_indices=True), 2), meta(2, 3, 6, 4))
    assert tracer.ops == ["max_pool", "max_unpool"]
    assert tracer.layers[1].y.shape == (2, 3, 6, 4)


ALGEBRA: list[tuple[Callable[[Any], Any], str]] = [
    (torch.linalg.cholesky, "cholesky"),
    (torch.linalg.det, "det"),
    (torch.linalg.inv, "inverse"),
    (torch.inverse, "inverse"),
    (lambda x: torch.linalg.solve(x, x[..., :2]), "solve"),
    (lambda x: torch.linalg.solve_triangular(x, x[..., :2], upper=True), "solve"),
    (torch.linalg.lu_factor, "lu"),
    (torch.linalg.qr, "qr"),
]


@pytest.mark.parametrize(("call", "op"), ALGEBRA)
def test_linear_algebra(call: Any, op: str, compare: Any) -> None:
    tracer = compare(call, meta(2, 4, 4))
    assert [name for name in tracer.ops if name != "slice"] == [op]


def test_linear_algebra_by_hand() -> None:
    """2×2 matrices. Cholesky: √a, b/l, √(c − l·l). A triangular system: x₂ = b₂/u₂₂, x₁ = (b₁ − u₁₂·x₂)/u₁₁."""
    assert multiprof.analyze(torch.linalg.cholesky, (5, 2, 2)).flops == 5 * (2 + 1 + 2)
    solve = lambda a, b: torch.linalg.solve_triangular(a, b, upper=True)  # noqa: E731
    assert multiprof.analyze(solve, [(5, 2, 2), (5, 2, 3)]).flops == 5 * 3 * 4
    unit = lambda a, b: torch.linalg.solve_triangular(a, b, upper=True, unitriangular=True)  # noqa: E731
    assert multiprof.analyze(unit, [(5, 2, 2), (5, 2, 3)]).flops == 5 * 3 * 2


def test_a_part_of_q_is_not_made(compare: Any) -> None:
    assert set(compare(torch.linalg.qr, meta(4, 3)).layer.outputs) == {"y", "q"}
    assert set(multiprof.analyze(lambda x: torch.linalg.qr(x, "r")[1], (4, 3)).graph.layers[0].outputs) == {"y"}


def test_fake_quantisation() -> None:
    """Each element is divided, shifted, limited twice, rounded; then shifted back and scaled: 4 + 2 FLOPs."""
    report = multiprof.analyze(lambda x: torch.fake_quantize_per_tensor_affine(x, 0.1, 0, 0, 255), (2, 3))
    assert [layer.op for layer in report.graph.layers] == ["fake_quantize"]
    assert report.flops == 2 * 3 * (4 + 2)

    class Quantised(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.register_buffer("scale", torch.ones(3))
            self.register_buffer("zero", torch.zeros(3, dtype=torch.int32))

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return torch.fake_quantize_per_channel_affine(x, self.scale, self.zero, 1, 0, 255)

    report = multiprof.analyze(Quantised(), (2, 3, 5))
    (layer,) = report.graph.layers
    assert (layer.op, layer.attrs, set(layer.inputs)) == ("fake_quantize", {"axis": 1}, {"x", "scale", "zero_point"})
